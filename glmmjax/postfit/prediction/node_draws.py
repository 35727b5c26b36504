"""Draws of one random effect given outcomes from the nodes of a rule that goes over its whole law.

A node is drawn with its posterior weight, and then a point between the middles to its neighbours, each as likely. The error of the density
is of the order of the square of a step, of which a posterior standard deviation holds some twenty.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.conditional import Conditional
from glmmjax.likelihood.rows import Integrand, from_first_lane
from glmmjax.likelihood.rule import Rule

__all__ = ["drawn_from_nodes"]


def drawn_from_nodes(key: Array, f: Integrand, given: Conditional, rule: Rule, n: int) -> Array:
    """(n, 1, B) draws of u for each cluster of a block, the same on all its lanes; ``given`` has the weights of its nodes."""
    for_node, for_place = jax.random.split(key)
    shape, dtype = (n, given.weights.shape[-1]), given.weights.dtype
    total = jnp.cumsum(given.weights, axis=0)
    level = from_first_lane(f.observed, jax.random.uniform(for_node, shape, dtype)) * total[-1]
    chosen = jnp.minimum(jax.vmap(jnp.searchsorted, in_axes=(-1, -1), out_axes=-1)(total, level), len(total) - 1)
    z = jnp.asarray(rule.nodes, dtype)[:, 0]
    middles = 0.5 * (z[1:] + z[:-1])
    low, high = jnp.concatenate([z[:1], middles]), jnp.concatenate([middles, z[-1:]])
    place = from_first_lane(f.observed, jax.random.uniform(for_place, shape, dtype))
    at = low[chosen] + place * (high - low)[chosen]
    return (given.origin[0] + given.axes[0, 0] * at)[:, None]
