"""Cook's distances by cluster."""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.plots.axes import axes
from glmmjax.postfit.refitting.influence import Influence
from glmmjax.tables import refitting as tables

__all__ = ["plot_influence"]


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
    for k in np.argsort(-np.nan_to_num(height, nan=-1.0), kind="stable")[:n_labels]:
        if np.isfinite(height[k]):
            ax.annotate(str(distances.index[k]), (position[k], height[k]), (0, 4), textcoords="offset points", ha="center", fontsize=8)
    ax.set_xlim(0, len(distances) + 1)
    ax.set_ylim(0, 1.1 * np.nanmax(height, initial=0.0) or 1.0)
    group = influence.fitted.design.group_name
    ax.set_xlabel("Number of the cluster" if group is None else f"Number of the cluster ({group})")
    ax.set_ylabel(f"Cook's distance{', one step' if method == 'one_step' else ''}{' / p' if scaled else ''}")
    return ax
