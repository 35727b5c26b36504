"""The integral of a block of nested clusters: a rule over the random effects of upper clusters, whose terms are integrals themselves.

To the upper integral, a lower cluster is what a row is to the lower one. At each node u_k of the upper rule the random effects v of every
lower cluster are integrated out,

    L = integral of p(u) prod_j [ integral of p(v) p(y_j | u, v) dv ] du ~ exp(log_scale) sum_k w_k exp(log p(u_k) + sum_j g_j(u_k)),

with g_j the log of the inner integral by a rule that is placed anew at u_k. The upper nodes lie around the joint mode, at the scale of the
Schur complement there: with one point at both levels the value is Laplace's approximation over all random effects together.
Source: Rabe-Hesketh, Skrondal and Pickles (2005), Journal of Econometrics 128, 301-323.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.adaptive import integrate, integrate_with_slopes
from glmmjax.likelihood.cluster_sums import ClusterSums, sums_of
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.joint_modes import JointPeak, find_joint_peak
from glmmjax.likelihood.levels import NestedRule
from glmmjax.likelihood.node_sums import node_of_rule
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.posterior import Posterior, normal_approximation, posterior
from glmmjax.likelihood.prior import Prior
from glmmjax.likelihood.rows import Integrand, Predictors, integrand, log_base, observed_of, over_lanes
from glmmjax.likelihood.rule import NodePlacement

__all__ = ["nested_posterior", "nested_value_and_gradient", "nested_values"]


class _Upper(NamedTuple):
    """What the upper integral needs of a block, as functions of the parameters."""

    x: Predictors  # of all random effects
    placement: NodePlacement  # of the upper nodes
    base: Array  # (B,) the part that depends on no random effect


class _UpperSums(NamedTuple):
    """Sums over upper nodes weighted by ``p_k = w_k exp(log p(u_k) + sum_j g_j(u_k) - shift)``."""

    total: Array  # (B,)
    x: Predictors  # derivatives of the inner integrals
    origin: Array  # (q_u, B)
    axes: Array  # (q_u, q_u, B)


def nested_values(params: Params, block: Bucket, family: Family, rule: NestedRule, prior: Prior) -> Array:
    """(B,) log marginal likelihoods of the upper clusters of a block, on all their lanes."""
    f = integrand(params, block, family, prior)
    upper, (peak, _) = _prepared(f, rule, jnp.zeros((params.chol.shape[-1], block.shape[-1]), f.x.eta.dtype))

    def add(k: Array, total: Array) -> Array:
        u, _, log_weight = node_of_rule(rule.upper, upper.placement, k)
        inner, post = _inner(f, f.x, u, _start(peak, u))
        g = integrate(inner, rule.lower.place(inner, post), rule.lower)
        return total + _weight(f, upper.placement, u, log_weight, g)

    total = jax.lax.fori_loop(0, rule.upper.count, add, jnp.zeros_like(upper.base))
    return upper.placement.log_scale + upper.placement.shift + jnp.log(total) + upper.base


def nested_value_and_gradient(
    params: Params, block: Bucket, start: Array, family: Family, rule: NestedRule, prior: Prior
) -> tuple[ClusterSums, Array, Array]:
    """Weighted log-likelihood of a block with its gradient, its modes and their largest error, as ``block_value_and_gradient``."""

    def prepare(params: Params) -> tuple[_Upper, tuple[JointPeak, Posterior]]:
        return _prepared(integrand(params, block, family, prior), rule, start)

    upper, pull_back, (peak, post) = jax.vjp(prepare, params, has_aux=True)
    f, placement = Integrand(family, prior, upper.x, observed_of(block, family)), upper.placement
    sums = jax.lax.fori_loop(0, rule.upper.count, lambda k, sums: _added(f, placement, rule, peak, k, sums), _no_sums(upper))
    values = placement.log_scale + placement.shift + jnp.log(sums.total) + upper.base
    weight = block.cluster_weight
    of_lanes, of_cluster = over_lanes(f.observed, weight) / sums.total, weight / sums.total
    placed = NodePlacement(of_cluster * sums.origin, of_cluster * sums.axes, weight, jnp.zeros_like(weight))
    (gradient,) = pull_back(_Upper(jax.tree.map(lambda slope: of_lanes * slope, sums.x), placed, weight))
    return sums_of(weight * values, gradient), peak.mode, jnp.max(post.mode_error)


def nested_posterior(params: Params, block: Bucket, start: Array, family: Family, prior: Prior) -> JointPeak:
    """Modes and precisions of both levels."""
    return find_joint_peak(integrand(params, block, family, prior), prior.n_upper, start)


def _prepared(f: Integrand, rule: NestedRule, start: Array) -> tuple[_Upper, tuple[JointPeak, Posterior]]:
    """The upper nodes around the joint mode; the search for it begins at ``start`` (q, B)."""
    n_upper = f.prior.n_upper
    peak = find_joint_peak(f, n_upper, start)
    turn = None if f.turn is None else f.turn[:n_upper, :n_upper]
    post = normal_approximation(peak.mode[:n_upper], peak.precision, turn, peak.mode_error)
    # Laplace's approximation of the terms of the sum, so that their exponentials neither overflow nor vanish
    lower = normal_approximation(peak.mode[n_upper:], peak.lower_precision, None, peak.mode_error)
    about = over_lanes(f.observed, peak.value + lower.log_det) + f.prior.log_density(peak.mode[:n_upper])
    placement = NodePlacement(post.mode, post.root, post.log_det, jax.lax.stop_gradient(about))
    return _Upper(f.x, placement, log_base(f)), jax.lax.stop_gradient((peak, post))


def _inner(f: Integrand, x: Predictors, u: Array, start: Array) -> tuple[Integrand, Posterior]:
    """The integrand of the lower clusters at ``u`` (q_u, B) of their upper ones, with mode and scale of v."""
    n_upper = len(u)
    eta = x.eta + sum(x.zl[:, a] * u[a] for a in range(n_upper))
    lane = f.observed._replace(lanes=None)
    inner = dataclasses.replace(f, x=Predictors(eta, x.zl[:, n_upper:], x.phi), observed=lane, turn=None)
    return inner, posterior(inner, start)


def _start(peak: JointPeak, u: Array) -> Array:
    """(q_v, B) about where the modes of v are at ``u``."""
    away = u - peak.mode[: len(u)]
    moved = [sum(s * d for s, d in zip(row, away, strict=True)) for row in peak.slope]
    return jax.lax.stop_gradient(peak.mode[len(u) :] + jnp.stack(moved))


def _weight(f: Integrand, placement: NodePlacement, u: Array, log_weight: Array, g: Array) -> Array:
    """(B,) the term of the upper sum at a node, from the inner integrals there."""
    return jnp.exp(over_lanes(f.observed, g) + f.prior.log_density(u) + log_weight - placement.shift)


def _added(f: Integrand, placement: NodePlacement, rule: NestedRule, peak: JointPeak, k: Array, sums: _UpperSums) -> _UpperSums:
    """``sums`` with node k of the upper rule."""
    u, z, log_weight = node_of_rule(rule.upper, placement, k)
    start = _start(peak, u)

    def place(x: Predictors, u: Array) -> tuple[tuple[Predictors, NodePlacement], Integrand]:
        inner, post = _inner(f, x, u, start)
        return (inner.x, rule.lower.place(inner, post)), inner

    (x, lower), pull_back, inner = jax.vjp(place, f.x, u, has_aux=True)
    g, by = integrate_with_slopes(dataclasses.replace(inner, x=x), lower, rule.lower)
    p = _weight(f, placement, u, log_weight, g)
    placed = NodePlacement(p * by.origin, p * by.axes, p, jnp.zeros_like(p))
    dx, du = pull_back((Predictors(p * by.eta, p * by.zl, p * by.phi), placed))
    du = over_lanes(f.observed, du) - p * f.prior.negative_gradient(u)
    return _UpperSums(sums.total + p, jax.tree.map(jnp.add, sums.x, dx), sums.origin + du, sums.axes + du[:, None] * z[None, :, None])


def _no_sums(upper: _Upper) -> _UpperSums:
    placement = upper.placement
    return jax.tree.map(jnp.zeros_like, _UpperSums(upper.base, upper.x, placement.origin, placement.axes))
