"""Algebra of q x q matrices for many clusters at once, written out into elementwise operations.

A matrix is a nested tuple ``A[r][c]`` of arrays with the clusters on their last axis. For the few random effects that quadrature allows,
this runs and compiles several times faster than a batched LAPACK call on small matrices.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

__all__ = ["Matrix", "cholesky", "inverse_transpose", "lower_rotation", "solve_cholesky", "symmetric"]

Matrix = tuple[tuple[Array, ...], ...]


def symmetric(lower: dict[tuple[int, int], Array], q: int) -> Matrix:
    """The symmetric matrix with the given entries ``(r, c)``, ``r >= c``."""
    return tuple(tuple(lower[max(r, c), min(r, c)] for c in range(q)) for r in range(q))


def cholesky(a: Matrix) -> Matrix:
    """Rows of the lower factor C, ``A = C C'``; row r has r + 1 entries. NaN where A is not positive definite."""
    rows: list[tuple[Array, ...]] = []
    for r in range(len(a)):
        row: list[Array] = []
        for c in range(r + 1):
            above = row if r == c else list(rows[c])
            rest = a[r][c] - sum(row[k] * above[k] for k in range(c))
            row.append(jnp.sqrt(rest) if r == c else rest / rows[c][c])
        rows.append(tuple(row))
    return tuple(rows)


def solve_cholesky(c: Matrix, g: tuple[Array, ...]) -> tuple[Array, ...]:
    """``(C C')^-1 g`` by forward and back substitution."""
    q = len(c)
    y: list[Array] = []
    for r in range(q):
        y.append((g[r] - sum(c[r][k] * y[k] for k in range(r))) / c[r][r])
    x: list[Array] = [g[0]] * q
    for r in reversed(range(q)):
        x[r] = (y[r] - sum(c[k][r] * x[k] for k in range(r + 1, q))) / c[r][r]
    return tuple(x)


def inverse_transpose(c: Matrix) -> Matrix:
    """Upper-triangular ``R = C^-T``, so that ``R R' = (C C')^-1``; R[r][s] for s >= r holds the entries, 0 below."""
    q = len(c)
    inverse: list[list[Array]] = [[jnp.zeros_like(c[0][0])] * q for _ in range(q)]
    for s in range(q):
        for r in range(s, q):
            unit = 1.0 if r == s else 0.0
            inverse[r][s] = (unit - sum(c[r][k] * inverse[k][s] for k in range(s, r))) / c[r][r]
    return tuple(tuple(inverse[s][r] for s in range(q)) for r in range(q))


def lower_rotation(a: Array) -> Array:
    """(q, q) the orthogonal P that makes ``a P`` lower triangular for a matrix ``a`` (q, q), by plane rotations.

    It turns with ``a``: for any orthogonal Q, that of ``a Q`` is ``Q' P`` up to signs of its columns. Where the entries to be turned are
    0, any turn is as good, and none is made.
    """
    q = a.shape[0]
    total = jnp.eye(q, dtype=a.dtype)
    for row in range(q):
        for column in range(row + 1, q):
            c, s = _direction(a[row, row], a[row, column])
            turn = jnp.stack([jnp.stack([c, -s]), jnp.stack([s, c])])
            pair = jnp.array([row, column])
            a, total = a.at[:, pair].set(a[:, pair] @ turn), total.at[:, pair].set(total[:, pair] @ turn)
    return total


@jax.custom_jvp
def _direction(x: Array, y: Array) -> tuple[Array, Array]:
    """Cosine and sine of the angle of (x, y); those of 0 where both are 0.

    Their derivatives are those of an angle, so that a turn stays a turn. Those of ``x / sqrt(x^2 + y^2)`` lose this to rounding errors of
    the size of eps / x^2, which a rule counts as a change of its volume.
    """
    _, turns, r = _length(x, y)
    return jnp.where(turns, x / r, 1.0), jnp.where(turns, y / r, 0.0)


@_direction.defjvp
def _direction_jvp(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    c, s = _direction(x, y)
    length, turns, _ = _length(x, y)
    angle = jnp.where(turns, (x * dy - y * dx) / length, 0.0)
    return (c, s), (-s * angle, c * angle)


def _length(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """x^2 + y^2, or 1 where that is 0; whether it is not; its root."""
    length = x * x + y * y
    turns = length > jnp.finfo(length.dtype).tiny
    length = jnp.where(turns, length, 1.0)
    return length, turns, jnp.sqrt(length)
