"""Fitted models at stated parameters: what post-fit functions take, without the time that a fit takes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import glmmjax as gj
from glmmjax.design.design import Design
from glmmjax.estimation.convergence import Convergence
from glmmjax.estimation.objective import Problem
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.params import Params, layout_of
from glmmjax.options import Options

__all__ = ["stated_fit"]


def stated_fit(design: Design, convergence: Convergence, **params: Any) -> gj.MixedModelResults:
    """Results at ``params``, entries of ``Params`` (0 random effects where ``chol`` is left out), with modes 0 and information 1."""
    q = len(design.random_names)
    arrays = {"chol": np.zeros((q, q)), "phi": (), "gamma": (), "delta": (), **params}
    with jax.enable_x64(True):
        full = Params(**{name: jnp.asarray(np.asarray(value, float)) for name, value in arrays.items()})
        layout = layout_of(design.family, design.clusters, design.covariance)
        theta = np.asarray(layout.vector(full))
    fitted = FittedModel(
        design=design,
        problem=Problem(design.family, layout),
        options=Options(),
        n_agq=11,
        theta=theta,
        params=jax.tree.map(np.asarray, full),
        information=np.eye(len(theta)),
        log_likelihood=0.0,
        objective=0.0,
        modes=np.zeros((len(design.groups), q)),
        is_singular=False,
        convergence=convergence,
        call={},
    )
    return gj.MixedModelResults(fitted, lambda fitted, changes: None)  # type: ignore[arg-type,return-value]  # never refitted
