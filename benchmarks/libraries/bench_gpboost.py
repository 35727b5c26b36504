"""gpboost (PyPI, C++): Laplace's approximation only, and independent random effects only."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import patsy

from benchmarks.libraries.base import Library, Result, Skipped
from benchmarks.machine import cores, version_of
from benchmarks.problems import Problem
from benchmarks.timing import warm_median

__all__ = ["LIBRARIES"]

_LIKELIHOOD = {"binomial": "bernoulli_logit", "poisson": "poisson"}
_COLD = """
from benchmarks.libraries.bench_gpboost import fit_once
from benchmarks.problems import PROBLEMS
print(-fit_once(PROBLEMS[0]).get_current_neg_log_likelihood())
"""


def fit_once(problem: Problem) -> Any:
    """One fit from formula and table, design matrix included."""
    import gpboost

    y, X = patsy.dmatrices(problem.fixed, problem.data)
    groups, likelihood = problem.data["id"].to_numpy(), _LIKELIHOOD[problem.family]
    model = gpboost.GPModel(group_data=groups, likelihood=likelihood, num_parallel_threads=cores())  # a number given, it prints no advice
    model.fit(y=np.asarray(y).ravel(), X=np.asarray(X))
    return model


def fit(problem: Problem) -> Result:
    """Fit a random intercept."""
    if problem.slopes:
        raise Skipped("no correlated effects")
    seconds, runs, model = warm_median(lambda: fit_once(problem))
    names = patsy.dmatrix(problem.fixed.split("~")[1], problem.data).design_info.column_names
    beta, variances = np.ravel(model.get_coef()), np.ravel(model.get_cov_pars())
    estimates = {**dict(zip(names, beta, strict=True)), "sd 1": float(np.sqrt(variances[0]))}
    return Result(seconds, -float(model.get_current_neg_log_likelihood()), estimates, runs, "Laplace")


LIBRARIES = {"gpboost": Library(lambda: version_of("gpboost"), fit, lambda: [sys.executable, "-c", _COLD])}
