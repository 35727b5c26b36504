"""glmmjax: adaptive quadrature, 11 points per random effect."""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.libraries.base import Library, Result
from benchmarks.machine import version_of
from benchmarks.problems import Problem
from benchmarks.timing import warm_median

__all__ = ["LIBRARIES"]

_COLD = """
import glmmjax as gj
from glmmjax.datasets import load_intro_binomial
print(gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=load_intro_binomial(), family="binomial").llf)
"""


def fit(problem: Problem) -> Result:
    """Formula and table to a certified maximum, standard errors and quadrature error included.

    A warm fit is one that has been made often: its programs are compiled to run fast, which they are after some seconds of fits.
    """
    import glmmjax as gj
    from glmmjax.estimation.xla import kept

    kept._EARNED = 0.0

    def run():
        return gj.mixed_model(problem.fixed, random=problem.random, data=problem.data, family=problem.family, n_agq=problem.n_agq)

    seconds, runs, fitted = warm_median(run)
    sd = np.sqrt(np.diag(np.asarray(fitted.cov_re)))
    estimates = {**fitted.fe_params.to_dict(), **{f"sd {name}": float(value) for name, value in zip(fitted.cov_re.index, sd, strict=True)}}
    return Result(seconds, float(fitted.llf), estimates, runs, "" if fitted.converged else "not converged")


LIBRARIES = {"glmmjax": Library(lambda: version_of("jax") and version_of("glmmjax"), fit, lambda: [sys.executable, "-c", _COLD])}
