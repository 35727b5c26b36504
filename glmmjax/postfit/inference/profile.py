r"""Profile-likelihood limits of all parameters that are reported, both sides, in one compiled run.

The limits of a parameter c are the two values where the maximum of the objective l over all other parameters lies
:math:`\chi^2_1(level) / 2` below its maximum. ``profile_search`` says how each is found.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.errors import ConvergenceWarning, warn_caller
from glmmjax.estimation.padding import Padding
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.postfit.inference.profile_search import Setting, Side, searches
from glmmjax.postfit.refitting.bootstrap import check_not_corrected
from glmmjax.postfit.uncertainty.link_intervals import normal_quantile
from glmmjax.postfit.uncertainty.parameters import Reported, estimates, natural_values
from glmmjax.postfit.uncertainty.random_covariance import spread

__all__ = ["profile_limits"]

_ACCEPTED = 1e-4  # log-likelihood units in which the equations of a limit that is returned must hold
_LARGEST_CHANGE = 0.7  # in one step, of log sd or atanh of a correlation
_EDGE = (9.0, 7.6)  # distance of log sd from its estimate, and |atanh| of a correlation, that count as the boundary


def profile_limits(fitted: FittedModel, parameters: Reported, chosen: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """(k,) lower and (k,) upper limits, as they are reported, of the parameters with the numbers ``chosen``.

    Where the profile does not drop far enough, a limit is the edge of the parameter space: 0 for a standard deviation, -1 or 1 for a
    correlation, infinite for others. NaN for a limit that was not found, with a warning.

    Raises
    ------
    RowsNotKeptError
        For a streamed fit.

    Warns
    -----
    ConvergenceWarning
        Naming the parameters whose limits were not found.
    """
    check_not_corrected(fitted, "method='profile'")
    target = fitted.objective - 0.5 * normal_quantile(level) ** 2
    known = estimates(fitted, parameters)
    scale = _scale(fitted)
    starts = _starts(fitted, scale)
    buckets, q, wide = fitted.design.clusters.buckets, parameters.problem.layout.covariance.q, padding_of(fitted)
    sides = _sides(parameters, chosen, known, wide.vector(starts), wide)
    with jax.enable_x64(True):
        rule = fitted.quadrature.padded(q, parameters.problem.prior)
        setting = Setting(wide.vector(fitted.theta), wide.matrix(scale), np.float64(target), wide.buckets(buckets), rule, wide.is_real)
        found = searches(parameters.scales.padded(wide), setting, sides)
    places = parameters.scales.places(wide)
    c, misfit, is_flat = (np.asarray(values).reshape(len(starts), 2, -1)[..., places] for values in (found.c, found.misfit, found.is_flat))
    edges = np.where(is_flat, _edges(parameters), np.nan)
    limits = np.where(misfit < _ACCEPTED, natural_values(parameters, c, fitted.theta), edges)
    lower, upper = _at_the_boundary(fitted, parameters, known, _outermost(limits))[:, chosen]
    _report_missing(parameters, chosen, lower, upper)
    return lower, upper


def _outermost(limits: np.ndarray) -> np.ndarray:
    """(2, k) outermost of the limits (starts, 2, k), because a profile is the highest of its branches. NaN where no search ended."""
    lower, upper = limits[:, 0], limits[:, 1]
    swap = lower > upper  # by a decreasing transformation
    return np.stack([np.fmin.reduce(np.where(swap, upper, lower)), np.fmax.reduce(np.where(swap, lower, upper))])


def _sides(parameters: Reported, chosen: np.ndarray, known: np.ndarray, starts: np.ndarray, wide: Padding) -> Side:
    """For each start the lower sides of all parameters, then the upper ones. One program then serves every choice of parameters.

    Those of padding are among them, as sides that were not asked for.
    """
    numbers, kinds, is_correlation = np.arange(len(known)), np.array(parameters.kinds), _is_correlation(parameters)
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(np.abs(known)), -50.0)
    lowest = np.where(kinds == "random", np.where(is_correlation, -_EDGE[1], logs - _EDGE[0]), -np.inf)
    highest = np.where(is_correlation, _EDGE[1], np.inf)
    sign = np.where(np.isin(numbers, chosen), 1.0, 0.0)
    reach = np.where(kinds == "random", _LARGEST_CHANGE, np.inf)
    n = starts.shape[-1] + len(known) - parameters.problem.layout.size
    sign, lowest, highest, reach = (_spread_out(values, parameters.scales.places(wide), n) for values in (sign, lowest, highest, reach))
    one = (np.tile(np.arange(n), 2), np.concatenate([-sign, sign]), np.concatenate([lowest, highest]), np.tile(reach, 2))
    many: Any = (np.repeat(starts, 2 * n, axis=0), *(np.tile(values, len(starts)) for values in one))
    return Side(*many)


def _spread_out(values: np.ndarray, places: np.ndarray, n: int) -> np.ndarray:
    """(n,) values at their places, 0 elsewhere."""
    found = np.zeros(n)
    found[places] = values
    return found


def _is_correlation(parameters: Reported) -> np.ndarray:
    """(N,) bool"""
    numbers = np.arange(len(parameters.kinds)) - parameters.problem.layout.p - parameters.problem.layout.covariance.q
    return (numbers >= 0) & (numbers < len(parameters.pairs))


def _edges(parameters: Reported) -> np.ndarray:
    """(2, N) ends of the parameter space."""
    working = np.full((2, len(parameters.kinds)), [[-np.inf], [np.inf]])  # log sd, atanh of a correlation
    return natural_values(parameters, working, np.zeros(parameters.problem.layout.size))


def _scale(fitted: FittedModel) -> np.ndarray:
    """(P, P) coordinates in which the information at the maximum is the identity, in directions that have information."""
    diagonal = 1.0 / np.sqrt(np.maximum(np.abs(np.diagonal(fitted.information)), 1e-300))
    values, vectors = np.linalg.eigh(fitted.information * diagonal[:, None] * diagonal)
    return diagonal[:, None] * vectors / np.sqrt(np.maximum(values, 1e-6))


def _starts(fitted: FittedModel, scale: np.ndarray) -> np.ndarray:
    """(starts, P) first points: the maximum, or two beside a singular D, where standard deviations and correlations have derivatives.

    Beside a singular D the profile can have two branches, with D on the boundary and inside; the nearer and the farther point find both.
    """
    if not fitted.is_singular:
        return np.zeros((1, len(scale)))
    reach, deviations = fitted.design.random_reach, spread(fitted).deviations
    size = np.where(deviations * reach < 1e-4, 1.0 / np.maximum(reach, 1e-300), deviations)
    structure, free = fitted.design.covariance, fitted.problem.layout.random
    moves = np.zeros((2, len(scale)))
    for move, distance in zip(moves, (0.1, 0.5), strict=True):
        chol = np.array(fitted.params.chol)
        chol[np.diag_indices_from(chol)] = np.maximum(np.diagonal(chol), distance * size)
        with jax.enable_x64(True):
            move[free] = np.asarray(structure.free(jnp.asarray(chol))) - fitted.theta[free]
    return np.linalg.solve(scale, moves.T).T


def _at_the_boundary(fitted: FittedModel, parameters: Reported, known: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The limits (2, N), completed for estimates that lie on the boundary."""
    if not fitted.is_singular:
        return limits
    is_correlation, reach = _is_correlation(parameters), np.zeros(len(known))
    reach[parameters.problem.layout.p :][: len(fitted.design.random_reach)] = fitted.design.random_reach
    lower, upper = limits
    lower = np.where((reach > 0) & (known * reach < 1e-4), 0.0, np.where(is_correlation & (known < 1e-7 - 1.0), -1.0, lower))
    upper = np.where(is_correlation & (known > 1.0 - 1e-7), 1.0, upper)
    return np.where(np.isnan(known), np.nan, np.stack([lower, upper]))


def _report_missing(parameters: Reported, chosen: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
    lost = [parameters.labels[k] for k, is_lost in zip(chosen, np.isnan(lower + upper), strict=True) if is_lost]
    if lost:
        text = (
            f"no profile limit was found on one side or both for {', '.join(lost)}: the equations of the limit were not solved from the "
            "estimates. Try method='bootstrap' for these, or method='wald'."
        )
        warn_caller(text, ConvergenceWarning)
