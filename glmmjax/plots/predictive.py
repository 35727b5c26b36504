"""The empirical distribution of the outcomes among those of simulated data sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.fitted import FittedModel
from glmmjax.postfit.predictive_checks import predictive_ecdf

__all__ = ["plot_predictive"]


def plot_predictive(
    fitted: FittedModel,
    n: int = 100,
    new_random_effects: bool | str = True,
    parameter_uncertainty: bool = False,
    seed: int = 0,
    robust: bool | str = False,
    ax: Any = None,
) -> Any:
    """Distribution functions of ``n`` simulated data sets in grey, their pointwise 95 % band in dashes, and that of the data in black.

    Parameters
    ----------
    n, new_random_effects, parameter_uncertainty, seed, robust : as in ``simulate``.
    ax : matplotlib Axes to draw on; a new figure when not given.

    Returns
    -------
    The Axes.

    Raises
    ------
    ArgumentError, RowsNotKeptError
        As ``predictive_ecdf``.
    """
    found = predictive_ecdf(fitted, n, new_random_effects, parameter_uncertainty, seed, robust)
    if ax is None:
        import matplotlib.pyplot as plt  # optional, and slow to load

        ax = plt.subplots(layout="constrained")[1]
    style: dict[str, Any] = {"drawstyle": "steps-post"} if found.is_step else {}
    for number, shares in enumerate(found.simulated):
        ax.plot(found.grid, shares, color="0.8", linewidth=0.6, zorder=1, label="simulated" if number == 0 else "_nolegend_", **style)
    for number, limit in enumerate(np.quantile(found.simulated, (0.025, 0.975), axis=0)):
        label = "95 % of simulated" if number == 0 else "_nolegend_"
        ax.plot(found.grid, limit, color="0.3", linewidth=1.0, linestyle="--", zorder=2, label=label, **style)
    ax.plot(found.grid, found.observed, color="black", linewidth=1.8, zorder=3, label="observed", **style)
    ax.set(ylim=(0, 1.02), xlabel=fitted.design.outcome_name, ylabel="Share of outcomes at or below")
    ax.legend(loc="lower right")
    return ax
