"""The columns of a model row by row, from which other blocks than those of its design are gathered."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from glmmjax.likelihood.clusters import Bucket, ClusterData, RowOrder, outcome_columns, to_rows

__all__ = ["RowTable", "row_table"]


class RowTable(NamedTuple):
    """The columns of ``n`` rows, NumPy arrays.

    Attributes
    ----------
    y : (n,) for each outcome column
    X : (p, n) for each linear predictor
    Z : (q, n) for each linear predictor
    offset : (E, n)
    weight : (n,) of the rows
    """

    y: tuple[np.ndarray, ...]
    X: tuple[np.ndarray, ...]
    Z: tuple[np.ndarray, ...]
    offset: np.ndarray
    weight: np.ndarray

    def bucket(self, rows: np.ndarray, is_row: np.ndarray, weights: np.ndarray) -> Bucket:
        """The bucket of ``rows`` (..., S, w, B) of the table; axes in front are kept in front.

        Parameters
        ----------
        is_row : (..., S, w, B) bool, False for padding
        weights : (..., S, B) of clusters, 0 for padding
        """
        dtype = self.offset.dtype
        y: Any = tuple(column[rows] for column in self.y)
        arrays: dict[str, Any] = {
            "y": y if len(y) > 1 else y[0],
            "X": tuple(np.moveaxis(x[:, rows], 0, -3) for x in self.X),
            "Z": tuple(np.moveaxis(z[:, rows], 0, -3) for z in self.Z),
            "offset": np.moveaxis(self.offset[:, rows], 0, -3),
            "row_weight": np.where(is_row, self.weight[rows], 0.0).astype(dtype),
            "cluster_weight": weights.astype(dtype),
        }
        return Bucket(**arrays)


def row_table(clusters: ClusterData, order: RowOrder, rows: np.ndarray) -> RowTable:
    """The columns of ``rows``, numbers in the caller's order of rows."""
    gathered = lambda blocks: np.asarray(to_rows(order, [np.asarray(block) for block in blocks]))[..., rows]  # noqa: E731
    buckets = clusters.buckets
    return RowTable(
        y=tuple(gathered(blocks) for blocks in outcome_columns(clusters)),
        X=tuple(gathered([bucket.X[e] for bucket in buckets]) for e in range(len(buckets[0].X))),
        Z=tuple(gathered([bucket.Z[e] for bucket in buckets]) for e in range(len(buckets[0].Z))),
        offset=gathered([bucket.offset for bucket in buckets]),
        weight=gathered([bucket.row_weight for bucket in buckets]),
    )
