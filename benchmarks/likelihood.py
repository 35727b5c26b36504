"""Value and exact gradient of the log-likelihood, in multiples of one jitted log1p(exp(x)) pass over rows x nodes."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp

import glmmjax as gj
from benchmarks.problems import simulate_random_intercept
from benchmarks.timing import median_of
from glmmjax.families import Binomial
from glmmjax.likelihood.gauss_hermite import tensor_rule
from glmmjax.likelihood.marginal import start_modes, value_and_gradient

__all__ = ["print_likelihood"]

_N_AGQ = 11
_CLUSTER_SIZE = 10


def print_likelihood(sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)) -> None:
    """A line a size; the random-intercept problem in float64, modes solved from zero and from where they are."""
    print(
        f"\nvalue and exact gradient, float64, random intercept, clusters of {_CLUSTER_SIZE}, {_N_AGQ} points, compile and run", flush=True
    )
    with jax.enable_x64(True):
        for rows in sizes:
            _print_size(rows)


def _print_size(rows: int) -> None:
    _, unit, _ = compiled(unit_pass, jnp.full((_N_AGQ, _CLUSTER_SIZE, rows // _CLUSTER_SIZE), 0.3))
    print(f"  {rows:9,} rows: one pass {unit * 1e3:8.2f} ms", flush=True)
    evaluate, arguments = evaluation(rows)
    compile_s, from_zero, found = compiled(evaluate, *arguments)
    _, warm, _ = compiled(evaluate, *arguments[:2], found.modes)
    print(f"    compile          {compile_s:8.2f} s", flush=True)
    for label, run_s in {"modes from zero": from_zero, "modes given": warm}.items():
        print(f"    {label:16s} {run_s * 1e3:8.2f} ms  = {run_s / unit:5.2f} passes", flush=True)


def unit_pass(x: jax.Array) -> jax.Array:
    """The yardstick."""
    return jnp.log1p(jnp.exp(x)).sum()


def evaluation(rows: int) -> tuple[Any, tuple[Any, ...]]:
    """The function to time and its arguments (params, buckets, modes): the one place that knows the inner signature."""
    data, family = simulate_random_intercept(rows, _CLUSTER_SIZE), Binomial()
    buckets = gj.make_design("y ~ x1 + x2", random="~ 1 | id", data=data, family=family).clusters.buckets
    params = gj.Params(beta=jnp.array([-1.0, 0.5, 0.3]), chol=jnp.eye(1), phi=jnp.zeros(0), gamma=jnp.zeros(0))
    rule = tensor_rule(_N_AGQ, 1)

    def evaluate(params, buckets, modes):
        return value_and_gradient(params, buckets, family, rule, modes)

    return evaluate, (params, buckets, start_modes(buckets, 1))


def compiled(function: Any, *arguments: Any) -> tuple[float, float, Any]:
    """(seconds to trace and compile, median seconds to run, result)."""
    start = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    compile_s = time.perf_counter() - start
    result = jax.block_until_ready(program(*arguments))
    return compile_s, median_of(lambda: jax.block_until_ready(program(*arguments))), result
