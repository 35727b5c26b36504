"""Tables in plain text, a line at a time, so that a long run shows where it is."""

from __future__ import annotations

__all__ = ["Table", "seconds", "times"]

_WIDTH = 10  # of a column with a short name


class Table:
    """A title, a line of column names, then lines that belong to them."""

    def __init__(self, title: str, label: str, *columns: str, label_width: int = 30, width: int = _WIDTH):
        self._widths = [label_width, *(max(width, len(column)) for column in columns)]
        print(f"\n{title}", flush=True)
        self.row(label, *columns)

    def row(self, label: str, *cells: str) -> None:
        """Print a line: the label to the left, cells to the right of their columns."""
        widths = self._widths[1:]
        text = [f"{label:<{self._widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))]
        print("  " + "  ".join(text).rstrip(), flush=True)


def seconds(value: float) -> str:
    """Three figures, in ms below a second."""
    number, unit = (value, "s") if value >= 1 else (value * 1e3, "ms")
    return f"{number:.{max(0, 2 - len(str(int(number))) + 1)}f} {unit}"


def times(ratio: float) -> str:
    """A ratio."""
    return f"{ratio:.2f}x" if ratio < 10 else f"{ratio:.0f}x"
