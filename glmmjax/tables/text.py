"""Numbers as text, and the sections of a page that hold them: as plain text."""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Iterable

import pandas as pd

__all__ = ["HEADINGS", "UNDEFINED", "Section", "coefficient_texts", "number_texts", "p_text", "wrapped"]

UNDEFINED = "-"
HEADINGS = {"estimate": "Estimate", "std_error": "Std.Err", "z": "z-value", "p_value": "p-value"}  # column -> as GLMMadaptive prints it
_WIDTH = 100


@dataclasses.dataclass(frozen=True)
class Section:
    """One part of a summary: lines of text, then a table of texts, then notes.

    Attributes
    ----------
    title : heading
    lines : text above the table
    frame : table of texts; None without one
    notes : text below the table
    """

    title: str
    lines: tuple[str, ...] = ()
    frame: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        table = [] if self.frame is None else [self.frame.to_string()]
        return "\n".join([f"{self.title}:", *map(wrapped, self.lines), *table, *map(wrapped, self.notes)])


def wrapped(line: str) -> str:
    """A line of prose in the width of a page, continued with an indent."""
    return textwrap.fill(line, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def coefficient_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells of a coefficient table as they are printed."""
    texts = number_texts(frame[["estimate", "std_error"]])
    texts["z-value"] = _texts(frame["z"], 4)
    texts["p-value"] = [p_text(p) for p in frame["p_value"]]
    return texts


def number_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers with four decimals, or more so that the smallest standard error (or estimate) has two digits; with printed headings."""
    reference = frame["std_error"] if frame["std_error"].notna().any() else frame["estimate"]
    sizes = [abs(value) for value in reference if math.isfinite(value) and value != 0.0]
    decimals = min(10, max(4, 1 - math.floor(math.log10(min(sizes))))) if sizes else 4
    return pd.DataFrame({HEADINGS[name]: _texts(column, decimals) for name, column in frame.items()}, index=frame.index)


def _texts(values: Iterable[float], decimals: int) -> list[str]:
    return [f"{value:.{decimals}f}" if math.isfinite(value) else UNDEFINED for value in values]


def p_text(p: float) -> str:
    """A p-value as R prints it."""
    if math.isnan(p):
        return UNDEFINED
    return "<1e-04" if p < 1e-4 else f"{p:.4f}"
