"""Starting values from the data alone: a GLM without random effects, and D from the GLM's residuals by cluster."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.glm import fit_glm, weighted_deviation
from glmmjax.estimation.linear_algebra import solve_positive
from glmmjax.estimation.objective import Problem, all_real
from glmmjax.estimation.penalty import penalty_numbers
from glmmjax.estimation.working_model import above_zero, fit_levels, weight_of_clusters
from glmmjax.likelihood.clusters import Bucket, on_all_lanes

__all__ = ["Start", "predictor_spread", "starting_values"]


class Start(NamedTuple):
    """Where a fit starts, and the scale on which theta moves.

    Attributes
    ----------
    theta : (P,) starting values in the free vector
    fallback : (P,) the GLM with a small D, towards which a fit retreats whose likelihood has no value at theta
    information : (C, C) of all of theta but the free vector of D, with the random effects integrated out
    moment_information : (q, q) clusters that inform entry (r, c) of D: sum over clusters of reliability r times c
    total_weight : () sum of the cluster weights
    effect_weight : (q,) the same of the clusters that have draws of each random effect
    reach : (P,) largest change of any linear predictor when an entry of theta moves by 1, in units of that predictor
    own_reach : (P,) of coefficients the same, by what the other columns of their predictor leave of a column: no origin changes it
    effect_reach : (q,) ``reach`` for the random effects
    effect_predictor : (q,) number of the linear predictor of each random effect
    span : (2, P) smallest and largest change of a predictor that has a limit when a coefficient, or a random effect by its entry of D,
        moves by 1; 1 for everything else
    is_real : (P,) bool: False for padding of theta, which stays at 0
    penalty : (3,) mean, scale and degrees of freedom of the penalty on the fixed effects; not read without one
    """

    theta: Array
    fallback: Array
    information: Array
    moment_information: Array
    total_weight: Array
    effect_weight: Array
    reach: Array
    own_reach: Array
    effect_reach: Array
    effect_predictor: Array
    span: Array
    is_real: Array
    penalty: Array


def starting_values(problem: Problem, buckets: tuple[Bucket, ...], is_real: Array | None = None) -> Start:
    """Start values of theta; pure and traceable. ``is_real`` (P,) is False for padding; None is a theta without it."""
    layout, family = problem.layout, problem.family
    is_real = all_real(problem) if is_real is None else is_real
    others = jnp.array(layout.not_random, int)
    glm, information = fit_glm(family, layout.without_random, buckets)
    information = information + jnp.diag((~is_real[others]).astype(glm.dtype))
    spread = predictor_spread(problem, buckets)
    working, small, weight, effect_weight = fit_levels(problem, buckets, glm, information, spread)

    def joined(rest: Array, chol: Array) -> Array:
        theta = jnp.zeros(layout.size, glm.dtype).at[others].set(rest)
        return theta.at[layout.random].set(layout.covariance.free(chol))

    theta, fallback = joined(glm + working.shift, working.chol), joined(glm, small)
    total_weight = weight_of_clusters(buckets)
    reach, effect_reach = _reach(problem, buckets, _units(spread, weight))
    own = reach * _left_by_others(problem, buckets)
    spans = jnp.where(is_real, _span(problem, buckets), 1.0)
    scales = (jnp.where(is_real, reach, 1.0), jnp.where(is_real, own, 1.0), effect_reach, _effect_predictor(buckets), spans)
    penalty = penalty_numbers(problem.penalty, theta.dtype)
    return Start(theta, fallback, working.information, working.reliability, total_weight, effect_weight, *scales, is_real, penalty)


def predictor_spread(problem: Problem, buckets: tuple[Bucket, ...]) -> Array:
    """(E,) standard deviation, over all rows, of linear predictors near the outcomes."""
    near = [problem.family.initial_predictors(bucket.y) for bucket in buckets]
    return jnp.stack(
        [
            weighted_deviation(buckets, [eta[e] - bucket.offset[:, e] for eta, bucket in zip(near, buckets, strict=True)])
            for e in range(len(problem.layout.by_predictor))
        ]
    )


def _units(spread: Array, weight: Array) -> Array:
    """(E,) what is large and small on each linear predictor: the standard deviation of a working residual, by the mean weight of a row,
    and no more than outcomes spread. A predictor of which they do not tell is a logit or a logarithm, whose unit is 1.
    """
    return jnp.minimum(jnp.where(spread > 0, spread, 1.0), 1.0 / jnp.sqrt(above_zero(weight)))


def _reach(problem: Problem, buckets: tuple[Bucket, ...], units: Array) -> tuple[Array, Array]:
    """Largest change of a linear predictor by theta (P,), and by the random effects (q,), in ``units`` (E,)."""

    def largest(arrays: list[Array]) -> Array:
        return jnp.max(jnp.stack([jnp.max(jnp.abs(a), axis=(0, 2, 3)) for a in arrays]), axis=0)

    layout = problem.layout
    z = jnp.concatenate([largest([bucket.Z[e] for bucket in buckets]) / units[e] for e in range(len(buckets[0].Z))])
    reach = jnp.ones(layout.size, z.dtype)
    for e, where in enumerate(layout.by_predictor):
        reach = reach.at[where].set(largest([bucket.X[e] for bucket in buckets]) / units[e])
    return reach.at[layout.random].set(layout.covariance.largest_change(z)), z


def _left_by_others(problem: Problem, buckets: tuple[Bucket, ...]) -> Array:
    """(P,) share of the length of a column that the others of its predictor leave: the root of one over its variance inflation factor."""
    left, dtype = jnp.ones(problem.layout.size, buckets[0].offset.dtype), buckets[0].offset.dtype
    for e, where in enumerate(problem.layout.by_predictor):
        eye = jnp.eye(where.stop - where.start, dtype=dtype)
        gram = jnp.zeros_like(eye)
        for bucket in buckets:  # padding repeats rows and clusters, which count once
            is_real = bucket.row_weight * (on_all_lanes(bucket, bucket.cluster_weight) > 0)[:, None]

            def add(total: Array, block: tuple[Array, Array]) -> tuple[Array, None]:
                x, weight = block
                return total + jnp.einsum("awb,cwb->ac", x * weight, x), None

            gram, _ = jax.lax.scan(add, gram, (bucket.X[e], is_real))
        gram = gram + eye * (jnp.diagonal(gram) == 0)
        left = left.at[where].set(1.0 / jnp.sqrt(jnp.diagonal(gram) * jnp.diagonal(solve_positive(gram, eye))))
    return left


def _effect_predictor(buckets: tuple[Bucket, ...]) -> Array:
    return jnp.concatenate([jnp.full(z.shape[1], e, z.dtype) for e, z in enumerate(buckets[0].Z)])


def _span(problem: Problem, buckets: tuple[Bucket, ...]) -> Array:
    """(2, P) smallest and largest value of each column of the predictors that have a limit, and of those of their random effects."""
    layout = problem.layout
    ends = jnp.ones((2, layout.size), buckets[0].offset.dtype)
    of_effects = [jnp.ones((2, z.shape[1]), z.dtype) for z in buckets[0].Z]
    for e, limit in enumerate(problem.family.predictor_limits, start=1):
        if limit is not None:
            ends = ends.at[:, layout.by_predictor[e]].set(_ends([bucket.X[e] for bucket in buckets]))
            if e < len(of_effects):
                of_effects[e] = jnp.abs(_ends([bucket.Z[e] for bucket in buckets])).max(0) * of_effects[e]
    rows = [row for row, _ in layout.covariance.entries or ()]
    return ends.at[:, layout.random].set(jnp.concatenate(of_effects, axis=1)[:, jnp.array(rows, int)]) if rows else ends


def _ends(columns: list[Array]) -> Array:
    """(2, p) smallest and largest values of columns (S, p, w, B) of all buckets."""
    return jnp.stack([end(jnp.stack([end(a, axis=(0, 2, 3)) for a in columns]), axis=0) for end in (jnp.min, jnp.max)])
