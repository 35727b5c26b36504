"""Heavy-tailed cluster sizes, 1 to 10,000 rows, against a balanced design with as many rows."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.models import random_intercept
from benchmarks.problems import simulate_clusters, simulate_random_intercept
from benchmarks.table import Table, seconds, times
from benchmarks.timing import median_of, warm_median

__all__ = ["print_skewed", "skewed_sizes"]

_LARGEST = 10_000


class _Taken(NamedTuple):
    """What one data set costs."""

    clusters: int
    largest: int
    padding: float  # places for rows / rows
    widths: int  # buckets of clusters padded to one size
    evaluation: float  # seconds, value and gradient with the modes given
    fit: float
    n_evaluations: int


def skewed_sizes(rows: int, seed: int = 11) -> np.ndarray:
    """Sizes from a Pareto law with exponent 1, the first clusters at 10,000, 1,000 and 1, cut where they hold ``rows`` rows."""
    draws = np.minimum(1.0 / (1.0 - np.random.default_rng(seed).random(rows)), _LARGEST).astype(int)
    sizes = np.concatenate([[_LARGEST, _LARGEST // 10, 1], draws])
    ends = np.cumsum(sizes)
    n_whole = int(np.searchsorted(ends, rows))
    return np.append(sizes[:n_whole], rows - (ends[n_whole - 1] if n_whole else 0))


def print_skewed(sizes: tuple[int, ...] = (100_000, 1_000_000)) -> None:
    """Two lines a number of rows and their ratio."""
    columns = ("clusters", "largest", "padding", "widths", "evaluation", "warm fit", "evaluations")
    table = Table("cluster sizes with a heavy tail against clusters of 10; random intercept, 11 points", "", *columns, label_width=22)
    for rows in sizes:
        taken = {"balanced": _taken(simulate_random_intercept(rows)), "skewed": _taken(simulate_clusters(skewed_sizes(rows)))}
        for label, t in taken.items():
            counts = (f"{t.clusters:,}", f"{t.largest:,}", times(t.padding), str(t.widths))
            table.row(f"{rows:,} {label}", *counts, seconds(t.evaluation), seconds(t.fit), str(t.n_evaluations))
        skewed, balanced = taken["skewed"], taken["balanced"]
        table.row("  skewed / balanced", "", "", "", "", times(skewed.evaluation / balanced.evaluation), times(skewed.fit / balanced.fit))


def _taken(data: pd.DataFrame) -> _Taken:
    fit_s, _, fit = warm_median(lambda: gj.mixed_model("y ~ x1 + x2", random="~ 1 | id", data=data, family="binomial", n_agq=11))
    sizes = data.groupby("id").size()
    with jax.enable_x64(True):
        model = random_intercept(data)
        parts = model.parts()
        parts.evaluate(model.theta, model.rule)
        parts.keep()
        evaluation_s = median_of(lambda: parts.evaluate(model.theta, model.rule))
    padding = model.padded_rows / len(data)
    return _Taken(len(sizes), int(sizes.max()), padding, len(model.buckets), evaluation_s, fit_s, fit.convergence.n_evaluations)
