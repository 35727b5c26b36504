"""Linear predictors of rows and of blocks; and the rows of predictions, which have no clusters and no padding.

``E`` predictors (main part, zero part, dispersion), ``q`` random effects in all, ``n`` rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.params import Params

__all__ = ["ModelRows", "mean_at", "phi_of_rows", "predictors_at", "random_columns", "random_part"]


class ModelRows(NamedTuple):
    """Columns of a model for n rows.

    Attributes
    ----------
    X : per predictor (p_e, n), fixed-effects columns
    Z : per predictor (q_e, n), random-effects columns; sum of q_e is q
    offset : (E, n) offsets, on the scale of the linear predictors
    """

    X: tuple[Any, ...]
    Z: tuple[Any, ...]
    offset: Any


def predictors_at(params: Params, columns: ModelRows | Bucket, u: Array | None = None) -> Array:
    """Linear predictors ``x' beta + offset + z' L u``, (E, n) of rows or (E, w, B) of one block of clusters.

    ``u``: (q, n) random effects of every row, or (q, 1, B) of every cluster; None stands for 0.
    """
    coefficients = [params.beta, *(jnp.asarray(c) for c in (params.gamma, params.delta) if len(c))]
    eta = jnp.stack([jnp.tensordot(c, x, 1) + o for c, x, o in zip(coefficients, columns.X, columns.offset, strict=True)])
    if u is None or not len(u):
        return eta
    return eta + random_part(columns, jnp.tensordot(params.chol, u, 1))


def random_part(columns: ModelRows | Bucket, b: Array) -> Array:
    """``z' b`` of every predictor, in the shape of ``predictors_at``; ``b`` as ``u`` there."""
    parts, first = [], 0
    for z in columns.Z:
        parts.append((z * b[first : first + len(z)]).sum(0))
        first += len(z)
    return jnp.stack(parts)


def random_columns(params: Params, columns: ModelRows | Bucket) -> Array:
    """(E, q, n) or (E, q, w, B) random-effects columns times L: the predictors are linear in u with these slopes."""
    slopes, first = [], 0
    for z in columns.Z:
        # a matrix product: its derivative in L is a matrix product too, and not a slow sum over rows
        slopes.append(jnp.tensordot(params.chol[first : first + len(z)].T, z, 1))
        first += len(z)
    return jnp.stack(slopes)


def phi_of_rows(params: Params, n: int) -> Array:
    """(n_phi, n) extra parameters on the free scale, the same for every row."""
    phi = jnp.asarray(params.phi, params.beta.dtype)
    return jnp.broadcast_to(phi[:, None], (len(phi), n))


def mean_at(family: Family, params: Params, eta: Array) -> Array:
    """(n,) conditional means of the outcome at linear predictors ``eta`` (E, n)."""
    return family.mean(eta[0], phi_of_rows(params, eta.shape[-1]), *eta[1:])
