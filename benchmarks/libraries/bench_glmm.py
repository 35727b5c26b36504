"""glmm (PyPI, Rust): adaptive quadrature in up to three dimensions."""

from __future__ import annotations

import sys

from benchmarks.libraries.base import Library, Result
from benchmarks.machine import version_of
from benchmarks.problems import Problem
from benchmarks.timing import warm_median

__all__ = ["LIBRARIES"]

_COLD = """
import glmm
from glmmjax.datasets import load_intro_binomial
print(glmm.fit(load_intro_binomial(), "y ~ sex * time + (1 | id)", family="binomial", nagq=11).loglik)
"""


def fit(problem: Problem) -> Result:
    """Fit with its default (exact-Hessian) standard errors."""
    import glmm

    seconds, runs, fitted = warm_median(lambda: glmm.fit(problem.data, problem.one_formula, family=problem.family, nagq=problem.n_agq))
    sd, _ = fitted.stddev_corr(0)
    effects = ("1", *problem.slopes)
    estimates = {**dict(zip(fitted.names, fitted.beta, strict=True)), **{f"sd {name}": s for name, s in zip(effects, sd, strict=True)}}
    return Result(seconds, float(fitted.loglik), estimates, runs, "" if fitted.converged else "not converged")


LIBRARIES = {"glmm": Library(lambda: version_of("glmm"), fit, lambda: [sys.executable, "-c", _COLD])}
