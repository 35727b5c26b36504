"""The sums over quadrature nodes from which value and gradient of the marginal likelihood are read, with their own derivative rule.

This is the inner loop of every fit. A rule places its nodes by an affine map, so with ``z~ = (1, z)`` the linear predictors at node k are
``sum_b z~_kb slope_b``, for row arrays ``slope_b`` that do not depend on k. The sums that a Hessian needs are therefore few, and all its
columns share most of them.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.outcome_derivatives import define_jvp
from glmmjax.likelihood.row_derivatives import along, coordinates
from glmmjax.likelihood.rows import (
    Integrand,
    Observed,
    Predictors,
    at,
    materialized,
    over_lanes,
    over_rows,
    row_log_kernel,
)
from glmmjax.likelihood.rule import NodePlacement, Rule, columns, node

__all__ = ["NodeSums", "loop_length", "node_of_rule", "sum_over_nodes"]


_FAR = 300.0  # of a linear predictor: the square of its exponential is near the largest number


class NodeSums(NamedTuple):
    """Sums over nodes weighted by ``p_k = exp(f(u_k) + log w_k - shift)``; s is the score of a row.

    Attributes
    ----------
    moments : (1 + q, 1 + q, B) sum p z~ z~'
    score : 1 + q arrays (E, w, B), sum p s z~_a; not one array, because XLA splits an array above some 64 KiB over threads
    phi : (n_phi, B) sum p d/d phi
    pull : (q, 1 + q, B) sum p g(u) z~', with the prior's negative gradient g; None where g is linear, because moments then give it
    """

    moments: Array
    score: tuple[Array, ...]
    phi: Array
    pull: Array | None


class _Shared(NamedTuple):
    """Sums that all directions of a derivative share; second derivatives of the weighted log density of a row."""

    by_eta: tuple[tuple[tuple[Array, ...], ...], ...]  # [a][b][e] for b <= a: (E, w, B) sum p z~_a z~_b d s / d eta_e
    by_phi: tuple[tuple[Array, ...], ...]  # [a][j]: (E, w, B) sum p z~_a d s / d phi_j


class _NodeDerivatives(NamedTuple):
    """Derivatives of the weighted log density at one node."""

    value: Array  # (w, B)
    score: Array  # (E, w, B)
    phi: Array  # (n_phi, B) summed over rows
    score_by_eta: tuple[Array, ...]  # for each predictor (E, w, B)
    score_by_phi: tuple[Array, ...]  # for each phi (E, w, B)
    phi_by_phi: tuple[Array, ...]  # for each phi (n_phi, B)


def node_of_rule(rule: Rule, placement: NodePlacement, k: Array) -> tuple[Array, Array, Array]:
    """Node k of every cluster (q, B), its standard coordinates (q,), its log weight ()."""
    dtype = placement.origin.dtype
    z = jnp.asarray(rule.nodes, dtype)[k]
    return node(placement, z), z, jnp.asarray(rule.log_weights, dtype)[k]


def loop_length(count: int | None, rule: Rule) -> Any:
    """A Python int gives a loop that reverse mode can differentiate; a traced count gives a loop that serves every rule."""
    return rule.count if count is None else count


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def sum_over_nodes(count: int | None, f: Integrand, placement: NodePlacement, rule: Rule) -> NodeSums:
    """The sums of a block; ``count`` is the static number of nodes, None when it is traced."""

    def add(k: Array, sums: NodeSums) -> NodeSums:
        u, z, log_weight = node_of_rule(rule, placement, k)
        density, score, by_phi = materialized(_density_and_score, f, u)
        p = jnp.exp(over_rows(f.observed, density) + f.prior.log_density(u) + log_weight - placement.shift)
        score, by_phi = _finite_far_out(f, u, p, (score, by_phi))
        z = jnp.concatenate([jnp.ones(1, z.dtype), z])
        pull = None if f.prior.has_linear_gradient else p * f.prior.negative_gradient(u)
        return _added(sums, p, z, score, p * by_phi, pull)

    return jax.lax.fori_loop(0, loop_length(count, rule), add, _no_sums(f, placement))


def _without(n: int, sums: NodeSums) -> NodeSums:
    return sums._replace(score=tuple(score[:n] for score in sums.score))


@define_jvp(sum_over_nodes, _without)
def _sum_over_nodes_jvp(count, primals, tangents):
    (f, placement, rule), (df, d_placement, _) = primals, tangents
    observed, prior, dx = f.observed, f.prior, df.x
    slopes, u_slopes = _node_slopes(f.x, dx, placement, d_placement)
    n_z = len(slopes)

    def add(k, carry):
        sums, change, shared = carry
        u, z, log_weight = node_of_rule(rule, placement, k)
        rows = materialized(_second_order, f, u)
        p = jnp.exp(over_rows(observed, rows.value) + prior.log_density(u) + log_weight - placement.shift)
        rows = _finite_far_out(f, u, p, rows)
        z = jnp.concatenate([jnp.ones(1, z.dtype), z])
        d_eta = sum((z[b] * slopes[b] for b in range(1, n_z)), slopes[0])
        d_u = sum((z[b] * u_slopes[b] for b in range(1, n_z)), u_slopes[0])
        in_lane = (rows.score * d_eta).sum((0, 1)) + (rows.phi * dx.phi).sum(0)
        g = prior.negative_gradient(u)
        d_log_p = over_lanes(observed, in_lane) - (g * d_u).sum(0)
        d_phi = [(by * d_eta).sum((0, 1)) + (second * dx.phi).sum(0) for by, second in zip(rows.score_by_phi, rows.phi_by_phi, strict=True)]
        d_by_phi = p * d_log_p * rows.phi + (p * jnp.stack(d_phi) if d_phi else jnp.zeros_like(dx.phi))
        pull = d_pull = None
        if not prior.has_linear_gradient:
            pull, d_pull = p * g, p * (d_log_p * g + jax.jvp(prior.negative_gradient, (u,), (d_u,))[1])
        change = _added(change, p * d_log_p, z, rows.score, d_by_phi, d_pull)
        return _added(sums, p, z, rows.score, p * rows.phi, pull), change, _shared_added(shared, p, z, rows)

    start = (_no_sums(f, placement), _no_sums(f, placement), _nothing_shared(f.x, n_z))
    sums, change, shared = jax.lax.fori_loop(0, loop_length(count, rule), add, start)
    score = list(change.score)
    for a in range(n_z):
        for b in range(n_z):
            by_eta = shared.by_eta[max(a, b)][min(a, b)]
            score[a] = score[a] + sum(second * slopes[b][e] for e, second in enumerate(by_eta))
        score[a] = score[a] + sum((second * dx.phi[j] for j, second in enumerate(shared.by_phi[a])), jnp.zeros_like(score[a]))
    return sums, change._replace(score=tuple(score))


def _finite_far_out(f: Integrand, u: Array, p: Array, derivatives: Any) -> Any:
    """``derivatives`` of the rows; of a law whose nodes are far apart, with 0 where they overflow and do not count.

    Its nodes lie where exp of a predictor overflows. A density is 0 there, and the node has no weight; or, such as that of a zero under
    inflation, it has come to a limit, and its derivative, which is computed as 0 times infinity, is 0.
    """
    if not f.prior.has_far_nodes:
        return derivatives
    is_far = (jnp.abs(at(f.x, u)) > _FAR).any((0, 1))
    is_lost = lambda leaf: (p == 0) | (is_far & ~jnp.isfinite(leaf))  # noqa: E731
    return jax.tree.map(lambda leaf: jnp.where(is_lost(leaf), 0.0, leaf), derivatives)


def _node_slopes(x: Predictors, dx: Predictors, placement: NodePlacement, change: NodePlacement) -> tuple[list[Array], list[Array]]:
    """Tangents of the predictors and of u at a node as ``sum_b z~_b slope_b``: 1 + q arrays (E, w, B) and 1 + q arrays (q, B)."""
    slopes, u_slopes = [], [change.origin]
    for b, (column, d_column) in enumerate(zip(columns(placement), columns(change), strict=True)):
        moved = [dx.zl[:, a] * u + x.zl[:, a] * du for a, (u, du) in enumerate(zip(column, d_column, strict=True))]
        slopes.append(sum(moved, dx.eta) if b == 0 else sum(moved[1:], moved[0]))
        if b:
            u_slopes.append(jnp.stack(d_column))
    return slopes, u_slopes


def _added(sums: NodeSums, p: Array, z: Array, score: Array, by_phi: Array, pull: Array | None) -> NodeSums:
    """``sums`` with one more node of weight ``p`` (B,); ``by_phi`` and ``pull`` are multiplied by the weight already."""
    return NodeSums(
        moments=sums.moments + (z[:, None] * z)[:, :, None] * p,
        score=tuple(total + (z[a] * p) * score for a, total in enumerate(sums.score)),
        phi=sums.phi + by_phi,
        pull=None if sums.pull is None or pull is None else sums.pull + pull[:, None] * z[:, None],
    )


def _no_sums(f: Integrand, placement: NodePlacement) -> NodeSums:
    q, still = len(placement.origin), jnp.zeros_like(placement.shift)
    zeros = lambda *shape: jnp.zeros((*shape, *still.shape), still.dtype)  # noqa: E731
    pull = None if f.prior.has_linear_gradient else zeros(q, 1 + q)
    return NodeSums(zeros(1 + q, 1 + q), (jnp.zeros_like(f.x.eta),) * (1 + q), jnp.zeros_like(f.x.phi), pull)


def _shared_added(shared: _Shared, p: Array, z: Array, rows: _NodeDerivatives) -> _Shared:
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


@jax.jit
def _density_and_score(f: Integrand, u: Array) -> tuple[Array, Array, Array]:
    """Weighted log density (w, B) and score (E, w, B) of every row at ``u``, and the derivative in phi of each cluster (n_phi, B)."""
    return _first_order(f.family, f.observed, at(f.x, u), f.x.phi)


def _first_order(family: Family, observed: Observed, eta: Array, phi: Array) -> tuple[Array, Array, Array]:
    density, pullback = jax.vjp(lambda eta, phi: row_log_kernel(family, observed, eta, phi), eta, phi)
    return observed.row_weight * density, *pullback(observed.row_weight)


@jax.jit
def _second_order(f: Integrand, u: Array) -> _NodeDerivatives:
    """``_density_and_score`` and the derivatives of the scores."""
    eta = at(f.x, u)
    first_order = functools.partial(_first_order, f.family, f.observed)
    (value, score, phi), changes = along(first_order, (eta, f.x.phi), coordinates(eta, f.x.phi))
    by_eta, by_phi = changes[: len(eta)], changes[len(eta) :]
    return _NodeDerivatives(value, score, phi, tuple(d[1] for d in by_eta), tuple(d[1] for d in by_phi), tuple(d[2] for d in by_phi))
