"""Hanging rootogram: observed frequencies of counts hang from the expected ones, on the scale of square roots."""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.fitted import FittedModel
from glmmjax.postfit.rootogram import rootogram

__all__ = ["plot_rootogram"]


def plot_rootogram(fitted: FittedModel, max_count: int | None = None, ax: Any = None) -> Any:
    """Bars that end above the line of 0 stand for counts that are rarer than the model expects, below it for more frequent ones.

    Parameters
    ----------
    max_count : as in ``rootogram``.
    ax : matplotlib Axes to draw on; a new figure when not given.

    Returns
    -------
    The Axes.

    Raises
    ------
    ArgumentError, RowsNotKeptError
        As ``rootogram``.
    """
    found = rootogram(fitted, max_count)
    if ax is None:
        import matplotlib.pyplot as plt  # optional, and slow to load

        ax = plt.subplots(layout="constrained")[1]
    height, top = np.sqrt(found.observed), np.sqrt(found.expected)
    ax.bar(found.counts, height, bottom=top - height, width=0.9, color="0.78", edgecolor="0.45", linewidth=0.5, label="observed")
    ax.plot(found.counts, top, color="black", linewidth=1.5, marker="o", markersize=3, label="expected")
    ax.axhline(0.0, color="black", linewidth=0.8)
    levels = fitted.design.levels
    if levels:
        ax.set_xticks(found.counts, [str(level) for level in (*levels, *[""] * len(found.counts))[: len(found.counts)]])
    ax.use_sticky_edges = False  # else the lowest bar ends at the frame
    ax.autoscale_view()
    ax.set(xlabel=fitted.design.outcome_name, ylabel="Square root of frequency")
    ax.legend(loc="upper right")
    return ax
