"""Rows -> padded blocks of clusters, and back: the index layout behind ``likelihood.clusters.ClusterData``.

Every size (rows of a cluster, clusters of a block, blocks) is rounded up to a short ladder, so that a second data set of
similar size has arrays of the same shapes and reuses the compiled programs. All of it is integer arithmetic of numpy on whole
arrays: no loop over rows or clusters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["BucketLayout", "Layout", "block_shape", "choose_widths", "group_rows", "ladder", "lay_out", "pack"]

_WIDTH_STEPS = 4  # steps an octave for the rows of a cluster
_COUNT_STEPS = 8  # for numbers of clusters and blocks
_FINE_STEPS = 32  # for the number of clusters when there are many blocks, where 12 % of padding would cost time
_MANY_BLOCKS = 16
_BUCKET_COST = 500_000  # padded cells that one more compiled copy of the likelihood is worth


class BucketLayout(NamedTuple):
    """Where the rows of one bucket come from. ``S`` blocks of ``B`` clusters, ``w`` places for rows in each."""

    rows: np.ndarray  # (S, w, B) row number in the table; padding repeats the last row of the cluster
    is_row: np.ndarray  # (S, w, B) bool, False for padding rows
    clusters: np.ndarray  # (S, B) cluster number; padding repeats the first cluster of the bucket
    is_cluster: np.ndarray  # (S, B) bool, False for padding clusters


class Layout(NamedTuple):
    """Index layout of a data set."""

    buckets: tuple[BucketLayout, ...]  # by increasing width
    slots: np.ndarray  # (m,) place of each cluster in the (S, B) arrays laid end to end
    row_slots: np.ndarray  # (n,) place of each row in the (S, w, B) arrays laid end to end


class _Sorted(NamedTuple):
    """Rows in the order of their clusters."""

    order: np.ndarray  # (n,) row numbers
    sizes: np.ndarray  # (m,) rows of each cluster
    starts: np.ndarray  # (m,) first place of each cluster in ``order``


def group_rows(codes: np.ndarray, n_clusters: int, max_block_rows: int) -> Layout:
    """Lay rows out in buckets of one padded width and blocks of at most about ``max_block_rows`` padded rows.

    Parameters
    ----------
    codes : (n,) cluster number of each row, every number below ``n_clusters`` at least once.
    n_clusters : number of clusters m.
    max_block_rows : padded rows of a block; a longer cluster has a block of its own.
    """
    rows = _sort_rows(codes, n_clusters)
    widths = choose_widths(rows.sizes)
    bucket_of = np.searchsorted(widths, rows.sizes)
    buckets = []
    slots = np.empty(n_clusters, np.int64)
    first, stride = np.empty(n_clusters, np.int64), np.empty(n_clusters, np.int64)  # where a cluster's rows stand, and how far apart
    n_slots = n_row_slots = 0
    for k, width in enumerate(widths.tolist()):
        members = np.flatnonzero(bucket_of == k)
        n_blocks, n_lanes = block_shape(len(members), width, max_block_rows)
        block, lane = np.divmod(np.arange(len(members)), n_lanes)
        slots[members] = n_slots + np.arange(len(members))
        first[members], stride[members] = n_row_slots + block * (width * n_lanes) + lane, n_lanes
        buckets.append(_bucket(members, width, (n_blocks, n_lanes), rows))
        n_slots += n_blocks * n_lanes
        n_row_slots += n_blocks * width * n_lanes
    return Layout(tuple(buckets), slots, _row_slots(rows, first, stride))


def lay_out(sizes: np.ndarray, width: int, shape: tuple[int, int]) -> BucketLayout:
    """Layout of one bucket of (blocks, clusters of a block) for clusters of these sizes whose rows lie one after the other."""
    rows = _Sorted(np.arange(int(sizes.sum())), sizes, np.cumsum(sizes) - sizes)
    return _bucket(np.arange(len(sizes)), width, shape, rows)


def pack(bucket: BucketLayout, columns: np.ndarray) -> np.ndarray:
    """Gather (n,) values to (S, w, B), or k columns as rows of a (k, n) array to (S, k, w, B)."""
    if columns.ndim == 1:
        return columns[bucket.rows]
    n_blocks, width, n_lanes = bucket.rows.shape
    packed = np.empty((n_blocks, len(columns), width, n_lanes), columns.dtype)
    for k, column in enumerate(columns):
        packed[:, k] = column[bucket.rows]
    return packed


def ladder(value: np.ndarray | int, steps: int) -> np.ndarray:
    """Smallest ladder size >= ``value`` >= 1: every whole number up to ``2 * steps``, then ``steps`` sizes an octave."""
    value = np.asarray(value, np.int64)
    octave = np.frexp(np.maximum(value - 1, 1).astype(float))[1] - 1  # 2**octave < value <= 2**(octave + 1)
    step = np.maximum(2**octave // steps, 1)
    return -(-value // step) * step


def choose_widths(sizes: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Padded widths, increasing, for clusters of these sizes, ``counts`` of each, one when not given.

    They minimise ``sum(width * clusters) + 500,000 * buckets`` over all ways to cut the distinct ladder widths into runs, each
    run padded to its largest: ``best[j]`` is the least cost of the first j distinct widths.
    """
    widths, place = np.unique(ladder(sizes, _WIDTH_STEPS), return_inverse=True)
    clusters = np.concatenate([[0], np.cumsum(np.bincount(place, counts))])
    best, cut = np.zeros(len(widths) + 1), np.zeros(len(widths) + 1, np.int64)
    for j in range(1, len(widths) + 1):
        costs = best[:j] + widths[j - 1] * (clusters[j] - clusters[:j]) + _BUCKET_COST
        cut[j] = np.argmin(costs)
        best[j] = costs[cut[j]]
    chosen, j = [], len(widths)
    while j:
        chosen.append(widths[j - 1])
        j = int(cut[j])
    return np.array(chosen[::-1])


def block_shape(count: int, width: int, max_block_rows: int) -> tuple[int, int]:
    """(blocks, clusters of a block) for ``count`` clusters of padded ``width``.

    The count is rounded up to a ladder first, and then cut evenly, so that both numbers repeat for counts that are close.
    """
    limit = max(1, max_block_rows // width)
    if count <= limit:
        return 1, min(int(ladder(count, _COUNT_STEPS)), limit)
    is_many = -(-count // limit) > _MANY_BLOCKS
    padded = int(ladder(count, _FINE_STEPS if is_many else _COUNT_STEPS))
    if is_many and limit < _FINE_STEPS:
        padded = count  # small blocks: the ladder of block numbers alone
    n_blocks = int(ladder(-(-padded // limit), _COUNT_STEPS))
    return n_blocks, -(-padded // n_blocks)


def _sort_rows(codes: np.ndarray, n_clusters: int) -> _Sorted:
    is_sorted = bool(np.all(codes[1:] >= codes[:-1]))
    order = np.arange(len(codes)) if is_sorted else np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=n_clusters)
    return _Sorted(order, sizes, np.cumsum(sizes) - sizes)


def _bucket(members: np.ndarray, width: int, shape: tuple[int, int], rows: _Sorted) -> BucketLayout:
    """Layout of one bucket with blocks and lanes of ``shape``."""
    is_cluster = np.arange(shape[0] * shape[1]) < len(members)
    clusters = np.where(is_cluster, np.resize(members, is_cluster.shape), members[0]).reshape(shape)
    place = np.arange(width)[:, None]
    last = rows.sizes[clusters][:, None, :] - 1
    sources = rows.order[rows.starts[clusters][:, None, :] + np.minimum(place, last)]
    return BucketLayout(sources, place <= last, clusters, is_cluster.reshape(shape))


def _row_slots(rows: _Sorted, first: np.ndarray, stride: np.ndarray) -> np.ndarray:
    place = np.arange(len(rows.order)) - np.repeat(rows.starts, rows.sizes)
    slots = np.empty(len(rows.order), np.int64)
    slots[rows.order] = np.repeat(first, rows.sizes) + place * np.repeat(stride, rows.sizes)
    return slots
