r"""Averages over the law of the random effects by deterministic quadrature. The law is N(0, D) where u is standard normal.

However many random effects there are, they enter a row through one number for each linear predictor that has some, so the integral has
one or two dimensions. The rule is the trapezoid, which for a normal weight converges geometrically: the error of a logistic mean is of
the order :math:`\exp(-2 \pi^2 / (h \sigma))` for step h, and unlike Gauss-Hermite the step can follow :math:`\sigma`, the largest standard
deviation of a predictor among the rows. Source: Trefethen and Weideman (2014), SIAM Review 56, 385-458.

A law with heavy tails has the same rule in the inverse hyperbolic sine of u, and in two dimensions in the logarithm of the radius.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.model_rows import ModelRows, phi_of_rows, predictors_at, random_columns
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior

__all__ = ["grid_half", "population_average", "population_mean", "population_probabilities"]

_MOST_SHIFT = 12.0  # a log link moves the weight up by the standard deviation of the predictor, so the grid reaches further by as much
_STEP = {1: 0.3, 2: 0.4}  # by dimension, in units of the predictor's standard deviation, or of 1 where that is smaller
_MOST_POINTS = {1: 4000, 2: 150}  # by dimension, to each side; standard deviations of about 60 and 3.5 need as many

_FIXED_SHIFT = {1: 3.5, 2: 0.5}
_FIXED_STEP = {1: 0.125, 2: 0.25}

_TAIL_STEP = {1: 0.02, 2: 0.1}  # the same of laws with heavy tails, whose steps are in the logarithm of u
_ANGLES, _MOST_ANGLES = 128, 1024  # of the polar coordinates of two dimensions, for a standard deviation of 1
_LOWEST_LOG_RADIUS = -12.0
_MOST_STEPS = {1: 8000, 2: 1000}


def population_mean(params: Params, rows: ModelRows, family: Family, prior: Prior = STANDARD_NORMAL) -> Array:
    r"""(n,) marginal means :math:`E[g^{-1}(x'\beta + o + z'b)],\ b \sim N(0, D)`, of the family's own mean, zero part included.

    Parameters
    ----------
    rows : X and Z with the rows on the last axis, a pair of them for each linear predictor, such as
        ``ModelRows(X=(X.T,), Z=(Z.T,), offset=jnp.zeros((1, n)))``.
    family : as ``design.family`` has it, with the levels of an ordinal outcome counted.
    prior : a law of u whose density depends on the length of u alone, or of one random effect; static under ``jit``.

    Forward and reverse mode differentiate it, also where variances are 0; twice in forward mode, or forward over reverse.
    """
    return _averages(_Average(_means, 1, family, prior), params, rows)[0]


def population_probabilities(params: Params, rows: ModelRows, family: Any, prior: Prior = STANDARD_NORMAL) -> Array:
    """(K, n) marginal probabilities of the levels of an ordinal outcome; differentiable as ``population_mean`` is."""
    return _averages(_Average(_probabilities, len(family.phi_names) + 1, family, prior), params, rows)


class _Average(NamedTuple):
    """The static part of an average: m values of a row, each from its own slice of predictors (E, m, n) and phi (n_phi, m, n)."""

    function: Callable[..., Array]  # of family, eta and phi
    n_values: int
    family: Family
    prior: Prior


def _means(family: Family, eta: Array, phi: Array) -> Array:
    return family.mean(eta[0], phi, *eta[1:])


def _probabilities(family: Family, eta: Array, phi: Array) -> Array:
    levels = jnp.arange(len(phi) + 1, dtype=eta.dtype)[:, None]
    return jnp.exp(family.log_density(levels, eta[0], phi))


def _averages(what: _Average, params: Params, rows: ModelRows) -> Array:
    eta, directions = predictors_at(params, rows), _directions(params, rows)
    phi = phi_of_rows(params, eta.shape[-1])
    if not directions.shape[1]:
        return what.function(what.family, *_for_each(what.n_values, eta, phi))
    return _average(what, eta, directions, phi)


def _for_each(n_values: int, *arrays: Array) -> list[Array]:
    """Arrays (k, n) as (k, m, n), so that each of the m values of a row has its own arguments."""
    return [jnp.broadcast_to(array[:, None], (len(array), n_values, array.shape[-1])) for array in arrays]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _average(what: _Average, eta: Array, directions: Array, phi: Array) -> Array:
    """(m, n) averages."""
    value = lambda at, z: what.function(what.family, *_for_each(what.n_values, at, phi))  # noqa: E731
    return _sum_over(what.prior)(what.prior, value, eta, directions)


@_average.defjvp
def _average_jvp(what: _Average, primals: Any, tangents: Any) -> tuple[Array, Array]:
    """One pass over the grid for any number of parameters: it finds the slopes in the few numbers that belong to a row."""
    eta, directions, phi = primals

    def with_slopes(at: Array, z: Array) -> tuple[Array, Array, Array, Array]:
        value, back = jax.vjp(functools.partial(what.function, what.family), *_for_each(what.n_values, at, phi))
        by_eta, by_phi = back(jnp.ones_like(value))
        return value, by_eta, by_eta[:, None] * z[:, None, None], by_phi

    value, by_eta, by_direction, by_phi = _sum_over(what.prior)(what.prior, with_slopes, eta, directions)
    of_eta, of_directions, of_phi = (tangent[..., None, :] for tangent in tangents)
    return value, (by_eta * of_eta).sum(0) + (by_direction * of_directions).sum((0, 1)) + (by_phi * of_phi).sum(0)


def _sum_over(prior: Prior) -> Callable[..., Any]:
    """How to take the mean over the law of a function of predictors (E, n) and the point u (d,) where they hold."""
    return _sum_over_grid if prior.tail_df is None else _sum_over_tails


def _sum_over_tails(prior: Prior, function: Callable[[Array, Array], Any], eta: Array, directions: Array) -> Any:
    """``_sum_over_grid`` of a law with heavy tails: at hyperbolic sines, or in two dimensions in polar coordinates with a geometric radius.

    A mean changes where a predictor is about 0, at u = -eta / direction, where nodes are a step times eta apart in units of the predictor.
    """
    d = directions.shape[1]
    spread = jnp.nan_to_num(jax.lax.stop_gradient(jnp.abs(directions).max(initial=1.0)))
    largest = jnp.maximum(spread, jnp.nan_to_num(jax.lax.stop_gradient(jnp.abs(eta).max(initial=1.0))))
    low, high = _ends(prior, d)
    n_steps = jnp.minimum(jnp.ceil((high - low) * largest / _STEP[1]), _MOST_STEPS[d])
    n_angles = jnp.ones((), jnp.int32) if d == 1 else jnp.minimum(jnp.ceil(_ANGLES * spread), _MOST_ANGLES).astype(jnp.int32)

    def add(index: Array, total: Any) -> Any:
        z, weight = _tail_node(low + (high - low) / n_steps * (index // n_angles), 2.0 * jnp.pi * (index % n_angles) / n_angles, d)
        weight = weight * jnp.exp(prior.log_density(z))
        value = function(eta + jnp.tensordot(directions, z, ((1,), (0,))), z)
        return jax.tree.map(lambda t, v: t + weight * v, total, (jnp.ones((), eta.dtype), value))

    return _weighted_mean(add, jnp.stack([n_steps.astype(jnp.int32) + 1, n_angles]), function, eta, d)


def _ends(prior: Prior, d: int) -> tuple[float, float]:
    """Where x of ``_tail_node`` begins and ends."""
    return (-math.asinh(prior.reach) if d == 1 else _LOWEST_LOG_RADIUS), math.asinh(prior.reach)


def _tail_node(x: Array, angle: Array, d: int) -> tuple[Array, Array]:
    """A point u (d, ...) and the area that belongs to it, per unit of x and angle."""
    if d == 1:
        return jnp.sinh(x)[None], jnp.cosh(x)
    radius = jnp.exp(x)
    return radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)]), radius**2


def _sum_over_grid(prior: Prior, function: Callable[[Array, Array], Any], eta: Array, directions: Array) -> Any:
    """Weighted mean over the grid of ``function``, which takes predictors (E, n) and the node z (d,) where they hold."""
    d = directions.shape[1]
    spread = jnp.nan_to_num(jax.lax.stop_gradient(jnp.abs(directions).max((0, 2), initial=0.0)))
    half = grid_half(prior, spread)
    steps_per_unit = jnp.maximum(jnp.maximum(spread, 1.0) / _STEP[d], 1.0 / prior.step if d == 1 else 0.0)
    to_each_side = jnp.minimum(jnp.ceil(half * steps_per_unit), _MOST_POINTS[d])
    step, counts = half / to_each_side, (2 * to_each_side + 1).astype(jnp.int32)

    def add(index: Array, total: Any) -> Any:
        digits = jnp.stack([index, index]) if d == 1 else jnp.stack([index // counts[1], index % counts[1]])
        z = step * (digits[:d] - to_each_side)

        def with_node() -> Any:
            value = function(eta + jnp.tensordot(directions, z, ((1,), (0,))), z)
            weight = jnp.exp(prior.log_density(z))
            return jax.tree.map(lambda t, v: t + weight * v, total, (jnp.ones((), eta.dtype), value))

        return jax.lax.cond(((z / half) ** 2).sum() <= 1.0 + 1e-6, with_node, lambda: total)  # the corners of the grid have no weight

    return _weighted_mean(add, counts, function, eta, d)


def grid_half(prior: Prior, spread: Any) -> Any:
    """How far out the grid goes along one axis, for predictors with the standard deviation ``spread``."""
    return prior.reach + jnp.minimum(spread, _MOST_SHIFT) * _widening(prior)


def _widening(prior: Prior) -> float:
    """By how much a log link moves the weight further out than under the standard normal law: as the square of the widths of its tails."""
    return (prior.reach / STANDARD_NORMAL.reach) ** 2


def _weighted_mean(add: Callable[[Array, Any], Any], counts: Array, function: Callable[[Array, Array], Any], eta: Array, d: int) -> Any:
    """The mean of ``function`` over as many nodes as the product of ``counts``; ``add`` adds one of them to sums of weights and values."""
    shapes = jax.eval_shape(function, eta, jnp.zeros(d, eta.dtype))
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), (jax.ShapeDtypeStruct((), eta.dtype), shapes))
    weight, total = jax.lax.fori_loop(0, counts.prod(), add, zero)
    return jax.tree.map(lambda t: t / weight, total)


def population_average(function: Callable[[Array], Any], params: Params, rows: ModelRows, prior: Prior = STANDARD_NORMAL) -> Any:
    """The average over the law of the random effects of a function of linear predictors.

    Parameters
    ----------
    function : takes eta (E, n) and gives an array, or a tree of arrays, with the rows on the last axis.

    Returns
    -------
    The average over a grid of fixed size, in the shape of what ``function`` gives. Forward and reverse mode differentiate it, also where
    variances are 0.
    """
    eta, directions = predictors_at(params, rows), _directions(params, rows)
    n_dimensions = directions.shape[1]
    if n_dimensions == 0:
        return function(eta)
    nodes, weights = _rule(n_dimensions, prior)

    @jax.checkpoint
    def add(total: Any, node: tuple[Array, Array]) -> tuple[Any, None]:
        z, weight = node
        at = function(eta + jnp.tensordot(directions, z, ((1,), (0,))))
        return jax.tree.map(lambda t, v: t + weight * v, total, at), None

    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, eta))
    return jax.lax.scan(add, zero, (jnp.asarray(nodes, eta.dtype), jnp.asarray(weights, eta.dtype)))[0]


@functools.lru_cache(maxsize=4)
def _rule(n_dimensions: int, prior: Prior) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (K, d) and weights (K,), which sum to 1; corners whose weight is nothing beside the largest are left out."""
    if prior.tail_df is not None:
        return _rule_of_tails(n_dimensions, prior)
    half = prior.reach + _FIXED_SHIFT[n_dimensions] * _widening(prior)
    step = min(_FIXED_STEP[n_dimensions], 0.5 * prior.step if n_dimensions == 1 else math.inf)
    points = np.arange(-half, half + step / 2, step)
    nodes = np.stack(np.meshgrid(*[points] * n_dimensions, indexing="ij"), axis=-1).reshape(-1, n_dimensions)
    nodes = nodes[(nodes**2).sum(1) <= half**2]
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        weights = np.exp(np.asarray(prior.log_density(nodes.T)))
    return nodes, weights / weights.sum()


def _rule_of_tails(d: int, prior: Prior) -> tuple[np.ndarray, np.ndarray]:
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        x = np.arange(*_ends(prior, d), _TAIL_STEP[d])
        angle = np.arange(0.0, 2.0 * np.pi, 2.0 * np.pi / _ANGLES)[: 1 if d == 1 else _ANGLES]
        at, turned = jnp.meshgrid(jnp.asarray(x), jnp.asarray(angle), indexing="ij")
        nodes, areas = _tail_node(at.ravel(), turned.ravel(), d)
        weights = np.asarray(areas * jnp.exp(prior.log_density(nodes)))
        return np.asarray(nodes).T, weights / weights.sum()


def _directions(params: Params, rows: ModelRows) -> Array:
    """(E, d, n) slopes of the predictors in d variables of the prior's law, such that the predictors keep their distribution."""
    slopes = random_columns(params, rows)
    has_effects = [e for e, z in enumerate(rows.Z) if len(z)]
    if slopes.shape[1] <= len(has_effects):
        return slopes
    placed = jnp.zeros((slopes.shape[0], len(has_effects), slopes.shape[2]), slopes.dtype)
    first, *others = has_effects
    sd = _root((slopes[first] ** 2).sum(0))
    placed = placed.at[first, 0].set(sd)
    for second in others:  # at most one, because only the main part and the zero part have random effects
        along = (slopes[first] * slopes[second]).sum(0) / jnp.where(sd > 0, sd, 1.0)
        rest = slopes[second] - along / jnp.where(sd > 0, sd, 1.0) * slopes[first]
        placed = placed.at[second, 0].set(along).at[second, 1].set(_root((rest**2).sum(0)))
    return placed


def _root(square: Array) -> Array:
    """Square root of a sum of squares, with derivative 0 at 0, where an even function of the root has none."""
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
