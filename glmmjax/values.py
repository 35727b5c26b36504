"""Values of any kind as errors speak of them: in one short line, by their shape, and by the memory that they ask for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import Any

import numpy as np

from glmmjax.errors import ArgumentError

__all__ = ["NOT_NUMBERS", "check_size", "shape_of", "shown"]

NOT_NUMBERS = (TypeError, ValueError, OverflowError)  # what NumPy raises where values cannot be made numbers of 64 bits
_MOST_SHOWN = 80  # characters of a value in a message
_MOST_BYTES = 4 * 2**30  # largest array that is made because an argument asks for it


def shown(value: Any) -> str:
    """A value in one short line: arrays, tables and records by their type and shape."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"<{type(value).__name__} of shape {shape}>"
    if dataclasses.is_dataclass(value) or hasattr(value, "_fields"):
        return f"<{type(value).__name__}>"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of an object that cannot be written, such as a whole number of more than 4300 digits
        return f"<{type(value).__name__}>"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def shape_of(value: Any) -> tuple[int, ...] | str:
    """The shape of numbers in any container; in words where their rows differ in length."""
    try:
        return np.shape(value)
    except ValueError:
        return "(rows of different lengths)"


def check_size(what: str, shape: Collection[float], advice: str, itemsize: int = 8) -> None:
    """Refuse an array that would not fit into memory.

    Raises
    ------
    ArgumentError
        Naming its size, and what to ask for instead.
    """
    size = math.prod(shape) * itemsize
    if size > _MOST_BYTES:
        raise ArgumentError(f"{what} takes {size / 2**30:,.0f} GiB of memory, and {_MOST_BYTES >> 30} GiB are allowed; {advice}.")
