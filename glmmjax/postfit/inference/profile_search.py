r"""The search for one profile-likelihood limit, and the compiled run of all of them.

Every point on the profile of a parameter c satisfies :math:`\nabla l = \lambda \nabla c`, so a limit is one search for the root of

.. math:: \nabla l(\theta) = \lambda \nabla c(\theta), \qquad l(\theta) = l_{max} - \tfrac12 \chi^2_1(level)

with exact gradients and Hessians (Venzon and Moolgavkar 1988, Applied Statistics 37, 87-94). The search follows the profile. At every
point a quadratic model on the surface c = constant gives value, slope and curvature of the profile, and these give the step. A trust
region keeps the steps where the model holds. The equations are verified at the end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.objective import evaluate_with_hessian
from glmmjax.estimation.xla.program import as_program
from glmmjax.likelihood.block_sums import Modes, start_modes
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.rule import Rule
from glmmjax.postfit.uncertainty.parameters import Scales, working_values

__all__ = ["Search", "Setting", "Side", "searches"]

_MAX_EVALUATIONS = 80
_SOLVED = 1e-7  # log-likelihood units in which the equations must hold
_LARGEST_STEP = 4.0  # standard errors
_SMALLEST_STEP = 1e-4
_FLOOR = 1e-3  # least curvature across the profile in a step, relative to that at the maximum
_FLAT = 0.02  # slope, per standard error, below which the rest of the drop is out of reach


class Search(NamedTuple):
    """The search for one limit, in the scaled coordinates x with theta = centre + scale x.

    Attributes
    ----------
    x : (P,) the last point accepted
    step : (P,) to the next point
    value : () objective at x
    rise : () change of the objective along the step, to first order
    bend : () second-order term of that change
    radius : () of the trust region
    modes : conditional modes at x, where the next search for modes starts
    n : () number of evaluations
    is_solved : () bool: whether the equations hold at x
    is_flat : () bool: the profile is flat, or at the boundary, before it has dropped far enough
    misfit : () error of the equations at x, in log-likelihood units
    c : () the parameter at x, on its working scale
    """

    x: Array
    step: Array
    value: Array
    rise: Array
    bend: Array
    radius: Array
    modes: Modes
    n: Array
    is_solved: Array
    is_flat: Array
    misfit: Array
    c: Array


class Setting(NamedTuple):
    """Values that all searches of a fit share.

    Attributes
    ----------
    centre : (P,) the estimates
    scale : (P, P) of the coordinates x
    target : () objective at a limit
    buckets : blocks of clusters
    rule : nodes and log weights
    is_real : (P,) bool: False for padding of theta
    """

    centre: Any
    scale: Any
    target: Any
    buckets: tuple[Bucket, ...]
    rule: Rule
    is_real: Any


class Side(NamedTuple):
    """The limit that a search looks for.

    Attributes
    ----------
    start : (P,) first point
    number : () number of the parameter
    sign : () -1 for the lower limit, 1 for the upper, 0 for a limit that was not asked for
    edge : () value of the parameter on the working scale that counts as the boundary
    reach : () largest change of the parameter in one step, working scale: a larger one could pass through the boundary
    """

    start: Array
    number: Array
    sign: Array
    edge: Array
    reach: Array


class _QuadraticModel(NamedTuple):
    """The quadratic model of the profile around a point: ``peak + slope h + curvature h^2 / 2`` after the step ``across + along h``."""

    across: Array  # (P,) step to the top of the surface of constant c
    along: Array  # (P,) direction in which the profile goes on from there, with a part of length 1 along the gradient of c
    gain: Array  # () that is left on the surface
    peak: Array  # ()
    slope: Array  # ()
    curvature: Array  # ()
    is_top: Array  # () bool: whether the surface curves down in every direction
    size: Array  # () change of c with h


@as_program(0)
def searches(scales: Scales, setting: Setting, sides: Side) -> Search:
    """The searches of all sides, one after the other."""
    modes = start_modes(setting.buckets, scales.problem.layout.covariance.q)

    def search(side: Side) -> Search:
        zero, count, no = jnp.zeros(()), jnp.zeros((), jnp.int32), jnp.array(False)
        first = (side.start, jnp.zeros_like(side.start), zero, zero, zero, zero + 2.0, modes)
        state = Search(*first, n=count, is_solved=side.sign == 0, is_flat=no, misfit=zero + jnp.inf, c=zero + jnp.nan)
        unfinished = lambda s: (s.n < _MAX_EVALUATIONS) & ~s.is_solved & ~s.is_flat & (s.radius > _SMALLEST_STEP)  # noqa: E731
        advance = lambda s: _advance(scales, setting, side, s)  # noqa: E731
        return jax.lax.while_loop(unfinished, advance, state)._replace(modes=())

    return jax.lax.map(search, sides)


def _advance(scales: Scales, setting: Setting, side: Side, s: Search) -> Search:
    """Evaluate at the end of the step, accept the point or shorten the step, and choose the next one."""
    centre, scale, target = setting.centre, setting.scale, setting.target
    x = s.x + s.step
    at, hessian = evaluate_with_hessian(scales.problem, centre + scale @ x, setting.buckets, setting.rule, s.modes, setting.is_real)
    of_x = lambda x: working_values(scales, centre + scale @ x)[side.number]  # noqa: E731
    c, normal, bend = of_x(x), jax.grad(of_x)(x), jax.hessian(of_x)(x)
    finite = jnp.isfinite(at.value) & jnp.all(jnp.isfinite(hessian)) & jnp.isfinite(c) & jnp.all(jnp.isfinite(bend))
    length = jnp.sqrt((s.step**2).sum())
    error = jnp.abs(at.value - s.value - s.rise - s.bend)
    allowed = 0.5 * jnp.maximum(0.5 * length**2, jnp.abs(s.rise + s.bend)) + 1e-9 * (1.0 + jnp.abs(target))
    accepted = finite & ((error <= allowed) | (s.n == 0))
    model = _model(at.value, scale.T @ at.gradient, -scale.T @ hessian @ scale, normal, bend)
    radius = jnp.where(accepted, jnp.where(error < 0.2 * allowed, jnp.minimum(2.0 * s.radius, _LARGEST_STEP), s.radius), 0.4 * length)
    above = model.peak - target  # how far the profile is above the target
    step = _next_step(model, above, side.sign, radius, side.reach)
    move = scale @ step
    rise, fall = move @ at.gradient, 0.5 * move @ hessian @ move
    misfit = jnp.where(model.is_top & (model.slope * side.sign < 0), jnp.maximum(jnp.abs(above), model.gain), jnp.inf)
    is_far = (x**2).sum() > 1.5**2
    is_out = (model.gain < 0.1) & (above > 0) & is_far & ((jnp.abs(model.slope) < _FLAT * above) | ((c - side.edge) * side.sign > 0))
    new = Search(x, step, at.value, rise, fall, radius, at.modes, s.n + 1, misfit < _SOLVED, is_out, misfit, c)
    shorter = s._replace(step=0.4 * s.step, rise=0.4 * s.rise, bend=0.16 * s.bend, radius=radius, n=s.n + 1)
    return jax.tree.map(lambda a, b: jnp.where(accepted, a, b), new, shorter)


def _model(value: Array, gradient: Array, information: Array, normal: Array, bend: Array) -> _QuadraticModel:
    """The model, from the derivatives of the objective (``information`` is the negative Hessian) and of the parameter."""
    size = jnp.sqrt((normal**2).sum())
    n = normal / size
    bordered = information + (n @ gradient / size) * bend  # of the Lagrangian
    project = jnp.eye(len(n)) - jnp.outer(n, n)
    values, vectors = jnp.linalg.eigh(project @ bordered @ project + jnp.outer(n, n))
    inverse = project @ (vectors / jnp.maximum(jnp.abs(values), _FLOOR) @ vectors.T) @ project
    across, along = inverse @ gradient, n - inverse @ (bordered @ n)
    falling = gradient - information @ across
    peak = value + 0.5 * (gradient + falling) @ across
    return _QuadraticModel(across, along, 0.5 * gradient @ across, peak, falling @ along, -along @ information @ along, values[0] > 0, size)


def _next_step(model: _QuadraticModel, above: Array, sign: Array, radius: Array, reach: Array) -> Array:
    """The step to the point where the model reaches the target, inside the trust region."""
    longest = jnp.minimum(radius, reach / model.size)
    inside = model.slope**2 - 2.0 * model.curvature * above
    down = -model.slope + sign * jnp.sqrt(jnp.maximum(inside, 0.0))
    h = jnp.where(down * sign > 0, 2.0 * above / jnp.where(down * sign > 0, down, 1.0), sign * radius)
    h = jnp.where((inside < 0) & (above > 0), sign * radius, h)  # the model never falls to the target, the profile may
    h = jnp.where(model.gain > 0.5, 0.0, jnp.clip(h, -longest, longest))
    step = model.across + model.along * h
    return step * jnp.minimum(1.0, radius / jnp.sqrt((step**2).sum() + 1e-300))
