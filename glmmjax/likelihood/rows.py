"""One block of clusters as the integrand sees it: f(u) = sum_j log p(y_j | eta_j + zl_j' u) - |u|^2 / 2.

Arrays are written for one cluster, (w,) rows and (q,) random effects, with a trailing axis of clusters that every operation
broadcasts over. Of log p, f has what depends on u; ``log_base`` is the rest. ``zl = L' z`` folds the factor of D into the random-effects
design, so that ``u ~ N(0, I)`` and no inverse of D is ever formed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.small_matrices import Matrix, symmetric

__all__ = [
    "Lanes",
    "Outcome",
    "Predictors",
    "along",
    "coordinates",
    "from_first_lane",
    "linear_predictors",
    "log_base",
    "log_joint",
    "log_joint_derivatives",
    "materialized",
    "outcome_of",
    "over_lanes",
    "over_rows",
    "predictors_of",
    "row_log_density",
    "row_log_kernel",
]


class Predictors(NamedTuple):
    """What of the integrand depends on the parameters. ``E`` predictors, ``q`` random effects."""

    eta: Array  # (E, w, B) fixed part and offset
    zl: Array  # (E, q, w, B) random-effects columns times L
    phi: Array  # (n_phi, B) extra parameters, one copy a cluster


class Outcome(NamedTuple):
    """What of the integrand does not. No derivative is taken with respect to it."""

    y: Any  # (w, B), or a pair of them
    row_weight: Array  # (w, B)
    lanes: Lanes | None = None  # None where every lane is a cluster


class Lanes(NamedTuple):
    """Clusters that span several lanes. What belongs to a cluster, such as its mode, then stands on each of its lanes."""

    same: Array  # (B, B) 1 where two lanes belong to one cluster, else 0
    is_first: Array  # (B,) 1 on the first lane of each cluster, else 0


def predictors_of(params: Params, block: Bucket) -> Predictors:
    """Linear predictors of a block: ``eta = x' beta + offset`` and ``zl = L' z``, for the main part, the zero part and the dispersion."""
    eta = linear_predictors(params, block)
    zl, first = [], 0
    for z in block.Z:
        rows = params.chol[first : first + z.shape[0]]
        zl.append(jnp.tensordot(rows.T, z, 1))  # a matrix product, because its derivative in L is one too and not a slow sum over rows
        first += z.shape[0]
    phi = jnp.asarray(params.phi, eta.dtype)
    return Predictors(eta, jnp.stack(zl), jnp.broadcast_to(phi[:, None], (phi.shape[0], eta.shape[-1])))


def linear_predictors(params: Params, block: Bucket) -> Array:
    """(E, w, B) fixed parts and offsets."""
    coefficients = [params.beta, *(jnp.asarray(c) for c in (params.gamma, params.delta) if len(c))]
    return jnp.stack([jnp.tensordot(c, x, 1) + o for c, x, o in zip(coefficients, block.X, block.offset, strict=True)])


def outcome_of(block: Bucket) -> Outcome:
    """Outcome and row weights of a block, closed to differentiation."""
    return jax.lax.stop_gradient(Outcome(block.y, block.row_weight, _lanes_of(block)))


def _lanes_of(block: Bucket) -> Lanes | None:
    if block.lane_clusters is None:
        return None
    ids, dtype = block.lane_clusters, block.row_weight.dtype
    return Lanes((ids[:, None] == ids).astype(dtype), (ids == jnp.arange(len(ids))).astype(dtype))


def over_rows(outcome: Outcome, terms: Array) -> Array:
    """(B,) sums of ``terms`` (..., w, B) over the rows of each cluster."""
    return over_lanes(outcome, terms.sum(tuple(range(terms.ndim - 1))))


def over_lanes(outcome: Outcome, sums: Array) -> Array:
    """Sums (..., B) of the rows in each lane, added up over the lanes of each cluster and given to all of them."""
    return sums if outcome.lanes is None else jnp.matmul(sums, outcome.lanes.same, precision="highest")


def from_first_lane(outcome: Outcome, values: Array) -> Array:
    """Values (..., B) of clusters as their first lanes have them, on all lanes."""
    return values if outcome.lanes is None else over_lanes(outcome, values * outcome.lanes.is_first)


def materialized(function: Callable[..., Any], family: Family, x: Predictors, outcome: Outcome, u: Array) -> Any:
    """``function(family, x, outcome, u)`` with every result written to memory before it is used; ``function`` is jitted.

    XLA's CPU compiler inlines a density into the sums over rows that use it, several times over, in loops that do not vectorise:
    twice the time. The branch of a conditional is the one boundary that it does not fuse across. A GPU wants the fusion.
    """

    def on_cpu(*arguments: Any) -> Any:
        always = outcome.row_weight.ravel()[0] >= 0  # which the compiler cannot know
        return jax.lax.cond(always, values, zeros, *arguments)

    values = functools.partial(function, family)  # jitted, so that it is traced once for all its branches
    zeros = lambda *a: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(values, *a))  # noqa: E731
    return jax.lax.platform_dependent(x, outcome, u, cpu=on_cpu, default=values)


def row_log_density(family: Family, outcome: Outcome, eta: Array, phi: Array) -> Array:
    """(w, B) log density of every row, unweighted."""
    return family.log_density(outcome.y, eta[0], phi, *eta[1:])


def row_log_kernel(family: Family, outcome: Outcome, eta: Array, phi: Array) -> Array:
    """(w, B) what of the log density of every row depends on the random effects, unweighted."""
    return family.log_kernel(outcome.y, eta[0], phi, *eta[1:])


def log_base(family: Family, x: Predictors, outcome: Outcome) -> Array:
    """(B,) what of the log density of a cluster does not depend on its random effects."""
    rows = family.log_base(outcome.y, x.phi, *x.eta[1:])
    return over_rows(outcome, outcome.row_weight * rows)


def at(x: Predictors, u: Array) -> Array:
    """(E, w, B) linear predictors at random effects ``u``."""
    return x.eta + sum((x.zl[:, a] * u[a] for a in range(u.shape[0])), jnp.zeros((), x.eta.dtype))


def log_joint(family: Family, x: Predictors, outcome: Outcome, u: Array) -> Array:
    """(B,) values of f at ``u`` (q, B), without the constant of the normal density."""
    density = row_log_kernel(family, outcome, at(x, u), x.phi)
    return over_rows(outcome, outcome.row_weight * density) - 0.5 * (u * u).sum(0)


def log_joint_derivatives(family: Family, x: Predictors, outcome: Outcome, u: Array) -> tuple[Array, tuple[Array, ...], Matrix]:
    """Value, gradient and negative Hessian of f in ``u``, from two derivatives of the density per row.

    Where the density is not log-concave and the exact negative Hessian of a cluster is not positive definite, that cluster
    takes the one with every row's curvature cut off at 0, which is never smaller than the identity.
    """
    q = u.shape[0]
    value, score, curvature = _rows(family, x, outcome, u)
    gradient = tuple(over_rows(outcome, x.zl[:, a] * score) - u[a] for a in range(q))
    hessian = _negative_hessian(outcome, x.zl, curvature, q)
    if not family.is_log_concave and q:
        safe = _negative_hessian(outcome, x.zl, _cut_off(curvature), q)
        keep = _is_positive_definite(hessian)
        hessian = tuple(tuple(jnp.where(keep, h, s) for h, s in zip(*rows, strict=True)) for rows in zip(hessian, safe, strict=True))
    return over_rows(outcome, value) - 0.5 * (u * u).sum(0), gradient, hessian


class _Rows(NamedTuple):
    """The weighted log density of every row and its derivatives in the predictors."""

    value: Array  # (w, B)
    score: Array  # (E, w, B)
    curvature: tuple[Array, ...]  # for each predictor e, d score / d eta_e (E, w, B)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _rows(family: Family, x: Predictors, outcome: Outcome, u: Array) -> _Rows:
    """Derivatives of every row at ``u``, with a rule that evaluates densities once for all tangents."""
    return materialized(_rows_at, family, x, outcome, u)


@_rows.defjvp
def _rows_jvp(family, primals, tangents):
    x, outcome, u = primals
    dx, _, du = tangents
    rows, by_eta, by_phi = materialized(_slopes_at, family, x, outcome, u)
    d_eta = dx.eta + sum((dx.zl[:, a] * u[a] + x.zl[:, a] * du[a] for a in range(u.shape[0])), jnp.zeros_like(x.eta))
    change = _Rows((rows.score * d_eta).sum(0), _along(rows.curvature, d_eta), tuple(_along(third, d_eta) for third in by_eta))
    for j, slope in enumerate(by_phi):
        change = jax.tree.map(lambda total, part, j=j: total + part * dx.phi[j], change, slope)
    return rows, change


def _along(slopes: tuple[Array, ...], d_eta: Array) -> Array:
    """Change of an (E, w, B) array whose slope in predictor e is ``slopes[e]``."""
    return sum((slope * d for slope, d in zip(slopes[1:], d_eta[1:], strict=True)), slopes[0] * d_eta[0])


@functools.partial(jax.jit, static_argnums=0)
def _rows_at(family: Family, x: Predictors, outcome: Outcome, u: Array) -> _Rows:
    return _derivatives(family, outcome, at(x, u), x.phi)


@functools.partial(jax.jit, static_argnums=0)
def _slopes_at(family: Family, x: Predictors, outcome: Outcome, u: Array) -> tuple[_Rows, tuple[tuple[Array, ...], ...], tuple[_Rows, ...]]:
    """Derivatives of every row; for each of their curvatures its slopes in every predictor; and all their slopes in every phi."""
    eta, phi = at(x, u), x.phi
    rows, slopes = along(lambda eta, phi: _derivatives(family, outcome, eta, phi), (eta, phi), coordinates(eta, phi))
    by_predictor = [slope.curvature for slope in slopes[: len(eta)]]
    return rows, tuple(zip(*by_predictor, strict=True)), tuple(slopes[len(eta) :])


def _derivatives(family: Family, outcome: Outcome, eta: Array, phi: Array) -> _Rows:
    def value_and_score(eta):
        value, pullback = jax.vjp(lambda e: row_log_kernel(family, outcome, e, phi), eta)
        return value * outcome.row_weight, pullback(outcome.row_weight)[0]

    (value, score), seconds = along(value_and_score, (eta,), coordinates(eta))
    return _Rows(value, score, tuple(second for _, second in seconds))


def along(function: Callable[..., Any], primals: tuple[Array, ...], directions: list[tuple[Array, ...]]) -> tuple[Any, list[Any]]:
    """``function`` and its derivatives along ``directions``; traced once, because the size of a program is what compiling costs."""
    if len(directions) == 1:
        value, change = jax.jvp(function, primals, directions[0])
        return value, [change]
    stacked = tuple(jnp.stack(parts) for parts in zip(*directions, strict=True))
    value, changes = jax.vmap(lambda *direction: jax.jvp(function, primals, direction), out_axes=(None, 0))(*stacked)
    return value, [jax.tree.map(lambda leaf, k=k: leaf[k], changes) for k in range(len(directions))]


def coordinates(*arrays: Array) -> list[tuple[Array, ...]]:
    """For each entry of the leading axis of each array the direction, in all arrays, in which it alone grows."""
    still = [jnp.zeros_like(a) for a in arrays]
    return [
        (*still[:k], still[k].at[e].set(1.0) if len(a) > 1 else jnp.ones_like(a), *still[k + 1 :])
        for k, a in enumerate(arrays)
        for e in range(len(a))
    ]


def _negative_hessian(outcome: Outcome, zl: Array, curvature: tuple[Array, ...], q: int) -> Matrix:
    lower = {}
    for a in range(q):
        for b in range(a + 1):
            prior = jnp.full(zl.shape[-1:], 1.0 if a == b else 0.0, zl.dtype)
            lower[a, b] = prior - sum(over_rows(outcome, zl[:, a] * second * zl[e, b]) for e, second in enumerate(curvature))
    return symmetric(lower, q)


def _cut_off(curvature: tuple[Array, ...]) -> tuple[Array, ...]:
    """Each predictor's own curvature, no higher than 0; cross terms between predictors are left out."""
    return tuple(jnp.zeros_like(second).at[e].set(jnp.minimum(second[e], 0.0)) for e, second in enumerate(curvature))


def _is_positive_definite(a: Matrix) -> Array:
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
