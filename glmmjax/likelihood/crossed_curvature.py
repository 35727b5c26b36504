"""The negative Hessian H of the log joint density of crossed factors in the random effects of all levels, and what is solved with it.

H has blocks on the diagonal for the levels of the factor that is eliminated, a dense part for the effects of all other factors, and a
sparse part between them, one entry for each row. So it is solved by the Schur complement of the eliminated factor,

    S = H_BB - sum_a H_aB' H_aa^-1 H_aB,

and ``log|H| = sum_a log|H_aa| + log|S|``. The cost is that of one dense Cholesky factor of S, and of the pairs of rows of a level.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.levels import CrossedFactors
from glmmjax.likelihood.row_derivatives import RowDerivatives
from glmmjax.likelihood.rows import Integrand
from glmmjax.likelihood.small_matrices import Matrix, cholesky, inverse_transpose, symmetric

__all__ = [
    "Curvature",
    "Effects",
    "Inverted",
    "change_of",
    "curvature_at",
    "inner_product",
    "inverted",
    "level_covariances",
    "solve",
    "sums_by_level",
]

Effects = tuple[Array, ...]  # (q_k, n_levels) for each factor


class Curvature(NamedTuple):
    """The negative Hessian H of h.

    Attributes
    ----------
    root : q_A x q_A arrays (n_levels,): R with ``R R' = H_aa^-1``, of each level a of the eliminated factor
    log_det : () log determinant of the blocks H_aa
    across : (n,) minus the curvature of each row in its predictor
    schur : (N, N) Schur complement S of the eliminated factor, N effects of all others
    """

    root: Matrix
    log_det: Array
    across: Array
    schur: Array


class Inverted(NamedTuple):
    """H, ready to be solved with.

    Attributes
    ----------
    root : as in ``Curvature``
    across : as in ``Curvature``
    inverse : (N, N) of the Schur complement: the covariance of the effects of all other factors, given the outcomes
    log_det : () log determinant of H
    factor : (N, N) Cholesky factor of the Schur complement; no derivative is taken of it
    """

    root: Matrix
    across: Array
    inverse: Array
    log_det: Array
    factor: Array


def inverted(found: Curvature) -> Inverted:
    """H with the inverse of its Schur complement."""
    factor = jnp.linalg.cholesky(found.schur)
    inverse = jax.scipy.linalg.cho_solve((factor, True), jnp.eye(len(factor), dtype=factor.dtype))
    return Inverted(found.root, found.across, inverse, found.log_det + 2.0 * jnp.log(jnp.diagonal(factor)).sum(), factor)


def change_of(at: Inverted, change: Curvature) -> Inverted:
    """How ``inverted`` changes where H does, by two products and no solve."""
    inverse = -jnp.matmul(jnp.matmul(at.inverse, change.schur, precision="highest"), at.inverse, precision="highest")
    log_det = change.log_det + (at.inverse * change.schur).sum()
    return Inverted(change.root, change.across, inverse, log_det, jnp.zeros_like(at.factor))


def curvature_at(f: Integrand, factors: CrossedFactors, rows: RowDerivatives) -> Curvature:
    """H from the curvatures of the rows."""
    zl, weight = f.x.zl[0, :, 0], -rows.curvature[0][0, 0]
    own, codes = factors.effects[factors.eliminated], factors.codes[factors.eliminated]
    n_levels, q = factors.n_levels[factors.eliminated], factors.n_effects[factors.eliminated]
    z = zl[own]
    sums = {(a, b): jax.ops.segment_sum(weight * z[a] * z[b], codes, n_levels) + float(a == b) for a in range(q) for b in range(a + 1)}
    lower = cholesky(symmetric(sums, q))
    root = inverse_transpose(lower)
    half = [sum(root[b][a][codes] * z[b] for b in range(a + 1)) for a in range(q)]  # root' z of each row
    of_blocks = 2.0 * jnp.log(jnp.stack([lower[a][a] for a in range(q)])).sum()
    return Curvature(root, of_blocks, weight, _schur(zl, factors, weight, jnp.stack(half)))


def level_covariances(f: Integrand, factors: CrossedFactors, found: Inverted) -> tuple[Array, ...]:
    """(q_k, q_k, n_levels) blocks of ``H^-1`` of the levels of each factor."""
    zl, covariance, blocks, first = f.x.zl[0, :, 0], found.inverse, [], 0
    for k, (q, n) in enumerate(zip(factors.n_effects, factors.n_levels, strict=True)):
        if k == factors.eliminated:
            blocks.append(_eliminated_covariances(zl, factors, found))
        else:
            own = covariance[first : first + q * n, first : first + q * n].reshape(q, n, q, n)
            blocks.append(jnp.diagonal(own, axis1=1, axis2=3))
            first += q * n
    return tuple(blocks)


def _eliminated_covariances(zl: Array, factors: CrossedFactors, found: Inverted) -> Array:
    """(q, q, n_levels) ``R R' + A S^-1 A'`` with ``A = H_aa^-1 H_aB`` of each level a of the factor that is eliminated."""
    k, (columns, places) = factors.eliminated, _dense_columns(zl, factors)
    codes, n, q, size = factors.codes[k], factors.n_levels[k], factors.n_effects[k], len(found.inverse)
    by_row = _block_solve_rows(found.root, zl[factors.effects[k]], codes)
    tables = []
    for values in by_row:
        flat = jnp.zeros(n * size, zl.dtype)
        for z, at in zip(columns, places, strict=True):
            flat = flat + jax.ops.segment_sum(found.across * values * z, codes * size + at, n * size)
        tables.append(flat.reshape(n, size))
    moved = [jnp.matmul(table, found.inverse, precision="highest") for table in tables]
    root = jnp.stack([jnp.stack(row) for row in found.root])
    own = jnp.einsum("acm,bcm->abm", root, root)
    return own + jnp.stack([jnp.stack([(moved[a] * tables[b]).sum(1) for b in range(q)]) for a in range(q)])


def _block_solve_rows(root: Matrix, z: Array, codes: Array) -> Array:
    """(q, n) ``R R' z`` of each row, by the root of its level."""
    return _block_solve(tuple(tuple(entry[codes] for entry in row) for row in root), z)


def _schur(zl: Array, factors: CrossedFactors, weight: Array, half: Array) -> Array:
    """(N, N) S; ``half`` (q_A, n) is ``R' z`` of each row."""
    columns, places = _dense_columns(zl, factors)
    size = _dense_size(factors)

    def scattered(first: list[Array], second: list[Array], to: list[Array], by: list[Array]) -> Array:
        """(N, N) sums of products of a column of each side, at the places of both."""
        total = jnp.zeros(size * size, zl.dtype)
        for (one, row), (other, column) in itertools.product(zip(first, to, strict=True), zip(second, by, strict=True)):
            total = total + jax.ops.segment_sum(one * other, row * size + column, size * size)
        return total.reshape(size, size)

    total = jnp.eye(size, dtype=zl.dtype) + scattered([weight * z for z in columns], columns, places, places)
    for of_effect in half:  # one term for each effect of a level that is eliminated
        own = [weight * of_effect * z for z in columns]
        if factors.pairs is None:
            total = total - _dense_product(own, places, factors, size)
        else:
            i, j = factors.pairs
            across = scattered(
                [values[i] for values in own], [values[j] for values in own], [at[i] for at in places], [at[j] for at in places]
            )
            total = total - scattered(own, own, places, places) - across - across.T
    return total


def _dense_product(own: list[Array], places: list[Array], factors: CrossedFactors, size: int) -> Array:
    """(N, N) ``M' M`` for the table M (n_levels, N) of sums of ``own`` over the rows of each level and place."""
    n_levels, codes = factors.n_levels[factors.eliminated], factors.codes[factors.eliminated]
    flat = jnp.zeros(n_levels * size, own[0].dtype)
    for values, at in zip(own, places, strict=True):
        flat = flat + jax.ops.segment_sum(values, codes * size + at, n_levels * size)
    table = flat.reshape(n_levels, size)
    return jnp.matmul(table.T, table, precision="highest")


def _dense_columns(zl: Array, factors: CrossedFactors) -> tuple[list[Array], list[Array]]:
    """For each random effect of the factors that are not eliminated, its column (n,) and its place (n,) among all of them."""
    columns, places, first = [], [], 0
    for k, (where, codes, n) in enumerate(zip(factors.effects, factors.codes, factors.n_levels, strict=True)):
        if k != factors.eliminated:
            for a in range(where.start, where.stop):
                columns.append(zl[a])
                places.append(first + codes)
                first += n
    return columns, places


def _dense_size(factors: CrossedFactors) -> int:
    sizes = [q * n for q, n in zip(factors.n_effects, factors.n_levels, strict=True)]
    return sum(sizes) - sizes[factors.eliminated]


def sums_by_level(values: Array, codes: Array, n_levels: int) -> Array:
    """(q_k, n_levels) sums of values (q_k, n) over the rows of each level."""
    return jax.ops.segment_sum(values.T, codes, n_levels).T


def solve(zl: Array, factors: CrossedFactors, found: Curvature | Inverted, b: Effects, dense_solve: Callable[[Array], Array]) -> Effects:
    """``H^-1 b``; ``dense_solve`` multiplies by the inverse of the Schur complement."""
    k = factors.eliminated
    z, codes, others = zl[factors.effects[k]], factors.codes[k], [j for j in range(len(b)) if j != k]
    by_row = _block_solve(found.root, b[k])[:, codes]
    across = found.across * (z * by_row).sum(0)
    rest = [b[j] - sums_by_level(across * zl[factors.effects[j]], factors.codes[j], b[j].shape[1]) for j in others]
    flat = dense_solve(jnp.concatenate([values.ravel() for values in rest])) if rest else jnp.zeros((0,), zl.dtype)
    solved, first = dict.fromkeys(range(len(b)), b[k]), 0
    moved = jnp.zeros_like(found.across)
    for j in others:
        size = b[j].size
        solved[j] = flat[first : first + size].reshape(b[j].shape)
        moved = moved + (zl[factors.effects[j]] * solved[j][:, factors.codes[j]]).sum(0)
        first += size
    solved[k] = _block_solve(found.root, b[k] - sums_by_level(found.across * moved * z, codes, b[k].shape[1]))
    return tuple(solved[j] for j in range(len(b)))


def _block_solve(root: Matrix, b: Array) -> Array:
    """``R R' b`` of every level."""
    q = len(root)
    half = [sum(root[r][a] * b[r] for r in range(a + 1)) for a in range(q)]
    return jnp.stack([sum(root[r][a] * half[a] for a in range(r, q)) for r in range(q)])


def inner_product(a: Effects, b: Effects) -> Array:
    """() of two sets of effects."""
    return jnp.stack([(one * other).sum() for one, other in zip(a, b, strict=True)]).sum()
