"""L-BFGS for models with many fixed effects, by optax; the line search is the backtracking of the first-order phase.

Steps are taken in coordinates in which the working mixed-model information is a unit matrix, so that it stays the first metric. Pairs of
steps and changes of the gradient along which the objective is not concave are left out. Source: Nocedal and Wright (2006), algorithm 7.5.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

__all__ = ["empty_memory", "remembered"]

_PAIRS = 10


def empty_memory(size: int, dtype: Any) -> Any:
    """The memory of an ascent of ``size`` parameters before its first step."""
    return jax.tree.map(lambda leaf: _of_dtype(leaf, dtype), _transformation().init(jnp.zeros(size, dtype)))


def remembered(memory: Any, metric: Array, theta: Array, gradient: Array) -> tuple[Any, Array]:
    """The memory with the point ``theta`` (P,), and the direction (P,) from there, in the metric (P, P) in which the ascent began."""
    root = jnp.linalg.cholesky(metric)
    diagonal = jnp.diag(jnp.sqrt(jnp.maximum(jnp.abs(jnp.diagonal(metric)), jnp.finfo(theta.dtype).tiny)))
    root = jnp.where(jnp.all(jnp.isfinite(root)), root, diagonal)
    x, downhill = jax.scipy.linalg.solve_triangular(root, theta, lower=True), -(root.T @ gradient)
    step, change = x - memory.params, downhill - memory.updates
    is_usable = step @ change > 1e-10 * jnp.sqrt((step @ step) * (change @ change))
    # a pair of zeros has no weight
    before = memory._replace(params=jnp.where(is_usable, memory.params, x), updates=jnp.where(is_usable, memory.updates, downhill))
    direction, after = _transformation().update(downhill, before, x)
    after = jax.tree.map(lambda leaf: _of_dtype(leaf, theta.dtype), after)
    return after, -(root @ direction).astype(theta.dtype)


def _transformation() -> Any:
    import optax

    return optax.scale_by_lbfgs(memory_size=_PAIRS, scale_init_precond=False)


def _of_dtype(leaf: Array, dtype: Any) -> Array:
    return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
