"""The arrays of ``ClusterData``, on the device, from columns of rows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import dtypes

from glmmjax.design.columns.outcome import Outcome
from glmmjax.design.columns.predictor import Predictor
from glmmjax.design.layout.grouping import BucketLayout, Layout, pack
from glmmjax.likelihood.clusters import Bucket, ClusterData, RowOrder
from glmmjax.likelihood.levels import CrossedFactors, Levels

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


def frame_of(columns: list[np.ndarray], n_rows: float, sizes: tuple[int, ...], weights: np.ndarray | None = None) -> np.ndarray:
    """(q, q) the frame of a ``Bucket``.

    Parameters
    ----------
    columns : the random-effects columns (q_e, n) of each predictor, or arrays with the same inner products between columns.
    n_rows : number of rows of the data.
    sizes : the ``basis_sizes`` of the structure of D; the frame has zeros between these sets, as between predictors.
    weights : (n,) of the rows, None where each counts once.
    """
    if weights is not None:
        columns, n_rows = [values * np.sqrt(weights) for values in columns], weights.sum()
    of_predictors = np.cumsum([0, *map(len, columns)])
    ends = sorted({*of_predictors.tolist(), *np.cumsum(sizes).tolist()})
    frame, joined = np.zeros((ends[-1], ends[-1])), [row for values in columns for row in values]
    for first, end in itertools.pairwise(ends):
        upper = np.asarray(np.linalg.qr(np.stack(joined[first:end], axis=1), mode="r")) / np.sqrt(n_rows)
        own = upper * np.where(np.diagonal(upper) < 0, -1.0, 1.0)[:, None]  # fewer rows than columns where there are few data
        frame[first : first + len(own), first:end] = own
    return frame


def cluster_data(
    layout: Layout,
    columns: Columns,
    weights: tuple[np.ndarray, np.ndarray | None],
    frame: np.ndarray,
    levels: Levels | CrossedFactors | None = None,
) -> ClusterData:
    """Gather the rows into buckets. ``columns`` is emptied on the way, so that large data are not held twice.

    ``weights`` are those of the clusters and, where they have some, of the rows.
    """
    weight, row_weights = weights

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
            "row_weight": index.is_row * (1.0 if row_weights is None else row_weights[index.rows]),
            "cluster_weight": np.where(index.is_cluster, weight[index.clusters], 0.0),
            "frame": np.broadcast_to(frame, (len(index.is_cluster), *frame.shape)),
            "lane_clusters": None if index.lane_clusters is None else index.lane_clusters.astype(np.int32),
            "levels": levels,
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
