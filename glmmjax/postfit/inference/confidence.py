"""Confidence intervals: Wald, profile likelihood, bootstrap percentiles. ``parameters`` has the scales on which they are made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glmmjax.errors import ArgumentError, ConvergenceWarning, warn_caller
from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.profile import profile_limits
from glmmjax.postfit.refitting.bootstrap import bootstrap
from glmmjax.postfit.refitting.bootstrap_limits import percentile_limits
from glmmjax.postfit.uncertainty.delta_method import propagated_variances
from glmmjax.postfit.uncertainty.link_intervals import normal_quantile
from glmmjax.postfit.uncertainty.parameters import Reported, estimates, natural_values, reported, working_at, working_jacobian
from glmmjax.postfit.uncertainty.vcov import covariance

__all__ = ["METHODS", "Intervals", "confidence_intervals"]

METHODS = ("wald", "profile", "bootstrap")
_MANY_LOST = 0.05  # a larger share of bootstrap refits without certificate gives a warning


class Intervals(NamedTuple):
    """Intervals of k parameters.

    Attributes
    ----------
    labels : (k,) names of the parameters
    estimates : (k,) on the scales that are reported
    lower : (k,) lower limits
    upper : (k,) upper limits
    level : coverage
    method : "wald", "profile" or "bootstrap"
    n_used : number of bootstrap refits behind the percentiles; None for other methods
    n_lost : number of refits left out because they have no certificate
    """

    labels: tuple[str, ...]
    estimates: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    level: float
    method: str
    n_used: int | None
    n_lost: int | None


def confidence_intervals(
    fitted: FittedModel,
    which: str = "fixed",
    method: str = "wald",
    level: float = 0.95,
    robust: bool | str = False,
    *,
    n: int = 1000,
    kind: str = "parametric",
    seed: int = 0,
) -> Intervals:
    """Intervals for the parameters of one kind, or all; the arguments are those of ``MixedModelResults.conf_int``."""
    parameters = reported(fitted)
    chosen = parameters.chosen(which)
    _check(method, robust)
    counts: tuple[int | None, int | None] = (None, None)
    if method == "wald":
        lower, upper = _wald(fitted, parameters, chosen, level, robust)
    elif method == "profile":
        lower, upper = profile_limits(fitted, parameters, chosen, level)
    else:
        lower, upper, counts = _percentiles(fitted, parameters, chosen, level, (n, kind, seed))
    names = parameters.labels if which == "all" else parameters.names
    return Intervals(tuple(names[k] for k in chosen), estimates(fitted, parameters)[chosen], lower, upper, level, method, *counts)


def _check(method: str, robust: bool | str) -> None:
    if robust and method != "wald":
        raise ArgumentError(
            f"robust={robust!r} goes with method='wald' only: the others use no covariance matrix. For intervals that are robust to a "
            "wrong model use method='bootstrap' with kind='cluster', which draws whole clusters."
        )


def _wald(fitted: FittedModel, parameters: Reported, chosen: np.ndarray, level: float, robust: bool | str) -> tuple[np.ndarray, np.ndarray]:
    """Limits by the standard error on the working scale."""
    at = working_at(parameters, fitted.theta)
    is_lost = np.array(parameters.kinds) == "random" if fitted.is_singular else np.zeros(len(at), bool)
    # Parameters of a singular D have no finite derivatives; 0 in their place keeps NaN out of the others.
    jacobian = np.where(is_lost[:, None], 0.0, working_jacobian(parameters, fitted.theta))
    errors = np.sqrt(propagated_variances(jacobian, covariance(fitted, robust)))
    errors[is_lost] = np.nan
    _report_undefined(fitted, parameters, chosen, np.isnan(errors))
    reach = normal_quantile(level) * errors
    at = np.where(np.isnan(errors), np.nan, at)
    ends = natural_values(parameters, np.stack([at - reach, at + reach]), fitted.theta)
    return ends.min(axis=0)[chosen], ends.max(axis=0)[chosen]


def _report_undefined(fitted: FittedModel, parameters: Reported, chosen: np.ndarray, is_undefined: np.ndarray) -> None:
    """Raise an error when none of the chosen parameters has a standard error, and warn when some have none."""
    lost = [parameters.labels[k] for k in chosen if is_undefined[k]]
    if not lost:
        return
    if fitted.is_singular and any(parameters.kinds[k] == "random" for k in chosen if is_undefined[k]):
        why = "the covariance matrix D of the random effects is singular, and its entries have no standard errors on that boundary"
        advice = "Use method='profile' or method='bootstrap', or fit a simpler D (fewer random effects, or || for independent ones)."
    elif fitted.convergence.has_converged and fitted.convergence.limits:
        why = "the family is at its limit there, where an estimate has no standard error"
        advice = "Fit the simpler family that fit.convergence.message names, or use method='bootstrap'."
    else:
        why = "the fit has no certificate of a maximum, and its Hessian gives them no standard errors"
        advice = "See fit.convergence for what to try."
    text = f"no Wald interval for {', '.join(lost)}: {why}. {advice}"
    if len(lost) == len(chosen):
        raise ArgumentError(text)
    warn_caller(text, ConvergenceWarning)


def _percentiles(
    fitted: FittedModel, parameters: Reported, chosen: np.ndarray, level: float, how: tuple[int, str, int]
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Percentiles of the refits with a certificate, on the scales that are reported."""
    n, kind, seed = how
    refits = bootstrap(fitted, n, kind=kind, seed=seed)
    used, lost = int(refits.converged.sum()), int((~refits.converged).sum())
    if used < 2:
        raise ArgumentError(f"method='bootstrap': only {used} of n={n} refits reached a maximum, and percentiles need more of them.")
    if lost > _MANY_LOST * n:
        text = f"{lost} of {n} bootstrap refits reached no maximum and are left out; the intervals may be too short. Try a simpler model."
        warn_caller(text, ConvergenceWarning)
    draws = natural_values(parameters, working_at(parameters, refits.theta[refits.converged]), fitted.theta)
    lower, upper = percentile_limits(draws[:, chosen], level)
    return lower, upper, (used, lost)
