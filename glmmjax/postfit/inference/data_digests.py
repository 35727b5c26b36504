"""Digests of outcomes and weights, which tell whether two fits are of the same rows; a streamed fit keeps them instead of its rows."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from glmmjax.design.design import Design
from glmmjax.postfit.kept_rows import is_streamed

__all__ = ["outcome_digest", "weights_digest"]


def outcome_digest(design: Design) -> bytes:
    """Digest of the outcome columns in the caller's row order."""
    clusters: Any = design.clusters
    if is_streamed(design):
        return clusters.outcome_digest
    outcomes = [bucket.y if isinstance(bucket.y, tuple) else (bucket.y,) for bucket in clusters.buckets]
    columns = [np.concatenate([np.asarray(y).ravel() for y in parts])[design.row_slots] for parts in zip(*outcomes, strict=True)]
    return hashlib.blake2b(np.column_stack(columns).tobytes()).digest()


def weights_digest(design: Design) -> bytes:
    """Digest of the weight of each row's cluster, in the caller's row order."""
    clusters: Any = design.clusters
    if is_streamed(design):
        return clusters.weights_digest
    by_slot = [np.asarray(b.row_weight) * _lane_weight(b)[:, None, :] for b in clusters.buckets]
    return hashlib.blake2b(np.concatenate([weight.ravel() for weight in by_slot])[design.row_slots].tobytes()).digest()


def _lane_weight(bucket: Any) -> np.ndarray:
    """(S, B) weight of the cluster that a lane belongs to."""
    weight = np.asarray(bucket.cluster_weight)
    return weight if bucket.lane_clusters is None else np.take_along_axis(weight, np.asarray(bucket.lane_clusters), axis=1)
