"""Many fits in one call: milliseconds a fit beside fits one by one, and the simulation of Li and Signorelli (2026, arXiv:2606.15933)."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.machine import version_of
from benchmarks.table import Table, times
from glmmjax.errors import ConvergenceWarning

__all__ = ["print_many"]

_M, _K = 20, 10  # clusters, rows of each
_ONE_BY_ONE = 100  # fits of the loops
_TRUE = {"b0": 0.1, "b1": 0.3, "b2": -0.2, "b3": 0.1, "sd(b0)": 0.8}
_PUBLISHED = {  # root mean squared errors, means over the cells
    "lme4, adaptive quadrature, 12 random-intercept cells": (0.246, 0.332, 0.393, 0.534, 0.192),
    "GLMMadaptive, all 24 cells": (0.254, 0.360, 0.404, 0.563, 0.272),
}


def print_many(n: int, n_sets: int) -> None:
    """``n`` fits of one design, warm, by family; then 24 cells of ``n_sets`` data sets each."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    _print_outcomes(n)
    _print_resampling()
    _print_cells(n_sets)


def _print_resampling() -> None:
    """Milliseconds a refit of the functions that resample, warm."""
    fit = gj.mixed_model("y ~ sex + time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
    table = Table(
        "resampling the introductory example, 800 rows in 100 clusters, second call", "", "refits", "seconds", "ms a refit", width=12
    )
    runs: dict[str, tuple[int, Callable[[], Any]]] = {
        "bootstrap(n=999)": (999, lambda: fit.bootstrap(n=999)),
        "permutation_test(n=999)": (999, lambda: gj.permutation_test(fit, "sex")),
        "cross_validate(folds=100)": (100, lambda: gj.cross_validate(fit, folds=100)),
        "power(n_sim=999)": (999, lambda: gj.power(fit, {"sex[T.female]": -0.7}, n_sim=999)),
    }
    for name, (n, run) in runs.items():
        taken, _ = _second(run)
        table.row(name, f"{n}", f"{taken:.2f}", f"{1e3 * taken / n:.2f}")


def _print_outcomes(n: int) -> None:
    columns = ("ms a fit", "certified", "alone", "1 % hopeless", "mixed_model", "glmm")
    table = Table(
        f"{n:,} fits of one design, {_M * _K} rows in {_M} clusters, second call; {_ONE_BY_ONE} of them one by one", "", *columns, width=12
    )
    for family in ("poisson", "negative_binomial"):
        data, counts = _drawn(family, n)
        taken, many = _second(functools.partial(_fit, data, counts, family))
        hopeless = counts.copy()
        hopeless[data["trt"].to_numpy()[:, None] * np.ones(n, bool) * (np.arange(n) % 100 == 0) > 0] = 0
        with_hopeless, _ = _second(functools.partial(_fit, data, hopeless, family))
        table.row(
            family,
            f"{1e3 * taken / n:.3f}",
            f"{many.converged.mean():.2%}",
            f"{int(many.fitted_many.is_alone.sum()):,}",
            times(with_hopeless / taken),
            f"{1e3 * _loop(data, counts, functools.partial(_one, family=family)):.1f}",
            _glmm(data, counts, family),
        )


def _drawn(family: str, n: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Covariates, and (rows, n) counts."""
    draws = np.random.default_rng(1)
    g, x, trt = np.repeat(np.arange(_M), _K), draws.normal(size=_M * _K), np.repeat(draws.integers(0, 2, _M), _K)
    effects = 0.5 * draws.normal(size=(n, _M))[:, g]
    mean = np.exp(1.0 + 0.5 * draws.normal(size=(n, 1)) + 0.3 * x + 0.2 * trt + effects)
    counts = draws.poisson(mean) if family == "poisson" else draws.negative_binomial(2, 2 / (2 + mean))
    return pd.DataFrame({"x": x, "trt": trt, "g": g}), counts.T.astype(float)


def _fit(data: pd.DataFrame, counts: np.ndarray, family: str) -> gj.ManyFits:
    return gj.fit_many("~ x + trt", "~ 1 | g", data=data, outcomes=counts, family=family)


def _one(data: pd.DataFrame, family: str) -> Any:
    return gj.mixed_model("y ~ x + trt", "~ 1 | g", data=data, family=family)


def _second(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a second call, and its result."""
    run()
    begun = time.perf_counter()
    found = run()
    return time.perf_counter() - begun, found


def _loop(data: pd.DataFrame, counts: np.ndarray, fit: Callable[[pd.DataFrame], Any]) -> float:
    """Seconds a fit of some outcomes, one after the other."""
    fit(data.assign(y=counts[:, 0]))
    begun = time.perf_counter()
    for k in range(_ONE_BY_ONE):
        fit(data.assign(y=counts[:, k]))
    return (time.perf_counter() - begun) / _ONE_BY_ONE


def _glmm(data: pd.DataFrame, counts: np.ndarray, family: str) -> str:
    if version_of("glmm") is None:
        return "-"
    import glmm

    name = family.replace("_", "")
    return f"{1e3 * _loop(data, counts, lambda rows: glmm.fit(rows, 'y ~ x + trt + (1 | g)', family=name, nagq=11)):.1f}"


def _print_cells(n_sets: int) -> None:
    title = f"Li and Signorelli's 24 cells x {n_sets:,} data sets (by=), first call of each shape: RMSE"
    table = Table(title, "", "s", "certified", *_TRUE, label_width=52)
    squares, taken, certified = [], 0.0, []
    for family in ("binomial", "poisson"):
        for random in ("~ 1 | id", "~ time | id"):
            for m in (50, 100, 200):
                for most in (3, 9):
                    begun = time.perf_counter()
                    many = gj.fit_many("y ~ time * group", random, data=_cell(family, random, m, most, n_sets), by="set", family=family)
                    seconds = time.perf_counter() - begun
                    errors = _squares(many)
                    squares.append(errors)
                    certified.append(many.converged.mean())
                    taken += seconds
                    label = f"{family}, {random}, {m} subjects, up to {most} rows"
                    table.row(label, f"{seconds:.1f}", f"{certified[-1]:.1%}", *(f"{value:.3f}" for value in np.sqrt(errors)))
    rmse = np.sqrt(np.array(squares))
    table.row("all cells", f"{taken:.1f}", f"{np.mean(certified):.1%}", *(f"{value:.3f}" for value in rmse.mean(0)))
    is_intercept = np.arange(len(rmse)) % 12 < 6
    table.row("random-intercept cells", "", "", *(f"{value:.3f}" for value in rmse[is_intercept].mean(0)))
    for name, published in _PUBLISHED.items():
        table.row(name, "", "", *(f"{value:.3f}" for value in published))


def _cell(family: str, random: str, m: int, most: int, n_sets: int) -> pd.DataFrame:
    """Data sets of one cell, one under the other."""
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
