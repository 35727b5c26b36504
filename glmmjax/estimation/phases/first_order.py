"""The first-order phase of a fit: EM steps, then quasi-Newton, as one ``init`` and one ``step``.

Both kinds of step share one evaluation of the likelihood, because every copy of the likelihood in a program costs compile time. A step
moves to the proposed point or shortens the proposal; ``em`` and ``quasi_newton`` are the two rules that make the next proposal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.estimation.objective import Evaluated, FitSettings, Problem, choose, penalised, rounding
from glmmjax.estimation.phases.em import em_step
from glmmjax.estimation.phases.limited_memory import empty_memory, remembered
from glmmjax.estimation.phases.phase import Info
from glmmjax.estimation.phases.quasi_newton import initial_metric, is_sufficient, shorten, updated_metric
from glmmjax.estimation.starting_values import Start
from glmmjax.likelihood.block_sums import Modes, start_modes
from glmmjax.likelihood.cluster_sums import N_SIGNED
from glmmjax.likelihood.clusters import Bucket
from glmmjax.options import Options

__all__ = ["Begun", "FirstOrderState", "begin", "init", "moved", "prepared", "progress", "step", "with_metric"]

_MAX_REJECTED = 20
_RETREAT = 0.2  # of the way to the fallback that is left after a first point without a value
_MAX_RETREATS = 4  # the last is to the fallback itself


class FirstOrderState(NamedTuple):
    """State of the phase. ``theta`` and ``at`` change when a proposal is accepted, the rest at every step.

    Attributes
    ----------
    theta : (P,) the best point so far
    at : the objective at theta
    proposal : (P,) step to try next
    slope : () gradient times proposal
    inverse : (P, P) quasi-Newton metric, in use once ``in_em`` is False; of L-BFGS the one in which it begins
    in_em : () bool: the next proposal is an EM step
    n_em : () EM evaluations
    n_quasi_newton : () quasi-Newton evaluations
    n_rejected : () proposals rejected in a row
    is_done : () bool: the phase has ended
    memory : of L-BFGS; () for the dense update
    """

    theta: Any
    at: Evaluated
    proposal: Any
    slope: Any
    inverse: Any
    in_em: Any
    n_em: Any
    n_quasi_newton: Any
    n_rejected: Any
    is_done: Any
    memory: Any = ()


class Begun(NamedTuple):
    """Where an ascent begins.

    Attributes
    ----------
    start : starting values and the scale of theta
    state : of the first-order phase, before its first evaluation
    """

    start: Start
    state: FirstOrderState


def begin(problem: Problem, start: Start, buckets: tuple[Bucket, ...]) -> Begun:
    """``start``, and the state before the first evaluation. The first search for modes begins at zero."""
    return Begun(start, init(problem, start, start_modes(buckets, problem.layout.covariance.q)))


def init(problem: Problem, start: Start, modes: Modes) -> FirstOrderState:
    """State before the first evaluation, which takes place at ``start.theta`` and searches for modes from ``modes``."""
    theta, dtype = start.theta, start.theta.dtype
    zero, q = jnp.zeros_like(theta), problem.layout.covariance.q
    lowest = jnp.array(-jnp.inf, dtype)
    unsigned, flat = jnp.zeros(N_SIGNED, dtype), jnp.zeros((q, q), dtype)
    nothing = Evaluated(lowest, zero, lowest, unsigned, flat, modes, jnp.array(jnp.inf, dtype))
    count = jnp.zeros((), jnp.int32)
    inverse = initial_metric(problem, start, theta)
    return FirstOrderState(theta, nothing, zero, jnp.zeros((), dtype), inverse, jnp.array(True), count, count, count, jnp.array(False))


def moved(s: FirstOrderState, theta: Any, modes: Modes) -> FirstOrderState:
    """``s``, a state before the first evaluation, moved to ``theta`` (P,) and to ``modes``, where the search for modes begins."""
    return s._replace(theta=theta, at=s.at._replace(modes=modes))


def with_metric(s: FirstOrderState, inverse: Any) -> FirstOrderState:
    """``s`` without EM steps: quasi-Newton from the first evaluation, by the metric ``inverse`` (P, P)."""
    return s._replace(inverse=inverse, in_em=np.bool_(False))


def prepared(options: Options, begun: Begun) -> Begun:
    """``begun`` with the memory that ``options.optimizer`` needs."""
    theta = begun.state.theta
    memory = empty_memory(len(theta), theta.dtype) if options.optimizer == "lbfgs" else ()
    return begun._replace(state=begun.state._replace(memory=memory))


def progress(s: FirstOrderState) -> tuple[str, int]:
    """Name and evaluations of the phase, for people."""
    return "EM" if s.in_em else "quasi-Newton", int(s.n_em) + int(s.n_quasi_newton)


def step(settings: FitSettings, start: Start, s: FirstOrderState, found: tuple[Evaluated, None]) -> tuple[FirstOrderState, Info]:
    """The next state, from the log-likelihood ``found`` at the proposed point."""
    problem, options, theta = settings.problem, settings.options, s.theta + s.proposal
    new, _ = penalised(problem, theta, found, start.is_real, start.penalty)
    is_first = jnp.isneginf(s.at.value)
    enough = jnp.where(s.in_em, new.value >= s.at.value, is_sufficient(s.at.value, new.value, s.slope))
    accepted = jnp.isfinite(new.value) & jnp.all(jnp.isfinite(new.gradient)) & (enough | is_first)

    n_em = s.n_em + s.in_em
    gain = new.value - s.at.value
    leave_em = s.in_em & ((n_em >= options.n_em) | (accepted & ~is_first & (gain < options.em_gain * start.total_weight)))
    at = choose(accepted, new, s.at)
    theta = jnp.where(accepted, theta, jnp.where(is_first, _retreated(start, s), s.theta))
    # the last EM step shows the curvature along it, as every quasi-Newton step does
    metric = jnp.where(leave_em, initial_metric(problem, start, theta), s.inverse)
    learns = accepted & ~is_first & (leave_em | ~s.in_em)
    in_em = s.in_em & ~leave_em
    inverse, memory, uphill = _uphill(s, metric, learns, theta, at)
    memory = jax.tree.map(lambda after, before: jnp.where((accepted | leave_em) & ~in_em, after, before), memory, s.memory)

    direction = jnp.where(in_em, em_step(problem, start, theta, at), uphill)
    proposal = jnp.where(accepted | leave_em, direction, s.proposal * shorten(s.at.value, new.value, s.slope))
    slope = at.gradient @ proposal
    n_rejected = jnp.where(accepted | leave_em, 0, s.n_rejected + 1)
    n_quasi_newton = s.n_quasi_newton + ~s.in_em
    is_small = ~in_em & accepted & (0.5 * slope < options.quasi_newton_gain)
    is_unseen = ~s.in_em & ~accepted & ~is_first & (0.5 * s.slope < rounding(s.at.value))  # the exact Hessian needs no rise to go on
    stop = (
        is_small
        | is_unseen
        | (n_rejected > _MAX_REJECTED)
        | (n_quasi_newton >= options.n_quasi_newton)
        | (is_first & (n_rejected > _MAX_RETREATS))
    )
    state = FirstOrderState(theta, at, proposal, slope, inverse, in_em, n_em, n_quasi_newton, n_rejected, stop, memory)
    return state, Info(accepted)


def _uphill(s: FirstOrderState, metric: Array, learns: Array, theta: Array, at: Evaluated) -> tuple[Array, Any, Array]:
    """The metric and the memory after a step to ``theta``, and the direction (P,) from there."""
    if not s.memory:
        inverse = jnp.where(learns, updated_metric(metric, s.proposal, s.at, at), metric)
        return inverse, (), inverse @ at.gradient
    return metric, *remembered(s.memory, metric, theta, at.gradient)


def _retreated(start: Start, s: FirstOrderState) -> Array:
    """(P,) the next first point after one without a value: nearer to the GLM with a small D."""
    part = start.fallback + _RETREAT * (s.theta - start.fallback)
    return jnp.where((s.n_rejected + 1 < _MAX_RETREATS) & jnp.all(jnp.isfinite(part)), part, start.fallback)
