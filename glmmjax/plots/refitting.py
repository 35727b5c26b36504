"""Cook's distances by cluster."""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.plots.axes import axes
from glmmjax.postfit.refitting.influence import Influence
from glmmjax.tables import refitting as tables

__all__ = ["plot_influence"]


_WIDTH, _HEIGHT = 0.06, 0.05  # of a label, as shares of the axes
_PLACES = ((0, 4), (6, 0), (-6, 0), (6, -9), (-6, -9), (0, 18), (8, 10), (-8, 10))  # offsets in points, tried in this order
_POINT = 0.004  # of an axis


def _free_places(points: list[tuple[float, float]]) -> list[tuple[int, int]]:
    """An offset for the label of each point, at which it covers no label before it; points are shares of the axes."""
    taken: list[tuple[float, float]] = []
    found = []
    for x, y in points:
        middles = [(x + _POINT * across + np.sign(across) * 0.5 * _WIDTH, y + _POINT * up) for across, up in _PLACES]
        is_free = [all(abs(a - c) > _WIDTH or abs(b - d) > _HEIGHT for c, d in taken) for a, b in middles]
        k = is_free.index(True) if any(is_free) else 0
        taken.append(middles[k])
        found.append(_PLACES[k])
    return found


def plot_influence(
    influence: Influence, ax: Any = None, method: str = "refit", part: str = "fixed", scaled: bool = False, n_labels: int = 5
) -> Any:
    """Draw a stem for each cluster, in the order of the data; see ``MixedModelResults.plot_influence``.

    Raises
    ------
    ArgumentError
        As ``cooks_distances``.
    """
    distances = tables.cooks_series(influence, method, part, scaled)
    ax = axes(ax)
    position, height = np.arange(1, len(distances) + 1), distances.to_numpy()
    ax.vlines(position, 0.0, height, colors="0.45", linewidth=1.0)
    ax.plot(position, height, linestyle="none", marker="o", markersize=3.5, color="black")
    top = np.nanmax(height, initial=0.0) or 1.0
    ax.set_xlim(0, len(distances) + 1)
    ax.set_ylim(0, 1.15 * top)
    tallest = [k for k in np.argsort(-np.nan_to_num(height, nan=-1.0), kind="stable")[:n_labels] if np.isfinite(height[k])]
    for k, (across, up) in zip(tallest, _free_places([(position[k] / len(distances), height[k] / top) for k in tallest]), strict=True):
        side = "center" if across == 0 else "left" if across > 0 else "right"
        ax.annotate(str(distances.index[k]), (position[k], height[k]), (across, up), textcoords="offset points", ha=side, fontsize=8)
    group = influence.fitted.design.group_name
    ax.set_xlabel("Number of the cluster" if group is None else f"Number of the cluster ({group})")
    ax.set_ylabel(f"Cook's distance{', one step' if method == 'one_step' else ''}{' / p' if scaled else ''}")
    return ax
