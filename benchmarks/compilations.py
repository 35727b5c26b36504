"""How often a session compiles: twenty fits of many kinds in one new process, with the programs that XLA compiled for each.

A fit marked "same class" has other data than one before it, whose sizes are padded to the same ones; it should compile nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.problems import simulate_random_intercept, simulate_two_effects
from benchmarks.table import Table, seconds

__all__ = ["print_compilations"]

_REPOSITORY = Path(__file__).parents[1]
_EVENT = "/jax/core/compile/backend_compile_duration"
_INTRO = "y ~ sex * time"


def print_compilations() -> None:
    """Run ``main`` in a process that has compiled nothing yet."""
    env = {**os.environ, "GLMMJAX_PROGRAM_STORE": "off"}
    subprocess.run([sys.executable, "-m", "benchmarks.compilations"], check=True, cwd=_REPOSITORY, env=env)


def main() -> None:
    """A line a fit: seconds and programs compiled, both without the making of the data."""
    import jax

    durations: list[float] = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event == _EVENT:
            durations.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    table = Table("twenty fits in one process: programs compiled", "", "fit", "compiling", "programs", "converged", label_width=54)
    total = 0.0
    for label, fit in _fits():
        n_before, start = len(durations), time.perf_counter()
        converged = fit().converged
        total += time.perf_counter() - start
        new = durations[n_before:]
        table.row(label, seconds(time.perf_counter() - start), seconds(sum(new)), str(len(new)), str(converged))
    table.row("all", seconds(total), seconds(sum(durations)), str(len(durations)))


def _fits() -> Iterator[tuple[str, Callable[[], Any]]]:
    yield from _introductory(gj.datasets.load_intro_binomial())
    yield from _counts_and_trials()
    yield from _simulated()


def _introductory(data: pd.DataFrame) -> Iterator[tuple[str, Callable[[], Any]]]:
    half = data[data["id"] <= 50]
    others = data[data["id"] > 3].assign(y=np.random.default_rng(1).permutation(data["y"])[: (data["id"] > 3).sum()])
    yield "binomial, ~ 1 | id", lambda: _fit(data)
    yield "  same class: 97 of the subjects, other outcomes", lambda: _fit(others)
    yield "  7 points", lambda: _fit(data, n_agq=7)
    yield "  21 points", lambda: _fit(data, n_agq=21)
    yield "  points until settled", lambda: _fit(data, n_agq="auto")
    yield "  half of the subjects", lambda: _fit(half)
    yield "  one coefficient fewer", lambda: _fit(data, "y ~ sex + time")
    yield "  spline in time", lambda: _fit(data, "y ~ sex + bs(time, df=4)")
    yield "  probit", lambda: _fit(data, family=gj.families.Binomial(link="probit"))
    yield "  penalty", lambda: _fit(data, penalized=True)
    yield "  ~ time | id", lambda: _fit(data, random="~ time | id")
    yield "  ~ time || id", lambda: _fit(data, random="~ time || id")
    yield "  no random effects", lambda: _fit(data, random=None)


def _counts_and_trials() -> Iterator[tuple[str, Callable[[], Any]]]:
    counts, cattle, seizures = gj.datasets.load_intro_poisson(), gj.datasets.load_cbpp(), gj.datasets.load_epil()
    yield "Poisson, ~ 1 | id", lambda: _fit(counts, family="poisson")
    yield "cattle, cbind(incidence, noninc)", lambda: _fit(cattle, "cbind(incidence, noninc) ~ period", "~ 1 | herd")
    yield "seizures, Poisson", lambda: _fit(seizures, "y ~ lbase * trt + lage + V4", "~ 1 | subject", family="poisson")


def _simulated() -> Iterator[tuple[str, Callable[[], Any]]]:
    small, other, large = simulate_random_intercept(10_000), simulate_random_intercept(9_900, seed=3), simulate_random_intercept(100_000)
    two = simulate_two_effects(500)
    yield "10,000 rows", lambda: _fit(small, "y ~ x1 + x2")
    yield "  same class: 9,900 other rows", lambda: _fit(other, "y ~ x1 + x2")
    yield "100,000 rows", lambda: _fit(large, "y ~ x1 + x2")
    yield "500 clusters x 8, ~ time | id", lambda: _fit(two, "y ~ time + x", "~ time | id")


def _fit(data: pd.DataFrame, fixed: str = _INTRO, random: str | None = "~ 1 | id", family: Any = "binomial", **others: Any) -> Any:
    return gj.mixed_model(fixed, random=random, data=data, family=family, **others)


if __name__ == "__main__":
    main()
