r"""Averages of a function of a row's linear predictors over the random effects' own distribution N(0, D), by deterministic quadrature.

However many random effects there are, they enter a row through one number for each linear predictor that has some, so the integral has
one or two dimensions. The rule is the trapezoid, which for a normal weight converges geometrically and, unlike Gauss-Hermite, at a rate
that a large variance does not spoil: the error of a logistic mean is of the order :math:`\exp(-2 \pi^2 / (h \sigma))` for step h.
Source: Trefethen and Weideman (2014), SIAM Review 56, 385-458.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.model_rows import ModelRows, mean_at, predictors_at, random_columns
from glmmjax.likelihood.params import Params

__all__ = ["population_average", "population_mean"]

_HALF_WIDTH = {1: 12.0, 2: 9.0}  # by dimension; beyond it the normal weight is below 1e-31 and 1e-17
_STEP = {1: 0.125, 2: 0.25}


def population_mean(params: Params, rows: ModelRows, family: Family) -> Array:
    r"""(n,) marginal means :math:`E[g^{-1}(x'\beta + o + z'b)],\ b \sim N(0, D)`, of the family's own mean, zero part included."""
    return population_average(lambda eta: mean_at(family, params, eta), params, rows)


def population_average(function: Callable[[Array], Any], params: Params, rows: ModelRows) -> Any:
    """The average over b ~ N(0, D) of a function of linear predictors.

    Parameters
    ----------
    function : of eta (E, n); gives an array, or a tree of arrays, whose last axis is that of the rows.

    Returns
    -------
    What ``function`` gives, averaged. Forward and reverse mode differentiate it, also where variances are 0.
    """
    eta, directions = predictors_at(params, rows), _directions(params, rows)
    n_dimensions = directions.shape[1]
    if n_dimensions == 0:
        return function(eta)
    nodes, weights = _rule(n_dimensions)

    @jax.checkpoint
    def add(total: Any, node: tuple[Array, Array]) -> tuple[Any, None]:
        z, weight = node
        at = function(eta + jnp.tensordot(directions, z, ((1,), (0,))))
        return jax.tree.map(lambda t, v: t + weight * v, total, at), None

    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, eta))
    return jax.lax.scan(add, zero, (jnp.asarray(nodes, eta.dtype), jnp.asarray(weights, eta.dtype)))[0]


@functools.lru_cache(maxsize=4)
def _rule(n_dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (K, d) and weights (K,), which sum to 1; corners whose weight is nothing beside the largest are left out."""
    half, step = _HALF_WIDTH[n_dimensions], _STEP[n_dimensions]
    points = np.arange(-half, half + step / 2, step)
    nodes = np.stack(np.meshgrid(*[points] * n_dimensions, indexing="ij"), axis=-1).reshape(-1, n_dimensions)
    squared = (nodes**2).sum(1)
    nodes, squared = nodes[squared <= half**2], squared[squared <= half**2]
    weights = np.exp(-0.5 * squared)
    return nodes, weights / weights.sum()


def _directions(params: Params, rows: ModelRows) -> Array:
    """(E, d, n) slopes of the predictors in d standard normal variables that give them the distribution they have."""
    slopes = random_columns(params, rows)
    has_effects = [e for e, z in enumerate(rows.Z) if len(z)]
    if slopes.shape[1] <= len(has_effects):
        return slopes
    placed = jnp.zeros((slopes.shape[0], len(has_effects), slopes.shape[2]), slopes.dtype)
    first, *others = has_effects
    sd = _root((slopes[first] ** 2).sum(0))
    placed = placed.at[first, 0].set(sd)
    for second in others:  # one at most: only main part and zero part have random effects
        along = (slopes[first] * slopes[second]).sum(0) / jnp.where(sd > 0, sd, 1.0)
        rest = slopes[second] - along / jnp.where(sd > 0, sd, 1.0) * slopes[first]
        placed = placed.at[second, 0].set(along).at[second, 1].set(_root((rest**2).sum(0)))
    return placed


def _root(square: Array) -> Array:
    """Square root of a sum of squares, with derivative 0 at 0, where an even function of the root has none."""
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
