"""The simulation of Li and Signorelli (2026, arXiv:2606.15933): 24 cells of data sets, fitted by ``fit_many(by=)``.

A cell has 50, 100 or 200 subjects with 1 to 3 or 1 to 9 rows each, a random intercept or a random intercept and slope, and binary or count
outcomes. The published numbers are root mean squared errors; ours count certified fits, whose share stands beside them.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.table import Table

__all__ = ["print_cells"]

_TRUE = {"b0": 0.1, "b1": 0.3, "b2": -0.2, "b3": 0.1, "sd(b0)": 0.8}
_PUBLISHED = {  # means over the cells
    "lme4, adaptive quadrature, 12 random-intercept cells": (0.246, 0.332, 0.393, 0.534, 0.192),
    "GLMMadaptive, all 24 cells": (0.254, 0.360, 0.404, 0.563, 0.272),
}


class _Cell(NamedTuple):
    family: str
    random: str
    n_subjects: int
    most_rows: int

    def __str__(self) -> str:
        return f"{self.family}, {self.random}, {self.n_subjects} subjects, up to {self.most_rows} rows"


_CELLS = [_Cell(*cell) for cell in itertools.product(("binomial", "poisson"), ("~ 1 | id", "~ time | id"), (50, 100, 200), (3, 9))]


def print_cells(n_sets: int) -> None:
    """``n_sets`` data sets of each cell, and the root mean squared errors beside the published ones."""
    title = f"Li and Signorelli's 24 cells x {n_sets:,} data sets (by=), first call of each shape: RMSE of the certified fits"
    table = Table(title, "", "s", "certified", "alone", *_TRUE, "codes", label_width=52)
    errors, seconds, certified = [], [], []
    for cell in _CELLS:
        data, begun = _drawn(cell, n_sets), time.perf_counter()
        many = gj.fit_many("y ~ time * group", cell.random, data=data, by="set", family=cell.family)
        seconds.append(time.perf_counter() - begun)
        certified.append(many.converged.mean())
        errors.append(np.sqrt(_squares(many)))
        codes = ", ".join(f"{n} {name}" for name, n in Counter(many.code).most_common())
        alone = f"{many.fitted_many.is_alone.mean():.1%}"
        table.row(str(cell), f"{seconds[-1]:.1f}", f"{certified[-1]:.1%}", alone, *_shown(errors[-1]), f"  {codes}")
    has_slope = np.array(["time" in cell.random for cell in _CELLS])
    for name, where in (("random-intercept cells", ~has_slope), ("random-slope cells", has_slope), ("all cells", has_slope | True)):
        means = (f"{np.sum(seconds, where=where):.1f}", f"{np.mean(certified, where=where):.1%}", "")
        table.row(name, *means, *_shown(np.array(errors)[where].mean(0)))
    for name, published in _PUBLISHED.items():
        table.row(name, "", "", "", *_shown(np.array(published)))


def _shown(errors: np.ndarray) -> list[str]:
    return [f"{value:.3f}" for value in errors]


def _drawn(cell: _Cell, n_sets: int) -> pd.DataFrame:
    """Data sets of one cell, one under the other."""
    family, random, m, most = cell
    draws = np.random.default_rng([m, most, len(family), len(random)])
    n = m * n_sets
    rows = draws.integers(1, most + 1, size=n)
    subject = np.repeat(np.arange(n), rows)
    order = np.argsort(draws.random((n, most)), axis=1)
    visit = order[np.arange(most) < rows[:, None]] / (most - 1)
    group = draws.binomial(1, 0.4, size=n)[subject]
    b = draws.normal(size=(n, 2)) @ np.linalg.cholesky([[0.64, 0.2 * 0.8 * 0.4], [0.2 * 0.8 * 0.4, 0.16]]).T
    slope = b[subject, 1] if "time" in random else 0.0
    eta = 0.1 + 0.3 * visit - 0.2 * group + 0.1 * visit * group + b[subject, 0] + slope * visit
    y = draws.poisson(np.exp(eta)) if family == "poisson" else draws.binomial(1, 1.0 / (1.0 + np.exp(-eta)))
    return pd.DataFrame({"set": subject // m, "id": subject % m, "time": visit, "group": group, "y": y})


def _squares(many: gj.ManyFits) -> np.ndarray:
    """(5,) mean squared errors of the certified fits."""
    found = many.converged.to_numpy()
    estimates = np.column_stack([many.fe_params.to_numpy(), many.spread.to_numpy()[:, :1]])[found]
    return ((estimates - np.array(list(_TRUE.values()))) ** 2).mean(0)
