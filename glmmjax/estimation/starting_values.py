"""Starting values from the data alone: a GLM without random effects, and D from the GLM's residuals by cluster.

With the score s and weight W of the GLM, cluster i contributes the sufficient statistics ``Z's``, ``Z'WZ``, ``X'WZ`` of a linear mixed
model for the working residuals; a few EM steps on these small matrices (no pass over the rows) give D, a shift of the coefficients, and
the information on both (Breslow and Clayton 1993: one step of penalised quasi-likelihood). A working residual such as ``(y - mu) / mu`` can
be any size, so D and the shift are held to what the outcomes span on the scale of each linear predictor.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.glm import fit_glm, row_terms, weighted_deviation
from glmmjax.estimation.levels import by_level
from glmmjax.estimation.linear_algebra import solve_positive
from glmmjax.estimation.objective import Problem, all_real
from glmmjax.estimation.penalty import penalty_numbers
from glmmjax.likelihood.clusters import Bucket, on_all_lanes
from glmmjax.likelihood.model_rows import predictors_at
from glmmjax.likelihood.rows import observed_of, over_lanes
from glmmjax.likelihood.small_matrices import cholesky, inverse_transpose

__all__ = ["SMALL", "Start", "predictor_spread", "starting_values"]

_COVARIANCE_STEPS = 25
_LARGEST_UNKNOWN = 4.0  # variance on the scale of a predictor that outcomes without any spread allow: that of a logit at 1/2
SMALL = 0.1  # standard deviation of the fallback, of the largest allowed


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
    span : (2, P) smallest and largest change of a predictor that has a limit when a coefficient moves by 1; 1 for everything else
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
    span: Array
    is_real: Array
    penalty: Array


class _Clusters(NamedTuple):
    """Sufficient statistics of the working linear mixed model, m clusters on the last axis."""

    zs: Array  # (q, m) Z's
    zwz: Array  # (q, q, m) Z'WZ
    xwz: Array  # (C, q, m) X'WZ
    weight: Array  # (m,) cluster weights
    w: Array  # (E, m) sum of W
    rows: Array  # (m,) number of rows


class _Bounds(NamedTuple):
    """What the random part of a linear predictor, and a shift of its fixed part, are held to."""

    variance: Array  # (E,) the largest, on the scale of the predictor
    gram: Array  # (q, q) mean of z z' over rows, weighted by W
    even: Array  # (q, q) covariance of random effects that moves every predictor by a variance of 1, equally in all directions
    effects: Array  # (E, q) 1 where a random effect belongs to a predictor


class _Working(NamedTuple):
    """Iterate of the working linear mixed model."""

    chol: Array  # (q, q)
    shift: Array  # (C,) change of the parameters from the GLM
    information: Array  # (C, C)
    reliability: Array  # (q, q)


def starting_values(problem: Problem, buckets: tuple[Bucket, ...], is_real: Array | None = None) -> Start:
    """Start values of theta; pure and traceable. ``is_real`` (P,) is False for padding; None is a theta without it."""
    layout, family = problem.layout, problem.family
    is_real = all_real(problem) if is_real is None else is_real
    others = jnp.array(layout.not_random, int)
    glm, information = fit_glm(family, layout.without_random, buckets)
    information = information + jnp.diag((~is_real[others]).astype(glm.dtype))
    spread = predictor_spread(problem, buckets)
    working, small, weight, effect_weight = _fit_levels(problem, buckets, glm, information, spread)

    def joined(rest: Array, chol: Array) -> Array:
        theta = jnp.zeros(layout.size, glm.dtype).at[others].set(rest)
        return theta.at[layout.random].set(layout.covariance.free(chol))

    theta, fallback = joined(glm + working.shift, working.chol), joined(glm, small)
    total_weight = _total_weight(buckets)
    reach, effect_reach = _reach(problem, buckets, _units(spread, weight))
    own = reach * _left_by_others(problem, buckets)
    scales = (jnp.where(is_real, reach, 1.0), jnp.where(is_real, own, 1.0), effect_reach, jnp.where(is_real, _span(problem, buckets), 1.0))
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
    return jnp.minimum(jnp.where(spread > 0, spread, 1.0), 1.0 / jnp.sqrt(_above_zero(weight)))


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


def _span(problem: Problem, buckets: tuple[Bucket, ...]) -> Array:
    """(2, P) smallest and largest value of each column of the predictors that have a limit."""
    ends, layout = jnp.ones((2, problem.layout.size), buckets[0].offset.dtype), problem.layout
    for e, limit in enumerate(problem.family.predictor_limits, start=1):
        if limit is not None:
            of_rows = [jnp.stack([end(bucket.X[e], axis=(0, 2, 3)) for end in (jnp.min, jnp.max)]) for bucket in buckets]
            least, largest = jnp.stack(of_rows, axis=1)
            ends = ends.at[:, layout.by_predictor[e]].set(jnp.stack([least.min(0), largest.max(0)]))
    return ends


def _fit_levels(
    problem: Problem, buckets: tuple[Bucket, ...], glm: Array, information: Array, spread: Array
) -> tuple[_Working, Array, Array, Array]:
    """``_fit_working_model``, and the weight (q,) of the clusters that have draws of each random effect.

    Of two levels each is fitted without the other: the lower one takes the variance of both, and gives up half of it. Shift and
    information are those of the lower one, to which most of the variance within a cluster belongs.
    """
    if buckets[0].levels is None:
        of_all = jnp.broadcast_to(_total_weight(buckets), (problem.layout.covariance.q,))
        return *_fit_working_model(problem, buckets, glm, information, spread), of_all
    parts = [(*_fit_working_model(p, b, glm, information, spread), b) for p, b in zip(*by_level(problem, buckets), strict=True)]
    (upper, small_upper, *_), (lower, small_lower, weight, _) = parts
    chol = _side_by_side(upper.chol, math.sqrt(0.5) * lower.chol)
    found = _Working(chol, lower.shift, lower.information, _side_by_side(upper.reliability, lower.reliability))
    weights = [jnp.full(len(part[0].chol), _total_weight(part[3])) for part in parts]
    return found, _side_by_side(small_upper, small_lower), weight, jnp.concatenate(weights)


def _total_weight(buckets: tuple[Bucket, ...]) -> Array:
    return jnp.stack([bucket.cluster_weight.sum() for bucket in buckets]).sum()


def _side_by_side(upper: Array, lower: Array) -> Array:
    """The block-diagonal matrix of two."""
    total = jnp.zeros((len(upper) + len(lower),) * 2, upper.dtype)
    return total.at[: len(upper), : len(upper)].set(upper).at[len(upper) :, len(upper) :].set(lower)


def _fit_working_model(
    problem: Problem, buckets: tuple[Bucket, ...], glm: Array, information: Array, spread: Array
) -> tuple[_Working, Array, Array]:
    """A shift of the GLM's parameters, and D, of the linear mixed model for its working residuals, by EM on its sufficient statistics.

    Also the factor (q, q) of a small D, and the mean weight (E,) of a row, 0 where it is not known.
    """
    q, dtype = problem.layout.covariance.q, glm.dtype
    if q == 0:
        nothing = jnp.zeros((0, 0), dtype)
        return _Working(nothing, jnp.zeros_like(glm), information, nothing), nothing, jnp.zeros_like(spread)
    parts = [_cluster_statistics(problem, bucket, glm) for bucket in buckets]
    clusters = _Clusters(*(jnp.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)))
    mask = jnp.array(problem.layout.covariance.mask(), dtype)
    bounds = _bounds(buckets, clusters, mask, spread)
    # prior information equal to a cluster's mean information, which follows the scale of z in any unit
    mean = (jnp.stack([clusters.zwz[a, a] for a in range(q)]) * clusters.weight).sum(-1) / clusters.weight.sum()
    chol = jnp.linalg.cholesky(_bounded(bounds, jnp.diag(1.0 / jnp.maximum(mean, 1e-10))))
    first = _Working(chol, jnp.zeros_like(glm), information, jnp.zeros((q, q), dtype))
    step = lambda _, s: _working_step(clusters, bounds, information, mask, s)  # noqa: E731
    last = jax.lax.fori_loop(0, _COVARIANCE_STEPS, step, first)
    last = last._replace(shift=_bounded_shift(problem, bounds, clusters, information, last.shift))
    small = SMALL * jnp.linalg.cholesky((bounds.effects.T @ bounds.variance)[:, None] * bounds.even)
    is_finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in last]))
    weight = (clusters.w * clusters.weight).sum(-1) / (clusters.rows * clusters.weight).sum()
    return jax.tree.map(lambda a, b: jnp.where(is_finite, a, b), last, first._replace(chol=small)), small, weight


def _bounds(buckets: tuple[Bucket, ...], c: _Clusters, mask: Array, spread: Array) -> _Bounds:
    """The variance of linear predictors near the outcomes, and what one outcome may leave unknown."""
    sizes = [z.shape[1] for z in buckets[0].Z]
    w = _above_zero((c.w * c.weight).sum(-1))
    effects = jnp.repeat(jnp.eye(len(sizes), dtype=w.dtype), jnp.array(sizes), axis=1, total_repeat_length=sum(sizes))
    gram = jnp.einsum("abm,m->ab", c.zwz, c.weight) / (effects.T @ w)
    gram = gram + jnp.diag(jnp.where(jnp.diagonal(gram) > 0, 0.0, 1.0))
    even = mask * solve_positive(gram, jnp.eye(sum(sizes), dtype=w.dtype)) / (effects.T @ effects.sum(1))
    variance = spread**2 + jnp.minimum((c.rows * c.weight).sum() / w, _LARGEST_UNKNOWN)
    return _Bounds(variance, gram, even, effects)


def _bounded(bounds: _Bounds, d: Array) -> Array:
    """``d`` (q, q), held to the bounds: what is cut off in its largest direction is shared by all."""
    variance = bounds.effects @ (d * bounds.gram).sum(1)
    ratio = jnp.minimum(1.0, bounds.variance / _above_zero(variance))
    kept, shared = bounds.effects.T @ ratio, bounds.effects.T @ (ratio * (1.0 - ratio) * variance)
    return kept[:, None] * d * kept + shared[:, None] * bounds.even


def _bounded_shift(problem: Problem, bounds: _Bounds, c: _Clusters, information: Array, shift: Array) -> Array:
    """``shift`` (C,) of the parameters, made smaller likewise."""
    w = _above_zero((c.w * c.weight).sum(-1))
    for e, where in enumerate(problem.layout.without_random.by_predictor):
        variance = shift[where] @ information[where, where] @ shift[where] / w[e]
        shift = shift.at[where].multiply(jnp.sqrt(jnp.minimum(1.0, bounds.variance[e] / _above_zero(variance))))
    return shift


def _above_zero(values: Array) -> Array:
    return jnp.maximum(values, jnp.finfo(values.dtype).tiny)


def _working_step(c: _Clusters, bounds: _Bounds, glm_information: Array, mask: Array, s: _Working) -> _Working:
    """Generalised least squares for the shift of beta at the current D, then an EM step for D."""
    q, p = s.chol.shape[0], s.shift.shape[0]
    eye = jnp.eye(q, dtype=s.chol.dtype)
    precision = jnp.einsum("ba,bcm,cd->adm", s.chol, c.zwz, s.chol) + eye[:, :, None]
    rows = inverse_transpose(cholesky(tuple(tuple(row) for row in precision)))
    root = jnp.stack([jnp.stack(row) for row in rows])  # (q, q, m), R R' = (I + L'Z'WZL)^-1
    half_xz = jnp.einsum("pbm,ba,acm->pcm", c.xwz, s.chol, root)
    half_s = jnp.einsum("bm,ba,acm->cm", c.zs, s.chol, root)
    information = glm_information - jnp.einsum("pcm,kcm,m->pk", half_xz, half_xz, c.weight)
    information = information + 1e-6 * jnp.diag(jnp.diagonal(glm_information))
    shift = -solve_positive(information, jnp.einsum("pcm,cm,m->p", half_xz, half_s, c.weight)) if p else s.shift
    mean = jnp.einsum("acm,cm->am", root, half_s - jnp.einsum("pcm,p->cm", half_xz, shift))
    covariance = jnp.einsum("acm,bcm->abm", root, root)
    second = jnp.einsum("abm,m->ab", covariance + mean[:, None] * mean[None], c.weight) / c.weight.sum()
    d = mask * (s.chol @ second @ s.chol.T)
    shrunk = 1.0 - jnp.stack([covariance[a, a] for a in range(q)])
    reliability = jnp.einsum("am,bm,m->ab", shrunk, shrunk, c.weight)
    d = _bounded(bounds, d)
    return _Working(jnp.linalg.cholesky(d + 1e-6 * jnp.diag(jnp.diagonal(d))), shift, information, reliability)


def _cluster_statistics(problem: Problem, bucket: Bucket, glm: Array) -> _Clusters:
    """Statistics of the clusters of a bucket at the GLM's linear predictors; information between two predictors is left out."""
    layout, q = problem.layout.without_random, problem.layout.covariance.q
    params = layout.params(glm)

    def of_block(block: Bucket) -> _Clusters:
        observed = observed_of(block)
        rows = row_terms(problem.family, observed, predictors_at(params, block), params.phi, jnp.ones_like(block.cluster_weight))
        lanes = block.cluster_weight.shape
        zs, zwz, xwz = (jnp.zeros((*shape, *lanes), glm.dtype) for shape in ((q,), (q, q), (layout.size, q)))
        first = 0
        for e, (where, x, z) in enumerate(zip(layout.by_predictor, block.X, block.Z, strict=True)):
            own = slice(first, first + z.shape[0])
            first, wz = own.stop, rows.weight[e] * z
            zs = zs.at[own].set((z * rows.score[e]).sum(1))
            zwz = zwz.at[own, own].set((z[:, None] * wz[None]).sum(2))
            for a in range(z.shape[0]):
                xwz = xwz.at[where, own.start + a].set((x * wz[a]).sum(1))
        zs, zwz, xwz, w, n_rows = (over_lanes(observed, sums) for sums in (zs, zwz, xwz, rows.weight.sum(1), block.row_weight.sum(0)))
        return _Clusters(zs, zwz, xwz, block.cluster_weight, w, n_rows)

    # (S, ..., B) -> (..., S * B)
    blocks = jax.lax.map(of_block, bucket)
    return _Clusters(*(jnp.moveaxis(out, 0, -2).reshape(*out.shape[1:-1], out.shape[0] * out.shape[-1]) for out in blocks))
