"""What a running fit shows: one updating line, or the caller's own monitor; and what is said when it is interrupted."""

from __future__ import annotations

import inspect
import logging
import shutil
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from glmmjax.arguments import Judged
from glmmjax.errors import ArgumentError
from glmmjax.estimation.maximum import Progress
from glmmjax.estimation.xla.interrupts import keep_interrupts
from glmmjax.estimation.xla.news import logger, told_to
from glmmjax.progress_records import Counted, RefitProgress
from glmmjax.values import shown

__all__ = ["PROGRESS", "Watch"]

PROGRESS = Judged("True, False, or a function of one record")
AnyProgress = Progress | Counted


class Watch:
    """Follows one fit, or many. A context manager that ends the line, and names the point reached when the fit is interrupted.

    Parameters
    ----------
    progress : False shows nothing, True one line on standard error (what is compiled, then each step; a bar of tqdm for work that is
        counted, where that package is installed), a callable gets every record.
    """

    def __init__(self, progress: Any):
        if not (isinstance(progress, bool) or _takes_one(progress)):
            raise ArgumentError(f"progress={shown(progress)} must be True, False, or a function of one Progress record.")
        self._screen = _Screen() if progress is True else None
        self._show: Callable[[Any], None] | None = self._screen.show if self._screen is not None else progress or None
        self._last: AnyProgress | None = None
        self._begun = time.perf_counter()
        self._interrupts = keep_interrupts()
        self._news = told_to(self._screen.tell if self._screen is not None else None, self._count if self.is_shown else None)

    @property
    def is_shown(self) -> bool:
        """Whether every step has to be told; otherwise whole phases may run in one call."""
        return self._show is not None

    def __enter__(self) -> Watch:
        self._check = self._interrupts.__enter__()
        self._news.__enter__()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        self._news.__exit__(None, None, None)
        try:
            self._interrupts.__exit__(kind, error, traceback)
        except KeyboardInterrupt as lost:
            error = lost
        if self._screen is not None:
            self._screen.end(self._last)
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"glmmjax: fit stopped by the user{self._place()}") from None

    def report(self, step: AnyProgress) -> None:
        """What a fit calls whenever it comes back from compiled code."""
        self._last = step
        self._check()
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(describe(step))
        if self._show is not None:
            self._show(step)

    def _count(self, n_done: int, n: int) -> None:
        """Refits, which know of nobody who follows them."""
        self.report(RefitProgress(n_done, n, time.perf_counter() - self._begun))

    def _place(self) -> str:
        if self._last is None:
            return " while it was compiled or looked for starting values"
        last = self._last
        if not isinstance(last, Progress):
            return f" {last.place}"
        return f" in the {last.phase} phase, after iteration {last.iteration} (log-likelihood {last.log_likelihood:.4f})"


def _takes_one(function: Any) -> bool:
    """Whether it is a function that can be called with one argument."""
    if not callable(function) or isinstance(function, type):
        return False
    try:
        inspect.signature(function).bind(None)
    except ValueError:  # a function of C that does not tell
        return True
    except TypeError:
        return False
    return True


def describe(step: AnyProgress) -> str:
    """One line on one step."""
    if not isinstance(step, Progress):
        return f"glmmjax: {step.text}"
    place = f"{step.phase}, iteration {step.iteration}"
    return f"glmmjax: {place}, log-likelihood {step.log_likelihood:.4f}, gradient norm {step.gradient_norm:.2e}"


class _Screen:
    """Standard error: a bar of tqdm for counted work, where that is installed, else one line that is written over.

    Where nothing can be written over, in a file or a pipe, the last line alone is written, at the end.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._unit = ""

    def tell(self, text: str) -> None:
        """What is done before the next step."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        elif _is_live():
            _write(f"\r{f'glmmjax: {text}':<100}")

    def show(self, step: AnyProgress) -> None:
        """A step."""
        if not _is_live():
            return
        bars = None if isinstance(step, Progress) else _bars()
        if bars is None or isinstance(step, Progress):
            _write(f"\r{describe(step):<100}")
            return
        n_done, n, unit = step.counted
        if self._bar is None or (self._bar.total, self._unit) != (n, unit) or n_done < self._bar.n:
            self._open(bars, n, unit)
        self._bar.set_postfix_str(step.note, refresh=False)
        self._bar.update(n_done - self._bar.n)

    def end(self, last: AnyProgress | None) -> None:
        """The end of the line."""
        if self._bar is not None:
            self._bar.close()
        elif _is_live():
            _write("\n")
        elif last is not None:
            _write(describe(last) + "\n")

    def _open(self, bars: Any, n: int | None, unit: str) -> None:
        if self._bar is None:
            _write(f"\r{'':<100}\r")  # over what was told before
        else:
            self._bar.close()
        columns, lines = shutil.get_terminal_size()  # tqdm shows nothing in a terminal that does not tell its size
        size = {"ncols": columns, "nrows": lines} if sys.stderr.isatty() else {}
        self._bar, self._unit = bars(total=n, desc="glmmjax", unit=f" {unit}", file=sys.stderr, **size), unit


def _bars() -> Any:
    """The bar of tqdm, a widget in a notebook; None without that package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a notebook without widgets, which gets the bar of a terminal
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return None
    return tqdm


def _is_live() -> bool:
    """Whether a line can be written over: in a terminal, and in a notebook."""
    return _is_open() and (sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel"))


def _write(text: str) -> None:
    """Show ``text``. A service without a terminal, whose stream is closed or None, loses the line and not the fit."""
    if _is_open():
        sys.stderr.write(text)
        sys.stderr.flush()


def _is_open() -> bool:
    return sys.stderr is not None and not getattr(sys.stderr, "closed", False)
