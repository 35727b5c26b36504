"""``ClusterData`` with other offsets, outcomes or weights, from arrays in the caller's order of rows or clusters, traced or not."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.clusters import (
    ClusterData,
    RowOrder,
    cluster_starts,
    from_rows,
    replace_offset,
    replace_outcomes,
    replace_weights,
    weights_in_blocks,
)

__all__ = ["with_many_outcomes", "with_new_offset", "with_new_outcome", "with_new_weights"]


def with_new_offset(clusters: ClusterData, order: RowOrder, e: int, values: Any) -> ClusterData:
    """``values`` (n,) as the offset of predictor ``e``."""
    own = clusters.buckets[0].offset
    numbers = _numbers(values, "with_offset", len(order.row_slots), "row", own.dtype)
    return clusters._replace(buckets=replace_offset(clusters.buckets, e, from_rows(order, numbers)))


def with_new_outcome(clusters: ClusterData, order: RowOrder, values: Any) -> ClusterData:
    """``values`` (n,), or a tuple of them where the outcome has several columns, as the outcome."""
    own = clusters.buckets[0].y
    n_columns, dtype = len(jax.tree.leaves(own)), jax.tree.leaves(own)[0].dtype
    columns = values if isinstance(values, tuple) else (values,)
    if len(columns) != n_columns:
        form = "one array" if n_columns == 1 else f"a tuple of {n_columns} arrays"
        raise ArgumentError(f"with_outcome(values) has {len(columns)} column(s), and the design has {n_columns}; pass {form}.")
    numbers = [_numbers(column, "with_outcome", len(order.row_slots), "row", dtype) for column in columns]
    by_bucket = zip(*(from_rows(order, column) for column in numbers), strict=True)
    blocks = [parts if isinstance(own, tuple) else parts[0] for parts in by_bucket]
    return clusters._replace(buckets=replace_outcomes(clusters.buckets, blocks))


def with_many_outcomes(clusters: ClusterData, order: RowOrder, values: Any) -> ClusterData:
    """``values`` (R, n), or a tuple of them where the outcome has several columns, as R outcomes: the first axis of ``y``."""
    n, own = len(order.row_slots), clusters.buckets[0].y
    dtype, n_columns = jax.tree.leaves(own)[0].dtype, len(jax.tree.leaves(own))
    columns = values if isinstance(values, tuple) else (values,)
    numbers = [_as_array(column, "with_outcomes", n, "row") for column in columns]
    shapes = sorted({column.shape for column in numbers})
    if len(columns) != n_columns or len(shapes) > 1 or any(len(shape) != 2 or shape[1] != n or not shape[0] for shape in shapes):
        form = "" if n_columns == 1 else f"a tuple of {n_columns} arrays of shape "
        raise ArgumentError(
            f"with_outcomes(values) has shape {', '.join(map(str, shapes))}, and must be {form}(R, {n}), a row for each fit."
        )
    blocks = zip(*(from_rows(order, column.astype(jax.dtypes.canonicalize_dtype(dtype))) for column in numbers), strict=True)
    by_fit = [tuple(jnp.moveaxis(jnp.asarray(part), 1, 0) for part in parts) for parts in blocks]
    return clusters._replace(buckets=replace_outcomes(clusters.buckets, [y if isinstance(own, tuple) else y[0] for y in by_fit]))


def with_new_weights(clusters: ClusterData, values: Any) -> ClusterData:
    """``values`` (m,) as the weights of the clusters."""
    own = clusters.buckets[0].cluster_weight
    numbers = _numbers(values, "with_weights", len(clusters.slots), "cluster", own.dtype)
    blocks = weights_in_blocks(cluster_starts(clusters), numbers)
    return clusters._replace(buckets=replace_weights(clusters.buckets, blocks))


def _numbers(values: Any, method: str, n: int, unit: str, dtype: Any) -> Any:
    """``values`` with the shape (n,) checked, in ``dtype`` as far as the precision in force has it."""
    found = _as_array(values, method, n, unit)
    if found.shape != (n,):
        raise ArgumentError(
            f"{method}(values) has shape {found.shape} and type {found.dtype}, and must be ({n},), one number for each {unit} of the "
            f"design, in its order. A network's output of shape ({n}, 1) needs output[:, 0]; for a batch of arrays use jax.vmap."
        )
    return jnp.asarray(found, jax.dtypes.canonicalize_dtype(dtype))


def _as_array(values: Any, method: str, n: int, unit: str) -> Any:
    """``values`` as an array of numbers."""
    try:
        found = values if isinstance(values, Array) else np.asarray(values)
    except ValueError:  # lists of different lengths
        raise ArgumentError(
            f"{method}(values) must be ({n},), one number for each {unit} of the design; its entries differ in length."
        ) from None
    if found.dtype.kind not in "iufb":
        raise ArgumentError(
            f"{method}(values) has shape {found.shape} and type {found.dtype}, and must hold numbers, one for each {unit} of the design."
        )
    return found
