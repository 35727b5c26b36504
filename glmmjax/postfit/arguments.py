"""Checks of arguments that several post-fit functions take, each with one wording."""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.errors import ArgumentError

__all__ = ["check_level", "check_whole", "one_of"]


def one_of(argument: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Refuse a value that is not one of those allowed."""
    if value not in allowed:
        raise ArgumentError(f"{argument}={value!r} is not known; choose one of {', '.join(map(repr, allowed))}.")


def check_level(level: Any, argument: str = "level", allowed: str = "a number between 0 and 1") -> None:
    """Refuse a value that is not a confidence level."""
    if isinstance(level, bool) or not isinstance(level, int | float | np.number) or not 0.0 < level < 1.0:
        raise ArgumentError(f"{argument}={level!r} must be {allowed}, such as 0.95.")


def check_whole(argument: str, value: Any, least: int, method: str = "", why: str = "") -> None:
    """Refuse a value that is not a whole number >= ``least``; the message names the ``method`` and the reason ``why``, where given."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        shown = f"{method}({argument}={value!r})" if method else f"{argument}={value!r}"
        raise ArgumentError(f"{shown} must be a whole number >= {least}{why}.")
