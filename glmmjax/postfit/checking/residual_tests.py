"""Tests of quantile residuals: uniformity, dispersion, outliers, zeros.

Under the model the observed data and the simulated ones are exchangeable, so the place of the observed statistic among those of the
simulated data sets gives a p-value that holds whatever the dependence between the rows of a cluster (Dufour 2006, Journal of Econometrics
133, 443-477). The closed-form p-values beside them assume independent rows. When random effects are simulated too, the rows of a cluster
are dependent.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

__all__ = ["ResidualTest", "binomial_p_value", "kolmogorov_p_value", "residual_tests", "uniform_distances"]


class ResidualTest(NamedTuple):
    """One test of a fit.

    Attributes
    ----------
    name : such as "uniformity"
    statistic : of the observed data
    expected : mean of the statistic over the simulated data sets
    p_value : by simulation
    independent_p_value : in closed form, for independent rows; NaN where there is no such form
    """

    name: str
    statistic: float
    expected: float
    p_value: float
    independent_p_value: float


def residual_tests(
    values: np.ndarray, is_outside: np.ndarray, outcomes: np.ndarray | None, clusters: np.ndarray, can_be_zero: bool
) -> tuple[ResidualTest, ...]:
    """The tests that apply.

    Parameters
    ----------
    values : (n_rows, 1 + n) quantile residuals of the observed data, first, and of n simulated data sets, among all 1 + n.
    is_outside : (n_rows, 1 + n) whether an outcome lies outside all others of its row.
    outcomes : (n_rows, 1 + n) the outcomes themselves; None where some were not observed, which leaves dispersion and zeros out.
    clusters : (n_rows,) number of each row's cluster.
    can_be_zero : whether an outcome of 0 means none of what is counted.

    Returns
    -------
    ``uniformity``: Kolmogorov-Smirnov distance; large values speak against the model. ``dispersion``: variance within clusters of the
    outcomes, each standardised by mean and standard deviation of its row, divided by its average over simulations. (The variance between
    clusters is mostly that of the random effects, which would hide the rest.) ``outliers``: number of outcomes outside all simulated
    ones. ``zeros``: number of zeros. All but the first are two-sided. Tests of a statistic that cannot vary are left out.
    """
    n_rows, n = values.shape[0], values.shape[1] - 1
    distances, outside = uniform_distances(values), is_outside.sum(0)
    by_name = {"uniformity": distances}
    if outcomes is not None:
        spread = _spread_within(outcomes, clusters)
        if spread[1:].any():
            by_name["dispersion"] = spread / spread[1:].mean()
    by_name["outliers"] = outside
    if outcomes is not None and can_be_zero:
        zeros = (outcomes == 0).sum(0)
        if zeros.any():
            by_name["zeros"] = zeros
    closed = {
        "uniformity": kolmogorov_p_value(float(distances[0]), n_rows),
        "outliers": binomial_p_value(int(outside[0]), n_rows, 2.0 / (n + 1)),
    }
    return tuple(
        ResidualTest(name, float(s[0]), float(s[1:].mean()), _simulated_p_value(s, name == "uniformity"), closed.get(name, math.nan))
        for name, s in by_name.items()
    )


def _spread_within(outcomes: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """(1 + n,) variance of standardised outcomes within clusters, or over all rows when every cluster has a single one."""
    away, deviation = outcomes - outcomes.mean(1, keepdims=True), outcomes.std(1, keepdims=True)
    z = np.divide(away, deviation, out=np.zeros_like(away), where=deviation > 0)
    sizes = np.bincount(clusters)
    if sizes.max() > 1:
        sums = np.zeros((len(sizes), z.shape[1]))
        np.add.at(sums, clusters, z)
        z = z - (sums / np.maximum(sizes, 1)[:, None])[clusters]
    return (z**2).mean(0)


def _simulated_p_value(statistics: np.ndarray, is_one_sided: bool) -> float:
    """The share of data sets whose statistic is at least as extreme as that of the first; the first is counted too."""
    above, below = np.mean(statistics >= statistics[0]), np.mean(statistics <= statistics[0])
    return float(above if is_one_sided else min(1.0, 2.0 * min(above, below)))


def uniform_distances(values: np.ndarray) -> np.ndarray:
    """(k,) Kolmogorov-Smirnov distances of the columns of ``values`` (n, k) from the uniform distribution on (0, 1)."""
    ordered, n = np.sort(values, axis=0), len(values)
    below = np.arange(n)[:, None] / n
    return np.maximum((ordered - below).max(0), (below + 1.0 / n - ordered).max(0))


def kolmogorov_p_value(distance: float, n: int) -> float:
    """P(D_n >= distance) of the two-sided Kolmogorov-Smirnov distance of n independent uniform numbers, exactly."""
    from scipy.stats import kstwo  # it takes a second to load

    return float(kstwo.sf(distance, n))


def binomial_p_value(count: int, n: int, probability: float) -> float:
    """Two-sided exact p-value of ``count`` successes in ``n`` trials: the probability of all counts that are no more likely."""
    from scipy.stats import binomtest

    return float(binomtest(count, n, probability).pvalue)
