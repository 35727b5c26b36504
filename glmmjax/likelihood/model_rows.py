"""Rows as predictions see them: one row after the other, without clusters and padding, the rows on the last axis.

``E`` predictors (main part, zero part, dispersion), ``q`` random effects in all, ``n`` rows.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.params import Params

__all__ = ["ModelRows", "mean_at", "phi_of_rows", "predictors_at", "random_columns"]


class ModelRows(NamedTuple):
    """Columns of a model for n rows."""

    X: tuple[Array, ...]  # per predictor (p_e, n), fixed-effects columns
    Z: tuple[Array, ...]  # per predictor (q_e, n), random-effects columns; sum of q_e is q
    offset: Array  # (E, n)


def predictors_at(params: Params, rows: ModelRows, u: Array | None = None) -> Array:
    """(E, n) linear predictors at random effects ``b = L u`` with u (q, n) of every row; None stands for 0."""
    coefficients = [params.beta, *(jnp.asarray(c) for c in (params.gamma, params.delta) if len(c))]
    eta = jnp.stack([jnp.tensordot(c, x, 1) + o for c, x, o in zip(coefficients, rows.X, rows.offset, strict=True)])
    if u is None or not len(u):
        return eta
    return eta + (random_columns(params, rows) * u).sum(1)


def random_columns(params: Params, rows: ModelRows) -> Array:
    """(E, q, n) random-effects columns times L: the predictors are linear in u ~ N(0, I) with these slopes."""
    slopes, first = [], 0
    for z in rows.Z:
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
