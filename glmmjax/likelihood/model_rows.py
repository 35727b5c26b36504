"""Linear predictors, of rows and of blocks; and rows as predictions see them: without clusters and padding, on the last axis.

``E`` predictors (main part, zero part, dispersion), ``q`` random effects in all, ``n`` rows.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.params import Params

__all__ = ["Columns", "ModelRows", "mean_at", "phi_of_rows", "predictors_at", "random_columns", "random_part"]


class ModelRows(NamedTuple):
    """Columns of a model for n rows."""

    X: tuple[Array, ...]  # per predictor (p_e, n), fixed-effects columns
    Z: tuple[Array, ...]  # per predictor (q_e, n), random-effects columns; sum of q_e is q
    offset: Array  # (E, n)


class Columns(Protocol):
    """Columns of a model with any axes behind the first: (..., n) of rows, or (..., w, B) of a block of clusters."""

    @property
    def X(self) -> tuple[Array, ...]:
        """Per predictor (p_e, ...), fixed-effects columns."""

    @property
    def Z(self) -> tuple[Array, ...]:
        """Per predictor (q_e, ...), random-effects columns."""

    @property
    def offset(self) -> Array:
        """(E, ...)"""


def predictors_at(params: Params, columns: Columns, u: Array | None = None) -> Array:
    """(E, ...) linear predictors ``x' beta + offset + z' L u`` at random effects ``u`` (q, ...) of every row; None stands for 0."""
    coefficients = [params.beta, *(jnp.asarray(c) for c in (params.gamma, params.delta) if len(c))]
    eta = jnp.stack([jnp.tensordot(c, x, 1) + o for c, x, o in zip(coefficients, columns.X, columns.offset, strict=True)])
    if u is None or not len(u):
        return eta
    return eta + random_part(columns, jnp.tensordot(params.chol, u, 1))


def random_part(columns: Columns, b: Array) -> Array:
    """(E, ...) ``z' b`` of every predictor at random effects ``b`` (q, ...) of every row."""
    parts, first = [], 0
    for z in columns.Z:
        parts.append((z * b[first : first + len(z)]).sum(0))
        first += len(z)
    return jnp.stack(parts)


def random_columns(params: Params, columns: Columns) -> Array:
    """(E, q, ...) random-effects columns times L: the predictors are linear in u with these slopes."""
    slopes, first = [], 0
    for z in columns.Z:
        # a matrix product, because its derivative in L is one too and not a slow sum over rows
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
