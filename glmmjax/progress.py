"""What a running fit shows: one updating line, or the caller's own monitor; and what is said when it is interrupted."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from glmmjax.errors import ArgumentError
from glmmjax.estimation.maximum import Progress

__all__ = ["Watch"]


class Watch:
    """Follows one fit. A context manager that ends the line, and names the point reached when the fit is interrupted.

    Parameters
    ----------
    progress : False shows nothing, True one line on standard error, a callable gets every ``Progress`` record.
    """

    def __init__(self, progress: Any):
        if not (isinstance(progress, bool) or callable(progress)):
            raise ArgumentError(f"progress={progress!r} must be True, False, or a function of one Progress record.")
        self._show: Callable[[Progress], None] | None = _show_line if progress is True else progress or None
        self._shows_line = progress is True
        self._last: Progress | None = None
        self._is_interrupted = self._listens = False

    @property
    def is_shown(self) -> bool:
        """Whether every step has to be told; otherwise whole phases may run in one call."""
        return self._show is not None

    def __enter__(self) -> Watch:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)
            self._listens = True
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if self._listens:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._listens = False
        if self._shows_line and self._last is not None:
            print("" if sys.stderr.isatty() else describe(self._last), file=sys.stderr)
        if isinstance(error, KeyboardInterrupt) or (self._is_interrupted and error is None):
            raise KeyboardInterrupt(f"glmmjax: fit stopped by the user{self._place()}") from None

    def report(self, step: Progress) -> None:
        """What ``maximise`` calls whenever it comes back from compiled code."""
        self._last = step
        if self._is_interrupted:
            raise KeyboardInterrupt
        if self._show is not None:
            self._show(step)

    def _interrupt(self, *_: Any) -> None:
        """Python drops a KeyboardInterrupt that comes while a callback of JAX runs, so that the fit would go on: it is remembered."""
        self._is_interrupted = True
        raise KeyboardInterrupt

    def _place(self) -> str:
        if self._last is None:
            return " while it was compiled or looked for starting values"
        last = self._last
        return f" in the {last.phase} phase, after iteration {last.iteration} (log-likelihood {last.log_likelihood:.4f})"


def describe(step: Progress) -> str:
    """One line on one step."""
    place = f"{step.phase}, iteration {step.iteration}"
    return f"glmmjax: {place}, log-likelihood {step.log_likelihood:.4f}, gradient norm {step.gradient_norm:.2e}"


def _show_line(step: Progress) -> None:
    if sys.stderr.isatty():
        print(f"\r{describe(step):<100}", end="", file=sys.stderr, flush=True)
