"""The first-order phase of a fit: EM steps, then quasi-Newton, as one ``init`` and one ``step``.

Both kinds of step share the single evaluation of the likelihood, because every copy of the likelihood in a program costs
compile time. A step evaluates the objective at the proposed point, moves there or shortens the proposal, and proposes anew.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.objective import Evaluated, Problem, choose, evaluate
from glmmjax.estimation.phases.em import em_step
from glmmjax.estimation.phases.quasi_newton import initial_metric, is_sufficient, shorten, updated_metric
from glmmjax.estimation.starting_values import Start
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.gauss_hermite import Rule
from glmmjax.likelihood.marginal import Modes
from glmmjax.options import Options

__all__ = ["FirstOrder", "advance", "init", "step"]

_MAX_REJECTED = 20


class FirstOrder(NamedTuple):
    """State of the phase. ``theta`` and ``at`` change when a proposal is accepted, the rest at every step."""

    theta: Array  # (P,)
    at: Evaluated  # the objective at theta
    proposal: Array  # (P,) step to try next
    slope: Array  # () gradient times proposal
    inverse: Array  # (P, P) quasi-Newton metric, in use once ``in_em`` is False
    in_em: Array  # () bool
    n_em: Array  # () EM evaluations
    n_quasi_newton: Array  # () quasi-Newton evaluations
    n_rejected: Array  # () proposals rejected in a row
    is_done: Array  # () bool


def init(problem: Problem, start: Start, modes: Modes) -> FirstOrder:
    """State before the first evaluation, which takes place at ``start.theta`` and searches for modes from ``modes``."""
    theta, dtype = start.theta, start.theta.dtype
    zero, q = jnp.zeros_like(theta), problem.layout.covariance.q
    lowest = jnp.array(-jnp.inf, dtype)
    nothing = Evaluated(lowest, zero, lowest, jnp.zeros((q, q), dtype), modes, jnp.array(jnp.inf, dtype))
    count = jnp.zeros((), jnp.int32)
    inverse = initial_metric(problem, start, theta)
    return FirstOrder(theta, nothing, zero, jnp.zeros((), dtype), inverse, jnp.array(True), count, count, count, jnp.array(False))


def step(problem: Problem, options: Options, start: Start, s: FirstOrder, buckets: tuple[Bucket, ...], rule: Rule) -> FirstOrder:
    """One evaluation of value and gradient, and what follows from it."""
    return advance(problem, options, start, s, evaluate(problem, s.theta + s.proposal, buckets, rule, s.at.modes))


def advance(problem: Problem, options: Options, start: Start, s: FirstOrder, new: Evaluated) -> FirstOrder:
    """What follows from the evaluation ``new`` at the proposed point."""
    theta = s.theta + s.proposal
    is_first = (s.n_em + s.n_quasi_newton) == 0
    enough = jnp.where(s.in_em, new.value >= s.at.value, is_sufficient(s.at.value, new.value, s.slope))
    accepted = jnp.isfinite(new.value) & jnp.all(jnp.isfinite(new.gradient)) & (enough | is_first)

    n_em = s.n_em + s.in_em
    gain = new.value - s.at.value
    leave_em = s.in_em & ((n_em >= options.n_em) | (accepted & ~is_first & (gain < options.em_gain * start.total_weight)))
    at = choose(accepted, new, s.at)
    theta = jnp.where(accepted, theta, s.theta)
    # the last EM step tells of the curvature along it, as every quasi-Newton step does
    metric = jnp.where(leave_em, initial_metric(problem, start, theta), s.inverse)
    learns = accepted & ~is_first & (leave_em | ~s.in_em)
    inverse = jnp.where(learns, updated_metric(metric, s.proposal, s.at, new), metric)
    in_em = s.in_em & ~leave_em

    direction = jnp.where(in_em, em_step(problem, start, theta, at), inverse @ at.gradient)
    proposal = jnp.where(accepted | leave_em, direction, s.proposal * shorten(s.at.value, new.value, s.slope))
    slope = at.gradient @ proposal
    n_rejected = jnp.where(accepted | leave_em, 0, s.n_rejected + 1)
    n_quasi_newton = s.n_quasi_newton + ~s.in_em
    is_small = ~in_em & accepted & (0.5 * slope < options.quasi_newton_gain)
    stop = is_small | (n_rejected > _MAX_REJECTED) | (n_quasi_newton >= options.n_quasi_newton) | (is_first & ~accepted)
    return FirstOrder(theta, at, proposal, slope, inverse, in_em, n_em, n_quasi_newton, n_rejected, stop)
