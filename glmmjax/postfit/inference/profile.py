r"""Profile-likelihood limits of all parameters that are reported, both sides, in one compiled run.

The limits of a parameter c are the two values where the maximum of the objective l over all other parameters lies
:math:`\chi^2_1(level) / 2` below its maximum. Every point on such a profile satisfies :math:`\nabla l = \lambda \nabla c`, so a side is
one search for the root of

.. math:: \nabla l(\theta) = \lambda \nabla c(\theta), \qquad l(\theta) = l_{max} - \tfrac12 \chi^2_1(level)

with exact gradients and Hessians (Venzon and Moolgavkar 1988, Applied Statistics 37, 87-94). The search follows the profile. At every
point a quadratic model on the surface c = constant gives value, slope and curvature of the profile, and these give the step. A trust
region keeps the steps where the model holds. The equations are verified at the end.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ConvergenceWarning, warn_caller
from glmmjax.estimation.evaluators.choice import is_small
from glmmjax.estimation.objective import evaluate_with_hessian
from glmmjax.estimation.xla.compiler_options import platform_in_force, quick_to_compile, quick_to_run
from glmmjax.estimation.xla.program import Program
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.marginal import Modes, start_modes
from glmmjax.likelihood.rule import Rule
from glmmjax.postfit.uncertainty.link_intervals import normal_quantile
from glmmjax.postfit.uncertainty.parameters import Reported, estimates, natural_values, working_values
from glmmjax.postfit.uncertainty.random_covariance import spread

__all__ = ["profile_limits"]

_MAX_EVALUATIONS = 80
_SOLVED = 1e-7  # log-likelihood units in which the equations must hold
_ACCEPTED = 1e-4  # those in which a limit is still returned
_LARGEST_STEP = 4.0  # standard errors
_SMALLEST_STEP = 1e-4
_LARGEST_CHANGE = 0.7  # in one step, of log sd or atanh of a correlation
_FLOOR = 1e-3  # least curvature across the profile in a step, relative to that at the maximum
_FLAT = 0.02  # slope, per standard error, below which the rest of the drop is out of reach
_EDGE = (9.0, 7.6)  # distance of log sd from its estimate, and |atanh| of a correlation, that count as the boundary


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


class _Setting(NamedTuple):
    """Values that all searches of a fit share."""

    centre: Any  # (P,) the estimates
    scale: Any  # (P, P) of the coordinates x
    target: Any  # () objective at a limit
    buckets: tuple[Bucket, ...]
    rule: Rule


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


def profile_limits(fitted: FittedModel, parameters: Reported, chosen: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """(k,) lower and (k,) upper limits, as they are reported, of the parameters with the numbers ``chosen``.

    Where the profile does not drop far enough, a limit is the edge of the parameter space: 0 for a standard deviation, -1 or 1 for a
    correlation, infinite for others. NaN for a limit that was not found, with a warning.

    Raises
    ------
    RowsNotKeptError
        For a streamed fit.

    Warns
    -----
    ConvergenceWarning
        Naming the parameters whose limits were not found.
    """
    target = fitted.objective - 0.5 * normal_quantile(level) ** 2
    known = estimates(fitted, parameters)
    scale = _scale(fitted)
    starts = _starts(fitted, scale)
    sides = _sides(parameters, chosen, known, starts)
    buckets, q = fitted.design.clusters.buckets, parameters.problem.layout.covariance.q
    with jax.enable_x64(True):
        setting = _Setting(fitted.theta, scale, np.float64(target), buckets, fitted.quadrature.padded(q, parameters.problem.prior))
        run = _program(is_small(fitted.problem, buckets, fitted.n_agq), platform_in_force())
        found = run(parameters, setting, sides, start_modes(buckets, q))
    shape = (len(starts), 2, len(known))
    c, misfit, is_flat = (np.asarray(values).reshape(shape) for values in (found.c, found.misfit, found.is_flat))
    edges = np.where(is_flat, _edges(parameters), np.nan)
    limits = np.where(misfit < _ACCEPTED, natural_values(parameters, c, fitted.theta), edges)
    lower, upper = _at_the_boundary(fitted, parameters, known, _outermost(limits))[:, chosen]
    _report_missing(parameters, chosen, lower, upper)
    return lower, upper


def _outermost(limits: np.ndarray) -> np.ndarray:
    """(2, k) outermost of the limits (starts, 2, k), because a profile is the highest of its branches. NaN where no search ended."""
    lower, upper = limits[:, 0], limits[:, 1]
    swap = lower > upper  # by a decreasing transformation
    return np.stack([np.fmin.reduce(np.where(swap, upper, lower)), np.fmax.reduce(np.where(swap, lower, upper))])


def _sides(parameters: Reported, chosen: np.ndarray, known: np.ndarray, starts: np.ndarray) -> Side:
    """For each start the lower sides of all parameters, then the upper ones. One program then serves every choice of parameters."""
    numbers, kinds, is_correlation = np.arange(len(known)), np.array(parameters.kinds), _is_correlation(parameters)
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(np.abs(known)), -50.0)
    lowest = np.where(kinds == "random", np.where(is_correlation, -_EDGE[1], logs - _EDGE[0]), -np.inf)
    highest = np.where(is_correlation, _EDGE[1], np.inf)
    sign = np.where(np.isin(numbers, chosen), 1.0, 0.0)
    reach = np.where(kinds == "random", _LARGEST_CHANGE, np.inf)
    one = (np.tile(numbers, 2), np.concatenate([-sign, sign]), np.concatenate([lowest, highest]), np.tile(reach, 2))
    many: Any = (np.repeat(starts, 2 * len(known), axis=0), *(np.tile(values, len(starts)) for values in one))
    return Side(*many)


def _is_correlation(parameters: Reported) -> np.ndarray:
    """(N,) bool"""
    numbers = np.arange(len(parameters.kinds)) - parameters.problem.layout.p - parameters.problem.layout.covariance.q
    return (numbers >= 0) & (numbers < len(parameters.pairs))


def _edges(parameters: Reported) -> np.ndarray:
    """(2, N) ends of the parameter space."""
    working = np.full((2, len(parameters.kinds)), [[-np.inf], [np.inf]])  # log sd, atanh of a correlation
    return natural_values(parameters, working, np.zeros(parameters.problem.layout.size))


def _scale(fitted: FittedModel) -> np.ndarray:
    """(P, P) coordinates in which the information at the maximum is the identity, in directions that have information."""
    diagonal = 1.0 / np.sqrt(np.maximum(np.abs(np.diagonal(fitted.information)), 1e-300))
    values, vectors = np.linalg.eigh(fitted.information * diagonal[:, None] * diagonal)
    return diagonal[:, None] * vectors / np.sqrt(np.maximum(values, 1e-6))


def _starts(fitted: FittedModel, scale: np.ndarray) -> np.ndarray:
    """(starts, P) first points: the maximum, or two beside a singular D, where standard deviations and correlations have derivatives.

    Beside a singular D the profile can have two branches, with D on the boundary and inside; the nearer and the farther point find both.
    """
    if not fitted.is_singular:
        return np.zeros((1, len(scale)))
    reach, deviations = fitted.design.random_reach, spread(fitted).deviations
    size = np.where(deviations * reach < 1e-4, 1.0 / np.maximum(reach, 1e-300), deviations)
    structure, free = fitted.design.covariance, fitted.problem.layout.random
    moves = np.zeros((2, len(scale)))
    for move, distance in zip(moves, (0.1, 0.5), strict=True):
        chol = np.array(fitted.params.chol)
        chol[np.diag_indices_from(chol)] = np.maximum(np.diagonal(chol), distance * size)
        with jax.enable_x64(True):
            move[free] = np.asarray(structure.free(jnp.asarray(chol))) - fitted.theta[free]
    return np.linalg.solve(scale, moves.T).T


def _at_the_boundary(fitted: FittedModel, parameters: Reported, known: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The limits (2, N), completed for estimates that lie on the boundary."""
    if not fitted.is_singular:
        return limits
    is_correlation, reach = _is_correlation(parameters), np.zeros(len(known))
    reach[parameters.problem.layout.p :][: len(fitted.design.random_reach)] = fitted.design.random_reach
    lower, upper = limits
    lower = np.where((reach > 0) & (known * reach < 1e-4), 0.0, np.where(is_correlation & (known < 1e-7 - 1.0), -1.0, lower))
    upper = np.where(is_correlation & (known > 1.0 - 1e-7), 1.0, upper)
    return np.where(np.isnan(known), np.nan, np.stack([lower, upper]))


def _report_missing(parameters: Reported, chosen: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
    lost = [parameters.labels[k] for k, is_lost in zip(chosen, np.isnan(lower + upper), strict=True) if is_lost]
    if lost:
        text = (
            f"no profile limit was found on one side or both for {', '.join(lost)}: the equations of the limit were not solved from the "
            "estimates. Try method='bootstrap' for these, or method='wald'."
        )
        warn_caller(text, ConvergenceWarning)


@functools.cache
def _program(small: bool, platform: str) -> Any:
    """``_searches``, compiled quickly for small data and to run quickly for large data."""
    return Program(_searches, (0,), functools.partial(quick_to_compile if small else quick_to_run, platform))


def _searches(parameters: Reported, setting: _Setting, sides: Side, modes: Modes) -> Search:
    """The searches of all sides, one after the other."""

    def search(side: Side) -> Search:
        zero, count, no = jnp.zeros(()), jnp.zeros((), jnp.int32), jnp.array(False)
        first = (side.start, jnp.zeros_like(side.start), zero, zero, zero, zero + 2.0, modes)
        state = Search(*first, n=count, is_solved=side.sign == 0, is_flat=no, misfit=zero + jnp.inf, c=zero + jnp.nan)
        unfinished = lambda s: (s.n < _MAX_EVALUATIONS) & ~s.is_solved & ~s.is_flat & (s.radius > _SMALLEST_STEP)  # noqa: E731
        advance = lambda s: _advance(parameters, setting, side, s)  # noqa: E731
        return jax.lax.while_loop(unfinished, advance, state)._replace(modes=())

    return jax.lax.map(search, sides)


def _advance(parameters: Reported, setting: _Setting, side: Side, s: Search) -> Search:
    """Evaluate at the end of the step, accept the point or shorten the step, and choose the next one."""
    centre, scale, target = setting.centre, setting.scale, setting.target
    x = s.x + s.step
    at, hessian = evaluate_with_hessian(parameters.problem, centre + scale @ x, setting.buckets, setting.rule, s.modes)
    of_x = lambda x: working_values(parameters, centre + scale @ x)[side.number]  # noqa: E731
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
