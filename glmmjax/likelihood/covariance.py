"""Covariance structures of the random effects: a free vector <-> a factor L with D = L L'.

Every free vector is unconstrained. Where possible a singular D is an ordinary interior point: the diagonal of L has a sign, since a log
diagonal would drift to -infinity there. ``canonical`` makes the diagonal non-negative once, after a fit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.likelihood.levels import CrossedFactors, Levels
from glmmjax.likelihood.structure import Structure

__all__ = [
    "STRUCTURES",
    "Autoregressive",
    "BlockDiagonal",
    "CompoundSymmetry",
    "Deviation",
    "canonical",
    "diagonal",
    "lower_factor",
    "of_levels",
    "unstructured",
]


@dataclasses.dataclass(frozen=True)
class BlockDiagonal(Structure):
    """Independent unstructured blocks of the given sizes: (q,) is an unstructured D, (1, ..., 1) a diagonal one.

    Attributes
    ----------
    sizes : numbers of random effects in the blocks; their sum is q
    """

    sizes: tuple[int, ...]

    @property
    def block_sizes(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def basis_sizes(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def q(self) -> int:
        return sum(self.sizes)

    @property
    def entries(self) -> tuple[tuple[int, int], ...]:
        """(row, column) of the free entries of L, in the order of the free vector."""
        starts = [sum(self.sizes[:k]) for k in range(len(self.sizes))]
        return tuple((s + r, s + c) for s, size in zip(starts, self.sizes, strict=True) for r in range(size) for c in range(r + 1))

    @property
    def n_free(self) -> int:
        return len(self.entries)

    def free_names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"L[{effects[r]},{effects[c]}]" for r, c in self.entries)

    def signs(self, free: np.ndarray) -> np.ndarray:
        """The factors that make the diagonal of L non-negative."""
        diagonal = {column: k for k, (row, column) in enumerate(self.entries) if row == column}
        return np.where(np.asarray(free)[..., [diagonal[column] for _, column in self.entries]] < 0, -1.0, 1.0)

    def factor(self, free: Array) -> Array:
        rows, columns = self._positions()
        return jnp.zeros((self.q, self.q), free.dtype).at[rows, columns].set(free)

    def free(self, chol: Array) -> Array:
        rows, columns = self._positions()
        return chol[rows, columns]

    def pull_back(self, free: Array, slope: Array) -> Array:
        del free
        return self.free(slope)

    def variances(self, free: Array, informed: Array, reach: Array) -> Array:
        """``D_rr / n_rc`` for entry (r, c) of L, half of it on the diagonal, n_rc the number of clusters that inform it."""
        chol = self.factor(free)
        on_predictor = (chol * chol).sum(1) * reach**2  # variances in units of the linear predictor, where they can be compared
        variance = jnp.maximum(on_predictor, 1e-4 * jnp.max(on_predictor)) / jnp.where(reach > 0, reach, 1.0) ** 2
        return jnp.stack([variance[r] / jnp.maximum(informed[r, c], 1.0) * (0.5 if r == c else 1.0) for r, c in self.entries])

    def largest_change(self, reach: Array) -> Array:
        return reach[jnp.array([row for row, _ in self.entries], int)]

    def mask(self) -> tuple[tuple[bool, ...], ...]:
        block = [k for k, size in enumerate(self.sizes) for _ in range(size)]
        return tuple(tuple(a == b for b in block) for a in block)

    def _positions(self) -> tuple[list[int], list[int]]:
        return [r for r, _ in self.entries], [c for _, c in self.entries]


@dataclasses.dataclass(frozen=True)
class Deviation(BlockDiagonal):
    """One random effect whose law is not symmetric: L is the absolute value of the free number, so that it never turns the law round.

    The log-likelihood of a centred law has no slope in the standard deviation at 0, so that it stays smooth there in the free number.
    """

    sizes: tuple[int, ...] = (1,)

    turns: ClassVar[bool] = False

    def factor(self, free: Array) -> Array:
        return super().factor(jnp.where(free < 0, -free, free))

    def pull_back(self, free: Array, slope: Array) -> Array:
        return jnp.where(free < 0, -1.0, 1.0) * self.free(slope)


@dataclasses.dataclass(frozen=True)
class _TwoNumbers(Structure):
    """Structures of any size whose free vector has two numbers.

    Attributes
    ----------
    size : number of random effects q
    """

    fewest: ClassVar[int] = 2

    size: int

    @property
    def q(self) -> int:
        return self.size

    @property
    def n_free(self) -> int:
        return 2


@dataclasses.dataclass(frozen=True)
class CompoundSymmetry(_TwoNumbers):
    """One variance and one correlation.

    The free vector holds signed square roots of the two eigenvalues of D: that of the mean of the effects, ``s^2 (1 + (q - 1) r)``, and
    that of contrasts between them, ``s^2 (1 - r)``.

    Attributes
    ----------
    size : number of random effects q
    """

    def free_names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return ("D[root of mean]", "D[root of contrasts]")

    def factor(self, free: Array) -> Array:
        return free[1] * jnp.eye(self.q, dtype=free.dtype) + (free[0] - free[1]) / self.q

    def free(self, chol: Array) -> Array:
        of_mean = (chol.sum(0) ** 2).sum() / self.q
        of_contrasts = jnp.maximum((chol * chol).sum() - of_mean, 0.0) / (self.q - 1)
        return jnp.sqrt(jnp.stack([of_mean, of_contrasts]))

    def variances(self, free: Array, informed: Array, reach: Array) -> Array:
        size = jnp.maximum(free * free, 1e-2 * jnp.max(free * free))
        return 0.5 * size / jnp.maximum(jnp.mean(jnp.diagonal(informed)), 1.0) / jnp.array([1.0, self.q - 1.0], free.dtype)


@dataclasses.dataclass(frozen=True)
class Autoregressive(_TwoNumbers):
    """One variance, and the correlation ``r^|i - j|`` of the effects i and j, in the order of their columns.

    The free vector is (s, atanh r) with a signed standard deviation s.

    Attributes
    ----------
    size : number of random effects q
    """

    def free_names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return ("D[sd]", "D[atanh corr]")

    def factor(self, free: Array) -> Array:
        deviation, r = free[0], jnp.tanh(free[1])
        lag = jnp.arange(self.q)[:, None] - jnp.arange(self.q)
        powers = jnp.concatenate([jnp.ones(1, free.dtype), jnp.cumprod(jnp.full(self.q - 1, r))])[jnp.abs(lag)]
        first = (jnp.arange(self.q) == 0).astype(free.dtype)
        return deviation * jnp.where(lag >= 0, powers, 0.0) * (first + (1.0 - first) / jnp.cosh(free[1]))

    def free(self, chol: Array) -> Array:
        d = chol @ chol.T
        variance = jnp.mean(jnp.diagonal(d))
        r = jnp.mean(jnp.diagonal(d, 1)) / jnp.where(variance > 0, variance, 1.0)
        return jnp.stack([jnp.sqrt(variance), jnp.arctanh(jnp.clip(r, -0.95, 0.95))])

    def variances(self, free: Array, informed: Array, reach: Array) -> Array:
        n = jnp.maximum(jnp.mean(jnp.diagonal(informed)), 1.0)
        return jnp.stack([0.5 * jnp.maximum(free[0] ** 2, 1e-4) / (n * self.q), 1.0 / (n * (self.q - 1))])


def unstructured(q: int) -> BlockDiagonal:
    """All variances and covariances free."""
    return BlockDiagonal((q,) if q else ())


def diagonal(q: int) -> BlockDiagonal:
    """Independent random effects."""
    return BlockDiagonal((1,) * q)


# from the argument ``covariance`` to the structure for q random effects; this is the one place to register a structure, by one line
STRUCTURES: dict[str, Callable[[int], Structure]] = {
    "unstructured": unstructured,
    "diagonal": diagonal,
    "compound_symmetry": CompoundSymmetry,
    "ar1": Autoregressive,
}


def of_levels(q: int, levels: Levels | CrossedFactors | None) -> BlockDiagonal:
    """All variances free, and all covariances of effects of the same level, or factor."""
    if isinstance(levels, CrossedFactors):
        return BlockDiagonal(levels.n_effects)
    return unstructured(q) if levels is None else BlockDiagonal((levels.n_upper, q - levels.n_upper))


def canonical(chol: Array) -> Array:
    """The same D with a non-negative diagonal of L: each column is multiplied by the sign of its diagonal entry."""
    return chol * jnp.where(jnp.diagonal(chol) < 0, -1.0, 1.0)


def lower_factor(root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower factor L of ``root root'`` with a non-negative diagonal, and the rotation R with ``L = root R``: ``u = R' u_root``."""
    if np.array_equal(root, np.tril(root)):
        sign = np.where(np.diagonal(root) < 0, -1.0, 1.0)
        return root * sign, np.diag(sign)
    rotation, upper = np.linalg.qr(root.T)
    sign = np.where(np.diagonal(upper) < 0, -1.0, 1.0)
    return upper.T * sign, rotation * sign
