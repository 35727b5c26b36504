"""Several grouping factors: what a block of nested or crossed clusters says of itself, and the rules that integrate over it.

A lane of a nested block holds a lower cluster, and the lanes that ``lane_clusters`` joins form an upper one. All random effects of a row
stand in one vector: those of its upper cluster first, then those of its lower cluster.

Crossed factors make one block of all data. A lane holds a row, whose random effects are those of its level of each factor, one factor after
the other.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
from jax import Array

__all__ = ["CrossedFactors", "CrossedRule", "ImportanceRule", "Levels", "NestedRule"]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Levels:
    """Which random effects belong to which level; static under ``jit``.

    Attributes
    ----------
    n_upper : number of random effects of upper clusters, in all predictors
    """

    n_upper: int


class NestedRule(NamedTuple):
    """A rule for each level. The lower one is placed anew at every node of the upper one.

    Attributes
    ----------
    upper : ``Rule`` for the random effects of upper clusters
    lower : ``Rule`` for those of lower clusters
    """

    upper: Any
    lower: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CrossedFactors:
    """Which level of each factor a row belongs to. The arrays have an axis of blocks in front, as those of a ``Bucket`` do.

    Attributes
    ----------
    n_effects : number of random effects of each factor
    eliminated : number of the factor whose random effects are eliminated first: that with most of them
    codes : (n,) level of each row, for each factor
    first_rows : (n_levels,) a row of each level, for each factor
    pairs : (2, n_pairs) rows of one level of the eliminated factor, each pair of different rows once; None where a dense product of all
        levels costs less
    """

    n_effects: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    eliminated: int = dataclasses.field(metadata={"static": True})
    codes: tuple[Array, ...]
    first_rows: tuple[Array, ...]
    pairs: Array | None

    n_upper = 0  # no level is above another

    @property
    def n_levels(self) -> tuple[int, ...]:
        """Number of levels of each factor."""
        return tuple(rows.shape[-1] for rows in self.first_rows)

    @property
    def effects(self) -> tuple[slice, ...]:
        """Where the random effects of each factor stand among those of a row."""
        ends = [sum(self.n_effects[: k + 1]) for k in range(len(self.n_effects))]
        return tuple(slice(end - n, end) for end, n in zip(ends, self.n_effects, strict=True))


class CrossedRule(NamedTuple):
    """Laplace's approximation over the random effects of all levels together; it has no nodes to choose."""


class ImportanceRule(NamedTuple):
    """Draws of the random effects of all crossed factors but one, and nodes for the levels of that one.

    Attributes
    ----------
    draws : (draws, N) spherical random effects, one factor after the other
    log_q : (draws,) log density of each draw
    nodes : (K, q) standard nodes
    log_weights : (K,) with the constant of the prior among them
    """

    draws: Any
    log_q: Any
    nodes: Any
    log_weights: Any
