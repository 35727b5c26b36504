"""The jit boundary of a fit from Python: the three programs that are compiled, and how.

``begin`` finds starting values; ``first_order`` and ``second_order`` run up to a number of steps of their phase that is decided at
each call. The number of quadrature points is an argument too, so the same programs serve every step, every ``n_agq`` and the finer
rule that judges the result.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from glmmjax.estimation import first_order, newton
from glmmjax.estimation.convergence import code_of
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.starting_values import Start, starting_values
from glmmjax.likelihood.clusters import Bucket
from glmmjax.options import Options

__all__ = ["Programs", "programs"]

_QUICK_TO_COMPILE: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False}  # half the compile time, up to half as fast again to run


class Programs(NamedTuple):
    """Jitted functions; see ``_begin``, ``_first_order`` and ``_second_order`` for what they take and give."""

    begin: Any
    first_order: Any
    second_order: Any

    def shapes(self, problem: Problem, *arguments: Any) -> tuple[Any, Any]:
        """What ``second_order`` takes of ``begin(problem, *arguments)``, by abstract evaluation."""
        start, state = self.begin.eval_shape(problem, *arguments)
        return start, jax.eval_shape(newton.init, state)


@functools.cache
def programs(is_small: bool) -> Programs:
    """The programs for small data, where compiling is what a user waits for, or for large."""
    lean = _QUICK_TO_COMPILE if _is_accepted("cpu") else {}
    return Programs(
        jax.jit(_begin, static_argnums=0, compiler_options=lean),
        jax.jit(_first_order, static_argnums=(0, 1), compiler_options=lean if is_small else {}),
        jax.jit(_second_order, static_argnums=(0, 1), compiler_options=lean if is_small else {}),
    )


def _is_accepted(platform: str) -> bool:
    """Whether this backend knows the options: they are XLA's, and not promised from one release to the next."""
    if jax.default_backend() != platform:
        return False
    try:
        jax.jit(lambda x: x, compiler_options=_QUICK_TO_COMPILE).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def _begin(problem: Problem, buckets: tuple[Bucket, ...], given: Any, use_given: Any) -> tuple[Start, first_order.FirstOrder]:
    """Starting values, ``given`` (P,) in place of their theta where ``use_given``, and the state that a fit begins in."""
    start = starting_values(problem, buckets)
    start = start._replace(theta=jnp.where(use_given, given, start.theta))
    return start, first_order.init(problem, start, buckets)


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


def _loop(step, state, max_steps):
    """At most ``max_steps`` steps, until the state is done."""
    unfinished = lambda c: (c[0] < max_steps) & ~c[1].is_done  # noqa: E731
    return jax.lax.while_loop(unfinished, lambda c: (c[0] + 1, step(c[1])), (jnp.zeros((), jnp.int32), state))[1]
