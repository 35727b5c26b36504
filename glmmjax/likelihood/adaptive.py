"""The integral of a block of clusters over the nodes of a rule, with an exact derivative accumulated in the same pass over nodes.

    log L = log_scale + log sum_k exp(f(u_k) + log w_k),

for nodes ``u_k = origin + axes z_k`` that the rule has placed in each cluster. At a finite number of nodes and q >= 2 the value of adaptive
Gauss-Hermite quadrature depends on the choice of the root of the inverse Hessian; all choices agree as nodes are added. ``posterior`` makes
one that units and origins of the random-effects columns do not change.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.node_sums import loop_length, node_of_rule, sum_over_nodes
from glmmjax.likelihood.outcome_derivatives import define_jvp
from glmmjax.likelihood.rows import Integrand, log_joint, over_lanes, over_rows
from glmmjax.likelihood.rule import NodePlacement, Rule, columns, from_columns, in_u

__all__ = ["Slopes", "integrate", "integrate_with_slopes"]


class Slopes(NamedTuple):
    """Derivative of each cluster's log sum over nodes. The derivative in ``log_scale`` is 1 and is left out.

    Attributes
    ----------
    eta : (E, w, B) in the linear predictors at u = 0
    zl : (E, q, w, B) in the random-effects columns times L
    phi : (n_phi, B) in the extra parameters, of the rows in each lane
    origin : (q, B) in the placement's origin
    axes : (q, q, B) in the placement's axes
    """

    eta: Array
    zl: Array
    phi: Array
    origin: Array
    axes: Array


def integrate(f: Integrand, placement: NodePlacement, rule: Rule) -> Array:
    """(B,) log marginal likelihood of each cluster of a block."""
    return placement.log_scale + _log_sum(_static_count(rule), f, placement, rule)


def integrate_with_slopes(f: Integrand, placement: NodePlacement, rule: Rule) -> tuple[Array, Slopes]:
    """``integrate`` and its slopes: the numbers that its derivative gives, without tracing through the rule."""
    value, slopes = _sum_and_slopes(_static_count(rule), f, placement, rule)
    return placement.log_scale + value, slopes


def _static_count(rule: Rule) -> int | None:
    return rule.count if isinstance(rule.count, int) else None


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_sum(count: int | None, f: Integrand, placement: NodePlacement, rule: Rule) -> Array:
    """log sum_k exp(f(u_k) + log w_k); ``count`` is the static number of nodes, None when it is traced."""

    def add(k: Array, total: Array) -> Array:
        u, _, log_weight = node_of_rule(rule, placement, k)
        return total + jnp.exp(log_joint(f, u) + log_weight - placement.shift)

    return placement.shift + jnp.log(jax.lax.fori_loop(0, loop_length(count, rule), add, jnp.zeros_like(placement.shift)))


@define_jvp(_log_sum)
def _log_sum_jvp(count, primals, tangents):
    value, by = _sum_and_slopes(count, *primals)
    observed, (df, change, _) = primals[0].observed, tangents
    dx = df.x
    in_lane = (by.eta * dx.eta).sum((0, 1)) + (by.zl * dx.zl).sum((0, 1, 2)) + (by.phi * dx.phi).sum(0)
    return value, over_lanes(observed, in_lane) + (by.origin * change.origin).sum(0) + (by.axes * change.axes).sum((0, 1))


def _sum_and_slopes(count: int | None, f: Integrand, placement: NodePlacement, rule: Rule) -> tuple[Array, Slopes]:
    q, zl, of_u = f.x.zl.shape[1], f.x.zl, columns(placement)
    sums = sum_over_nodes(count, f, placement, rule)
    total = sums.moments[0, 0]
    scale = 1.0 / total
    score = [s * scale for s in sums.score]
    pull = sums.pull
    if pull is None:  # the gradient is linear in u, so its sums are those of u
        pull = f.prior.negative_gradient(jnp.stack([in_u(of_u, a, sums.moments) for a in range(q)]) if q else placement.origin)
    pull = pull * scale
    origin, axes = from_columns(lambda a, b: over_rows(f.observed, zl[:, a] * score[b]) - pull[a, b], jnp.zeros_like(total), q)
    slopes = Slopes(
        eta=score[0],
        zl=jnp.stack([in_u(of_u, a, score) for a in range(q)], axis=1) if q else jnp.zeros_like(zl),
        phi=sums.phi * scale,
        origin=origin,
        axes=axes,
    )
    return placement.shift + jnp.log(total), slopes
