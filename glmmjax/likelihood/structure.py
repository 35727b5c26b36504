"""What every covariance structure of the random effects answers; ``covariance`` has the structures."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

__all__ = ["Structure"]


@dataclasses.dataclass(frozen=True)
class Structure(abc.ABC):
    """A set of covariance matrices D (q, q), each given by a free vector (n_free,).

    Every other layer asks these methods, and never which structure it has.

    Class attributes
    ----------------
    fewest : smallest number of random effects that the structure makes sense for.
    turns : whether some of its free vectors have the same D and another L, as those of other signs do.
    """

    fewest: ClassVar[int] = 1
    turns: ClassVar[bool] = True

    @property
    @abc.abstractmethod
    def q(self) -> int:
        """Number of random effects."""

    @property
    @abc.abstractmethod
    def n_free(self) -> int:
        """Length of the free vector."""

    @property
    def entries(self) -> tuple[tuple[int, int], ...] | None:
        """The entry (row, column) of L that each number of the free vector is; None where the numbers are no entries of L."""
        return None

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """Numbers of random effects in the blocks of D that are independent of each other."""
        return (self.q,)

    @property
    def basis_sizes(self) -> tuple[int, ...]:
        """Sizes of sets of successive effects: D keeps its structure where a set's columns are replaced by others of the same span."""
        return (1,) * self.q

    @abc.abstractmethod
    def free_names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        """(n_free,) names of the free vector's numbers in tables and hypotheses; ``effects`` (q,) are the names of the random effects."""

    def signs(self, free: np.ndarray) -> np.ndarray:
        """(..., n_free) factors 1 or -1 that give the free vectors (..., n_free) of the same D that are reported."""
        return np.ones(np.shape(free))

    @abc.abstractmethod
    def factor(self, free: Array) -> Array:
        """(q, q) factor L of a free vector; any square root of D."""

    @abc.abstractmethod
    def free(self, chol: Array) -> Array:
        """(n_free,) free vector of a factor (q, q). It gives the same D where the structure has that D, and otherwise one close to it."""

    def pull_back(self, free: Array, slope: Array) -> Array:
        """(n_free,) gradient in the free vector of a function whose gradient in L is ``slope`` (q, q)."""
        return jax.vjp(self.factor, free)[1](slope)[0]

    @abc.abstractmethod
    def variances(self, free: Array, informed: Array, reach: Array) -> Array:
        """(n_free,) rough variances of an estimate of the free vector.

        Parameters
        ----------
        informed : (q, q) number of clusters that inform each entry of D.
        reach : (q,) largest absolute value of each random-effects column.
        """

    def largest_change(self, reach: Array) -> Array:
        """(n_free,) about the largest change of the linear predictor when an entry of the free vector moves by 1."""
        return jnp.full(self.n_free, jnp.max(reach, initial=0.0))

    def mask(self) -> tuple[tuple[bool, ...], ...]:
        """(q, q) truth table of the entries of D that may differ from 0."""
        return ((True,) * self.q,) * self.q
