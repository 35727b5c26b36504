"""The arrays of ``ClusterData``, on the device, from columns of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import dtypes

from glmmjax.design.columns.outcome import Outcome
from glmmjax.design.columns.predictor import Predictor
from glmmjax.design.layout.grouping import BucketLayout, Layout, pack
from glmmjax.likelihood.clusters import Bucket, ClusterData, RowOrder

__all__ = ["Columns", "cluster_data", "columns_of", "frame_of", "row_order"]


class Columns(NamedTuple):
    """Columns of rows in the order of the table. Each is contiguous in memory, which makes gathers fast.

    Attributes
    ----------
    y : (n,) for each outcome column
    X : (p, n) for each predictor: fixed-effects columns
    Z : (q, n) for each predictor: random-effects columns
    offset : one array (E, n), on the scale of the predictors
    """

    y: list[np.ndarray]
    X: list[np.ndarray]
    Z: list[np.ndarray]
    offset: list[np.ndarray]


def columns_of(outcome: Outcome, found: Mapping[str, Predictor]) -> Columns:
    """The columns of a design in the order of its rows, one array for each predictor."""
    predictors = list(found.values())
    return Columns(
        y=list(outcome.columns),
        X=[np.ascontiguousarray(predictor.fixed.values.T) for predictor in predictors],
        Z=[np.ascontiguousarray(predictor.random.values.T) for predictor in predictors],
        offset=[np.stack([predictor.offset for predictor in predictors])],
    )


def frame_of(columns: list[np.ndarray]) -> np.ndarray:
    """(q, q) the frame of a ``Bucket`` from the random-effects columns (q_e, n) of each predictor."""
    sizes = [len(values) for values in columns]
    frame, first = np.zeros((sum(sizes), sum(sizes))), 0
    for values, size in zip(columns, sizes, strict=True):
        upper = np.asarray(np.linalg.qr(values.T / np.sqrt(values.shape[1]), mode="r"))  # fewer rows than columns where there are few data
        own = upper * np.where(np.diagonal(upper) < 0, -1.0, 1.0)[:, None] if size else upper
        frame[first : first + len(own), first : first + size] = own
        first += size
    return frame


def cluster_data(layout: Layout, columns: Columns, weight: np.ndarray, frame: np.ndarray) -> ClusterData:
    """Gather the rows into buckets. ``columns`` is emptied on the way, so that large data are not held twice."""

    def packed(sources: list[np.ndarray]) -> list[tuple[np.ndarray, ...]]:
        parts = []
        while sources:
            parts.append([pack(index, sources[0]) for index in layout.buckets])
            del sources[0]
        return list(zip(*parts, strict=True))

    y, x, z, offset = (packed(sources) for sources in columns)

    def bucket(k: int, index: BucketLayout) -> Bucket:
        arrays: dict[str, Any] = {  # NumPy arrays until all of them are put on the device
            "y": y[k] if len(y[k]) > 1 else y[k][0],
            "X": x[k],
            "Z": z[k],
            "offset": offset[k][0],
            "row_weight": index.is_row.astype(np.float64),
            "cluster_weight": np.where(index.is_cluster, weight[index.clusters], 0.0),
            "frame": np.broadcast_to(frame, (len(index.is_cluster), *frame.shape)),
            "lane_clusters": None if index.lane_clusters is None else index.lane_clusters.astype(np.int32),
        }
        return Bucket(**arrays)

    slots: Any = layout.slots.astype(np.int32)
    return _on_device(ClusterData(tuple(bucket(k, index) for k, index in enumerate(layout.buckets)), slots))


def row_order(layout: Layout) -> RowOrder:
    """Where the rows of the table stand, in 32 bits."""
    return RowOrder(tuple(index.rows.astype(np.int32) for index in layout.buckets), layout.row_slots.astype(np.int32))


def _on_device(clusters: ClusterData) -> ClusterData:
    """JAX arrays in the widest type that the caller's precision allows: float32 without a warning in a 32-bit process."""
    allowed = lambda leaf: leaf.astype(dtypes.canonicalize_dtype(leaf.dtype), copy=False)  # noqa: E731
    return jax.device_put(jax.tree.map(allowed, clusters))
