"""The data layout of the likelihood, and the only conversions between rows, clusters and blocks.

A bucket holds the clusters whose number of rows is padded to the same width ``w``; its arrays are
``(blocks, ..., w, B)`` with the ``B`` clusters of a block on the minor axis, so that every elementwise operation runs over
contiguous clusters and one block stays in cache. Padding rows repeat a real row with ``row_weight`` 0 (always inside the
family's domain); padding clusters repeat a real cluster with ``cluster_weight`` 0. Long clusters of very different sizes share a
bucket in which a cluster spans several lanes of the minor axis. Values of a cluster then stand on all its lanes; its weight stands on the
first.

``from_rows``, ``to_rows``, ``from_clusters`` and ``to_clusters`` are gathers, so they work under ``jit``, ``grad`` and ``vmap``. NumPy
arrays come back as NumPy arrays, whatever precision is in force, and JAX arrays as JAX arrays. ``design.layout`` chooses the blocks and
makes the indices.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.levels import CrossedFactors, Levels

__all__ = [
    "Bucket",
    "ClusterData",
    "Place",
    "RowOrder",
    "cluster_starts",
    "cluster_weights",
    "clusters_of_rows",
    "from_clusters",
    "from_rows",
    "in_longer_buckets",
    "on_all_lanes",
    "outcome_columns",
    "outcomes_of",
    "padded_rows",
    "places_of_clusters",
    "replace_all",
    "replace_columns",
    "replace_offset",
    "replace_outcomes",
    "replace_weights",
    "row_weights_in_blocks",
    "to_clusters",
    "to_rows",
    "total_weight",
    "weights_in_blocks",
    "with_scaled_weights",
]


class Bucket(NamedTuple):
    """Clusters of one padded width ``w``: ``S`` blocks of ``B`` clusters. ``E`` predictors (main part, zero part, dispersion).

    Attributes
    ----------
    y : (S, w, B) outcome, or a tuple of such arrays for several outcome columns
    X : (S, p, w, B) for each predictor: fixed-effects columns
    Z : (S, q_e, w, B) for each predictor: random-effects columns; the sum of q_e is q
    offset : (S, E, w, B) offsets, on the scale of the linear predictors
    row_weight : (S, w, B), 0 for padding rows, else 1
    cluster_weight : (S, B), 0 for padding clusters, else the cluster's weight
    lane_clusters : (S, B) int32 where long clusters span several lanes of the last axis: the first lane of the cluster that a lane
        belongs to. ``cluster_weight`` is then 0 on all its lanes but the first. None where every lane is a cluster.
    frame : (S, q, q) upper triangular, the same for every block: ``frame' frame`` is the mean of ``z z'`` over all rows of the data, with
        0 between predictors, and between sets of effects that the structure of D keeps apart. It says along which axes nodes are placed.
        None for the axes of the random effects themselves.
    levels : which random effects belong to clusters, and which to those inside them; or the levels of crossed factors; None for one level
    """

    y: Any
    X: tuple[Array, ...]
    Z: tuple[Array, ...]
    offset: Array
    row_weight: Array
    cluster_weight: Array
    lane_clusters: Array | None = None
    frame: Array | None = None
    levels: Levels | CrossedFactors | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(S, w, B) of a bucket, (w, B) of one of its blocks."""
        return self.row_weight.shape


class ClusterData(NamedTuple):
    """All clusters of a data set, the ``clusters`` argument of the pure layer.

    Attributes
    ----------
    buckets : ``Bucket`` tuples, by increasing width
    slots : (m,) int32: where cluster i stands in the buckets laid end to end, each flattened to (S * B,)
    """

    buckets: tuple[Bucket, ...]
    slots: Array


class RowOrder(NamedTuple):
    """Where the ``n`` rows of the caller stand in the blocks of a ``ClusterData``, and back. Integers of 32 bits.

    Attributes
    ----------
    rows : (S, w, B) for each bucket: the caller's row that stands there; padding repeats a row
    row_slots : (n,) where a row stands in the buckets laid end to end, each flattened to (S * w * B,)
    """

    rows: tuple[Any, ...]
    row_slots: Any


class HasSlots(Protocol):
    """What says where clusters stand: a ``ClusterData``, or what is kept of a stream."""

    @property
    def slots(self) -> Any:
        """(m,) where cluster i stands in the buckets laid end to end, each flattened to (S * B,)."""


class Place(NamedTuple):
    """Where each of ``m`` clusters stands.

    Attributes
    ----------
    bucket : (m,) number of the bucket
    block : (m,) number of the block in it
    in_block : (m,) place on the minor axis of the block, the first of a cluster that has several
    """

    bucket: Any
    block: Any
    in_block: Any


def from_rows(order: RowOrder, values: Any) -> tuple[Any, ...]:
    """Values (..., n) in the caller's order of rows as one (S, ..., w, B) array for each bucket. Padding repeats a real row's value."""
    return tuple(_moved(_taken(values, rows), -3, 0) for rows in order.rows)


def to_rows(order: RowOrder, blocks: Sequence[Any]) -> Any:
    """Values (..., n) in the caller's order of rows, from one (S, ..., w, B) array for each bucket."""
    return _taken(_end_to_end(blocks, 3), order.row_slots)


def from_clusters(clusters: ClusterData, values: Any) -> tuple[Any, ...]:
    """Values (..., m) of clusters as one (S, ..., B) array for each bucket.

    A value stands on all lanes of its cluster. Padding repeats the value of a real cluster.
    """
    return tuple(_moved(_taken(values, number), -2, 0) for number in _numbers(clusters))


def to_clusters(clusters: HasSlots, blocks: Sequence[Any]) -> Any:
    """Values (..., m) of clusters, from one (S, ..., B) array for each bucket. Only the places of ``clusters`` are used, not its arrays."""
    return _taken(_end_to_end(blocks, 2), clusters.slots)


def clusters_of_rows(clusters: ClusterData, order: RowOrder) -> Any:
    """(n,) number of the cluster of every row, in the caller's order of rows."""
    pairs = zip(_numbers(clusters), clusters.buckets, strict=True)
    return to_rows(order, [_functions(number).broadcast_to(number[:, None, :], bucket.shape) for number, bucket in pairs])


def cluster_weights(clusters: ClusterData) -> Any:
    """(m,) weights of the clusters."""
    return to_clusters(clusters, [_on_host(bucket.cluster_weight) for bucket in clusters.buckets])


def cluster_starts(clusters: ClusterData) -> tuple[Any, ...]:
    """One (S, B) array for each bucket: on the first lane of a cluster its number; -1 on other lanes and for padding."""
    slots, sizes = _on_host(clusters.slots), _sizes(clusters.buckets)
    names = _functions(slots)
    flat, numbers = names.full(sum(sizes), -1, names.int32), names.arange(len(slots), dtype=names.int32)
    if names is jnp:
        flat = flat.at[slots].set(numbers)
    else:
        flat[slots] = numbers
    parts = zip(names.split(flat, _starts(sizes)[1:]), clusters.buckets, strict=True)
    return tuple(part.reshape(bucket.cluster_weight.shape) for part, bucket in parts)


def weights_in_blocks(starts: Sequence[Any], weights: Any) -> tuple[Any, ...]:
    """Weights (m,) as the buckets hold them, by their ``cluster_starts``: on the first lane of each cluster, and 0 elsewhere."""
    return tuple(_functions(weights, start).where(start < 0, 0.0, _taken(weights, start)) for start in starts)


def row_weights_in_blocks(clusters: ClusterData, order: RowOrder, counted: Any) -> tuple[Any, ...]:
    """Row weights (S, ..., w, B) for each bucket where only some rows count: ``counted`` (..., n) is 1 for these, else 0."""
    pairs = zip(from_rows(order, counted), clusters.buckets, strict=True)
    return tuple(values * _on_host(bucket.row_weight)[(slice(None), *(None,) * (values.ndim - 3))] for values, bucket in pairs)


def places_of_clusters(clusters: ClusterData) -> Place:
    """Bucket, block and first lane of every cluster."""
    slots, sizes = _on_host(clusters.slots), _sizes(clusters.buckets)
    names = _functions(slots)
    starts, n_lanes = names.array(_starts(sizes)), names.array([bucket.shape[-1] for bucket in clusters.buckets])
    bucket = names.searchsorted(starts, slots, side="right") - 1
    return Place(bucket, *names.divmod(slots - starts[bucket], n_lanes[bucket]))


def on_all_lanes(bucket: Bucket, values: Any) -> Any:
    """Values (S, ..., B) of the first lane of every cluster on all its lanes."""
    if bucket.lane_clusters is None:
        return values
    first = _on_host(bucket.lane_clusters)
    index = first.reshape(len(first), *(1,) * (values.ndim - 2), -1)
    return _functions(values, first).take_along_axis(values, index, axis=-1)


def outcome_columns(clusters: ClusterData) -> list[tuple[Any, ...]]:
    """For every outcome column, one (S, w, B) array for each bucket."""
    return list(zip(*(jax.tree.leaves(bucket.y) for bucket in clusters.buckets), strict=True))


def outcomes_of(bucket: Bucket) -> Any:
    """(n,) numpy: outcomes of a bucket, or their first column, in the order of its blocks; padding is left out."""
    y = bucket.y[0] if isinstance(bucket.y, tuple) else bucket.y
    return jax.device_get(y)[jax.device_get(bucket.row_weight) > 0]


def padded_rows(buckets: Iterable[Bucket]) -> int:
    """Number of rows, padding included, which is what a pass over the data costs."""
    return sum(bucket.row_weight.size for bucket in buckets)


def total_weight(buckets: Iterable[Bucket]) -> float:
    """Sum of the weights of all clusters."""
    return sum(float(_on_host(bucket.cluster_weight).sum()) for bucket in buckets)


def replace_offset(buckets: tuple[Bucket, ...], e: int, blocks: Iterable[Any]) -> tuple[Bucket, ...]:
    """The buckets with another offset of predictor ``e``; ``blocks`` are one (S, w, B) array for each bucket."""
    pairs = zip(buckets, blocks, strict=True)
    return tuple(bucket._replace(offset=bucket.offset.astype(values.dtype).at[:, e].set(values)) for bucket, values in pairs)


def replace_outcomes(buckets: tuple[Bucket, ...], blocks: Iterable[Any]) -> tuple[Bucket, ...]:
    """The buckets with other outcomes; each of ``blocks`` has the form of the bucket's own ``y``."""
    return tuple(bucket._replace(y=y) for bucket, y in zip(buckets, blocks, strict=True))


def replace_columns(buckets: tuple[Bucket, ...], columns: Iterable[Any]) -> tuple[Bucket, ...]:
    """The buckets with other fixed-effects columns; each of ``columns`` has the form of the bucket's own ``X``."""
    return tuple(bucket._replace(X=X) for bucket, X in zip(buckets, columns, strict=True))


def replace_all(buckets: tuple[Bucket, ...], others: Iterable[Bucket]) -> tuple[Bucket, ...]:
    """``others`` in the place of ``buckets``."""
    del buckets
    return tuple(others)


def replace_weights(buckets: tuple[Bucket, ...], blocks: Iterable[Any]) -> tuple[Bucket, ...]:
    """The buckets with other weights, as ``weights_in_blocks`` makes them."""
    return tuple(bucket._replace(cluster_weight=weight) for bucket, weight in zip(buckets, blocks, strict=True))


def with_scaled_weights(buckets: tuple[Bucket, ...], ratio: float) -> tuple[Bucket, ...]:
    """The buckets with all weights times ``ratio``."""
    return replace_weights(buckets, [ratio * bucket.cluster_weight for bucket in buckets])


def in_longer_buckets(clusters: ClusterData, buckets: tuple[Bucket, ...]) -> ClusterData:
    """The same clusters in ``buckets`` that have more blocks at their ends: a cluster keeps its place in its bucket."""
    before, after = _starts(_sizes(clusters.buckets)), _starts(_sizes(buckets))
    place, slots = places_of_clusters(clusters), _on_host(clusters.slots)
    later = _functions(slots).array([new - old for old, new in zip(before, after, strict=True)], slots.dtype)
    return ClusterData(buckets, slots + later[place.bucket])


def _numbers(clusters: ClusterData) -> tuple[Any, ...]:
    """One (S, B) array for each bucket: the number of each lane's cluster. Padding has the number of the first cluster in the bucket."""
    pairs = zip(clusters.buckets, cluster_starts(clusters), strict=True)
    found = [on_all_lanes(bucket, start) for bucket, start in pairs]
    return tuple(_functions(number).where(number < 0, number[0, 0], number) for number in found)


def _end_to_end(blocks: Sequence[Any], n_axes: int) -> Any:
    """(..., k) of arrays (S, ..., B) or (S, ..., w, B), each flattened along its own 2 or 3 axes."""
    moved = [_moved(values, 0, -n_axes) for values in blocks]
    flat = [values.reshape(*values.shape[:-n_axes], math.prod(values.shape[-n_axes:])) for values in moved]  # there may be no columns
    return _functions(*flat).concatenate(flat, axis=-1)


def _taken(values: Any, index: Any) -> Any:
    """``values[..., index]``"""
    index = _on_host(index)
    return _functions(values, index).asarray(values)[..., index]


def _moved(values: Any, source: int, destination: int) -> Any:
    return _functions(values).moveaxis(values, source, destination)


def _sizes(buckets: Iterable[Bucket]) -> list[int]:
    """Lanes of every bucket."""
    return [bucket.cluster_weight.size for bucket in buckets]


def _starts(sizes: Sequence[int]) -> list[int]:
    """Where each part begins when parts of these sizes are laid end to end."""
    return list(itertools.accumulate(sizes, initial=0))[:-1]


def _on_host(index: Any) -> Any:
    """An index as a NumPy array, because NumPy compiles nothing for a new shape; a traced index stays as it is."""
    return index if isinstance(index, jax.core.Tracer) else jax.device_get(index)


def _functions(*arrays: Any) -> Any:
    """``jax.numpy`` where one of these is a JAX array, else ``numpy``."""
    return jnp if any(isinstance(array, Array) for array in arrays) else arrays[0].__array_namespace__()
