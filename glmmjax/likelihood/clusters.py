"""The data layout of the likelihood: clusters on the last axis, in buckets of one padded width, in blocks inside a bucket.

A bucket holds the clusters whose number of rows is padded to the same width ``w``; its arrays are
``(blocks, ..., w, B)`` with the ``B`` clusters of a block on the minor axis, so that every elementwise operation runs over
contiguous clusters and one block stays in cache. Padding rows repeat a real row with ``row_weight`` 0 (always inside the
family's domain); padding clusters repeat a real cluster with ``cluster_weight`` 0.

How rows are sorted into buckets is the business of ``design.grouping``; nothing here knows of tables.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jax import Array

__all__ = ["Bucket", "ClusterData"]


class Bucket(NamedTuple):
    """Clusters of one padded width ``w``: ``S`` blocks of ``B`` clusters. ``E`` predictors (main part, zero part, dispersion)."""

    y: Any  # (S, w, B) outcome, or a tuple of such arrays for several outcome columns
    X: tuple[Array, ...]  # per predictor (S, p, w, B), fixed-effects columns
    Z: tuple[Array, ...]  # per predictor (S, q_e, w, B), random-effects columns; sum of q_e is q
    offset: Array  # (S, E, w, B), added to the linear predictors
    row_weight: Array  # (S, w, B), 0 for padding rows, else 1
    cluster_weight: Array  # (S, B), 0 for padding clusters, else the cluster's weight
    # (S, B) int32 where long clusters span several lanes of the last axis: the first lane of the cluster that a lane belongs to.
    # ``cluster_weight`` is then 0 on all its lanes but the first. None where every lane is a cluster.
    lane_clusters: Array | None = None


class ClusterData(NamedTuple):
    """All clusters of a data set, the ``clusters`` argument of the pure layer."""

    buckets: tuple[Bucket, ...]  # by increasing width
    slots: Array  # (m,) int32: where cluster i stands in the buckets laid end to end, each flattened to (S * B,)
