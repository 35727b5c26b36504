"""The contract of an integration rule: standard nodes with log weights, and a way to place them in each cluster.

Every rule places its nodes by an affine map, ``u_k = origin + axes z_k``, which it makes from the cluster's integrand and posterior.
Sums over nodes, their derivatives and posterior moments need the map only, and do not know whether it comes from mode and scale or from
bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.posterior import Posterior
from glmmjax.likelihood.rows import Integrand

__all__ = ["NodePlacement", "Rule", "columns", "from_columns", "in_u", "node"]


class NodePlacement(NamedTuple):
    """Where the nodes of a rule lie in each of B clusters, ``u_k = origin + axes z_k``.

    Attributes
    ----------
    origin : (q, B) where the node z = 0 lies
    axes : (q, q, B) the linear part of the map
    log_scale : (B,) is added to the log of the sum over nodes
    shift : (B,) about the logarithm of the largest term; the result does not depend on it, and no derivative is taken of it
    """

    origin: Array
    axes: Array
    log_scale: Array
    shift: Array


class Rule(Protocol):
    """A pytree of nodes and log weights; ``log integral ~ log_scale + log sum_k exp(f(u_k) + log_weights[k])``.

    f is the log of the integrand without ``Prior.log_constant``; k runs over the first ``count`` nodes.
    """

    @property
    def nodes(self) -> Any:
        """(K, q) standard nodes z_k."""

    @property
    def log_weights(self) -> Any:
        """(K,) with ``Prior.log_constant`` among them."""

    @property
    def count(self) -> Any:
        """Number of nodes in use: a Python int (a loop of fixed length) or a traced scalar."""

    def place(self, f: Integrand, posterior: Posterior) -> NodePlacement:
        """The placement of the nodes in the clusters of a block, whose integrand is ``f``; differentiable as ``posterior`` is."""


def node(placement: NodePlacement, z: Array) -> Array:
    """(q, B) where the node with standard coordinates ``z`` (q,), or (q, B), lies in every cluster."""
    origin, axes = placement.origin, placement.axes
    q = origin.shape[0]
    return jnp.stack([origin[a] + sum(axes[a, b] * z[b] for b in range(q)) for a in range(q)]) if q else origin


def columns(placement: NodePlacement) -> list[list[Array]]:
    """1 + q lists of (B,) arrays. List b has the entries ``a`` of the slope of u in ``z~_b``."""
    q = placement.origin.shape[0]
    return [[placement.origin[a] for a in range(q)], *([placement.axes[a, b] for a in range(q)] for b in range(q))]


def in_u(slopes: list[list[Array]], a: int, by_z: Sequence[Array] | Array) -> Array:
    """A sum over nodes weighted by ``u_a``, from the 1 + q sums weighted by ``z~ = (1, z)``; ``slopes`` are ``columns(placement)``."""
    return slopes[0][a] * by_z[0] + sum(slopes[1 + b][a] * by_z[1 + b] for b in range(len(slopes) - 1))


def from_columns(entry: Callable[[int, int], Array], still: Array, q: int) -> tuple[Array, Array]:
    """Derivatives in ``origin`` and ``axes`` from those in the entries ``(a, b)`` of ``columns``; ``still`` is a zero (B,)."""
    if q == 0:
        return jnp.zeros((0, *still.shape), still.dtype), jnp.zeros((0, 0, *still.shape), still.dtype)
    axes = jnp.stack([jnp.stack([entry(a, 1 + b) for b in range(q)]) for a in range(q)])
    return jnp.stack([entry(a, 0) for a in range(q)]), axes
