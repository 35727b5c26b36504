"""Starting values from the data alone: a GLM without random effects, and D from the GLM's residuals by cluster.

With the score s and weight W of the GLM, cluster i contributes the sufficient statistics ``Z's``, ``Z'WZ``, ``X'WZ`` of a linear mixed
model for the working residuals; a few EM steps on these small matrices (no pass over the rows) give D, a shift of the coefficients, and
the information on both (Breslow and Clayton 1993: one step of penalised quasi-likelihood).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.glm import fit_glm, row_terms
from glmmjax.estimation.linear_algebra import solve_positive
from glmmjax.estimation.objective import Problem
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.model_rows import predictors_at
from glmmjax.likelihood.rows import observed_of, over_lanes
from glmmjax.likelihood.small_matrices import cholesky, inverse_transpose

__all__ = ["Start", "starting_values"]

_COVARIANCE_STEPS = 25


class Start(NamedTuple):
    """Where a fit starts, and the scale on which theta moves.

    Attributes
    ----------
    theta : (P,) starting values in the free vector
    information : (C, C) of all of theta but the free vector of D, with the random effects integrated out
    moment_information : (q, q) clusters that inform entry (r, c) of D: sum over clusters of reliability r times c
    total_weight : () sum of the cluster weights
    reach : (P,) largest change of any linear predictor when an entry of theta moves by 1
    effect_reach : (q,) the same for the random effects
    """

    theta: Array
    information: Array
    moment_information: Array
    total_weight: Array
    reach: Array
    effect_reach: Array


class _Clusters(NamedTuple):
    """Sufficient statistics of the working linear mixed model, m clusters on the last axis."""

    zs: Array  # (q, m) Z's
    zwz: Array  # (q, q, m) Z'WZ
    xwz: Array  # (C, q, m) X'WZ
    weight: Array  # (m,) cluster weights


class _Working(NamedTuple):
    """Iterate of the working linear mixed model."""

    chol: Array  # (q, q)
    shift: Array  # (C,) change of the parameters from the GLM
    information: Array  # (C, C)
    reliability: Array  # (q, q)


def starting_values(problem: Problem, buckets: tuple[Bucket, ...]) -> Start:
    """Start values of theta; pure and traceable."""
    layout, family = problem.layout, problem.family
    glm, information = fit_glm(family, layout.without_random, buckets)
    working = _fit_working_model(problem, buckets, glm, information)
    theta = jnp.zeros(layout.size, glm.dtype).at[jnp.array(layout.not_random, int)].set(glm + working.shift)
    theta = theta.at[layout.random].set(layout.covariance.free(working.chol))
    total_weight = jnp.stack([bucket.cluster_weight.sum() for bucket in buckets]).sum()
    return Start(theta, working.information, working.reliability, total_weight, *_reach(problem, buckets))


def _reach(problem: Problem, buckets: tuple[Bucket, ...]) -> tuple[Array, Array]:
    """Largest change of a linear predictor by theta (P,), and by the random effects (q,)."""

    def largest(arrays: list[Array]) -> Array:
        return jnp.max(jnp.stack([jnp.max(jnp.abs(a), axis=(0, 2, 3)) for a in arrays]), axis=0)

    layout = problem.layout
    z = jnp.concatenate([largest([bucket.Z[e] for bucket in buckets]) for e in range(len(buckets[0].Z))])
    reach = jnp.ones(layout.size, z.dtype)
    for e, where in enumerate(layout.by_predictor):
        reach = reach.at[where].set(largest([bucket.X[e] for bucket in buckets]))
    return reach.at[layout.random].set(layout.covariance.largest_change(z)), z


def _fit_working_model(problem: Problem, buckets: tuple[Bucket, ...], glm: Array, information: Array) -> _Working:
    """A shift of the GLM's parameters, and D, of the linear mixed model for its working residuals, by EM on its sufficient statistics."""
    q, dtype = problem.layout.covariance.q, glm.dtype
    if q == 0:
        return _Working(jnp.zeros((0, 0), dtype), jnp.zeros_like(glm), information, jnp.zeros((0, 0), dtype))
    parts = [_cluster_statistics(problem, bucket, glm) for bucket in buckets]
    clusters = _Clusters(*(jnp.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)))
    mask = jnp.array(problem.layout.covariance.mask(), dtype)
    # prior information equal to a cluster's mean information, which follows the scale of z in any unit
    mean = (jnp.stack([clusters.zwz[a, a] for a in range(q)]) * clusters.weight).sum(-1) / clusters.weight.sum()
    first = _Working(jnp.diag(1.0 / jnp.sqrt(jnp.maximum(mean, 1e-10))), jnp.zeros_like(glm), information, jnp.zeros((q, q), dtype))
    step = lambda _, s: _working_step(clusters, information, mask, s)  # noqa: E731
    return jax.lax.fori_loop(0, _COVARIANCE_STEPS, step, first)


def _working_step(c: _Clusters, glm_information: Array, mask: Array, s: _Working) -> _Working:
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
        zs, zwz, xwz = (over_lanes(observed, sums) for sums in (zs, zwz, xwz))
        return _Clusters(zs, zwz, xwz, block.cluster_weight)

    # (S, ..., B) -> (..., S * B)
    blocks = jax.lax.map(of_block, bucket)
    return _Clusters(*(jnp.moveaxis(out, 0, -2).reshape(*out.shape[1:-1], out.shape[0] * out.shape[-1]) for out in blocks))
