"""D from the residuals of a GLM, by the linear mixed model of its working residuals: what starting values are made of.

With the score s and weight W of the GLM, cluster i contributes the sufficient statistics ``Z's``, ``Z'WZ``, ``X'WZ`` of a linear mixed
model for the working residuals; a few EM steps on these small matrices (no pass over the rows) give D, a shift of the coefficients, and
the information on both (Breslow and Clayton 1993: one step of penalised quasi-likelihood). A working residual such as ``(y - mu) / mu`` can
be any size, so D and the shift are held to what the outcomes span on the scale of each linear predictor.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.glm import row_terms
from glmmjax.estimation.levels import by_factor, by_level
from glmmjax.estimation.linear_algebra import solve_positive
from glmmjax.estimation.objective import Problem
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.levels import CrossedFactors
from glmmjax.likelihood.model_rows import predictors_at
from glmmjax.likelihood.rows import observed_of, over_lanes
from glmmjax.likelihood.small_matrices import cholesky, inverse_transpose

__all__ = ["SMALL", "WorkingModel", "above_zero", "fit_levels", "weight_of_clusters"]

_COVARIANCE_STEPS = 25
_LARGEST_UNKNOWN = 4.0  # variance on the scale of a predictor that outcomes without any spread allow: that of a logit at 1/2
SMALL = 0.1  # standard deviation of the fallback, of the largest allowed


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


class WorkingModel(NamedTuple):
    """Iterate of the working linear mixed model.

    Attributes
    ----------
    chol : (q, q) factor of D
    shift : (C,) change of the parameters from the GLM
    information : (C, C) of the parameters
    reliability : (q, q) clusters that inform each entry of D
    """

    chol: Array
    shift: Array
    information: Array
    reliability: Array


def fit_levels(
    problem: Problem, buckets: tuple[Bucket, ...], glm: Array, information: Array, spread: Array
) -> tuple[WorkingModel, Array, Array, Array]:
    """The working model, a small D, and mean weights of rows; and the weight (q,) of the clusters that have draws of each random effect.

    Of two levels each is fitted without the other: the lower one takes the variance of both, and gives up half of it. Shift and
    information are those of the lower one, to which most of the variance within a cluster belongs.
    """
    if isinstance(buckets[0].levels, CrossedFactors):
        return _fit_factors(problem, buckets, glm, information, spread)
    if buckets[0].levels is None:
        of_all = jnp.broadcast_to(weight_of_clusters(buckets), (problem.layout.covariance.q,))
        return *_fit_working_model(problem, buckets, glm, information, spread), of_all
    parts = [(*_fit_working_model(p, b, glm, information, spread), b) for p, b in zip(*by_level(problem, buckets), strict=True)]
    (upper, small_upper, *_), (lower, small_lower, weight, _) = parts
    chol = _side_by_side(upper.chol, math.sqrt(0.5) * lower.chol)
    found = WorkingModel(chol, lower.shift, lower.information, _side_by_side(upper.reliability, lower.reliability))
    weights = [jnp.full(len(part[0].chol), weight_of_clusters(part[3])) for part in parts]
    return found, _side_by_side(small_upper, small_lower), weight, jnp.concatenate(weights)


def _fit_factors(
    problem: Problem, buckets: tuple[Bucket, ...], glm: Array, information: Array, spread: Array
) -> tuple[WorkingModel, Array, Array, Array]:
    """``fit_levels`` for crossed factors: each is fitted without the others, and shift and information are those of the first."""
    models = by_factor(problem, buckets)
    parts = [_fit_working_model(own, data, glm, information, spread) for own, data, _ in models]
    (first, _, weight), joined = parts[0], functools.partial(functools.reduce, _side_by_side)
    chol, reliability = joined([found.chol for found, _, _ in parts]), joined([found.reliability for found, _, _ in parts])
    small = joined([small for _, small, _ in parts])
    return WorkingModel(chol, first.shift, first.information, reliability), small, weight, jnp.concatenate([n for _, _, n in models])


def weight_of_clusters(buckets: tuple[Bucket, ...]) -> Array:
    """() sum of the weights of all clusters."""
    return jnp.stack([bucket.cluster_weight.sum() for bucket in buckets]).sum()


def _side_by_side(upper: Array, lower: Array) -> Array:
    """The block-diagonal matrix of two."""
    total = jnp.zeros((len(upper) + len(lower),) * 2, upper.dtype)
    return total.at[: len(upper), : len(upper)].set(upper).at[len(upper) :, len(upper) :].set(lower)


def _fit_working_model(
    problem: Problem, buckets: tuple[Bucket, ...], glm: Array, information: Array, spread: Array
) -> tuple[WorkingModel, Array, Array]:
    """A shift of the GLM's parameters, and D, of the linear mixed model for its working residuals, by EM on its sufficient statistics.

    Also the factor (q, q) of a small D, and the mean weight (E,) of a row, 0 where it is not known.
    """
    q, dtype = problem.layout.covariance.q, glm.dtype
    if q == 0:
        nothing = jnp.zeros((0, 0), dtype)
        return WorkingModel(nothing, jnp.zeros_like(glm), information, nothing), nothing, jnp.zeros_like(spread)
    parts = [_cluster_statistics(problem, bucket, glm) for bucket in buckets]
    clusters = _Clusters(*(jnp.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)))
    mask = jnp.array(problem.layout.covariance.mask(), dtype)
    bounds = _bounds(buckets, clusters, mask, spread)
    # prior information equal to a cluster's mean information, which follows the scale of z in any unit
    mean = (jnp.stack([clusters.zwz[a, a] for a in range(q)]) * clusters.weight).sum(-1) / clusters.weight.sum()
    chol = jnp.linalg.cholesky(_bounded(bounds, jnp.diag(1.0 / jnp.maximum(mean, 1e-10))))
    first = WorkingModel(chol, jnp.zeros_like(glm), information, jnp.zeros((q, q), dtype))
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
    w = above_zero((c.w * c.weight).sum(-1))
    effects = jnp.repeat(jnp.eye(len(sizes), dtype=w.dtype), jnp.array(sizes), axis=1, total_repeat_length=sum(sizes))
    gram = jnp.einsum("abm,m->ab", c.zwz, c.weight) / (effects.T @ w)
    gram = gram + jnp.diag(jnp.where(jnp.diagonal(gram) > 0, 0.0, 1.0))
    even = mask * solve_positive(gram, jnp.eye(sum(sizes), dtype=w.dtype)) / (effects.T @ effects.sum(1))
    variance = spread**2 + jnp.minimum((c.rows * c.weight).sum() / w, _LARGEST_UNKNOWN)
    return _Bounds(variance, gram, even, effects)


def _bounded(bounds: _Bounds, d: Array) -> Array:
    """``d`` (q, q), held to the bounds: what is cut off in its largest direction is shared by all."""
    variance = bounds.effects @ (d * bounds.gram).sum(1)
    ratio = jnp.minimum(1.0, bounds.variance / above_zero(variance))
    kept, shared = bounds.effects.T @ ratio, bounds.effects.T @ (ratio * (1.0 - ratio) * variance)
    return kept[:, None] * d * kept + shared[:, None] * bounds.even


def _bounded_shift(problem: Problem, bounds: _Bounds, c: _Clusters, information: Array, shift: Array) -> Array:
    """``shift`` (C,) of the parameters, made smaller likewise."""
    w = above_zero((c.w * c.weight).sum(-1))
    for e, where in enumerate(problem.layout.without_random.by_predictor):
        variance = shift[where] @ information[where, where] @ shift[where] / w[e]
        shift = shift.at[where].multiply(jnp.sqrt(jnp.minimum(1.0, bounds.variance[e] / above_zero(variance))))
    return shift


def above_zero(values: Array) -> Array:
    """``values``, or the smallest number above 0."""
    return jnp.maximum(values, jnp.finfo(values.dtype).tiny)


def _working_step(c: _Clusters, bounds: _Bounds, glm_information: Array, mask: Array, s: WorkingModel) -> WorkingModel:
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
    return WorkingModel(jnp.linalg.cholesky(d + 1e-6 * jnp.diag(jnp.diagonal(d))), shift, information, reliability)


def _cluster_statistics(problem: Problem, bucket: Bucket, glm: Array) -> _Clusters:
    """Statistics of the clusters of a bucket at the GLM's linear predictors; information between two predictors is left out."""
    layout, q = problem.layout.without_random, problem.layout.covariance.q
    params = layout.params(glm)

    def of_block(block: Bucket) -> _Clusters:
        observed = observed_of(block, problem.family)
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
        if isinstance(block.levels, CrossedFactors):  # each lane is a row, which belongs to a level
            summed = [_by_level(sums, block.levels) for sums in (zs, zwz, xwz, w, n_rows)]
            return _Clusters(summed[0], summed[1], summed[2], jnp.ones_like(summed[4]), summed[3], summed[4])
        return _Clusters(zs, zwz, xwz, block.cluster_weight, w, n_rows)

    # (S, ..., B) -> (..., S * B)
    blocks = jax.lax.map(of_block, bucket)
    return _Clusters(*(jnp.moveaxis(out, 0, -2).reshape(*out.shape[1:-1], out.shape[0] * out.shape[-1]) for out in blocks))


def _by_level(values: Array, factor: CrossedFactors) -> Array:
    """(..., n_levels) sums of values (..., n) of rows over the levels of a single factor."""
    (codes,), (n_levels,) = factor.codes, factor.n_levels
    return jnp.moveaxis(jax.ops.segment_sum(jnp.moveaxis(values, -1, 0), codes, n_levels), 0, -1)
