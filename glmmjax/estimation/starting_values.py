"""Starting values from the data alone: a GLM without random effects, and D from the GLM's residuals by cluster.

The GLM is fitted by iteratively reweighted least squares on the observed curvature of the family's own log density. With its
score s and weight W, cluster i contributes the sufficient statistics ``Z's``, ``Z'WZ``, ``X'WZ`` of a linear mixed model for the
working residuals; a few EM steps on these small matrices (no pass over the rows) give D, a shift of beta, and the information on
both (Breslow and Clayton 1993: one step of penalised quasi-likelihood).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.linear_algebra import solve_positive
from glmmjax.estimation.objective import Problem
from glmmjax.families.base import Family
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.rows import outcome_of, over_lanes
from glmmjax.likelihood.small_matrices import cholesky, inverse_transpose

__all__ = ["Start", "starting_values"]

_GLM_STEPS = 12
_COVARIANCE_STEPS = 25


class Start(NamedTuple):
    """Where a fit starts, and the scale on which theta moves."""

    theta: Array  # (P,)
    information: Array  # (p, p) of beta with the random effects integrated out
    moment_information: Array  # (q, q) clusters that inform entry (r, c) of D: sum over clusters of reliability r times c
    total_weight: Array  # () sum of the cluster weights
    reach: Array  # (P,) largest change of any linear predictor when an entry of theta moves by 1


class _Clusters(NamedTuple):
    """Sufficient statistics of the working linear mixed model, m clusters on the last axis."""

    zs: Array  # (q, m) Z's
    zwz: Array  # (q, q, m) Z'WZ
    xwz: Array  # (p, q, m) X'WZ
    weight: Array  # (m,) cluster weights


class _Working(NamedTuple):
    """Iterate of the working linear mixed model."""

    chol: Array  # (q, q)
    shift: Array  # (p,) change of beta from the GLM
    information: Array  # (p, p)
    reliability: Array  # (q, q)


class _Normal(NamedTuple):
    """Weighted normal equations of one pass over the rows."""

    value: Array  # () GLM log-likelihood at the eta used
    information: Array  # (p, p) X'WX
    right: Array  # (p,) X'(W (eta - offset) + s)


class _Glm(NamedTuple):
    beta: Array
    previous: Array
    value: Array
    information: Array
    change: Array
    n_steps: Array


def starting_values(problem: Problem, buckets: tuple[Bucket, ...]) -> Start:
    """Start values of theta; pure and traceable."""
    layout, family = problem.layout, problem.family
    beta, information = _fit_glm(family, buckets)
    working = _fit_working_model(problem, buckets, beta, information)
    theta = jnp.zeros(layout.size, beta.dtype).at[layout.fixed].set(beta + working.shift)
    theta = theta.at[layout.random].set(layout.covariance.free(working.chol))
    total_weight = jnp.stack([bucket.cluster_weight.sum() for bucket in buckets]).sum()
    return Start(theta, working.information, working.reliability, total_weight, _reach(problem, buckets))


def _reach(problem: Problem, buckets: tuple[Bucket, ...]) -> Array:
    def largest(arrays: list[Array]) -> Array:
        return jnp.max(jnp.stack([jnp.max(jnp.abs(a), axis=(0, 2, 3)) for a in arrays]), axis=0)

    layout = problem.layout
    x, z = largest([b.X[0] for b in buckets]), largest([b.Z[0] for b in buckets])
    reach = jnp.ones(layout.size, x.dtype).at[layout.fixed].set(x)
    return reach.at[layout.random].set(z[jnp.array([r for r, _ in layout.covariance.entries], int)])


def _fit_glm(family: Family, buckets: tuple[Bucket, ...]) -> tuple[Array, Array]:
    """beta (p,) and X'WX (p, p). A step that lowers the likelihood is halved; 12 steps also bound a separated fit."""
    p = buckets[0].X[0].shape[1]
    dtype = buckets[0].cluster_weight.dtype
    zero = jnp.zeros(p, dtype)

    def step(s: _Glm) -> _Glm:
        normal = _normal_equations(family, buckets, s.beta, s.n_steps == 0)
        # the first pass uses eta near the outcomes, so its value is no yardstick
        good = (s.n_steps < 2) | (normal.value >= s.value - 1e-8 * jnp.abs(s.value))
        proposal = solve_positive(normal.information, normal.right)
        return _Glm(
            beta=jnp.where(good, proposal, 0.5 * (s.beta + s.previous)),
            previous=jnp.where(good, s.beta, s.previous),
            value=jnp.where(good, normal.value, s.value),
            information=jnp.where(good, normal.information, s.information),
            change=jnp.where(good & (s.n_steps > 0), jnp.abs(normal.value - s.value) / (1.0 + jnp.abs(s.value)), jnp.inf).astype(dtype),
            n_steps=s.n_steps + 1,
        )

    first = _Glm(zero, zero, jnp.array(-jnp.inf, dtype), jnp.eye(p, dtype=dtype), jnp.array(jnp.inf, dtype), jnp.zeros((), jnp.int32))
    last = jax.lax.while_loop(lambda s: (s.n_steps < _GLM_STEPS) & (s.change > 1e-6), step, first)
    return last.previous, last.information


def _normal_equations(family: Family, buckets: tuple[Bucket, ...], beta: Array, at_outcome: Array) -> _Normal:
    def add(total: _Normal, block: Bucket) -> tuple[_Normal, None]:
        x, offset = block.X[0], block.offset[0]
        eta = jnp.where(at_outcome, family.initial_eta(block.y), jnp.tensordot(beta, x, 1) + offset)
        value, score, weight = _row_terms(family, block, eta, over_lanes(outcome_of(block), block.cluster_weight))
        information = jnp.einsum("awb,cwb->ac", x, weight * x)
        right = jnp.tensordot(x, weight * (eta - offset) + score, ((1, 2), (0, 1)))
        return jax.tree.map(jnp.add, total, _Normal(value.sum(), information, right)), None

    p, dtype = beta.shape[0], beta.dtype
    total = _Normal(jnp.zeros((), dtype), jnp.zeros((p, p), dtype), jnp.zeros(p, dtype))
    for bucket in buckets:
        total, _ = jax.lax.scan(add, total, bucket)
    return total


def _row_terms(family: Family, block: Bucket, eta: Array, cluster_weight: Array) -> tuple[Array, Array, Array]:
    """Weighted log density, score and non-negative curvature of every row (w, B) at a fixed linear predictor."""
    phi = jnp.zeros((len(family.phi_names), eta.shape[-1]), eta.dtype)
    weight = block.row_weight * cluster_weight

    def value_and_score(eta):
        value, pullback = jax.vjp(lambda e: family.log_density(block.y, e, phi), eta)
        return value, pullback(jnp.ones_like(eta))[0]

    (value, score), (_, curvature) = jax.jvp(value_and_score, (eta,), (jnp.ones_like(eta),))
    return weight * value, weight * score, weight * jnp.maximum(-curvature, 1e-8)


def _fit_working_model(problem: Problem, buckets: tuple[Bucket, ...], beta: Array, information: Array) -> _Working:
    """beta and D of the linear mixed model for the GLM's working residuals, by EM on its sufficient statistics."""
    q, dtype = problem.layout.covariance.q, beta.dtype
    if q == 0:
        return _Working(jnp.zeros((0, 0), dtype), jnp.zeros_like(beta), information, jnp.zeros((0, 0), dtype))
    parts = [_cluster_statistics(problem.family, bucket, beta) for bucket in buckets]
    clusters = _Clusters(*(jnp.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)))
    mask = jnp.array(problem.layout.covariance.mask(), dtype)
    # prior information equal to a cluster's mean information: the scale of z, whatever its unit
    mean = (jnp.stack([clusters.zwz[a, a] for a in range(q)]) * clusters.weight).sum(-1) / clusters.weight.sum()
    first = _Working(jnp.diag(1.0 / jnp.sqrt(jnp.maximum(mean, 1e-10))), jnp.zeros_like(beta), information, jnp.zeros((q, q), dtype))
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


def _cluster_statistics(family: Family, bucket: Bucket, beta: Array) -> _Clusters:
    """Statistics of the clusters of a bucket at the GLM's linear predictor."""

    def of_block(block: Bucket) -> _Clusters:
        x, z = block.X[0], block.Z[0]
        eta = jnp.tensordot(beta, x, 1) + block.offset[0]
        _, score, weight = _row_terms(family, block, eta, jnp.ones_like(block.cluster_weight))
        wz = weight * z
        xwz = jnp.stack([(x * wz[a]).sum(1) for a in range(z.shape[0])], axis=1)
        zs, zwz, xwz = (over_lanes(outcome_of(block), lanes) for lanes in ((z * score).sum(1), (z[:, None] * wz[None]).sum(2), xwz))
        return _Clusters(zs, zwz, xwz, block.cluster_weight)

    # (S, ..., B) -> (..., S * B)
    blocks = jax.lax.map(of_block, bucket)
    return _Clusters(*(jnp.moveaxis(out, 0, -2).reshape(*out.shape[1:-1], out.shape[0] * out.shape[-1]) for out in blocks))
