"""Value and exact gradient of the log-likelihood, in multiples of one jitted log1p(exp(x)) pass over rows x nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.models import Model, balanced, two_effects
from benchmarks.table import Table, seconds, times
from benchmarks.timing import Clock, clock

__all__ = ["print_likelihood"]

_CLUSTER_SIZE = 10
_CLUSTER_SIZE_OF_TWO = 8  # where a cluster has two random effects


def print_likelihood(sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000), rows_of_two: int = 100_000) -> None:
    """Random intercept at ``sizes`` rows, then two correlated effects; a block of lines each."""
    with jax.enable_x64(True):
        table = Table(
            "value and exact gradient, float64, 11 points a random effect", "", "wall", "CPU", "CPU/wall", "passes", label_width=40
        )
        for rows in sizes:
            _print_model(table, rows, _CLUSTER_SIZE, balanced(rows, _CLUSTER_SIZE))
        _print_model(table, rows_of_two, _CLUSTER_SIZE_OF_TWO, two_effects(rows_of_two // _CLUSTER_SIZE_OF_TWO, _CLUSTER_SIZE_OF_TWO))


def _print_model(table: Table, rows: int, cluster_size: int, model: Model) -> None:
    """The yardstick, then each evaluation."""
    shape = (model.n_nodes, cluster_size, rows // cluster_size)
    x = jnp.full(shape, 0.3)
    unit = _warm(lambda: jax.block_until_ready(_unit_pass(x)))
    table.row(f"{rows:,} rows, q = {model.q}, {model.n_nodes} nodes")
    _print_line(table, "one log1p(exp(x)) pass", unit, unit)
    for label, run in _evaluations(model).items():
        _print_line(table, label, _warm(run), unit)


@jax.jit
def _unit_pass(x: jax.Array) -> jax.Array:
    return jnp.log1p(jnp.exp(x)).sum()


def _evaluations(model: Model) -> dict[str, Callable[[], Any]]:
    """What is timed; every one solves the modes, from zero or from where they are."""
    fresh, settled = model.parts(), model.parts()
    settled.evaluate(model.theta, model.rule)
    settled.keep()
    return {
        "value, gradient, modes from zero": lambda: fresh.evaluate(model.theta, model.rule),
        "value, gradient, modes given": lambda: settled.evaluate(model.theta, model.rule),
        "the same and the exact Hessian": lambda: settled.evaluate_with_hessian(model.theta, model.rule),
        "value, gradient of gj.log_likelihood": model.pure(),
    }


def _warm(run: Callable[[], Any]) -> Clock:
    run()
    return clock(run)


def _print_line(table: Table, label: str, taken: Clock, unit: Clock) -> None:
    table.row(f"  {label}", seconds(taken.wall), seconds(taken.cpu), f"{taken.cpu / taken.wall:.1f}", times(taken.wall / unit.wall))
