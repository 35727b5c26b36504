"""The Axes that a plot is drawn on; matplotlib is loaded only when a plot is drawn."""

from __future__ import annotations

from typing import Any

__all__ = ["axes"]


def axes(given: Any, **figure: Any) -> Any:
    """``given``, or the Axes of a new figure, for which ``figure`` are keywords of ``matplotlib.pyplot.subplots``."""
    if given is not None:
        return given
    import matplotlib.pyplot as plt  # optional, and slow to load

    return plt.subplots(layout="constrained", **figure)[1]
