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
from glmmjax.likelihood.modes import find_peak
from glmmjax.likelihood.node_sums import loop_length, node, sum_over_nodes
from glmmjax.likelihood.rows import Outcome, Predictors, log_joint, over_lanes, over_rows
from glmmjax.likelihood.small_matrices import cholesky, inverse_transpose, solve_cholesky

__all__ = ["Posterior", "Slopes", "integrate", "integrate_with_slopes", "posterior"]


class Posterior(NamedTuple):
    """Normal approximation of the random effects of each cluster given its outcomes."""

    mode: Array  # (q, B) u_hat
    root: Array  # (q, q, B) upper triangular R, R R' the inverse negative Hessian at the mode
    log_det: Array  # (B,) log|det R|
    value: Array  # (B,) f at the mode, closed to differentiation
    mode_error: Array  # (B,) squared length of one more Newton step in posterior standard deviations: 0 at an exact mode


class Slopes(NamedTuple):
    """Derivative of each cluster's log sum over nodes; that of ``log_det`` is 1."""

    eta: Array  # (E, w, B)
    zl: Array  # (E, q, w, B)
    phi: Array  # (n_phi, B), of the rows in each lane
    mode: Array  # (q, B)
    root: Array  # (q, q, B)


def posterior(family: Family, x: Predictors, outcome: Outcome, start: Array) -> Posterior:
    """Mode and scale of each cluster of a block, differentiable in the predictors."""
    mode, hessian, value, gradient = find_peak(family, x, outcome, start)
    q, zero = mode.shape[0], jnp.zeros(mode.shape[1:], mode.dtype)
    if q == 0:
        return Posterior(mode, jnp.zeros((0, 0, *zero.shape), mode.dtype), zero, value, zero)
    c = cholesky(hessian)
    root = jnp.stack([jnp.stack(row) for row in inverse_transpose(c)])
    left = jax.lax.stop_gradient(jnp.stack(gradient) * jnp.stack(solve_cholesky(c, gradient))).sum(0)
    return Posterior(mode, root, -jnp.log(jnp.stack([c[a][a] for a in range(q)])).sum(0), value, left)


def integrate(family: Family, x: Predictors, outcome: Outcome, post: Posterior, rule: Rule) -> Array:
    """(B,) log marginal likelihood of each cluster of a block."""
    # f at the mode bounds the terms of the sum, so no running maximum is needed; the result does not depend on it
    return post.log_det + _log_sum(family, _static_count(rule), x, post.mode, post.root, outcome, rule, post.value)


def integrate_with_slopes(family: Family, x: Predictors, outcome: Outcome, post: Posterior, rule: Rule) -> tuple[Array, Slopes]:
    """``integrate`` and its slopes; the same numbers that differentiating it gives, without tracing through the rule."""
    value, slopes = _sum_and_slopes(family, _static_count(rule), x, post.mode, post.root, outcome, rule, post.value)
    return post.log_det + value, slopes


def _static_count(rule: Rule) -> int | None:
    return rule.count if isinstance(rule.count, int) else None


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _log_sum(family, count, x, mode, root, outcome, rule, shift):
    """log sum_k exp(f(mode + root z_k) + log w_k); ``count`` is the static number of nodes, None when it is traced."""

    def add(k, total):
        u, _, log_weight = node(mode, root, rule, k)
        return total + jnp.exp(log_joint(family, x, outcome, u) + log_weight - shift)

    return shift + jnp.log(jax.lax.fori_loop(0, loop_length(count, rule), add, jnp.zeros_like(shift)))


@_log_sum.defjvp
def _log_sum_jvp(family, count, primals, tangents):
    value, by = _sum_and_slopes(family, count, *primals)
    (_, _, _, outcome, _, _), (dx, d_mode, d_root, *_) = primals, tangents
    in_lane = (by.eta * dx.eta).sum((0, 1)) + (by.zl * dx.zl).sum((0, 1, 2)) + (by.phi * dx.phi).sum(0)
    return value, over_lanes(outcome, in_lane) + (by.mode * d_mode).sum(0) + (by.root * d_root).sum((0, 1))


def _sum_and_slopes(family, count, x: Predictors, mode, root, outcome: Outcome, rule: Rule, shift) -> tuple[Array, Slopes]:
    q = mode.shape[0]
    sums = sum_over_nodes(family, count, x, mode, root, outcome, rule, shift)
    total = sums.moments[0, 0]
    scale = 1.0 / total
    score, *score_z = (s * scale for s in sums.score)
    by_zl, by_mode = [], []
    by_root = [[jnp.zeros_like(total)] * q for _ in range(q)]
    for a in range(q):
        # sums with u_a = mode_a + sum_b root_ab z_b in place of z~
        with_u = mode[a] * sums.moments[0] + sum(root[a, b] * sums.moments[1 + b] for b in range(a, q))
        by_zl.append(score * mode[a] + sum(root[a, b] * score_z[b] for b in range(a, q)))
        by_mode.append(over_rows(outcome, x.zl[:, a] * score) - with_u[0] * scale)
        for b in range(a, q):
            by_root[a][b] = over_rows(outcome, x.zl[:, a] * score_z[b]) - with_u[1 + b] * scale
    slopes = Slopes(
        eta=score,
        zl=jnp.stack(by_zl, axis=1) if q else jnp.zeros_like(x.zl),
        phi=sums.phi * scale,
        mode=jnp.stack(by_mode) if q else jnp.zeros_like(mode),
        root=jnp.stack([jnp.stack(row) for row in by_root]) if q else jnp.zeros_like(root),
    )
    return shift + jnp.log(total), slopes
