"""Digests of outcomes and weights, which tell whether two fits are of the same rows; a streamed fit keeps them instead of its rows."""

from __future__ import annotations

import hashlib

import numpy as np

from glmmjax.design.design import Design
from glmmjax.design.layout.block_files import StreamedRows
from glmmjax.likelihood.clusters import cluster_weights, clusters_of_rows, outcome_columns
from glmmjax.postfit.prediction.rows import to_caller_order

__all__ = ["outcome_digest", "weights_digest"]


def outcome_digest(design: Design) -> bytes:
    """Digest of the outcome columns in the caller's row order."""
    if isinstance(design.rows, StreamedRows):
        return design.rows.outcome_digest
    columns = [to_caller_order(design, blocks) for blocks in outcome_columns(design.clusters)]
    return hashlib.blake2b(np.column_stack(columns).tobytes()).digest()


def weights_digest(design: Design) -> bytes:
    """Digest of the weight of each row's cluster, in the caller's row order."""
    if isinstance(design.rows, StreamedRows):
        return design.rows.weights_digest
    weights = cluster_weights(design.clusters)[clusters_of_rows(design.clusters, design.order)]
    if design.row_weights is not None:
        weights = np.stack([weights, design.row_weights])
    return hashlib.blake2b(weights.tobytes()).digest()
