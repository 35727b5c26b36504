"""A maximum at the limit of the family, where an extra parameter runs off to infinity and the family becomes a simpler one.

With ``t = exp(-direction phi)`` the log-likelihood is smooth in t down to the limit t = 0, so in phi both its slope and its curvature are
what is left to gain, up to a factor near 1. The limit is a maximum where they are below the tolerance of the certificate, where the slope
leads outwards, and where all other parameters are at their maximum. A predictor that is not needed takes its random effects along: where it
is at its limit, so are their entries of D, of which the data tell nothing any more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.estimation.objective import Problem
from glmmjax.estimation.starting_values import Start
from glmmjax.families.base import Limit

__all__ = [
    "at_limits",
    "away_from_limits",
    "close_to_limits",
    "entries_at",
    "limit_parts",
    "near_limits",
    "on_host",
    "slopes_outwards",
    "without_slope",
]

_FAR = 5.0  # distance of a linear predictor from 0 at which it can be on its way to infinity
_NEAR = 8.0  # there the way that the log-likelihood takes to its limit is still well above rounding errors


def limit_parts(problem: Problem) -> tuple[tuple[slice, Limit], ...]:
    """The parts of theta that have a limit: an extra parameter each, or the coefficients of a linear predictor."""
    family, layout = problem.family, problem.layout
    first = layout.extra.start
    of_phi = ((slice(first + k, first + k + 1), limit) for k, limit in enumerate(family.phi_limits))
    of_predictors = zip(layout.by_predictor[1:], family.predictor_limits, strict=True)
    return tuple((where, limit) for where, limit in (*of_phi, *of_predictors) if limit is not None)


def entries_at(problem: Problem, start: Start, where: slice) -> Any:
    """(P,) bool: entries of theta that go with the part ``where`` of it to a limit; of a predictor also those of D of its random effects.

    A structure whose free vector holds no entries of L keeps them: its numbers belong to other effects too.
    """
    layout = problem.layout
    own = np.zeros(layout.size, bool)
    own[where] = True
    structure = layout.covariance
    if where not in layout.by_predictor or not structure.entries:
        return own
    of_predictor = start.effect_predictor[np.array([row for row, _ in structure.entries])] == layout.by_predictor.index(where)
    return own | (of_predictor @ np.eye(structure.n_free, layout.size, layout.random.start) > 0)


def on_host(start: Start) -> Start:
    """``start`` in NumPy arrays: where nothing is traced, JAX would compile every operation."""
    return Start(*(np.asarray(leaf) for leaf in start))  # type: ignore[arg-type]


def close_to_limits(problem: Problem, start: Start, theta: Any, gradient: Any, hessian: Any, tolerance: float) -> tuple[Any, ...]:
    """() bool for each of ``limit_parts``: whether the log-likelihood is that of its limit up to ``tolerance``.

    ``start`` has the range of each column, so that no unit of a covariate matters. ``theta`` and what is known there are jax or numpy.
    """
    found = []
    for where, limit in limit_parts(problem):
        scale = abs(start.span).max(0) + 1e-300
        is_real = entries_at(problem, start, where) & start.is_real  # padding is a unit in the Hessian
        slope, curvature = gradient / scale, hessian.diagonal() / (scale * scale)
        is_flat = ((abs(slope) < tolerance) & (abs(curvature) < tolerance) | ~is_real).all()
        # a bound for the predictor of every row: where only some rows are on their way, the limit is another one
        ways = limit.direction * theta[where] * start.span[:, where]
        found.append(is_flat & (ways.min(axis=0).sum() > _FAR))
    return tuple(found)


def at_limits(problem: Problem, start: Start, theta: Any, gradient: Any, hessian: Any, tolerance: float) -> tuple[Any, ...]:
    """``close_to_limits`` where the log-likelihood does not fall towards the limit; far out its slope is 0 to every digit."""
    close = close_to_limits(problem, start, theta, gradient, hessian, tolerance)
    slopes = [(theta[where] * gradient[where]).sum() for where, _ in limit_parts(problem)]
    return tuple(is_close & (slope >= 0.0) for is_close, slope in zip(close, slopes, strict=True))


def near_limits(problem: Problem, start: Start, theta: np.ndarray, found: tuple[Any, ...]) -> np.ndarray:
    """(P,) ``theta`` with the parts that are ``found`` at a limit brought back to where a slope can be told."""
    moved, random = np.array(theta, float), problem.layout.random
    for (where, _), is_at in zip(limit_parts(problem), found, strict=True):
        if is_at:
            moved[where] *= min(1.0, _NEAR / float(np.max(np.abs(moved[where] * start.span[:, where]))))
            # random effects of one unit leave the predictor there
            of_effects = entries_at(problem, start, where) & (np.arange(len(moved)) >= random.start) & (np.arange(len(moved)) < random.stop)
            size = np.linalg.norm((moved * start.span[1])[of_effects])
            moved[of_effects] /= max(1.0, float(size))
    return moved


def slopes_outwards(problem: Problem, theta: np.ndarray, gradient: np.ndarray, found: tuple[Any, ...]) -> bool:
    """Whether the log-likelihood rises towards every limit that is ``found``."""
    return all(float(theta[where] @ gradient[where]) > 0.0 for (where, _), is_at in zip(limit_parts(problem), found, strict=True) if is_at)


def without_slope(problem: Problem, start: Start, gradient: np.ndarray, found: tuple[Any, ...]) -> np.ndarray:
    """(P,) ``gradient`` with 0 for the entries that are ``found`` at a limit."""
    kept = np.array(gradient)
    for (where, _), is_at in zip(limit_parts(problem), found, strict=True):
        if is_at:
            kept[entries_at(problem, start, where)] = 0.0
    return kept


def away_from_limits(problem: Problem, theta: np.ndarray, limits: tuple[int, ...]) -> np.ndarray:
    """(P,) ``theta`` with its entries ``limits`` where a search of other data can leave the limit: an extra parameter as it is at first.

    D stays as it is, because from a variance of 0 no slope leads away.
    """
    moved, layout = np.array(theta, float), problem.layout
    first = np.zeros(len(moved))
    first[layout.extra] = problem.family.initial_phi()
    at = [k for k in limits if not layout.random.start <= k < layout.random.stop]
    moved[at] = first[at]
    return moved
