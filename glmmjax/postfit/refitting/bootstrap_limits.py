r"""Confidence limits from bootstrap draws: percentile, basic, and bias-corrected and accelerated (BCa).

With the quantiles ``q`` of the draws, the basic limits are :math:`2\hat\psi - q_{1-\alpha}, 2\hat\psi - q_\alpha`. The BCa limits are
quantiles whose levels allow for bias and for a variance that changes with the parameter:

.. math:: \Phi\Big(z_0 + \frac{z_0 + z_\alpha}{1 - a (z_0 + z_\alpha)}\Big), \quad z_0 = \Phi^{-1}\big(P(\psi^* < \hat\psi)\big), \quad
          a = \frac{\sum_i d_i^3}{6 (\sum_i d_i^2)^{3/2}}, \quad d_i = \bar\psi_{(\cdot)} - \hat\psi_{(i)}

The estimates without each cluster take one Newton step, as ``influence`` makes it.

Source: Efron (1987), JASA 82, 171-185; Davison and Hinkley (1997), Bootstrap Methods and their Application, chapter 5.
"""

from __future__ import annotations

import statistics

import numpy as np

from glmmjax.fitted import FittedModel
from glmmjax.postfit.refitting.bootstrap import Bootstrap, reported_values
from glmmjax.postfit.refitting.influence import Influence, leave_cluster_out
from glmmjax.postfit.uncertainty.parameters import estimates, natural_values, reported, working_at

__all__ = ["INTERVALS", "basic_limits", "bca_limits", "bootstrap_limits", "percentile_limits"]

INTERVALS = {"percentile": "quantiles of the draws", "basic": "the quantiles reflected", "bca": "quantiles corrected for bias and skewness"}
_NORMAL = statistics.NormalDist()
_HUGE = 1e300  # stands for an infinite draw, between which and others no quantile can be interpolated


def bootstrap_limits(fitted: FittedModel, found: Bootstrap, level: float, ci: str) -> np.ndarray:
    """(2, N) limits of the parameters that are reported, from the draws with a certificate.

    Basic limits are made on the working scales (log of a standard deviation), and cannot leave the parameter space. At a singular D its
    standard deviations and correlations have percentiles only: an estimate on the boundary cannot be reflected, and no cluster moves it.

    Raises
    ------
    ArgumentError, RowsNotKeptError
        For ``"bca"``: as the influence of clusters raises them.
    """
    parameters, theta = reported(fitted), found.theta[found.converged]
    if ci == "basic":
        working = working_at(parameters, theta), working_at(parameters, fitted.theta)
        limits = natural_values(parameters, basic_limits(*working, level), fitted.theta)
    elif ci == "bca":
        without = leave_cluster_out(Influence(fitted), "one_step")
        jackknife = reported_values(fitted, without.theta[without.converged])
        limits = bca_limits(reported_values(fitted, theta), estimates(fitted, parameters), jackknife, level)
    else:
        return percentile_limits(reported_values(fitted, theta), level)
    is_lost = (np.array(parameters.kinds) == "random") & fitted.is_singular
    return np.where(is_lost, np.nan, limits)


def percentile_limits(values: np.ndarray, level: float) -> np.ndarray:
    """(2, N) percentiles of ``values`` (R, N) that leave out ``1 - level``; NaN (a correlation without variances) is not counted."""
    known = np.isfinite(values).any(axis=0)
    found = np.nanquantile(np.where(known, values, 0.0), _tails(level), axis=0)
    return np.where(known, found, np.nan)


def basic_limits(draws: np.ndarray, estimate: np.ndarray, level: float) -> np.ndarray:
    """(2, N) basic limits from ``draws`` (R, N) and ``estimate`` (N,); a draw may be infinite. NaN without a finite estimate."""
    with np.errstate(invalid="ignore"):  # infinite estimates
        found = 2.0 * estimate - percentile_limits(np.clip(draws, -_HUGE, _HUGE), level)[::-1]
    found = np.where(np.abs(found) > 1e-3 * _HUGE, np.copysign(np.inf, found), found)
    return np.where(np.isfinite(estimate), found, np.nan)


def bca_limits(draws: np.ndarray, estimate: np.ndarray, jackknife: np.ndarray, level: float) -> np.ndarray:
    """(2, N) BCa limits; NaN where all draws lie on one side of the estimate, or where no cluster moves it.

    Parameters
    ----------
    draws : (R, N), of which NaN is not counted.
    estimate : (N,) from all clusters.
    jackknife : (m, N) estimates without each cluster, of which NaN is not counted.
    """
    columns = zip(draws.T, estimate, jackknife.T, strict=True)
    return np.array([_bca(draw[np.isfinite(draw)], at, jack[np.isfinite(jack)], level) for draw, at, jack in columns]).reshape(-1, 2).T


def _bca(draws: np.ndarray, estimate: float, jackknife: np.ndarray, level: float) -> np.ndarray:
    deviations = jackknife.mean() - jackknife if len(jackknife) else np.zeros(0)
    square = (deviations**2).sum()
    below = 0.5 * ((draws < estimate).mean() + (draws <= estimate).mean()) if len(draws) else 0.0
    if not (square > 0 and 0 < below < 1):
        return np.full(2, np.nan)
    acceleration, bias = (deviations**3).sum() / (6.0 * square**1.5), _NORMAL.inv_cdf(below)
    shifted = bias + np.array([_NORMAL.inv_cdf(tail) for tail in _tails(level)])
    left = 1.0 - acceleration * shifted
    if (left <= 0).any():  # so skewed that levels would turn round
        return np.full(2, np.nan)
    return np.quantile(draws, [_NORMAL.cdf(end) for end in bias + shifted / left])


def _tails(level: float) -> np.ndarray:
    return np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level])
