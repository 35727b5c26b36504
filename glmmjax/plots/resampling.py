"""The statistics of a permutation test, and curves of power."""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.plots.axes import COLOURS, axes
from glmmjax.postfit.inference.permutation_test import PermutationTest
from glmmjax.postfit.inference.power import Power
from glmmjax.tables.text import p_text

__all__ = ["plot_permutations", "plot_power"]

_LABELS = {"likelihood_ratio": "Likelihood ratio", "wald": "Wald statistic"}


def plot_permutations(test: PermutationTest, ax: Any = None, bins: int = 40) -> Any:
    """A histogram of the draws with a line at the statistic of the data; see ``PermutationTestResults.plot``."""
    ax = axes(ax)
    known = test.draws[np.isfinite(test.draws)]
    ax.hist(known, bins=bins, color="0.75", edgecolor="white", linewidth=0.4)
    ax.axvline(test.statistic, color="tab:red", label=f"data: {test.statistic:.2f}, p-value {p_text(test.p_value)}")
    lost = len(test.draws) - len(known)
    ax.set_xlabel(f"{_LABELS[test.kind]} of {test.covariate}, {len(known):,} permutations" + (f" ({lost:,} not counted)" if lost else ""))
    ax.set_ylabel("Number of permutations")
    ax.legend(frameon=False)
    return ax


def plot_power(found: Power, ax: Any = None) -> Any:
    """Power with its bands, against the number of clusters, or the effect where there is one number; see ``PowerResults.plot``."""
    ax = axes(ax)
    by_effect = len(found.sizes) == 1 and len(found.effects) > 1
    x = found.effects[:, 0] if by_effect else np.asarray(found.sizes, float)
    curves = [values.T if by_effect else values for values in (found.power, *found.band)]
    order = np.argsort(x, kind="stable")
    labels = [f"{found.sizes[0]:,} {found.unit}"] if by_effect else [_effect_text(found, v) for v in range(len(found.effects))]
    for k, label in enumerate(labels):
        power, lower, upper = (values[order, k] for values in curves)
        colour = COLOURS[k % len(COLOURS)]
        ax.fill_between(x[order], lower, upper, color=colour, alpha=0.2, linewidth=0)
        ax.plot(x[order], power, color=colour, marker="o", markersize=3.5, label=label)
    ax.axhline(found.settings.alpha, color="0.7", linewidth=0.8, linestyle="--", zorder=0)
    ax.set_ylim(0.0, 1.02)
    ax.set_xlabel(found.names[0] if by_effect else f"Number of {found.unit}")
    ax.set_ylabel(f"Power at level {found.settings.alpha:g}")
    ax.legend(frameon=False, fontsize=8)
    return ax


def _effect_text(found: Power, v: int) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in zip(found.names, found.effects[v], strict=True))
