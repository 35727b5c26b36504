"""What a running fit shows: one updating line, or the caller's own monitor; and what is said when it is interrupted."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from glmmjax.errors import ArgumentError
from glmmjax.estimation.maximum import Progress
from glmmjax.estimation.xla.interrupts import keep_interrupts
from glmmjax.estimation.xla.news import logger, told_to
from glmmjax.values import shown

__all__ = ["ManyProgress", "TrainingProgress", "Watch"]


class ManyProgress(NamedTuple):
    """What a monitor of many fits is told.

    Attributes
    ----------
    n_done : fits that have ended
    n : number of fits, None where it is not known
    n_certified : fits with a certificate
    n_failed : fits without one
    seconds : since the beginning
    """

    n_done: int
    n: int | None
    n_certified: int
    n_failed: int
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """About what the other fits will take; None where that is not known."""
        return None if self.n is None or not self.n_done else self.seconds * (self.n - self.n_done) / self.n_done

    @property
    def place(self) -> str:
        """How far it has come, for an interruption."""
        return f"after {self.n_done:,} of many fits"

    @property
    def text(self) -> str:
        """One line."""
        total, left = "" if self.n is None else f" of {self.n:,}", self.seconds_left
        until = "" if left is None else f", {left:.0f} s left"
        return f"{self.n_done:,}{total} fits done, {self.n_certified:,} certified, {self.n_failed:,} without certificate{until}"


class TrainingProgress(NamedTuple):
    """What a monitor of a training is told after every epoch.

    Attributes
    ----------
    epoch : from 1 on
    n_epochs : at most
    loss : mean over the batches of the epoch, a cluster
    validation_loss : of the clusters that are held back, a cluster; None without these
    n_skipped : steps that were not taken, because the loss or its gradient was not finite
    seconds : since the beginning
    """

    epoch: int
    n_epochs: int
    loss: float
    validation_loss: float | None
    n_skipped: int
    seconds: float

    @property
    def place(self) -> str:
        """How far it has come, for an interruption."""
        return f"in training, after epoch {self.epoch}"

    @property
    def text(self) -> str:
        """One line."""
        held_back = "" if self.validation_loss is None else f", {self.validation_loss:.4f} on clusters held back"
        skipped = f", {self.n_skipped} steps skipped" if self.n_skipped else ""
        return f"epoch {self.epoch} of {self.n_epochs}, loss {self.loss:.4f}{held_back}{skipped}"


AnyProgress = Progress | ManyProgress | TrainingProgress


class Watch:
    """Follows one fit, or many. A context manager that ends the line, and names the point reached when the fit is interrupted.

    Parameters
    ----------
    progress : False shows nothing, True one line on standard error (what is compiled, then each step), a
        callable gets every ``Progress`` record.
    """

    def __init__(self, progress: Any):
        if not (isinstance(progress, bool) or _takes_one(progress)):
            raise ArgumentError(f"progress={shown(progress)} must be True, False, or a function of one Progress record.")
        self._show: Callable[[Any], None] | None = _show_line if progress is True else progress or None
        self._shows_line = progress is True
        self._last: AnyProgress | None = None
        self._interrupts = keep_interrupts()
        self._news = told_to(_show_text if self._shows_line else None)

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
        if self._shows_line and _is_live():
            _write("\n")
        elif self._shows_line and self._last is not None:
            _write(describe(self._last) + "\n")
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


def _show_line(step: AnyProgress) -> None:
    _show(describe(step))


def _show_text(text: str) -> None:
    _show(f"glmmjax: {text}")


def _show(line: str) -> None:
    """Write a line over the one before."""
    if _is_live():
        _write(f"\r{line:<100}")


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
