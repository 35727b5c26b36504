"""Fits at stated parameters: a ``MixedModelResults`` without a search for a maximum, so that nothing of the likelihood is compiled."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

import glmmjax as gj
from glmmjax.estimation.convergence import Code, Convergence
from glmmjax.fitted import FittedModel, problem_of
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.options import Options
from glmmjax.request import FitRequest

__all__ = ["stated_fit", "stated_params"]


def stated_params(beta: Any, chol: Any, **others: Any) -> gj.Params:
    """Parameters of numpy arrays."""
    return gj.Params(beta, chol, **others)


def stated_fit(params: gj.Params, fixed: str, random: str | None = None, **arguments: Any) -> gj.MixedModelResults:
    """A fit whose estimates are ``params``, and whose information is that of 100 independent observations of every parameter."""
    unknown: Any = None
    with jax.enable_x64(True):
        design = gj.make_design(fixed, random, **arguments)
        problem = problem_of(design, None)
        theta = np.asarray(problem.layout.vector(params))
    fitted = FittedModel(
        design=design,
        problem=problem,
        options=Options(),
        quadrature=Quadrature(11),
        theta=theta,
        params=params,
        information=100.0 * np.eye(len(theta)),
        log_likelihood=0.0,
        objective=0.0,
        modes=np.zeros((len(design.groups), len(design.random_names))),
        is_singular=False,
        convergence=Convergence(Code.CONVERGED, "stated", 1e-9, 1e-7, 0, 0, 0, 0.0, 11, 17),
        request=FitRequest(fixed, random, **arguments),
    )
    return gj.MixedModelResults(fitted, unknown)
