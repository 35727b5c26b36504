"""What float32 costs in accuracy: ``fit_params`` and ``log_likelihood`` in float32 against float64, on the same data."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.problems import simulate_random_intercept, simulate_two_effects
from benchmarks.table import Table
from glmmjax.estimation.convergence import Code
from glmmjax.likelihood.params import Theta

__all__ = ["print_precision"]


class _Case(NamedTuple):
    """A model with its data."""

    label: str
    make_data: Callable[[], pd.DataFrame]
    fixed: str
    random: str
    family: str = "binomial"


class _Found(NamedTuple):
    """A pure fit as float64 numbers of the host."""

    theta: np.ndarray  # (P,)
    errors: np.ndarray  # (P,) standard errors from the Hessian; NaN where it is not negative definite
    log_likelihood: float
    code: Code
    n_evaluations: int


_INTRO = "y ~ sex * time"
_CASES = (
    _Case("intro binomial ~ 1 | id", gj.datasets.load_intro_binomial, _INTRO, "~ 1 | id"),
    _Case("intro Poisson ~ 1 | id", gj.datasets.load_intro_poisson, _INTRO, "~ 1 | id", "poisson"),
    _Case("2,000 x 8, ~ time | id", simulate_two_effects, "y ~ time + x", "~ time | id"),
    _Case("10,000 rows", functools.partial(simulate_random_intercept, 10_000), "y ~ x1 + x2", "~ 1 | id"),
    _Case("100,000 rows", functools.partial(simulate_random_intercept, 100_000), "y ~ x1 + x2", "~ 1 | id"),
)


def print_precision(largest: int = 100_000) -> None:
    """A line a case: errors in float32, the largest over parameters; estimates in standard errors, standard errors relative."""
    columns = ("logLik", "its error", "at the fit", "estimates", "std errors", "evals 64", "evals 32", "float32 code")
    table = Table("float32 against float64, fit_params and log_likelihood, 11 points", "", *columns, label_width=26)
    for case in _CASES:
        data = case.make_data()
        if len(data) > largest:
            continue
        design = functools.partial(gj.make_design, case.fixed, case.random, data=data, family=case.family)
        with jax.enable_x64(True):
            double, at_double = _fit(design(), case.family, None)
        with jax.enable_x64(False):
            single, at_single = _fit(design(), case.family, double.theta)
        table.row(case.label, *_cells(double, single, at_single - at_double))


def _fit(design: gj.Design, family: str, theta: np.ndarray | None) -> tuple[_Found, float]:
    """The fit, and the log-likelihood at ``theta``, by default at the estimates, in the precision in force."""
    clusters, layout = design.clusters, Theta(len(design.fixed_names), design.covariance)
    params, info = gj.fit_params(clusters, family, covariance=design.covariance)
    found = _Found(
        np.asarray(layout.vector(params), float),
        _standard_errors(np.asarray(info.hessian, float)),
        float(info.log_likelihood),
        Code(int(info.code)),
        int(info.n_evaluations),
    )
    at: Any = layout.params(jax.numpy.asarray(found.theta if theta is None else theta))
    return found, float(gj.log_likelihood(at, clusters, family))


def _standard_errors(hessian: np.ndarray) -> np.ndarray:
    values = np.linalg.eigvalsh(-hessian) if np.isfinite(hessian).all() else np.zeros(1)
    return np.sqrt(np.diag(np.linalg.inv(-hessian))) if values[0] > 0 else np.full(len(hessian), np.nan)


def _cells(double: _Found, single: _Found, error: float) -> list[str]:
    of_estimates = np.abs((single.theta - double.theta) / double.errors).max()
    of_errors = np.abs(single.errors / double.errors - 1).max()
    at_fit = single.log_likelihood - double.log_likelihood
    numbers = [f"{double.log_likelihood:.3f}", *(f"{value:.1e}" for value in (error, at_fit, of_estimates, of_errors))]
    return [*numbers, str(double.n_evaluations), str(single.n_evaluations), single.code.name]
