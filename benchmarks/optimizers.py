"""Models with many fixed effects: the dense quasi-Newton update beside optax's limited-memory one."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.table import Table, seconds, times

__all__ = ["print_optimizers"]

_CLUSTERS, _ROWS = 400, 10


def print_optimizers(sizes: tuple[int, ...]) -> None:
    """A line a number of fixed effects; a second fit is one of another data set of the same shape."""
    columns = ("first", "L-BFGS", "second", "L-BFGS", "ratio", "steps", "L-BFGS", "Hessians", "L-BFGS", "difference")
    table = Table(f"fixed effects, {_CLUSTERS} clusters of {_ROWS} rows, binary outcome", "fixed effects", *columns, label_width=14)
    for p in sizes:
        (first, second, of_default), (first_limited, second_limited, of_limited) = (_timed(p, name) for name in ("bfgs", "lbfgs"))
        default, limited = of_default.convergence, of_limited.convergence
        table.row(
            str(p), seconds(first), seconds(first_limited), seconds(second), seconds(second_limited), times(second_limited / second),
            f"{default.n_em}+{default.n_quasi_newton}", f"{limited.n_em}+{limited.n_quasi_newton}",
            str(default.n_newton), str(limited.n_newton), f"{np.abs(of_default.fe_params - of_limited.fe_params).max():.0e}",
        )  # fmt: skip


def _timed(p: int, optimizer: str) -> tuple[float, float, gj.MixedModelResults]:
    """Seconds of a first and of a second fit, and the second fit."""
    taken, fits, options = [], [], gj.Options(optimizer=optimizer)
    for seed in (1, 2):
        data, formula = _drawn(p, seed)
        begun = time.perf_counter()
        fits.append(gj.mixed_model(formula, random="~ 1 | g", data=data, family="binomial", n_agq=11, options=options))
        taken.append(time.perf_counter() - begun)
    return taken[0], taken[1], fits[1]


def _drawn(p: int, seed: int) -> tuple[pd.DataFrame, str]:
    """Standard normal covariates whose effects have a variance of 1 together; an intercept and p - 1 slopes."""
    draws = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(_CLUSTERS), _ROWS), draws.normal(size=(_CLUSTERS * _ROWS, p - 1))
    eta = x @ draws.normal(0.0, 1.0 / np.sqrt(p), p - 1) + draws.normal(size=_CLUSTERS)[g]
    y = (draws.uniform(size=len(g)) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    names = [f"x{k}" for k in range(p - 1)]
    return pd.DataFrame(x, columns=names).assign(y=y, g=g), "y ~ " + " + ".join(names)
