"""The jit boundary of a fit from Python: the programs that are compiled, and how.

``begin`` finds starting values. Small data: ``run_phase`` runs up to a number of steps of a phase that is decided at each call. Large
data: ``evaluate`` and ``evaluate_with_hessian`` give the log-likelihood of parts of the data, which run side by side or one after the
other, and ``step`` makes one step of a phase from their sum. The number of quadrature points is an argument too, so the same programs
serve every ``n_agq`` and the finer rule that judges the result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.estimation.objective import Evaluated, FitSettings, Integral, Problem, likelihood_with_gradient, likelihood_with_hessian
from glmmjax.estimation.phases import first_order
from glmmjax.estimation.phases.first_order import Begun
from glmmjax.estimation.phases.newton import NewtonState
from glmmjax.estimation.phases.phase import Info, Phase, run_phase
from glmmjax.estimation.sequence import FIRST_ORDER, NEWTON
from glmmjax.estimation.starting_values import Start, starting_values
from glmmjax.estimation.xla.compiler_options import platform_in_force, quick_to_compile, quick_to_run, run_once
from glmmjax.estimation.xla.precompile import like
from glmmjax.estimation.xla.program import as_program
from glmmjax.likelihood.clusters import Bucket

__all__ = ["Given", "Programs", "begin_fit", "given_theta", "gives", "programs"]

Traces = TypeVar("Traces", bound=Callable[..., Iterator[Any]])


class Given(NamedTuple):
    """Starting values from outside, in the form that a compiled program takes.

    Attributes
    ----------
    theta : (P,) starting values in the free vector
    is_used : () bool: False finds starting values from the data instead
    is_real : (P,) bool: False for padding of theta
    """

    theta: Any
    is_used: Any
    is_real: Any


def gives(n: int) -> Callable[[Traces], Traces]:
    """Say beside a function that traces programs how many they are: who waits for them wants to know."""

    def say(function: Traces) -> Traces:
        function.n_programs = n  # type: ignore[attr-defined]
        return function

    return say


class Programs(NamedTuple):
    """Jitted functions; see the functions of this file for what they take and give.

    Attributes
    ----------
    begin : starting values, and the state that a fit begins in
    run_phase : steps of a phase, evaluations included
    evaluate : log-likelihood and gradient of a part of the data
    evaluate_with_hessian : the same with the Hessian
    step : one step of a phase from an evaluation made elsewhere
    resume : where quasi-Newton on all data begins after a fit to a part
    """

    begin: Any
    run_phase: Any
    evaluate: Any
    evaluate_with_hessian: Any
    step: Any
    resume: Any

    @gives(3)
    def traced(self, settings: FitSettings, integral: Integral) -> Iterator[Any]:
        """The programs of a small fit; those that take longest to compile come first."""
        begin = self.begin.trace(settings.problem, integral.buckets, given_theta(settings.problem, None))
        yield begin
        start, state = like(first_order.prepared(settings.options, begin.out_info), integral.buckets)
        end = like(jax.eval_shape(functools.partial(FIRST_ORDER.follow, settings), start, state), integral.buckets)
        yield self.run_phase.trace(NEWTON, settings, start, end, integral, np.int32(1))
        yield self.run_phase.trace(FIRST_ORDER, settings, start, state, integral, np.int32(1))

    @gives(6)
    def traced_in_parts(self, settings: FitSettings, begin_with: tuple[Bucket, ...], integral: Integral, part: Any) -> Iterator[Any]:
        """The programs of a large fit that begins with the blocks ``begin_with``; ``part`` has the modes and spans of one part."""
        problem, (buckets, rule), (modes, spans), theta = settings.problem, integral, part, np.zeros(settings.problem.layout.size)
        yield from self.traced_hessian(settings, integral, part)
        yield self.evaluate.trace(problem, theta, buckets, rule, modes, spans)
        begin = self.begin.trace(problem, begin_with, given_theta(problem, None))
        yield begin
        start, state = like(first_order.prepared(settings.options, begin.out_info), begin_with)
        state = state._replace(at=state.at._replace(modes=()))
        yield self.step.trace(FIRST_ORDER, settings, start, state, (state.at, None))
        end = like(jax.eval_shape(functools.partial(FIRST_ORDER.follow, settings), start, state), begin_with)
        yield self.step.trace(NEWTON, settings, start, end, (state.at, end.hessian))
        yield self.resume.trace(problem, start, end, np.float64(1))

    @gives(1)
    def traced_hessian(self, settings: FitSettings, integral: Integral, part: Any) -> Iterator[Any]:
        """The one program that a large fit needs for another kind of rule."""
        problem, (buckets, rule), (modes, spans) = settings.problem, integral, part
        yield self.evaluate_with_hessian.trace(problem, np.zeros(problem.layout.size), buckets, rule, modes, spans)


def programs(is_small: bool, is_light: bool = False) -> Programs:
    """The programs for small data, where the user waits for the compiler, or for large data; on the platform in force.

    Where an evaluation ``is_light``, most fits are made a few times and compiling is most of their time: their phases are compiled without
    optimisation first.
    """
    platform = platform_in_force()
    return _light_programs(platform) if is_light else _programs(is_small, platform)


@functools.cache
def _programs(is_small: bool, platform: str) -> Programs:
    once = functools.partial(as_program, compiler_options=functools.partial(run_once, platform))
    often = functools.partial(as_program, compiler_options=functools.partial(quick_to_compile if is_small else quick_to_run, platform))
    return Programs(
        begin=once(0)(begin_fit),
        run_phase=often((0, 1))(run_phase),
        evaluate=often(0)(likelihood_with_gradient),
        evaluate_with_hessian=often(0)(likelihood_with_hessian),
        step=once((0, 1))(_step),
        resume=once(0)(_resume),
    )


@functools.cache
def _light_programs(platform: str) -> Programs:
    once, later = functools.partial(run_once, platform), functools.partial(quick_to_compile, platform)
    return _programs(True, platform)._replace(run_phase=as_program((0, 1), once, later)(run_phase))


def given_theta(problem: Problem, initial: np.ndarray | None, is_real: np.ndarray | None = None) -> Given:
    """``initial`` (P,), or None for starting values from the data; ``is_real`` (P,), or None for a theta without padding."""
    theta = np.zeros(problem.layout.size) if initial is None else np.asarray(initial, float)
    return Given(theta, np.bool_(initial is not None), np.ones(theta.shape, bool) if is_real is None else is_real)


def begin_fit(problem: Problem, buckets: tuple[Bucket, ...], given: Given) -> Begun:
    """Starting values, ``given`` in place of their theta where that is used, and the state that a fit begins in."""
    start = starting_values(problem, buckets, given.is_real)
    start = start._replace(theta=jnp.where(given.is_used, given.theta, start.theta))
    return first_order.begin(problem, start, buckets)


def _step(phase: Phase, settings: FitSettings, start: Start, state: Any, found: tuple[Evaluated, Any]) -> tuple[Any, Any, Info]:
    """One step of ``run_phase`` from the log-likelihood ``found`` at its proposal, which is evaluated elsewhere."""
    state, info = phase.step(settings, start, state, found)
    return state, phase.follow(settings, start, state), info


def _resume(problem: Problem, start: Start, end: NewtonState, ratio: Any) -> Begun:
    """The start of a quasi-Newton phase on all data after a fit to a part; ``ratio`` is the weight of all data over that of the part.

    The first step is 0, so that the first evaluation is at ``end.theta``. The metric is the part's inverse Hessian, scaled.
    """
    start = start._replace(
        theta=end.theta,
        information=ratio * start.information,
        moment_information=ratio * start.moment_information,
        total_weight=ratio * start.total_weight,
        effect_weight=ratio * start.effect_weight,
    )
    state = first_order.init(problem, start, ())
    return Begun(start, first_order.with_metric(state, jnp.linalg.inv(-end.hessian) / ratio))
