"""Random effects of two levels given outcomes: the covariance of both together, from the curvature of the log joint at its mode."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.layout.nesting import LowerLevel
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel, modes_in_blocks, padding_of
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.nested import nested_posterior
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.small_matrices import Matrix, cholesky, inverse_transpose

__all__ = ["nested_curvature"]


def nested_curvature(fitted: FittedModel, lower: LowerLevel) -> np.ndarray:
    """(m, q, q) covariance of the random effects b of each lower cluster and its upper one, in the order of ``design.units``."""
    design, wide = fitted.design, padding_of(fitted)
    with jax.enable_x64(True):
        params = wide.params(fitted.params)
        pairs = zip(wide.buckets(design.clusters.buckets), modes_in_blocks(design, fitted.modes), strict=True)
        found = [np.asarray(_covariances(wide.problem, params, *pair)) for pair in pairs]
    return np.moveaxis(lower.from_blocks(found), -1, 0)


@as_program(0)
def _covariances(problem: Problem, params: Params, bucket: Bucket, start: Array) -> Array:
    """(S, q, q, B)"""

    def of_block(block_and_start: tuple[Bucket, Array]) -> Array:
        block, start = block_and_start
        peak = nested_posterior(params, block, start, problem.family, problem.prior)
        upper, own = _inverse(peak.precision), _inverse(peak.lower_precision)
        slope = jnp.stack([jnp.stack(row) for row in peak.slope])  # (q_v, q_u, B)
        across = jnp.einsum("kab,acb->kcb", slope, upper)
        lower = own + jnp.einsum("kab,lab->klb", across, slope)
        of_u = jnp.concatenate([jnp.concatenate([upper, jnp.swapaxes(across, 0, 1)], 1), jnp.concatenate([across, lower], 1)])
        return jnp.einsum("ac,cdb,ed->aeb", params.chol, of_u, params.chol)

    return jax.lax.map(of_block, (bucket, start))


def _inverse(precision: Matrix) -> Array:
    """(q, q, B)"""
    root = jnp.stack([jnp.stack(row) for row in inverse_transpose(cholesky(precision))])
    return jnp.einsum("acb,dcb->adb", root, root)
