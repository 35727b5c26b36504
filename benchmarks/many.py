"""Many fits in one call: milliseconds a fit beside fits one by one, resampling, and a simulation study."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.cells import print_cells
from benchmarks.machine import version_of
from benchmarks.table import Table, times
from glmmjax.errors import ConvergenceWarning

__all__ = ["print_many"]

_M, _K = 20, 10  # clusters, rows of each
_ONE_BY_ONE = 100  # fits of the loops


def print_many(n: int, n_sets: int) -> None:
    """``n`` fits of one design, warm, by family; then 24 cells of ``n_sets`` data sets each."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    _print_outcomes(n)
    _print_resampling()
    print_cells(n_sets)


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
