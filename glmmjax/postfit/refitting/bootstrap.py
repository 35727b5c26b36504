"""The bootstrap: the model refitted to data simulated from it or to clusters drawn with replacement, or its scores multiplied at random.

Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, sections 2.2 and 3.8.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.factors import root_of
from glmmjax.estimation.family_limits import away_from_limits
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.refits import Changes, Origin, refit_all, with_outcomes, with_weights
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel, check_rows_count_once, modes_in_blocks, padding_of
from glmmjax.likelihood.clusters import Bucket, on_all_lanes
from glmmjax.likelihood.covariance import lower_factor
from glmmjax.likelihood.levels import CrossedFactors
from glmmjax.likelihood.model_rows import predictors_at
from glmmjax.likelihood.params import Params
from glmmjax.postfit.refitting.wild import wild_draws
from glmmjax.postfit.uncertainty.parameters import natural_values, reported, working_at
from glmmjax.postfit.uncertainty.scores import cluster_weights_of
from glmmjax.values import check_size

__all__ = [
    "BOOTSTRAPS",
    "Bootstrap",
    "bootstrap",
    "check_is_maximum",
    "check_not_corrected",
    "origin_of",
    "reported_values",
    "simulated_outcomes",
]

BOOTSTRAPS = {
    "parametric": "data simulated from the model",
    "cluster": "clusters drawn with replacement",
    "wild": "random multipliers on the scores of the clusters, no refit",
}


_NO_DRAWS = "kind='parametric' is not possible; try kind='cluster'"


@dataclasses.dataclass(frozen=True, eq=False)
class Bootstrap:
    """Refits to ``R`` bootstrap data sets, or ``R`` wild draws. Refits without certificate are kept, and marked.

    A wild draw is no refit: it has no log-likelihood (NaN), and the code and information of the fit.

    Attributes
    ----------
    theta : (R, P) estimates, the diagonal of L non-negative
    converged : (R,) bool: whether the refit is a certified maximum, on the boundary or inside
    log_likelihood : (R,) log-likelihood of each data set at its estimates, without the penalty
    code : (R,) ``Code`` of each refit as an integer
    information : (R, P, P) negative Hessian of each refit
    kind : one of ``BOOTSTRAPS``
    seed : of the draws
    """

    theta: np.ndarray
    converged: np.ndarray
    log_likelihood: np.ndarray
    code: np.ndarray
    information: np.ndarray
    kind: str
    seed: int


def bootstrap(fitted: FittedModel, n: int = 1000, kind: str = "parametric", seed: int = 0, multipliers: str = "rademacher") -> Bootstrap:
    """Refit the model to ``n`` bootstrap data sets, from its estimates, or draw ``n`` times without a refit.

    Parameters
    ----------
    n : data sets, at least 1.
    kind : ``"parametric"`` draws new random effects from N(0, D) and new outcomes from the family, with the covariates, offsets, trials
        and weights as they are. ``"cluster"`` draws the m clusters with replacement: their counts multiply the weights. ``"wild"``
        multiplies the scores of the clusters by random numbers, see ``wild``.
    seed : whole number >= 0; the same seed gives the same data sets, and the first of them are the same for every ``n``.
    multipliers : of ``"wild"``, one of ``MULTIPLIERS``.

    Raises
    ------
    ArgumentError
        For an ``n`` beyond memory; for a fit without certificate; for a family without ``sample``; for a single cluster.
    RowsNotKeptError
        For a streamed fit.
    """
    check_is_maximum(fitted, "bootstrap")
    size, m = fitted.problem.layout.size, len(fitted.design.cluster_sizes)
    check_size(f"bootstrap(n={n:,})", (n, max(size * size, m)), "a few thousand data sets are enough")
    if kind != "parametric":
        _check_several_clusters(fitted, kind)
    if kind == "wild":
        draws = wild_draws(fitted, n, multipliers, seed)
        code, information = np.full(n, int(fitted.convergence.code)), np.broadcast_to(fitted.information, (n, size, size))
        return Bootstrap(draws, np.ones(n, bool), np.full(n, np.nan), code, information, kind, int(seed))
    with jax.enable_x64(True):
        origin = origin_of(fitted)
        changes = with_outcomes(n, simulated_outcomes(fitted, seed)) if kind == "parametric" else _resampled(fitted, n, seed)
        found = refit_all(origin, changes)
    return Bootstrap(found.theta, found.converged, found.log_likelihood, found.code, found.information, kind, int(seed))


def origin_of(fitted: FittedModel) -> Origin:
    """The point from which refits of the model start; call it inside ``jax.enable_x64(True)``.

    Raises
    ------
    RowsNotKeptError
        For a streamed fit.
    """
    layout, clusters = fitted.problem.layout, fitted.design.clusters
    buckets = jax.tree.map(jnp.asarray, clusters.buckets)
    _, rotation = lower_factor(root_of(layout.covariance, fitted.theta[layout.random]))
    starts = modes_in_blocks(fitted.design, fitted.modes @ rotation.T)
    theta = away_from_limits(fitted.problem, fitted.theta, fitted.convergence.limits)
    return Origin(fitted.problem, fitted.options, fitted.quadrature, buckets, theta, fitted.information, starts)


def check_is_maximum(fitted: FittedModel, what: str) -> None:
    """Refuse a fit that is not the maximum of its own log-likelihood.

    Raises
    ------
    ArgumentError
    """
    check_not_corrected(fitted, what)
    found = fitted.convergence
    if not found.has_converged and found.code is not Code.QUADRATURE_NOT_SETTLED:
        raise ArgumentError(f"{what} refits the model from its estimates, and these are not known to be a maximum: {found.message}")


def check_not_corrected(fitted: FittedModel, what: str) -> None:
    """Refuse a fit whose log-likelihood is that of an importance sample.

    Raises
    ------
    ArgumentError
    """
    if fitted.request.correction is not None:
        raise ArgumentError(
            f"{what} fits the model again by Laplace's method, and the estimates have correction={fitted.request.correction!r}; take "
            "fit.update(correction=None)."
        )


def reported_values(fitted: FittedModel, theta: np.ndarray) -> np.ndarray:
    """(R, N) parameters of free vectors (R, P), on the scales that are reported, in the order of ``parameters.reported``."""
    parameters = reported(fitted)
    return natural_values(parameters, working_at(parameters, theta), fitted.theta)


def simulated_outcomes(fitted: FittedModel, seed: int, advice: str = _NO_DRAWS) -> Any:
    """A function of ``r`` that draws the outcomes of data set r from the model at its estimates, in the shapes of the buckets.

    ``advice`` ends the message where the family cannot be drawn from.

    Raises
    ------
    ArgumentError
        For a family without ``sample``.
    """
    check_rows_count_once(fitted, "a bootstrap of simulated outcomes")
    wide = padding_of(fitted)
    theta, buckets = wide.vector(fitted.theta), jax.device_put(wide.buckets(fitted.design.clusters.buckets))  # once, for all data sets
    try:
        jax.eval_shape(functools.partial(_draw, wide.problem), theta, buckets, np.array([seed, 0]))
    except NotImplementedError:
        name = fitted.problem.family.name
        raise ArgumentError(f"the {name} family cannot be simulated from, so {advice}.") from None
    return lambda r: _draw(wide.problem, theta, buckets, np.array([seed, r]))


def _check_several_clusters(fitted: FittedModel, kind: str) -> None:
    if len(cluster_weights_of(fitted)) < 2:  # raises the error of a stream
        raise ArgumentError(f"kind={kind!r} compares clusters, and the fit has only one; try kind='parametric'.")


def _resampled(fitted: FittedModel, n: int, seed: int) -> Changes:
    clusters, weights = fitted.design.clusters, cluster_weights_of(fitted)
    m = len(weights)
    generators = np.random.default_rng(int(seed)).spawn(n)
    counts = np.array([generator.multinomial(m, np.full(m, 1.0 / m)) for generator in generators], np.int32)
    return with_weights(clusters, n, lambda r: counts[r] * weights)


@as_program(0)
def _draw(problem: Problem, theta: Array, buckets: tuple[Bucket, ...], seed: Array) -> tuple[Any, ...]:
    """Outcomes of a data set; ``seed`` holds the seed and the number of the data set."""
    key = jax.random.fold_in(jax.random.key(seed[0]), seed[1])
    params = problem.layout.params(theta)
    keys = jax.random.split(key, len(buckets))
    return tuple(_draw_bucket(problem, params, *pair) for pair in zip(buckets, keys, strict=True))


def _draw_bucket(problem: Problem, params: Params, bucket: Bucket, key: Array) -> Any:
    """The ``y`` of a bucket, with one draw of the random effects for each cluster that has them."""
    for_effects, for_outcomes = jax.random.split(key)
    family, (n_blocks, _, n_lanes) = problem.family, bucket.shape
    u = problem.prior.sample(for_effects, (n_blocks, params.chol.shape[0], n_lanes), params.beta.dtype)
    of_block = lambda block, u: predictors_at(params, block, u[:, None])  # noqa: E731
    eta = jax.vmap(of_block, out_axes=1)(bucket, _on_lanes(bucket, u))
    phi = jnp.asarray(params.phi, params.beta.dtype)
    phi = jnp.broadcast_to(phi.reshape(-1, 1, 1, 1), (len(phi), *bucket.shape))
    return family.sample(for_outcomes, bucket.y, eta[0], phi, *eta[1:])


def _on_lanes(bucket: Bucket, u: Array) -> Array:
    """(S, q, B) random effects of every lane, from draws (S, q, B): a cluster, or a level of a crossed factor, has one of each."""
    levels = bucket.levels
    if isinstance(levels, CrossedFactors):
        firsts = [jnp.take_along_axis(rows, codes, axis=1) for rows, codes in zip(levels.first_rows, levels.codes, strict=True)]
        return jnp.concatenate([jnp.take_along_axis(u[:, own], at[:, None], 2) for own, at in zip(levels.effects, firsts, strict=True)], 1)
    n_shared = u.shape[1] if levels is None else levels.n_upper  # the others belong to the clusters on the lanes
    return jnp.concatenate([on_all_lanes(bucket, u[:, :n_shared]), u[:, n_shared:]], axis=1)
