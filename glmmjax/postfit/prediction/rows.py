"""The rows of a fit, and rows of new data, as the arrays that predictions take."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.design.new_rows import NewRows
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.model_rows import ModelRows

__all__ = ["in_all_rows", "model_rows", "own_clusters", "own_outcome", "own_rows", "to_caller_order"]


def model_rows(rows: NewRows) -> ModelRows:
    """New rows as JAX arrays in float64; call it inside ``jax.enable_x64(True)``."""
    return ModelRows(*jax.tree.map(jnp.asarray, (rows.X, rows.Z, rows.offset)))


def in_all_rows(values: np.ndarray, is_complete: np.ndarray, axis: int = -1) -> np.ndarray:
    """Values of all rows from those of the complete rows, which are along ``axis``; NaN in the other rows."""
    by_row = np.moveaxis(values, axis, 0)
    full = np.full((len(is_complete), *by_row.shape[1:]), np.nan)
    full[is_complete] = by_row
    return np.moveaxis(full, 0, axis)


def own_rows(fitted: FittedModel) -> ModelRows:
    """The n rows that were fitted, in the caller's order; call it inside ``jax.enable_x64(True)``.

    Raises
    ------
    RowsNotKeptError
        For a streamed fit.
    """
    buckets = fitted.design.clusters.buckets

    def columns(name: str) -> tuple[np.ndarray, ...]:
        return tuple(to_caller_order(fitted, [getattr(bucket, name)[e] for bucket in buckets]) for e in range(len(buckets[0].X)))

    offset = to_caller_order(fitted, [bucket.offset for bucket in buckets])
    return ModelRows(*jax.tree.map(jnp.asarray, (columns("X"), columns("Z"), offset)))


def own_outcome(fitted: FittedModel) -> tuple[np.ndarray, ...]:
    """The outcome columns (n,) that were fitted, as the family takes them, in the caller's order."""
    columns: list[Any] = [bucket.y if isinstance(bucket.y, tuple) else (bucket.y,) for bucket in fitted.design.clusters.buckets]
    return tuple(to_caller_order(fitted, list(parts)) for parts in zip(*columns, strict=True))


def own_clusters(fitted: FittedModel) -> np.ndarray:
    """(n,) number of the cluster of every row, in the order of ``design.groups``."""
    clusters = fitted.design.clusters
    shapes = [bucket.cluster_weight.shape for bucket in clusters.buckets]
    ends = np.cumsum([0, *(n_blocks * n_lanes for n_blocks, n_lanes in shapes)])
    number = np.zeros(ends[-1], np.int64)
    number[np.asarray(clusters.slots)] = np.arange(len(clusters.slots))
    by_row = []
    for bucket, shape, start, end in zip(clusters.buckets, shapes, ends[:-1], ends[1:], strict=True):
        of_lane = number[start:end].reshape(shape)
        if bucket.lane_clusters is not None:
            of_lane = np.take_along_axis(of_lane, np.asarray(bucket.lane_clusters), axis=1)
        by_row.append(np.broadcast_to(of_lane[:, None, :], bucket.row_weight.shape))
    return to_caller_order(fitted, by_row)


def to_caller_order(fitted: FittedModel, by_bucket: list[Any]) -> np.ndarray:
    """(..., n) from one (S, ..., w, B) array a bucket."""
    flat = []
    for values in map(np.asarray, by_bucket):
        moved = np.moveaxis(values, 0, -3)
        flat.append(moved.reshape(*moved.shape[:-3], math.prod(moved.shape[-3:])))  # there may be no columns
    return np.concatenate(flat, axis=-1)[..., fitted.design.row_slots]
