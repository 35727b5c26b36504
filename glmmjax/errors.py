"""Named errors and warnings: every failure a user can cause has one of these types.

All errors derive from ``GlmmError`` (a ``ValueError``), so ``except ValueError`` keeps working. A message names the
argument, the value received, what is allowed, and what to try next; it is written where the check is made.
"""

from __future__ import annotations

import os
import sys
import warnings

__all__ = [
    "ArgumentError",
    "ConvergenceWarning",
    "DesignError",
    "DesignWarning",
    "FormulaError",
    "GlmmError",
    "OutcomeError",
    "ProcessError",
    "RowsNotKeptError",
    "StorageError",
]

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class GlmmError(ValueError):
    """Base of every error that glmmjax raises on purpose."""


class ArgumentError(GlmmError):
    """An argument other than the formula or the data has a value outside what is allowed."""


class StorageError(ArgumentError):
    """A file is no saved fit, is damaged, or cannot be written."""


class FormulaError(GlmmError):
    """A formula cannot be read, or names a column that the data do not have."""


class DesignError(GlmmError):
    """The data give no usable design: no rows, aliased columns, infinite values, wrong weights or offset."""


class OutcomeError(GlmmError):
    """The outcome lies outside the support of the family."""


class ProcessError(GlmmError):
    """A process in which no program can run."""


class RowsNotKeptError(GlmmError):
    """A result was asked of a streamed fit that needs its rows, which are not in memory."""


class DesignWarning(UserWarning):
    """The design is legal but probably not what was meant."""


class ConvergenceWarning(UserWarning):
    """A fit carries no certificate of a maximum; the text says what was seen and what to try."""


def warn_caller(text: str, category: type[Warning]) -> None:
    """Give a warning that points at the line of the caller: the first frame, from here outwards, that is not in this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and os.path.abspath(frame.f_code.co_filename).startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)
