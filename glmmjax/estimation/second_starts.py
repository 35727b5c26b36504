"""Other places from which a fit is begun once more, where the end of its ascent gives reason to doubt it.

A log-likelihood can have several maxima. An ascent is in doubt that has lost a rank of D, whose maximum was that of a rule and not of the
integral, or whose family lets one part of the model stand in for another: extra zeros, and a variance that makes zeros.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glmmjax.estimation.convergence import SINGULAR, Code
from glmmjax.estimation.factors import free_of, root_of
from glmmjax.estimation.judgement import Settled, is_still
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.starting_values import Start
from glmmjax.estimation.working_model import SMALL
from glmmjax.likelihood.params import Theta

__all__ = ["dispersed", "has_rivals", "second_starts", "with_correlations", "with_full_rank"]

_SPREAD = 2.0  # standard deviation, in units of the predictor, of an effect that has lost its variance
_MOVED = 1e-3  # log-likelihood units by which rules may differ
_NEARLY_ONE = 0.98  # a correlation close to its limit, and not on it, where a search would stay


def second_starts(first: Settled, found: Settled) -> Iterator[np.ndarray]:
    """Free vectors (P,) to begin at.

    Parameters
    ----------
    first : the end of the ascent by the coarse rule
    found : what finer rules have made of it
    """
    problem = found.whole.settings.problem
    hopeless = (Code.NOT_FINITE, Code.DIVERGING) if problem.family.is_log_concave else (Code.NOT_FINITE,)
    if problem.layout.covariance.q == 0 or found.code in hopeless:
        return
    is_singular = Code.CONVERGED_ON_BOUNDARY in (first.code, found.code)
    newton, start = first.last.newton, first.last.begun.start
    reach, predictor = np.asarray(start.effect_reach), np.asarray(start.effect_predictor)
    if is_singular:
        yield with_full_rank(problem.layout, np.asarray(newton.theta), reach)
    if has_rivals(problem, predictor):
        yield from with_correlations(problem.layout, np.asarray(newton.theta), reach, predictor)
    # a rule may be off by more on many rows, and the estimates stay where they are
    has_moved = any(not abs(change) < _MOVED for change in (found.value - first.value, found.judgement.error)) and not is_still(first)
    if not found.is_certified or has_moved or (is_singular and not problem.family.is_log_concave):
        widest, between = dispersed(problem, first.last.begun.start)
        yield widest
        if not problem.family.is_log_concave:
            yield between


def dispersed(problem: Problem, start: Start) -> tuple[np.ndarray, ...]:
    """Last resorts, (P,) each: the GLM with the largest D, and coefficients of 0 with a D between both."""
    layout, fallback = problem.layout, np.array(start.fallback)
    chol = root_of(layout.covariance, fallback[layout.random]) / SMALL
    zero = np.zeros_like(fallback)
    zero[layout.extra] = problem.family.initial_phi()
    for theta, size in ((fallback, 1.0), (zero, 0.5)):
        theta[layout.random] = free_of(layout.covariance, size * chol)
    return fallback, zero


def with_full_rank(layout: Theta, theta: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """(P,) the estimates ``theta`` with independent effects, and variances large enough to leave that place for those that have none.

    ``reach`` (q,) is ``Start.effect_reach``.
    """
    theta, root = np.array(theta), root_of(layout.covariance, theta[layout.random])
    deviations = np.sqrt((root * root).sum(1))
    given = np.where(deviations * reach < SINGULAR, _SPREAD / reach, deviations)
    theta[layout.random] = free_of(layout.covariance, np.diag(given))
    return theta


def has_rivals(problem: Problem, predictor: np.ndarray) -> bool:
    """Whether a maximum may have others beside it, whatever its certificate says: extra zeros and counts vary together between clusters.

    Few clusters tell little of how they go together, and the likelihood can have a maximum near each end of their correlation beside one
    between. ``predictor`` (q,) is ``Start.effect_predictor``.
    """
    return not problem.family.is_log_concave and _coupled(problem.layout, predictor) is not None


def with_correlations(layout: Theta, theta: np.ndarray, reach: np.ndarray, predictor: np.ndarray) -> Iterator[np.ndarray]:
    """Free vectors (P,): ``theta`` with the first random effects of two predictors correlated nearly perfectly, with either sign.

    ``reach`` and ``predictor`` (q,) are ``Start.effect_reach`` and ``Start.effect_predictor``.
    """
    covariance, other = layout.covariance, _coupled(layout, predictor)
    full = root_of(covariance, with_full_rank(layout, theta, reach)[layout.random])
    deviations = np.sqrt((full * full).sum(1))
    for sign in (1.0, -1.0):
        correlation = np.eye(covariance.q)
        correlation[0, other] = correlation[other, 0] = sign * _NEARLY_ONE
        moved = np.array(theta)
        moved[layout.random] = free_of(covariance, deviations[:, None] * np.linalg.cholesky(correlation))
        yield moved


def _coupled(layout: Theta, predictor: np.ndarray) -> int | None:
    """The first random effect of another predictor than the first one's that may be correlated with that; None where there is none."""
    sizes = layout.covariance.block_sizes
    block = np.repeat(np.arange(len(sizes)), sizes)
    others = np.flatnonzero((predictor != predictor[0]) & (block == block[0]))
    return int(others[0]) if len(others) else None
