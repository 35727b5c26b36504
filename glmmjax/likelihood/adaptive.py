"""Adaptive Gauss-Hermite quadrature of a block of clusters, with an exact derivative accumulated in the same pass over nodes.

Per cluster: the mode u_hat, the negative Hessian H = C C' there, nodes ``u_hat + R z_k`` with ``R = C^-T`` (upper triangular,
``R R' = H^-1``, the Cholesky root in the spherical coordinates u), and

    log L = log|det R| + log sum_k exp(f(u_hat + R z_k) + log w_k).

At a finite number of nodes and q >= 2 the value depends on that choice of root; all choices agree as nodes are added.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.gauss_hermite import Rule
from glmmjax.likelihood.modes import conditional_mode
from glmmjax.likelihood.rows import Outcome, Predictors, at, log_joint, log_joint_derivatives, row_log_density
from glmmjax.likelihood.small_matrices import cholesky, inverse_transpose, solve_cholesky

__all__ = ["Posterior", "integrate", "posterior"]


class Posterior(NamedTuple):
    """Normal approximation of the random effects of each cluster given its outcomes."""

    mode: Array  # (q, B) u_hat
    root: Array  # (q, q, B) upper triangular R, R R' the inverse negative Hessian at the mode
    log_det: Array  # (B,) log|det R|
    value: Array  # (B,) f at the mode, closed to differentiation
    mode_error: Array  # (B,) squared length of one more Newton step in posterior standard deviations: 0 at an exact mode


class _Sums(NamedTuple):
    """Sums over nodes weighted by ``p_k = exp(f(u_k) + log w_k - shift)``; s is the score of a row."""

    total: Array  # (B,) sum p
    score: Array  # (1 + q, E, w, B) sum p s and sum p s z', in one array because one pass over it costs less than two
    phi: Array  # (n_phi, B) sum p d/d phi
    u: Array  # (q, B) sum p u
    u_z: Array  # (q, q, B) sum p u z'


def posterior(family: Family, x: Predictors, outcome: Outcome, start: Array) -> Posterior:
    """Mode and scale of each cluster of a block, differentiable in the predictors."""
    mode = conditional_mode(family, x, outcome, start)
    q, zero = mode.shape[0], jnp.zeros(mode.shape[1:], mode.dtype)
    value, gradient, hessian = log_joint_derivatives(family, x, outcome, mode)
    value = jax.lax.stop_gradient(value)
    if q == 0:
        return Posterior(mode, jnp.zeros((0, 0, *zero.shape), mode.dtype), zero, value, zero)
    c = cholesky(hessian)
    root = jnp.stack([jnp.stack(row) for row in inverse_transpose(c)])
    left = jax.lax.stop_gradient(jnp.stack(gradient) * jnp.stack(solve_cholesky(c, gradient))).sum(0)
    return Posterior(mode, root, -jnp.log(jnp.stack([c[a][a] for a in range(q)])).sum(0), value, left)


def integrate(family: Family, x: Predictors, outcome: Outcome, post: Posterior, rule: Rule) -> Array:
    """(B,) log marginal likelihood of each cluster of a block."""
    # f at the mode bounds the terms of the sum, so no running maximum is needed; the result does not depend on it
    return post.log_det + _log_sum(
        family, rule.count if isinstance(rule.count, int) else None, x, post.mode, post.root, outcome, rule, post.value
    )


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _log_sum(family, count, x, mode, root, outcome, rule, shift):
    """log sum_k exp(f(mode + root z_k) + log w_k); ``count`` is the static number of nodes, None when it is traced."""

    def add(k, total):
        u, _, log_weight = _node(mode, root, rule, k)
        return total + jnp.exp(log_joint(family, x, outcome, u) + log_weight - shift)

    return shift + jnp.log(jax.lax.fori_loop(0, _loop_length(count, rule), add, jnp.zeros_like(shift)))


@_log_sum.defjvp
def _log_sum_jvp(family, count, primals, tangents):
    x, mode, root, outcome, rule, shift = primals
    dx, d_mode, d_root = tangents[:3]
    q = mode.shape[0]
    sums = _sum_over_nodes(family, count, x, mode, root, outcome, rule, shift)
    scale = 1.0 / sums.total
    score, score_z = sums.score[0] * scale, sums.score[1:] * scale
    change = (score * dx.eta).sum((0, 1)) + (sums.phi * scale * dx.phi).sum(0)
    for a in range(q):
        by_zl = score * mode[a] + sum(root[a, b] * score_z[b] for b in range(a, q))
        by_mode = (x.zl[:, a] * score).sum((0, 1)) - sums.u[a] * scale
        change += (by_zl * dx.zl[:, a]).sum((0, 1)) + by_mode * d_mode[a]
        for b in range(a, q):
            by_root = (x.zl[:, a] * score_z[b]).sum((0, 1)) - sums.u_z[a, b] * scale
            change += by_root * d_root[a, b]
    return shift + jnp.log(sums.total), change


def _sum_over_nodes(family, count, x: Predictors, mode, root, outcome: Outcome, rule: Rule, shift) -> _Sums:
    q, zero, one = mode.shape[0], jnp.zeros_like(shift), jnp.ones(1, shift.dtype)

    def add(k, sums: _Sums) -> _Sums:
        u, z, log_weight = _node(mode, root, rule, k)
        density, pullback = jax.vjp(lambda eta, phi: row_log_density(family, outcome, eta, phi), at(x, u), x.phi)
        log_term = (outcome.row_weight * density).sum(0) - 0.5 * (u * u).sum(0) + log_weight - shift
        p = jnp.exp(log_term)
        score, by_phi = pullback(outcome.row_weight * p)
        return _Sums(
            total=sums.total + p,
            score=sums.score + jnp.concatenate([one, z])[:, None, None, None] * score,
            phi=sums.phi + by_phi,
            u=sums.u + p * u,
            u_z=sums.u_z + p * u[:, None] * z[:, None],
        )

    empty = _Sums(
        total=zero,
        score=jnp.zeros((1 + q, *x.eta.shape), zero.dtype),
        phi=jnp.zeros_like(x.phi),
        u=jnp.zeros_like(mode),
        u_z=jnp.zeros((q, q, *zero.shape), zero.dtype),
    )
    return jax.lax.fori_loop(0, _loop_length(count, rule), add, empty)


def _node(mode: Array, root: Array, rule: Rule, k: Array) -> tuple[Array, Array, Array]:
    """Node k of every cluster (q, B), its standard coordinates (q,), its log weight ()."""
    q = mode.shape[0]
    z = jnp.asarray(rule.nodes, mode.dtype)[k]
    u = jnp.stack([mode[a] + sum(root[a, b] * z[b] for b in range(a, q)) for a in range(q)]) if q else mode
    return u, z, jnp.asarray(rule.log_weights, mode.dtype)[k]


def _loop_length(count: int | None, rule: Rule):
    """A Python int gives a loop that reverse mode can differentiate again, a traced count one that serves every rule."""
    return rule.count if count is None else count
