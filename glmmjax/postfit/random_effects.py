"""Conditional modes of the random effects given the data, and their conditional covariance matrices."""

from __future__ import annotations

import functools

import jax
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.adaptive import posterior
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.rows import outcome_of, predictors_of

__all__ = ["random_effects", "random_effects_covariance"]


def random_effects(fitted: FittedModel) -> np.ndarray:
    """(m, q) conditional modes b = L u, in the order of ``design.groups``."""
    return fitted.modes @ fitted.params.chol.T


def random_effects_covariance(fitted: FittedModel) -> np.ndarray:
    """(m, q, q) conditional covariance of b at its mode, ``L H^-1 L'`` with H the negative Hessian of the log joint density in u."""
    clusters = fitted.design.clusters
    if fitted.modes.shape[1] == 0:
        return np.zeros((len(fitted.modes), 0, 0))
    with jax.enable_x64(True):
        starts = _to_blocks(fitted.modes, clusters.buckets, np.asarray(clusters.slots))
        found = [_covariances(fitted.problem.family, fitted.params, *pair) for pair in zip(clusters.buckets, starts, strict=True)]
        return np.concatenate([np.asarray(covariance) for covariance in found])[np.asarray(clusters.slots)]


@functools.partial(jax.jit, static_argnums=0)
def _covariances(family: Family, params: Params, bucket: Bucket, modes: Array) -> Array:
    """(S * B, q, q) of the clusters of a bucket."""

    def of_block(block_and_modes: tuple[Bucket, Array]) -> Array:
        block, start = block_and_modes
        root = posterior(family, predictors_of(params, block), outcome_of(block), start).root
        scaled = [[sum(params.chol[r, a] * root[a, c] for a in range(q)) for c in range(q)] for r in range(q)]
        return jax.numpy.stack([sum(scaled[r][c] * scaled[s][c] for c in range(q)) for r in range(q) for s in range(q)], axis=-1)

    q = params.chol.shape[0]
    return jax.lax.map(of_block, (bucket, modes)).reshape(-1, q, q)


def _to_blocks(modes: np.ndarray, buckets: tuple[Bucket, ...], slots: np.ndarray) -> list[np.ndarray]:
    """One (S, q, B) array a bucket; 0 for padding clusters."""
    shapes = [bucket.cluster_weight.shape for bucket in buckets]
    ends = np.cumsum([n_blocks * n_lanes for n_blocks, n_lanes in shapes])
    flat = np.zeros((ends[-1], modes.shape[1]))
    flat[slots] = modes
    return [part.reshape(*shape, modes.shape[1]).swapaxes(1, 2) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
