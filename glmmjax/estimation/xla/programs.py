"""The jit boundary of a fit from Python: the programs that are compiled, and how.

``begin`` finds starting values. Small data: ``first_order`` and ``second_order`` run up to a number of steps of their phase that is
decided at each call. Large data: ``evaluate`` and ``evaluate_with_hessian`` give the log-likelihood of parts of the data, which
run side by side or one after the other, and ``advance``, ``advance_newton`` make one step of a phase from their sum. The number of
quadrature points is an argument too, so the same programs serve every ``n_agq`` and the finer rule that judges the result.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.estimation.convergence import code_of
from glmmjax.estimation.objective import (
    Evaluated,
    Problem,
    evaluate_likelihood,
    likelihood_with_hessian,
    penalised,
    penalty_hessian,
    symmetric,
)
from glmmjax.estimation.phases import first_order, newton
from glmmjax.estimation.starting_values import Start, starting_values
from glmmjax.estimation.xla.compiler_options import platform_in_force, quick_to_compile, quick_to_run, run_once
from glmmjax.estimation.xla.precompile import like
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.marginal import start_modes
from glmmjax.options import Options

__all__ = ["Programs", "programs"]


class Programs(NamedTuple):
    """Jitted functions; see the functions of this file for what they take and give."""

    begin: Any
    first_order: Any
    second_order: Any
    evaluate: Any
    evaluate_with_hessian: Any
    advance: Any
    advance_newton: Any
    resume: Any

    def traced(self, problem: Problem, options: Options, begin_with: tuple[Any, ...], rule: Any, n_steps: Any) -> Iterator[Any]:
        """The programs of a small fit that begins with ``begin(problem, *begin_with)``, those first that take longest to compile."""
        buckets = begin_with[0]
        begin = self.begin.trace(problem, *begin_with)
        yield begin
        start, state = like(begin.out_info, buckets)
        end = like(jax.eval_shape(newton.init, state), buckets)
        yield self.second_order.trace(problem, options, start, end, buckets, rule, n_steps)
        yield self.first_order.trace(problem, options, start, state, buckets, rule, n_steps)

    def traced_evaluations(self, problem: Problem, buckets: tuple[Bucket, ...], rule: Any, modes: Any, spans: Any) -> Iterator[Any]:
        """The programs that evaluate large data; arguments that share shapes with those of the calls."""
        theta = np.zeros(problem.layout.size)
        yield self.evaluate_with_hessian.trace(problem, theta, buckets, rule, modes, spans)
        yield self.evaluate.trace(problem, theta, buckets, rule, modes, spans)

    def traced_steps(self, problem: Problem, options: Options, begin_with: tuple[Any, ...]) -> Iterator[Any]:
        """The programs that decide on the steps of a large fit that begins with ``begin(problem, *begin_with)``."""
        begin = self.begin.trace(problem, *begin_with)
        yield begin
        start, state = like(begin.out_info, begin_with[0])
        state = state._replace(at=state.at._replace(modes=()))
        yield self.advance.trace(problem, options, start, state, state.at)
        end = like(jax.eval_shape(newton.init, state), begin_with[0])
        yield self.advance_newton.trace(problem, options, start, end, state.at, end.hessian)
        yield self.resume.trace(problem, start, end, np.float64(1))


def programs(is_small: bool) -> Programs:
    """The programs for small data, where compiling is what a user waits for, or for large; on the platform in force."""
    return _programs(is_small, platform_in_force())


@functools.cache
def _programs(is_small: bool, platform: str) -> Programs:
    once = functools.partial(jax.jit, compiler_options=run_once(platform))
    often = functools.partial(jax.jit, compiler_options=quick_to_compile(platform) if is_small else quick_to_run(platform))
    return Programs(
        begin=once(_begin, static_argnums=0),
        first_order=often(_first_order, static_argnums=(0, 1)),
        second_order=often(_second_order, static_argnums=(0, 1)),
        evaluate=often(evaluate_likelihood, static_argnums=0),
        evaluate_with_hessian=often(likelihood_with_hessian, static_argnums=0),
        advance=once(_advance, static_argnums=(0, 1)),
        advance_newton=once(_advance_newton, static_argnums=(0, 1)),
        resume=once(_resume, static_argnums=0),
    )


def _begin(problem: Problem, buckets: tuple[Bucket, ...], given: Any, use_given: Any) -> tuple[Start, first_order.FirstOrder]:
    """Starting values, ``given`` (P,) in place of their theta where ``use_given``, and the state that a fit begins in."""
    start = starting_values(problem, buckets)
    start = start._replace(theta=jnp.where(use_given, given, start.theta))
    return start, first_order.init(problem, start, start_modes(buckets, problem.layout.covariance.q))


def _first_order(
    problem: Problem, options: Options, start: Start, state: first_order.FirstOrder, buckets, rule, max_steps
) -> tuple[first_order.FirstOrder, newton.Newton]:
    """The phase's new state, and the state in which the second-order phase would take it up."""
    state = _loop(lambda s: first_order.step(problem, options, start, s, buckets, rule), state, max_steps)
    return state, newton.init(state)


def _second_order(
    problem: Problem, options: Options, start: Start, state: newton.Newton, buckets, rule, max_steps
) -> tuple[newton.Newton, Any]:
    """The phase's new state, and the ``Code`` of a fit that ends there."""
    end = _loop(lambda s: newton.step(problem, options, s, buckets, rule), state, max_steps)
    return end, code_of(problem, options, start, end)


def _advance(
    problem: Problem, options: Options, start: Start, state: first_order.FirstOrder, at: Evaluated
) -> tuple[first_order.FirstOrder, newton.Newton]:
    """One step of ``_first_order`` from the log-likelihood ``at`` its proposal, which is evaluated elsewhere."""
    state = first_order.advance(problem, options, start, state, penalised(problem, state.theta + state.proposal, at))
    return state, newton.init(state)


def _advance_newton(
    problem: Problem, options: Options, start: Start, state: newton.Newton, at: Evaluated, hessian
) -> tuple[newton.Newton, Any]:
    """One step of ``_second_order`` from the log-likelihood and its Hessian."""
    theta = state.theta + state.proposal
    at, hessian = penalised(problem, theta, at), symmetric(hessian + penalty_hessian(problem, theta))
    end = newton.advance(options, state, at, hessian)
    return end, code_of(problem, options, start, end)


def _resume(problem: Problem, start: Start, end: newton.Newton, ratio) -> tuple[Start, first_order.FirstOrder]:
    """The state of a quasi-Newton phase on all data from the end of a fit to a part; ``ratio`` is how much more data all are.

    The step to take is 0: the first evaluation is at ``end.theta``, and the metric is the part's inverse Hessian, scaled.
    """
    start = start._replace(
        theta=end.theta,
        information=ratio * start.information,
        moment_information=ratio * start.moment_information,
        total_weight=ratio * start.total_weight,
    )
    state = first_order.init(problem, start, ())
    return start, state._replace(inverse=jnp.linalg.inv(-end.hessian) / ratio, in_em=jnp.array(False))


def _loop(step, state, max_steps):
    """At most ``max_steps`` steps, until the state is done."""
    unfinished = lambda c: (c[0] < max_steps) & ~c[1].is_done  # noqa: E731
    return jax.lax.while_loop(unfinished, lambda c: (c[0] + 1, step(c[1])), (jnp.zeros((), jnp.int32), state))[1]
