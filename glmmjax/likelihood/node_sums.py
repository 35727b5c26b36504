"""The sums over quadrature nodes from which value and gradient of the marginal likelihood are read, with their own derivative rule.

This is the inner loop of every fit. With ``z~ = (1, z)`` the linear predictors at node k are ``sum_b z~_kb slope_b`` for row arrays
``slope_b`` that do not depend on k, so the sums that a Hessian needs are few and most of them are shared by all its columns.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.gauss_hermite import Rule
from glmmjax.likelihood.rows import Outcome, Predictors, along, at, coordinates, materialized, over_lanes, over_rows, row_log_kernel

__all__ = ["NodeSums", "loop_length", "node", "sum_over_nodes"]


class NodeSums(NamedTuple):
    """Sums over nodes weighted by ``p_k = exp(f(u_k) + log w_k - shift)``; s is the score of a row."""

    moments: Array  # (1 + q, 1 + q, B) sum p z~ z~'
    score: tuple[Array, ...]  # 1 + q arrays (E, w, B), sum p s z~_a: apart, because XLA splits an array above some 64 KiB over threads
    phi: Array  # (n_phi, B) sum p d/d phi


class _Shared(NamedTuple):
    """Sums that all directions of a derivative share; second derivatives of the weighted log density of a row."""

    by_eta: tuple[tuple[tuple[Array, ...], ...], ...]  # [a][b][e], b <= a: (E, w, B) sum p z~_a z~_b d s / d eta_e
    by_phi: tuple[tuple[Array, ...], ...]  # [a][j]: (E, w, B) sum p z~_a d s / d phi_j


class _Rows(NamedTuple):
    """Derivatives of the weighted log density at one node."""

    value: Array  # (w, B)
    score: Array  # (E, w, B)
    phi: Array  # (n_phi, B) summed over rows
    score_by_eta: tuple[Array, ...]  # for each predictor (E, w, B)
    score_by_phi: tuple[Array, ...]  # for each phi (E, w, B)
    phi_by_phi: tuple[Array, ...]  # for each phi (n_phi, B)


def node(mode: Array, root: Array, rule: Rule, k: Array) -> tuple[Array, Array, Array]:
    """Node k of every cluster (q, B), its standard coordinates (q,), its log weight ()."""
    q = mode.shape[0]
    z = jnp.asarray(rule.nodes, mode.dtype)[k]
    u = jnp.stack([mode[a] + sum(root[a, b] * z[b] for b in range(a, q)) for a in range(q)]) if q else mode
    return u, z, jnp.asarray(rule.log_weights, mode.dtype)[k]


def loop_length(count: int | None, rule: Rule) -> Any:
    """A Python int gives a loop that reverse mode can differentiate again, a traced count one that serves every rule."""
    return rule.count if count is None else count


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def sum_over_nodes(family: Family, count: int | None, x: Predictors, mode, root, outcome: Outcome, rule: Rule, shift) -> NodeSums:
    """The sums of a block; ``count`` is the static number of nodes, None when it is traced; ``shift`` (B,) is a constant."""

    def add(k: Array, sums: NodeSums) -> NodeSums:
        u, z, log_weight = node(mode, root, rule, k)
        density, score, by_phi = materialized(_density_and_score, family, x, outcome, u)
        p = jnp.exp(over_rows(outcome, density) - 0.5 * (u * u).sum(0) + log_weight - shift)
        z = jnp.concatenate([jnp.ones(1, z.dtype), z])
        return _added(sums, p, z, score, p * by_phi)

    return jax.lax.fori_loop(0, loop_length(count, rule), add, _no_sums(x, mode))


@sum_over_nodes.defjvp
def _sum_over_nodes_jvp(family, count, primals, tangents):
    x, mode, root, outcome, rule, shift = primals
    dx, d_mode, d_root = tangents[:3]
    n_z = 1 + mode.shape[0]
    slopes, u_slopes = _node_slopes(x, mode, root, dx, d_mode, d_root)

    def add(k, carry):
        sums, change, shared = carry
        u, z, log_weight = node(mode, root, rule, k)
        rows = materialized(_second_order, family, x, outcome, u)
        p = jnp.exp(over_rows(outcome, rows.value) - 0.5 * (u * u).sum(0) + log_weight - shift)
        z = jnp.concatenate([jnp.ones(1, z.dtype), z])
        d_eta = sum((z[b] * slopes[b] for b in range(1, n_z)), slopes[0])
        d_u = sum((z[b] * u_slopes[b] for b in range(1, n_z)), u_slopes[0])
        in_lane = (rows.score * d_eta).sum((0, 1)) + (rows.phi * dx.phi).sum(0)
        d_log_p = over_lanes(outcome, in_lane) - (u * d_u).sum(0)
        d_phi = [(by * d_eta).sum((0, 1)) + (second * dx.phi).sum(0) for by, second in zip(rows.score_by_phi, rows.phi_by_phi, strict=True)]
        d_by_phi = p * d_log_p * rows.phi + (p * jnp.stack(d_phi) if d_phi else jnp.zeros_like(dx.phi))
        change = _added(change, p * d_log_p, z, rows.score, d_by_phi)
        return _added(sums, p, z, rows.score, p * rows.phi), change, _shared_added(shared, p, z, rows)

    start = (_no_sums(x, mode), _no_sums(x, mode), _nothing_shared(x, n_z))
    sums, change, shared = jax.lax.fori_loop(0, loop_length(count, rule), add, start)
    score = list(change.score)
    for a in range(n_z):
        for b in range(n_z):
            by_eta = shared.by_eta[max(a, b)][min(a, b)]
            score[a] = score[a] + sum(second * slopes[b][e] for e, second in enumerate(by_eta))
        score[a] = score[a] + sum((second * dx.phi[j] for j, second in enumerate(shared.by_phi[a])), jnp.zeros_like(score[a]))
    return sums, change._replace(score=tuple(score))


def _node_slopes(x: Predictors, mode, root, dx: Predictors, d_mode, d_root) -> tuple[list[Array], list[Array]]:
    """Tangents of the predictors and of u at a node as ``sum_b z~_b slope_b``: 1 + q arrays (E, w, B), and as many (q, B)."""
    q = mode.shape[0]
    moved = lambda a, u, du: dx.zl[:, a] * u + x.zl[:, a] * du  # noqa: E731
    slopes, u_slopes = [sum((moved(a, mode[a], d_mode[a]) for a in range(q)), dx.eta)], [d_mode]
    for b in range(q):
        slopes.append(sum((moved(a, root[a, b], d_root[a, b]) for a in range(1, b + 1)), moved(0, root[0, b], d_root[0, b])))
        u_slopes.append(jnp.stack([d_root[a, b] if a <= b else jnp.zeros_like(mode[0]) for a in range(q)]))
    return slopes, u_slopes


def _added(sums: NodeSums, p: Array, z: Array, score: Array, by_phi: Array) -> NodeSums:
    """``sums`` with one more node of weight ``p`` (B,)."""
    return NodeSums(
        moments=sums.moments + (z[:, None] * z)[:, :, None] * p,
        score=tuple(total + (z[a] * p) * score for a, total in enumerate(sums.score)),
        phi=sums.phi + by_phi,
    )


def _no_sums(x: Predictors, mode: Array) -> NodeSums:
    n_z = 1 + mode.shape[0]
    return NodeSums(jnp.zeros((n_z, n_z, x.eta.shape[-1]), mode.dtype), (jnp.zeros_like(x.eta),) * n_z, jnp.zeros_like(x.phi))


def _shared_added(shared: _Shared, p: Array, z: Array, rows: _Rows) -> _Shared:
    def added(totals: tuple[Array, ...], factor: Array, seconds: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(total + (factor * p) * second for total, second in zip(totals, seconds, strict=True))

    by_eta = tuple(
        tuple(added(totals, z[a] * z[b], rows.score_by_eta) for b, totals in enumerate(row)) for a, row in enumerate(shared.by_eta)
    )
    return _Shared(by_eta, tuple(added(totals, z[a], rows.score_by_phi) for a, totals in enumerate(shared.by_phi)))


def _nothing_shared(x: Predictors, n_z: int) -> _Shared:
    zero = jnp.zeros_like(x.eta)
    by_eta = tuple(tuple((zero,) * len(x.eta) for _ in range(a + 1)) for a in range(n_z))
    return _Shared(by_eta, ((zero,) * len(x.phi),) * n_z)


@functools.partial(jax.jit, static_argnums=0)
def _density_and_score(family: Family, x: Predictors, outcome: Outcome, u: Array) -> tuple[Array, Array, Array]:
    """Weighted log density (w, B) and score (E, w, B) of every row at ``u``, and the derivative in phi of each cluster (n_phi, B)."""
    return _first_order(family, outcome, at(x, u), x.phi)


def _first_order(family: Family, outcome: Outcome, eta: Array, phi: Array) -> tuple[Array, Array, Array]:
    density, pullback = jax.vjp(lambda eta, phi: row_log_kernel(family, outcome, eta, phi), eta, phi)
    return outcome.row_weight * density, *pullback(outcome.row_weight)


@functools.partial(jax.jit, static_argnums=0)
def _second_order(family: Family, x: Predictors, outcome: Outcome, u: Array) -> _Rows:
    """``_density_and_score`` and the derivatives of the scores."""
    eta = at(x, u)
    (value, score, phi), changes = along(functools.partial(_first_order, family, outcome), (eta, x.phi), coordinates(eta, x.phi))
    by_eta, by_phi = changes[: len(eta)], changes[len(eta) :]
    return _Rows(value, score, phi, tuple(d[1] for d in by_eta), tuple(d[1] for d in by_phi), tuple(d[2] for d in by_phi))
