"""Dynamic predictions of many new subjects: a history of four rows and two rows to predict for each."""

from __future__ import annotations

import functools
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.table import Table, seconds

__all__ = ["print_predictions"]

_N_HISTORY, _N_FUTURE = 4, 2


def print_predictions(sizes: tuple[int, ...]) -> None:
    """Seconds of a first and of a second call, and the largest memory of the process so far."""
    rng = np.random.default_rng(1)
    fit = gj.mixed_model("y ~ t + x", random="~ 1 | id", data=_simulate(rng, 500, 8), family="poisson")
    title = "Dynamic predictions, Poisson outcome, random intercept: 4 rows of history and 2 to predict a subject"
    table = Table(title, "subjects, what", "first call", "second call", "peak memory", label_width=46)
    for n in sizes:
        rows = _simulate(rng, n, _N_HISTORY + _N_FUTURE)
        is_history = rows["t"] < _N_HISTORY
        data = rows[is_history], rows[~is_history]
        asked: dict[str, dict[str, Any]] = {
            "prediction": {"interval": None},
            "interval of the mean": {"interval": 0.95},
            "interval of the outcome, 200 draws": {"interval": 0.95, "interval_for": "outcome", "n_draws": 200},
        }
        for what, options in asked.items():
            call = functools.partial(fit.predict, *data, kind="subject_specific", **options)
            first, second = _time(call), _time(call)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            table.row(f"{n:,}, {what}", seconds(first), seconds(second), f"{memory:.1f} GiB")


def _time(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _simulate(rng: np.random.Generator, n_subjects: int, n_rows: int) -> pd.DataFrame:
    subject = np.repeat(np.arange(n_subjects), n_rows)
    t, x = np.tile(np.arange(float(n_rows)), n_subjects), rng.integers(0, 2, n_subjects)[subject]
    y = rng.poisson(np.exp(1.0 + 0.1 * t - 0.3 * x + 0.8 * rng.standard_normal(n_subjects)[subject]))
    return pd.DataFrame({"id": 1_000_000 + subject, "t": t, "x": x, "y": y})
