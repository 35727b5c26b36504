"""From formulas and a DataFrame to arrays: ``make_design`` checks, splits, builds and groups; ``Design`` is what comes out."""

from __future__ import annotations

import dataclasses
from typing import Any

from glmmjax.likelihood.clusters import ClusterData
from glmmjax.likelihood.covariance import BlockDiagonal

__all__ = ["Design"]


@dataclasses.dataclass(frozen=True)
class Design:
    """Arrays of a model with the labels that belong to them. ``clusters`` is the pytree for the pure layer."""

    clusters: ClusterData
    covariance: BlockDiagonal  # structure of D
    outcome_name: str  # left side of the formula as written
    success_level: Any  # level counted as 1 of a two-level or boolean outcome, else None
    fixed_names: tuple[str, ...]  # (p,) columns of X, patsy's names
    random_names: tuple[str, ...]  # (q,) columns of Z
    zi_fixed_names: tuple[str, ...]  # (p_zi,), () without a zero part
    group_name: str | None  # cluster variable, None for random=None
    groups: Any  # (m,) pandas Index: cluster labels, in order of first appearance
    cluster_sizes: Any  # (m,) numpy int, rows of each cluster
    row_labels: Any  # (n,) pandas Index: the caller's labels of the rows used, in the caller's order
    row_slots: Any  # (n,) numpy int: where each row used stands in the buckets laid end to end, each flattened to (S * w * B,)
    n_dropped: int  # rows dropped for missing values
