"""The rows of a fit, and rows of new data, as the arrays that predictions take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from glmmjax.design.columns.groups import Groups, NestedGroups
from glmmjax.design.design import Design
from glmmjax.design.new_rows import NewRows, read_new_rows
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.clusters import clusters_of_rows, outcome_columns, to_rows
from glmmjax.likelihood.model_rows import ModelRows

__all__ = [
    "in_all_rows",
    "model_rows",
    "own_clusters",
    "own_outcome",
    "own_rows",
    "read_own_rows",
    "read_rows",
    "row_counts",
    "to_caller_order",
]


def model_rows(rows: NewRows) -> ModelRows:
    """The columns of new rows."""
    return ModelRows(rows.X, rows.Z, rows.offset)


def in_all_rows(values: np.ndarray, is_complete: np.ndarray, axis: int = -1) -> np.ndarray:
    """Values of all rows, from those of the complete rows along ``axis``; NaN in the other rows."""
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
        return tuple(to_caller_order(fitted.design, [getattr(bucket, name)[e] for bucket in buckets]) for e in range(len(buckets[0].X)))

    offset = to_caller_order(fitted.design, [bucket.offset for bucket in buckets])
    return ModelRows(columns("X"), columns("Z"), offset)


def own_outcome(fitted: FittedModel) -> tuple[np.ndarray, ...]:
    """The outcome columns (n,) that were fitted, as the family takes them, in the caller's order."""
    return tuple(to_caller_order(fitted.design, blocks) for blocks in outcome_columns(fitted.design.clusters))


def own_clusters(fitted: FittedModel) -> np.ndarray:
    """(n,) number of the cluster of every row, in the order of ``design.groups``."""
    return clusters_of_rows(fitted.design.clusters, fitted.design.order)


def row_counts(fitted: FittedModel) -> np.ndarray:
    """(n,) how often each row fitted counts: its weight, else 1."""
    counts = fitted.design.row_weights
    return np.ones(len(fitted.design.row_labels)) if counts is None else counts


def read_own_rows(fitted: FittedModel) -> NewRows:
    """The rows fitted in the form of new ones, with outcome and clusters.

    Raises
    ------
    RowsNotKeptError
        For a streamed fit.
    """
    with jax.enable_x64(True):
        rows = jax.tree.map(np.asarray, own_rows(fitted))
    labels = fitted.design.row_labels
    groups = None if fitted.design.group_name is None else Groups(own_clusters(fitted), fitted.design.groups)
    own = fitted.design.lower
    lower = None if own is None else NestedGroups(own.codes, own.labels, own.upper_of)
    factors = tuple(factor.codes for factor in fitted.design.factors)
    return NewRows(rows.X, rows.Z, rows.offset, own_outcome(fitted), groups, np.ones(len(labels), bool), labels, lower, factors)


def read_rows(fitted: FittedModel, newdata: Any, newdata2: Any, with_outcome: bool = False) -> NewRows:
    """The rows to predict, without clusters: ``newdata2``, else ``newdata``, else the rows fitted."""
    if newdata is None and newdata2 is None:
        return read_own_rows(fitted)
    argument, data = ("newdata", newdata) if newdata2 is None else ("newdata2", newdata2)
    return read_new_rows(fitted.design, data, argument, with_outcome=with_outcome)


def to_caller_order(design: Design, blocks: Sequence[Any]) -> np.ndarray:
    """(..., n) from one (S, ..., w, B) array a bucket, as NumPy arrays, which keep 64 bits whatever precision is in force."""
    return to_rows(design.order, [np.asarray(values) for values in blocks])
