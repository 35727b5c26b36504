"""Evaluations and whole fits on an accelerator, as a fraction of what the device's memory or arithmetic allows.

The limit of an evaluation is the longer of two times: reading the packed arrays once at the device's bandwidth, and the operations
of the sum over nodes at its float64 rate. A fit's limit is that of its evaluations, where one with a Hessian of P parameters
counts as P + 1.
"""

from __future__ import annotations

from typing import Any

import jax

import glmmjax as gj
from benchmarks.models import Model, of_design
from benchmarks.problems import simulate_random_intercept, simulate_two_effects
from benchmarks.table import Table, seconds
from benchmarks.timing import clock, warm_median

__all__ = ["print_gpu"]

_OPERATIONS = 60  # of a row at a node: linear predictor, one exp, one log and one division in polynomials, value and slopes
_CLUSTER_SIZE_OF_TWO = 8


def print_gpu(bandwidth_gbs: float, tflops: float, sizes: tuple[int, ...] = (1_000_000, 10_000_000)) -> None:
    """Two lines a problem: value and gradient, whole fit."""
    if jax.default_backend() == "cpu":
        print("\ngpu: JAX sees no accelerator here, so this part has nothing to run.", flush=True)
        return
    print_device(bandwidth_gbs, tflops, sizes)


def print_device(bandwidth_gbs: float, tflops: float, sizes: tuple[int, ...]) -> None:
    """``print_gpu`` on whatever device there is."""
    device = jax.devices()[0].device_kind
    title = f"{device}, float64, 11 points a random effect; limit at {bandwidth_gbs:g} GB/s and {tflops:g} TFLOP/s"
    table = Table(title, "", "taken", "limit", "of limit", "bound by", label_width=44)
    for rows in sizes:
        one = simulate_random_intercept(rows), "y ~ x1 + x2", "~ 1 | id", (1.0,)
        _print_problem(table, f"{rows:,} rows, q = 1", *one, (bandwidth_gbs * 1e9, tflops * 1e12))
        two = simulate_two_effects(rows // _CLUSTER_SIZE_OF_TWO, _CLUSTER_SIZE_OF_TWO), "y ~ time + x", "~ time | id", (1.0, 0.18, 0.57)
        _print_problem(table, f"{rows:,} rows, q = 2", *two, (bandwidth_gbs * 1e9, tflops * 1e12))


def _print_problem(
    table: Table, label: str, data: Any, fixed: str, random: str, chol: tuple[float, ...], rates: tuple[float, float]
) -> None:
    fit_s, _, fit = warm_median(lambda: gj.mixed_model(fixed, random=random, data=data, family="binomial", n_agq=11))
    with jax.enable_x64(True):
        model = of_design(fit.fitted_model.design, chol)
        parts = model.parts()
        parts.evaluate(model.theta, model.rule)
        parts.keep()
        evaluation_s = clock(lambda: parts.evaluate(model.theta, model.rule)).wall
    found = fit.convergence
    count = found.n_em + found.n_quasi_newton + found.n_newton * (1 + len(model.theta))
    limits = {"memory": _bytes(model) / rates[0], "arithmetic": model.padded_rows * model.n_nodes * _OPERATIONS / rates[1]}
    bound = max(limits, key=lambda name: limits[name])
    for what, taken, limit in (("value and gradient", evaluation_s, limits[bound]), ("whole fit", fit_s, count * limits[bound])):
        table.row(f"{label}: {what}", seconds(taken), seconds(limit), f"{100 * limit / taken:.1f} %", bound)


def _bytes(model: Model) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(model.buckets))
