"""Two levels of clusters: what a block of nested clusters says of itself, and the pair of rules that integrate over both levels.

A lane of a nested block holds a lower cluster, and the lanes that ``lane_clusters`` joins form an upper one. All random effects of a row
stand in one vector: those of its upper cluster first, then those of its lower cluster.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax

__all__ = ["Levels", "NestedRule"]


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
