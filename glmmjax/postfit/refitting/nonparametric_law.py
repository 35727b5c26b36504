r"""The law of a random effect left free: nonparametric maximum likelihood.

.. math:: \max_{\beta, G} \sum_i w_i \log \int f_i(b; \beta)\, dG(b)

over all distributions G. The best one has finitely many points of support, no more than there are clusters. At coefficients beta it is
known to be the best when its gradient function is nowhere above 0,

.. math:: d(b) = \sum_i w_i \Bigl( \frac{f_i(b)}{\int f_i\, dG} - 1 \Bigr),

and any other distribution adds at most the largest d(b) to the log-likelihood. So points are added where d is largest, masses follow from
a convex problem (``support_masses``), and coefficients, points and masses are then moved together, until no d(b) is left.

Source: Laird (1978), JASA 73, 805-811; Lindsay (1983), Annals of Statistics 11, 86-94; Wang (2010), Statistics and Computing 20, 75-86.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.levels import check_one_level
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.clusters import cluster_weights
from glmmjax.likelihood.model_rows import ModelRows, phi_of_rows, predictors_at, random_part
from glmmjax.postfit.prediction.random_effects import random_effects
from glmmjax.postfit.prediction.rows import own_clusters, own_outcome, own_rows, row_counts
from glmmjax.postfit.refitting.bootstrap import check_is_maximum
from glmmjax.postfit.refitting.support_masses import masses_of_support
from glmmjax.postfit.uncertainty.vcov import theta_covariance

__all__ = ["NonparametricLaw", "nonparametric_law"]

_FIRST_POINTS, _FINE_POINTS = 61, 401
_NEAR, _FAR = 1.5, 4.0  # where the first points end, in units of the modes; and where all points end, in units of that
_DEVIATIONS = 5.0  # standard deviations of the fit, where the first points end at least
_ROUNDS, _GAIN = 40, 1e-9
_LARGEST_GAP, _LARGEST_DECREMENT = 1e-3, 1e-6
_LEAST_MASS = 1e-7
_SAME = 1e-3  # of the range: points nearer than this are one


class NonparametricLaw(NamedTuple):
    """The law of a random effect that maximises the likelihood, with the coefficients that go with it.

    Attributes
    ----------
    support : (K,) values of the random effect, in their order; their mean is 0 where the fixed effects have the same column
    masses : (K,) their probabilities
    at_end : (K,) bool: the point lies at an end of the range in which it was looked for
    theta : (C,) beta, phi, gamma and delta
    log_likelihood : with all constants, as that of the fit
    gap : what any other law would add to it at these coefficients, at most
    decrement : what other coefficients would add at this law, by the curvature at the fit
    n_rounds : how often points were added
    """

    support: np.ndarray
    masses: np.ndarray
    at_end: np.ndarray
    theta: np.ndarray
    log_likelihood: float
    gap: float
    decrement: float
    n_rounds: int

    @property
    def is_maximum(self) -> bool:
        """Whether nothing of note is left to gain, by another law or by other coefficients."""
        return self.gap < _LARGEST_GAP and self.decrement < _LARGEST_DECREMENT


class _FittedRows(NamedTuple):
    """The rows of a fit."""

    columns: ModelRows
    outcome: Any
    counts: Any  # (n,)
    codes: Any  # (n,)
    weights: Any  # (m,)


class _Point(NamedTuple):
    """What is moved together."""

    theta: Any  # (C,)
    support: Any  # (K,)
    log_masses: Any  # (K,) up to a constant


@dataclasses.dataclass(frozen=True)
class _LawSearch:
    """What stays the same in a search.

    Attributes
    ----------
    problem, rows : what is maximised
    scale : (C,) units of the coefficients; 0 for one that is held, since the support moves in its place
    covariance : (C, C) of the coefficients at the fit
    near, far : ends of the first points, and of all
    """

    problem: Problem
    rows: _FittedRows
    scale: np.ndarray
    covariance: np.ndarray
    near: float
    far: float


def nonparametric_law(fitted: FittedModel) -> NonparametricLaw:
    """The nonparametric maximum likelihood of the law of the one random effect; see ``glmmjax.nonparametric_effects``.

    Raises
    ------
    ArgumentError
        For another number of random effects, two levels or crossed factors, an ordinal family, a penalty, and a fit that is no maximum.
    RowsNotKeptError
        For a streamed fit.
    """
    _check(fitted)
    with jax.enable_x64(True):
        search, held = _search(fitted)
        grid = np.linspace(-search.near, search.near, _FIRST_POINTS)
        fine = search.far * np.sinh(np.linspace(-4.0, 4.0, _FINE_POINTS)) / np.sinh(4.0)
        at, candidates, value = _Point(fitted.theta[list(fitted.problem.layout.not_random)], grid, np.zeros(0)), grid, -np.inf
        for n_rounds in range(1, _ROUNDS + 1):
            at = _joined(search, _climbed(search, _with_masses(search, at.theta, candidates, are_coarse=n_rounds == 1)))
            found, along = _slopes(search.problem, at, search.rows)
            points = np.union1d(fine, at.support)
            slopes = _gradient_function(search, at, points)
            gained, value = float(found) - value, float(found)
            if slopes.max() < _LARGEST_GAP or gained < _GAIN:
                break
            candidates = np.concatenate([at.support, _peaks(points, slopes)])
        gradient = np.asarray(along.theta)
    decrement = 0.5 * float(gradient @ search.covariance @ gradient)
    masses = np.exp(at.log_masses - np.logaddexp.reduce(at.log_masses))
    at_end, theta, support = np.abs(at.support) > (1.0 - _SAME) * search.far, np.array(at.theta), np.array(at.support)
    if held is not None:
        theta[held], support = theta[held] + masses @ support, support - masses @ support
    return NonparametricLaw(support, masses, at_end, theta, value, max(float(slopes.max()), 0.0), decrement, n_rounds)


def _check(fitted: FittedModel) -> None:
    what, design = "nonparametric_effects", fitted.design
    check_one_level(design, what)
    if design.lower is not None:
        raise ArgumentError(f"{what} needs one grouping factor, and this model has two levels.")
    if len(design.random_names) != 1:
        n = len(design.random_names)
        raise ArgumentError(f"{what} is for one random effect, and this model has {n or 'none'}; fit one, random='~ 1 | id'.")
    if fitted.problem.family.is_ordinal:
        raise ArgumentError(f"{what} needs a mean of the law of 0, which thresholds of the {fitted.problem.family.name} family do not fix.")
    if fitted.problem.penalty is not None:
        raise ArgumentError(f"{what} maximises the likelihood, and this fit is penalised; fit it with penalized=False.")
    check_is_maximum(fitted, what)


def _search(fitted: FittedModel) -> tuple[_LawSearch, int | None]:
    """What the search needs; and the coefficient of the random effect's own column, which is held while the support moves."""
    layout, design = fitted.problem.layout, fitted.design
    sd, mode = abs(float(fitted.params.chol[0, 0])), float(np.abs(random_effects(fitted)).max())
    near = max(_DEVIATIONS * sd, _NEAR * mode) or 1.0 / float(design.random_reach[0])
    covariance = np.nan_to_num(theta_covariance(fitted)[np.ix_(layout.not_random, layout.not_random)])
    # a coefficient without a variance, at a limit of the family, moves too, and a slope along it counts
    covariance += np.diag(np.where(np.diagonal(covariance) > 0.0, 0.0, 1.0))
    scale = np.sqrt(np.diagonal(covariance))
    columns = own_rows(fitted)
    e = next(e for e, z in enumerate(columns.Z) if len(z))
    names = (design.fixed_names, *((design.zi_fixed_names,) if layout.p_zi else ()), design.dispersion_names)[e]
    held = None
    if design.random_names[0] in names:
        held = layout.without_random.by_predictor[e].start + list(names).index(design.random_names[0])
        scale[held] = 0.0
    outcome = own_outcome(fitted)
    y = outcome[0] if len(outcome) == 1 else outcome
    rows = _FittedRows(columns, y, row_counts(fitted), own_clusters(fitted), cluster_weights(design.clusters))
    return _LawSearch(fitted.problem, rows, scale, covariance, near, _FAR * near), held


def _with_masses(search: _LawSearch, theta: np.ndarray, candidates: np.ndarray, are_coarse: bool) -> _Point:
    """The points that get a mass. On a coarse grid neighbours stand for one point between them."""
    order = np.argsort(candidates)
    apart = np.diff(candidates[order], prepend=-np.inf) > _SAME * search.near
    points = candidates[order][apart]
    log_densities = np.asarray(_log_densities(search.problem, theta, points, search.rows))
    masses = masses_of_support(log_densities, search.rows.weights)
    kept = masses > _LEAST_MASS
    group = np.cumsum(np.diff(np.flatnonzero(kept), prepend=-2) > 1) - 1 if are_coarse else np.arange(kept.sum())
    total = np.bincount(group, masses[kept])
    return _Point(theta, np.bincount(group, masses[kept] * points[kept]) / total, np.log(total / total.sum()))


def _climbed(search: _LawSearch, at: _Point) -> _Point:
    """Coefficients, points and masses moved together to the next maximum."""
    from scipy.optimize import minimize  # loading it takes longer than a fit

    c, k, unit = len(at.theta), len(at.support), search.near / _DEVIATIONS

    def point(x: np.ndarray) -> _Point:
        return _Point(at.theta + search.scale * x[:c], unit * x[c : c + k], x[c + k :])

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        found, slopes = _slopes(search.problem, point(x), search.rows)
        if not np.isfinite(found):
            return 1e300, np.zeros_like(x)
        return -float(found), -np.concatenate([search.scale * slopes.theta, unit * slopes.support, slopes.log_masses])

    bounds = [(None, None)] * c + [(-search.far / unit, search.far / unit)] * k + [(-40.0, 40.0)] * k
    begin = np.concatenate([np.zeros(c), at.support / unit, at.log_masses])
    exact = {"maxiter": 5000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-8, "maxcor": 30}
    end = minimize(value, begin, jac=True, method="L-BFGS-B", bounds=bounds, options=exact)
    return point(end.x)


def _joined(search: _LawSearch, at: _Point) -> _Point:
    """The points in their order; those that have come together are one, and those that need no mass are left out."""
    order = np.argsort(at.support)
    support, masses = at.support[order], np.exp(at.log_masses - np.logaddexp.reduce(at.log_masses))[order]
    group = np.cumsum(np.diff(support, prepend=-np.inf) > _SAME * search.near) - 1
    points = np.bincount(group, masses * support) / np.bincount(group, masses)
    masses = masses_of_support(np.asarray(_log_densities(search.problem, at.theta, points, search.rows)), search.rows.weights)
    kept = masses > _LEAST_MASS
    return _Point(at.theta, points[kept], np.log(masses[kept]))


def _peaks(points: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Where the gradient function has a maximum above 0, ends included."""
    walled = np.concatenate([[-np.inf], slopes, [-np.inf]])
    return points[(walled[1:-1] >= walled[:-2]) & (walled[1:-1] >= walled[2:]) & (slopes > 0.0)]


def _gradient_function(search: _LawSearch, at: _Point, points: np.ndarray) -> np.ndarray:
    """(G,) d(b) at ``points``."""
    own = np.asarray(_log_densities(search.problem, at.theta, at.support, search.rows))
    log_masses = at.log_masses - np.logaddexp.reduce(at.log_masses)
    mixed = np.logaddexp.reduce(own + log_masses[:, None], axis=0)
    others = np.asarray(_log_densities(search.problem, at.theta, points, search.rows))
    return np.expm1(others - mixed) @ search.rows.weights


@as_program(0)
def _log_densities(problem: Problem, theta: Array, points: Array, rows: _FittedRows) -> Array:
    """(K, m) log density of the outcomes of each cluster where its random effect is each of ``points``."""
    params, n = problem.layout.without_random.params(theta), len(rows.codes)
    fixed, phi = predictors_at(params, rows.columns), phi_of_rows(params, n)

    def at(b: Array) -> Array:
        eta = fixed + random_part(rows.columns, jnp.full((1, n), b))
        row = rows.counts * problem.family.log_density(rows.outcome, eta[0], phi, *eta[1:])
        return jax.ops.segment_sum(row, rows.codes, len(rows.weights))

    return jax.lax.map(at, points)


@as_program(0)
def _slopes(problem: Problem, at: _Point, rows: _FittedRows) -> tuple[Array, _Point]:
    """The log-likelihood and its gradient."""

    def value(at: _Point) -> Array:
        log_masses = jax.nn.log_softmax(at.log_masses)
        own = _log_densities(problem, at.theta, at.support, rows)
        return rows.weights @ jax.nn.logsumexp(own + log_masses[:, None], axis=0)

    return jax.value_and_grad(value)(at)
