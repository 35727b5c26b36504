"""Derivatives of the integrand and of the rows in it.

Every derivative of a row is one in its own predictors and extra parameters, which are few, whatever the number of parameters of the model.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.outcome_derivatives import define_jvp
from glmmjax.likelihood.rows import Integrand, Observed, at, materialized, over_rows, row_log_kernel
from glmmjax.likelihood.small_matrices import Matrix, symmetric

__all__ = [
    "RowDerivatives",
    "along",
    "coordinates",
    "cut_off",
    "is_positive_definite",
    "log_joint_derivatives",
    "negative_hessian",
    "row_derivatives",
]


def log_joint_derivatives(f: Integrand, u: Array) -> tuple[Array, tuple[Array, ...], Matrix]:
    """Value, gradient and negative Hessian of f in ``u``, from two derivatives of the density per row.

    Where a density is not log-concave and the exact negative Hessian of a cluster is not positive definite, that cluster
    takes the one with every row's curvature cut off at 0, and a law's own substitute, so that it is never smaller than this.
    """
    q, observed, zl = u.shape[0], f.observed, f.x.zl
    value, score, curvature = row_derivatives(f, u)
    pull, of_prior = f.prior.negative_gradient(u), f.prior.negative_hessian(u)
    gradient = tuple(over_rows(observed, zl[:, a] * score) - pull[a] for a in range(q))
    hessian = negative_hessian(observed, zl, curvature, of_prior)
    if not (f.family.is_log_concave and f.prior.is_log_concave) and q:
        of_law = of_prior if f.prior.is_log_concave else f.prior.positive_hessian(u)
        safe = negative_hessian(observed, zl, cut_off(curvature), of_law)
        keep = is_positive_definite(hessian)
        hessian = tuple(tuple(jnp.where(keep, h, s) for h, s in zip(*rows, strict=True)) for rows in zip(hessian, safe, strict=True))
    return over_rows(observed, value) + f.prior.log_density(u), gradient, hessian


class RowDerivatives(NamedTuple):
    """The weighted log density of every row and its derivatives in the predictors."""

    value: Array  # (w, B)
    score: Array  # (E, w, B)
    curvature: tuple[Array, ...]  # for each predictor e, d score / d eta_e (E, w, B)


class _RowSlopes(NamedTuple):
    """The same, and how they change.

    Attributes
    ----------
    rows
    by_eta : for each predictor, the slopes of each of the curvatures
    by_phi : for each extra parameter, the slopes of all of them
    """

    rows: RowDerivatives
    by_eta: tuple[tuple[Array, ...], ...]
    by_phi: tuple[RowDerivatives, ...]


@jax.custom_jvp
def row_derivatives(f: Integrand, u: Array) -> RowDerivatives:
    """Derivatives of every row at ``u``, with a rule that evaluates densities once for all tangents."""
    return materialized(_rows_at, f, u)


def _without(n: int, rows: RowDerivatives) -> RowDerivatives:
    return RowDerivatives(rows.value, rows.score[:n], tuple(second[:n] for second in rows.curvature[:n]))


@define_jvp(row_derivatives, _without)
def _row_derivatives_jvp(primals, tangents):
    (rows, by_eta, by_phi), (d_eta, d_phi) = _row_slopes(*primals), _moved(primals, tangents)
    third = tuple(_along(slopes, d_eta) for slopes in zip(*by_eta, strict=True))
    change = RowDerivatives((rows.score * d_eta).sum(0), _along(rows.curvature, d_eta), third)
    return rows, _plus(change, by_phi, d_phi)


@jax.custom_jvp
def _row_slopes(f: Integrand, u: Array) -> _RowSlopes:
    """Derivatives of every row and their slopes, with a rule of the same kind."""
    return materialized(_slopes_at, f, u)


def _without_in_slopes(n: int, slopes: _RowSlopes) -> _RowSlopes:
    by_eta = tuple(tuple(third[:n] for third in thirds[:n]) for thirds in slopes.by_eta[:n])
    return _RowSlopes(_without(n, slopes.rows), by_eta, tuple(_without(n, rows) for rows in slopes.by_phi))


@define_jvp(_row_slopes, _without_in_slopes)
def _row_slopes_jvp(primals, tangents):
    (slopes, changes), moved = materialized(_changes_at, *primals), _moved(primals, tangents)
    return slopes, _plus(jax.tree.map(jnp.zeros_like, slopes), changes, [*moved[0], *moved[1]])


def _moved(primals: tuple[Integrand, Array], tangents: tuple[Integrand, Array]) -> tuple[Array, Array]:
    """Changes of the predictors (E, w, B) and of the extra parameters (n_phi, B)."""
    (f, u), (df, du) = primals, tangents
    x, dx = f.x, df.x
    d_eta = dx.eta + sum((dx.zl[:, a] * u[a] + x.zl[:, a] * du[a] for a in range(u.shape[0])), jnp.zeros_like(x.eta))
    return d_eta, dx.phi


def _plus(total: Any, slopes: tuple[Any, ...], changes: Any) -> Any:
    """``total`` and the sum of the trees ``slopes``, each times its entry of ``changes``."""
    for slope, change in zip(slopes, changes, strict=True):
        total = jax.tree.map(lambda at, by, change=change: at + by * change, total, slope)
    return total


def _along(slopes: tuple[Array, ...], d_eta: Array) -> Array:
    """Change of an (E, w, B) array whose slope in predictor e is ``slopes[e]``."""
    return sum((slope * d for slope, d in zip(slopes[1:], d_eta[1:], strict=True)), slopes[0] * d_eta[0])


@jax.jit
def _rows_at(f: Integrand, u: Array) -> RowDerivatives:
    return _derivatives(f.family, f.observed, at(f.x, u), f.x.phi)


@jax.jit
def _slopes_at(f: Integrand, u: Array) -> _RowSlopes:
    return _slopes(f.family, f.observed, at(f.x, u), f.x.phi)


@jax.jit
def _changes_at(f: Integrand, u: Array) -> tuple[_RowSlopes, tuple[_RowSlopes, ...]]:
    """Derivatives and slopes of every row, and their slopes in every predictor and every phi."""
    eta, phi = at(f.x, u), f.x.phi
    slopes, changes = along(functools.partial(_slopes, f.family, f.observed), (eta, phi), coordinates(eta, phi))
    return slopes, tuple(changes)


def _slopes(family: Family, observed: Observed, eta: Array, phi: Array) -> _RowSlopes:
    rows, slopes = along(functools.partial(_derivatives, family, observed), (eta, phi), coordinates(eta, phi))
    return _RowSlopes(rows, tuple(slope.curvature for slope in slopes[: len(eta)]), tuple(slopes[len(eta) :]))


def _derivatives(family: Family, observed: Observed, eta: Array, phi: Array) -> RowDerivatives:
    def value_and_score(eta):
        value, pullback = jax.vjp(lambda e: row_log_kernel(family, observed, e, phi), eta)
        return value * observed.row_weight, pullback(observed.row_weight)[0]

    (value, score), seconds = along(value_and_score, (eta,), coordinates(eta))
    return RowDerivatives(value, score, tuple(second for _, second in seconds))


def negative_hessian(observed: Observed, zl: Array, curvature: tuple[Array, ...], of_prior: Matrix) -> Matrix:
    """q x q arrays (B,): that of the rows, whose curvatures are those of ``RowDerivatives``, and of the prior."""
    q, lower = len(of_prior), {}
    for a in range(q):
        for b in range(a + 1):
            of_rows = sum(over_rows(observed, zl[:, a] * second * zl[e, b]) for e, second in enumerate(curvature))
            lower[a, b] = of_prior[a][b] - of_rows
    return symmetric(lower, q)


def cut_off(curvature: tuple[Array, ...]) -> tuple[Array, ...]:
    """The curvature in each predictor, cut off at 0; cross terms between predictors are left out."""
    return tuple(jnp.zeros_like(second).at[e].set(jnp.minimum(second[e], 0.0)) for e, second in enumerate(curvature))


def is_positive_definite(a: Matrix) -> Array:
    """(B,) whether all pivots of an elimination without square roots are safely positive."""
    rows = [list(row) for row in a]
    q, good = len(rows), jnp.ones(rows[0][0].shape, bool)
    for k in range(q):
        good = good & (rows[k][k] > 1e-3)
        pivot = jnp.where(good, rows[k][k], 1.0)
        for r in range(k + 1, q):
            for c in range(k + 1, r + 1):
                rows[r][c] = rows[r][c] - rows[r][k] * rows[c][k] / pivot
    return good


def along(function: Callable[..., Any], primals: tuple[Array, ...], directions: list[tuple[Array, ...]]) -> tuple[Any, list[Any]]:
    """``function`` and its derivatives along ``directions``; traced once, because the size of a program is what compiling costs."""
    if len(directions) == 1:
        value, change = jax.jvp(function, primals, directions[0])
        return value, [change]
    stacked = tuple(jnp.stack(parts) for parts in zip(*directions, strict=True))
    value, changes = jax.vmap(lambda *direction: jax.jvp(function, primals, direction), out_axes=(None, 0))(*stacked)
    return value, [jax.tree.map(lambda leaf, k=k: leaf[k], changes) for k in range(len(directions))]


def coordinates(*arrays: Array) -> list[tuple[Array, ...]]:
    """For each entry of the leading axis of each array, the direction in all arrays in which only this entry grows."""
    still = [jnp.zeros_like(a) for a in arrays]
    return [
        (*still[:k], still[k].at[e].set(1.0) if len(a) > 1 else jnp.ones_like(a), *still[k + 1 :])
        for k, a in enumerate(arrays)
        for e in range(len(a))
    ]
