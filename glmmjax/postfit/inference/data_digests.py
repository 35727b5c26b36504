"""Whether two fits are of the same rows: by digests, which a streamed fit keeps in place of its rows."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from glmmjax.design.design import Design
from glmmjax.design.stream.design import StreamedClusters
from glmmjax.likelihood.clusters import cluster_weights, clusters_of_rows, outcome_columns
from glmmjax.postfit.prediction.rows import to_caller_order

__all__ = ["is_streamed", "outcome_digest", "weights_digest"]


def is_streamed(design: Design) -> bool:
    """Whether the rows are not in memory."""
    clusters: Any = design.clusters
    return isinstance(clusters, StreamedClusters)


def outcome_digest(design: Design) -> bytes:
    """Digest of the outcome columns in the caller's row order."""
    clusters: Any = design.clusters
    if is_streamed(design):
        return clusters.outcome_digest
    columns = [to_caller_order(design, blocks) for blocks in outcome_columns(clusters)]
    return hashlib.blake2b(np.column_stack(columns).tobytes()).digest()


def weights_digest(design: Design) -> bytes:
    """Digest of the weight of each row's cluster, in the caller's row order."""
    clusters: Any = design.clusters
    if is_streamed(design):
        return clusters.weights_digest
    weights = cluster_weights(clusters)[clusters_of_rows(clusters, design.order)]
    return hashlib.blake2b(weights.tobytes()).digest()
