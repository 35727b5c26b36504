"""Random effects of crossed factors given outcomes: their covariances, from the curvature of the log joint at its mode."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.levels import crossed_of
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.crossed import crossed_covariance
from glmmjax.likelihood.params import Params

__all__ = ["crossed_covariances"]


def crossed_covariances(fitted: FittedModel) -> np.ndarray:
    """(n, q, q) covariance of the random effects b of the levels of each row, 0 between effects of different factors."""
    factors, wide = crossed_of(fitted.design), padding_of(fitted)
    with jax.enable_x64(True):
        (bucket,) = wide.buckets(fitted.design.clusters.buckets)
        found = _covariances(wide.problem, wide.params(fitted.params), bucket, fitted.modes.T[None])
    n, q = fitted.modes.shape
    covariances = np.zeros((n, q, q))
    for place, codes, of_levels in zip(factors.effects, factors.codes, found, strict=True):
        covariances[:, place, place] = np.moveaxis(np.asarray(of_levels), -1, 0)[np.asarray(codes[0])]
    return covariances


@as_program(0)
def _covariances(problem: Problem, params: Params, bucket: Bucket, modes: Array) -> tuple[Array, ...]:
    """(q_k, q_k, n_levels) for each factor."""
    block, start = jax.tree.map(lambda leaf: leaf[0], (bucket, modes))
    found = crossed_covariance(params, block, start, problem.family, problem.prior)
    roots = [params.chol[place, place] for place in block.levels.effects]
    return tuple(jnp.einsum("ab,bcm,dc->adm", root, of_u, root) for root, of_u in zip(roots, found, strict=True))
