"""BFGS for maximisation, one evaluation of the objective a step.

The metric starts from the scale of an EM step, so the first direction is already a good one; the line search is backtracking to
sufficient increase (Nocedal and Wright 2006, algorithms 3.1 and 6.1). With the few parameters of a mixed model the dense update
is smaller, to run and to compile, than a limited-memory one.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.linear_algebra import solve_positive
from glmmjax.estimation.objective import Evaluated, Problem
from glmmjax.estimation.starting_values import Start

__all__ = ["initial_metric", "is_sufficient", "shorten", "updated_metric"]

_SUFFICIENT_INCREASE = 1e-4


def initial_metric(problem: Problem, start: Start, theta: Array) -> Array:
    """(P, P) inverse negative Hessian to start from.

    The working model's information for all but D, and what the structure of D says of its own.
    """
    layout, dtype = problem.layout, theta.dtype
    inverse = jnp.zeros((layout.size, layout.size), dtype)
    others = jnp.array(layout.not_random, int)
    inverse = inverse.at[others[:, None], others].set(solve_positive(start.information, jnp.eye(len(others), dtype=dtype)))
    if layout.covariance.q:
        variances = layout.covariance.variances(theta[layout.random], start.moment_information, start.effect_reach)
        inverse = inverse.at[layout.random, layout.random].set(jnp.diag(variances))
    return inverse


def updated_metric(inverse: Array, step: Array, old: Evaluated, new: Evaluated) -> Array:
    """BFGS update after an accepted step; skipped where the objective was not concave along it."""
    y = old.gradient - new.gradient
    curvature = step @ y
    usable = curvature > 1e-10 * jnp.sqrt((step @ step) * (y @ y))
    rho = jnp.where(usable, 1.0 / jnp.where(usable, curvature, 1.0), 0.0)
    left = jnp.eye(step.shape[0], dtype=step.dtype) - rho * jnp.outer(step, y)
    return jnp.where(usable, left @ inverse @ left.T + rho * jnp.outer(step, step), inverse)


def is_sufficient(value: Array, new_value: Array, slope: Array) -> Array:
    """Armijo's condition for a step along which the objective rises with ``slope`` (already times the step length)."""
    return new_value >= value + _SUFFICIENT_INCREASE * slope


def shorten(value: Array, new_value: Array, slope: Array) -> Array:
    """Factor in [0.1, 0.5] for a rejected step: the maximum of the parabola through both values and the slope."""
    factor = 0.5 * slope / jnp.maximum(slope - (new_value - value), jnp.finfo(value.dtype).tiny)
    return jnp.where(jnp.isfinite(new_value), jnp.clip(factor, 0.1, 0.5), 0.1)
