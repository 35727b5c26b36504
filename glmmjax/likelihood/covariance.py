"""Covariance structures of the random effects: a free vector <-> the lower Cholesky factor L with D = L L'.

The diagonal of L is signed and unconstrained, so that a singular D is an ordinary interior point (design: a log diagonal
drifts to -infinity there). ``canonical`` makes the diagonal non-negative once, after a fit.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from jax import Array

__all__ = ["BlockDiagonal", "canonical", "diagonal", "unstructured"]


@dataclasses.dataclass(frozen=True)
class BlockDiagonal:
    """Independent unstructured blocks of the given sizes: (q,) is an unstructured D, (1, ..., 1) a diagonal one."""

    sizes: tuple[int, ...]

    @property
    def q(self) -> int:
        """Number of random effects."""
        return sum(self.sizes)

    @property
    def entries(self) -> tuple[tuple[int, int], ...]:
        """(row, column) of the free entries of L, in the order of the free vector."""
        starts = [sum(self.sizes[:k]) for k in range(len(self.sizes))]
        return tuple((s + r, s + c) for s, size in zip(starts, self.sizes, strict=True) for r in range(size) for c in range(r + 1))

    @property
    def n_free(self) -> int:
        """Length of the free vector."""
        return len(self.entries)

    def factor(self, free: Array) -> Array:
        """(q, q) lower factor L with the free entries (n_free,) in place."""
        rows, columns = self._positions()
        return jnp.zeros((self.q, self.q), free.dtype).at[rows, columns].set(free)

    def free(self, chol: Array) -> Array:
        """(n_free,) free entries of a (q, q) lower factor."""
        rows, columns = self._positions()
        return chol[rows, columns]

    def mask(self) -> tuple[tuple[bool, ...], ...]:
        """(q, q) truth table: which entries of D the structure leaves non-zero."""
        block = [k for k, size in enumerate(self.sizes) for _ in range(size)]
        return tuple(tuple(a == b for b in block) for a in block)

    def _positions(self) -> tuple[list[int], list[int]]:
        return [r for r, _ in self.entries], [c for _, c in self.entries]


def unstructured(q: int) -> BlockDiagonal:
    """All variances and covariances free."""
    return BlockDiagonal((q,) if q else ())


def diagonal(q: int) -> BlockDiagonal:
    """Independent random effects."""
    return BlockDiagonal((1,) * q)


def canonical(chol: Array) -> Array:
    """The same D with a non-negative diagonal of L: each column is multiplied by the sign of its diagonal entry."""
    return chol * jnp.where(jnp.diagonal(chol) < 0, -1.0, 1.0)
