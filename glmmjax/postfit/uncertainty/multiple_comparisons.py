r"""P-values and interval widths of several comparisons together, from the joint distribution of their test statistics.

``"tukey"`` takes the studentised range of n means, which is exact for uncorrelated means with equal variances, and the approximation of
Tukey and Kramer otherwise. ``"single_step"`` and ``"dunnett"`` take the largest of the k normal statistics with their own correlations:

.. math:: p_j = 1 - P(\max_i |Z_i| < |z_j|), \quad Z \sim N(0, R)

Source: Kramer (1956), Biometrics 12, 307-310; Dunnett (1955), JASA 50, 1096-1121; Hothorn, Bretz and Westfall (2008), Biometrical Journal
50, 346-363; Genz (1992), JCGS 1, 141-149, for the integral. Statistics are normal, so that degrees of freedom are infinite.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from glmmjax.postfit.uncertainty.adjustment import adjusted
from glmmjax.postfit.uncertainty.link_intervals import normal_quantile
from glmmjax.postfit.uncertainty.p_values import normal_two_sided

__all__ = ["adjusted_tests"]

_ACCURACY = 1e-6  # of a multivariate normal probability
_MOST_POINTS = 1_000_000  # of its integration


def adjusted_tests(
    z: np.ndarray, correlation: Callable[[], np.ndarray], n_means: int, method: str | None, level: float
) -> tuple[np.ndarray, float]:
    """P-values (k,) of k comparisons, and half the width of their intervals in standard errors.

    Parameters
    ----------
    z : (k,) test statistics; NaN is no test.
    correlation : gives that of the statistics (k, k), for the methods that need it: there may be many of them.
    n_means : number of means that are compared.
    method : None, "bonferroni", "holm", "fdr_bh", "tukey", "dunnett" or "single_step".
    level : coverage of the intervals: of each for None, of all together otherwise. Holm's method and the false discovery rate have no
        intervals of their own, and those of Bonferroni's take their place.
    """
    if method == "tukey":
        return _studentised_range(z, n_means, level)
    if method in ("dunnett", "single_step"):
        return _single_step(z, correlation(), level)
    p_value = normal_two_sided(z)
    if method is None:
        return p_value, normal_quantile(level)
    n_tests = max(1, int(np.isfinite(z).sum()))
    return adjusted(p_value, method), normal_quantile(1.0 - (1.0 - level) / n_tests)


def _studentised_range(z: np.ndarray, n_means: int, level: float) -> tuple[np.ndarray, float]:
    from scipy.stats import studentized_range  # scipy.stats takes a second to load

    root = np.sqrt(2.0)
    return np.asarray(studentized_range.sf(root * np.abs(z), n_means, np.inf)), float(studentized_range.ppf(level, n_means, np.inf)) / root


def _single_step(z: np.ndarray, correlation: np.ndarray, level: float) -> tuple[np.ndarray, float]:
    from scipy.optimize import brentq

    known = np.isfinite(z)
    k = int(known.sum())
    p_value = np.full(len(z), np.nan)
    if not k:
        return p_value, np.nan
    inside = _largest_below(correlation[np.ix_(known, known)])
    # no smaller than the p-value of one test and no larger than Bonferroni's, whatever the error of the integral
    single = normal_two_sided(z[known])
    p_value[known] = np.clip([1.0 - inside(abs(one)) for one in z[known]], single, np.minimum(1.0, k * single))
    narrow, wide = normal_quantile(level), normal_quantile(1.0 - (1.0 - level) / k)
    if k == 1 or inside(narrow) >= level:  # statistics that are one and the same
        return p_value, narrow
    return p_value, float(brentq(lambda c: inside(c) - level, narrow, wide + 1e-3, xtol=1e-5))


def _largest_below(correlation: np.ndarray) -> Callable[[float], float]:
    """P(max |Z| < c) as a function of c; the same points of integration in every call."""
    from scipy.stats import multivariate_normal

    k = len(correlation)
    has_seed = "rng" in inspect.signature(multivariate_normal.cdf).parameters  # older SciPy keeps a generator of its own

    def inside(c: float) -> float:
        seeded: dict[str, Any] = {"rng": np.random.default_rng(0)} if has_seed else {}
        ends = np.full(k, c)
        return float(
            multivariate_normal.cdf(
                ends, cov=correlation, allow_singular=True, lower_limit=-ends, maxpts=_MOST_POINTS, abseps=_ACCURACY, releps=0.0, **seeded
            )
        )

    return inside
