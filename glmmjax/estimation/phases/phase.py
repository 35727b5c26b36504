"""What the phases of an ascent have in common, and the compiled loop that runs any of them.

A phase never evaluates the likelihood. Its state holds ``theta`` (P,), the best point so far, ``at``, the objective there, ``proposal``
(P,), ``is_done`` (), and what its own next step needs. Whoever runs the phase evaluates at ``theta + proposal``; ``step`` decides from the
result whether to move, and proposes the point after that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.objective import Evaluated, FitSettings, Integral
from glmmjax.estimation.starting_values import Start

__all__ = ["Info", "Phase", "run_phase"]


class Info(NamedTuple):
    """Diagnostics of a step; no later step needs them.

    Attributes
    ----------
    is_accepted : () bool: ``theta`` has moved to the proposed point
    """

    is_accepted: Array


class Phase(NamedTuple):
    """One phase, as functions; static under ``jit``.

    Attributes
    ----------
    likelihood : evaluates what a step needs: (problem, theta, buckets, rule, modes, spans) -> found
    step : from (settings, start, state, found)
    follow : gives what comes after the phase: the first state of the next one, or the code of a finished fit
    progress : takes a state and gives the name of the phase and its number of evaluations, for people
    """

    likelihood: Callable[..., tuple[Evaluated, Any]]
    step: Callable[[FitSettings, Start, Any, tuple[Evaluated, Any]], tuple[Any, Info]]
    follow: Callable[[FitSettings, Start, Any], Any]
    progress: Callable[[Any], tuple[str, int]]


def run_phase(phase: Phase, settings: FitSettings, start: Start, state: Any, integral: Integral, max_steps: Any = None) -> tuple[Any, Any]:
    """At most ``max_steps`` steps from ``state``, or all of the phase; the new state, and what follows a phase that ends there."""
    buckets, rule = integral

    def step(s: Any) -> Any:
        return phase.step(settings, start, s, phase.likelihood(settings.problem, s.theta + s.proposal, buckets, rule, s.at.modes))[0]

    if max_steps is None:
        state = jax.lax.while_loop(lambda s: ~s.is_done, step, state)
    else:
        unfinished = lambda c: (c[0] < max_steps) & ~c[1].is_done  # noqa: E731
        _, state = jax.lax.while_loop(unfinished, lambda c: (c[0] + 1, step(c[1])), (jnp.zeros((), jnp.int32), state))
    return state, phase.follow(settings, start, state)
