"""The places of rows in padded blocks of clusters: the index arrays behind ``likelihood.clusters.ClusterData``.

Every size (rows of a cluster, clusters of a block, blocks) is rounded up to a short ladder, so that a second data set of
similar size has arrays of the same shapes and reuses the compiled programs. All of it is integer arithmetic of numpy on whole
arrays: no loop over rows or clusters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glmmjax.design.layout.split_clusters import fill_blocks, lane_cost

__all__ = ["BucketLayout", "Layout", "block_shape", "choose_layout", "choose_widths", "group_rows", "ladder", "lay_out", "pack"]

_WIDTH_STEPS = 8  # steps per octave for the rows of a cluster
_COUNT_STEPS = 8  # steps per octave for numbers of clusters and blocks
_FINE_STEPS = 32  # steps per octave for the number of clusters in many blocks, where 12 % of padding would cost time
_MANY_BLOCKS = 16
# padded cells for which one more compiled copy of the likelihood is worth it: a twentieth of the rows, within these bounds
_BUCKET_COST = (8_000, 500_000)
_MOST_LANE_BUCKETS = 2
_LANES_PAY = 0.8  # largest share of the cost of plain buckets at which lanes are worth it


class BucketLayout(NamedTuple):
    """Where the rows of one bucket come from. ``S`` blocks of ``B`` clusters, ``w`` places for rows in each.

    Attributes
    ----------
    rows : (S, w, B) row number in the table; padding repeats the last row of the cluster
    is_row : (S, w, B) bool, False for padding rows
    clusters : (S, B) cluster number; padding repeats the first cluster of the bucket
    is_cluster : (S, B) bool, False for padding clusters, and for all lanes of a cluster but its first
    lane_clusters : (S, B) first lane of the cluster that a lane belongs to, where clusters span lanes
    """

    rows: np.ndarray
    is_row: np.ndarray
    clusters: np.ndarray
    is_cluster: np.ndarray
    lane_clusters: np.ndarray | None = None


class Layout(NamedTuple):
    """Index layout of a data set.

    Attributes
    ----------
    buckets : by increasing width
    slots : (m,) place of each cluster in the (S, B) arrays laid end to end
    row_slots : (n,) place of each row in the (S, w, B) arrays laid end to end
    """

    buckets: tuple[BucketLayout, ...]
    slots: np.ndarray
    row_slots: np.ndarray


class _Sorted(NamedTuple):
    """Rows in the order of their clusters."""

    order: np.ndarray  # (n,) row numbers
    sizes: np.ndarray  # (m,) rows of each cluster
    starts: np.ndarray  # (m,) first place of each cluster in ``order``


class _Places(NamedTuple):
    """Where each cluster stands; row j of it at ``first + (j % width) * stride + j // width`` of the row slots. All (m,)."""

    slots: np.ndarray
    first: np.ndarray
    stride: np.ndarray
    width: np.ndarray

    @classmethod
    def empty(cls, n_clusters: int) -> _Places:
        return cls(*(np.empty(n_clusters, np.int64) for _ in cls._fields))


def group_rows(codes: np.ndarray, n_clusters: int, max_block_rows: int) -> Layout:
    """Lay rows out in buckets of one padded width and blocks of at most about ``max_block_rows`` padded rows.

    Parameters
    ----------
    codes : (n,) cluster number of each row, every number below ``n_clusters`` at least once.
    n_clusters : number of clusters m.
    max_block_rows : padded rows of a block; a longer cluster has a block of its own.
    """
    rows = _sort_rows(codes, n_clusters)
    limits, widths, n_plain = choose_layout(rows.sizes)
    bucket_of = np.searchsorted(limits, rows.sizes)
    buckets, places = [], _Places.empty(n_clusters)
    n_slots = n_row_slots = 0
    for k, width in enumerate(widths.tolist()):
        members = np.flatnonzero(bucket_of == k)
        if k < n_plain:
            shape = block_shape(len(members), width, max_block_rows)
            block, lane = np.divmod(np.arange(len(members)), shape[1])
            bucket = _bucket(members, width, shape, rows)
        else:
            bucket, block, lane = _bucket_of_lanes(members, width, max_block_rows, rows)
            shape = bucket.clusters.shape
        places.slots[members] = n_slots + block * shape[1] + lane
        places.first[members] = n_row_slots + block * (width * shape[1]) + lane
        places.stride[members], places.width[members] = shape[1], width
        buckets.append(bucket)
        n_slots += shape[0] * shape[1]
        n_row_slots += shape[0] * width * shape[1]
    return Layout(tuple(buckets), places.slots, _row_slots(rows, places))


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


def choose_layout(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Longest cluster and width of each bucket, increasing, and how many of the buckets are plain.

    In a plain bucket the width is that of its longest cluster. The longest clusters of very different sizes go into at most two buckets
    where clusters span lanes, if that is a fifth cheaper than plain buckets for all.
    """
    ends, counts = np.unique(ladder(sizes, _WIDTH_STEPS), return_counts=True)
    bucket_cost = _bucket_cost(int(sizes.sum()))
    best, cut = _best_cuts(ends, counts, bucket_cost)
    cost, width = lane_cost(ends, counts)
    cost = cost + bucket_cost
    # least[n][j]: least cost of the sizes from j on in n buckets; split: where the second bucket begins
    least, split = [np.append(cost[:, -1], 0.0)], [np.full(len(ends), len(ends))]
    for _ in range(1, _MOST_LANE_BUCKETS):
        both = cost + least[-1][None, 1:]
        split.append(np.argmin(both, axis=1) + 1)
        least.append(np.append(both.min(axis=1), 0.0))
    totals = np.stack([best[:-1] + costs[:-1] for costs in least])
    n, j = np.unravel_index(np.argmin(totals), totals.shape)
    if totals[n, j] >= _LANES_PAY * best[-1]:
        plain = _widths_of(ends, cut, len(ends))
        return plain, plain, len(plain)
    plain = _widths_of(ends, cut, int(j))
    limits, widths, first = list(plain), list(plain), int(j)
    for level in range(int(n), -1, -1):
        last = int(split[level][first]) - 1 if first < len(ends) else first
        if first < len(ends):
            limits.append(ends[last])
            widths.append(width[first, last])
        first = last + 1
    return np.array(limits, np.int64), np.array(widths, np.int64), len(plain)


def choose_widths(sizes: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Padded widths of plain buckets, increasing, for clusters of these sizes, ``counts`` of each, one when not given.

    They minimise ``sum(width * clusters) + cost * buckets`` over all ways to cut the distinct ladder widths into runs, each run
    padded to its largest.
    """
    widths, place = np.unique(ladder(sizes, _WIDTH_STEPS), return_inverse=True)
    _, cut = _best_cuts(widths, np.bincount(place, counts), _bucket_cost(int(np.sum(sizes if counts is None else sizes * counts))))
    return _widths_of(widths, cut, len(widths))


def _bucket_cost(n_rows: int) -> int:
    return int(np.clip(n_rows // 20, *_BUCKET_COST))


def _best_cuts(widths: np.ndarray, counts: np.ndarray, bucket_cost: int) -> tuple[np.ndarray, np.ndarray]:
    """For the first j widths the least cost of plain buckets, and where the last of them begins; j from 0 on."""
    clusters = np.concatenate([[0], np.cumsum(counts)])
    best, cut = np.zeros(len(widths) + 1), np.zeros(len(widths) + 1, np.int64)
    for j in range(1, len(widths) + 1):
        costs = best[:j] + widths[j - 1] * (clusters[j] - clusters[:j]) + bucket_cost
        cut[j] = np.argmin(costs)
        best[j] = costs[cut[j]]
    return best, cut


def _widths_of(widths: np.ndarray, cut: np.ndarray, j: int) -> np.ndarray:
    """The largest width of each run of the first j."""
    chosen = []
    while j:
        chosen.append(widths[j - 1])
        j = int(cut[j])
    return np.array(chosen[::-1], np.int64)


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
        padded = count  # for small blocks, the ladder of block numbers is enough
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


def _bucket_of_lanes(members: np.ndarray, width: int, max_block_rows: int, rows: _Sorted) -> tuple[BucketLayout, np.ndarray, np.ndarray]:
    """Layout of a bucket whose clusters span lanes of ``width`` rows, and block and first lane of each member."""
    lanes = -(-rows.sizes[members] // width)
    n_lanes = max(int(ladder(lanes.max(), _COUNT_STEPS)), -(-max_block_rows // width))
    block, first = fill_blocks(lanes, n_lanes)
    n_blocks = int(ladder(block.max() + 1, _COUNT_STEPS))
    member, chunk = np.repeat(np.arange(len(members)), lanes), _counted(lanes)
    flat = (block * n_lanes + first)[member] + chunk  # lanes in use
    owner, piece = np.zeros(n_blocks * n_lanes, np.int64), np.zeros(n_blocks * n_lanes, np.int64)
    start, size = np.tile(np.arange(n_lanes), n_blocks), np.zeros(n_blocks * n_lanes, np.int64)
    owner[flat], piece[flat], start[flat], size[flat] = member, chunk, first[member], rows.sizes[members][member]
    clusters = members[owner].reshape(n_blocks, n_lanes)
    place = piece.reshape(n_blocks, 1, n_lanes) * width + np.arange(width)[:, None]
    is_row = place < size.reshape(n_blocks, 1, n_lanes)
    sources = rows.order[rows.starts[clusters][:, None] + np.minimum(place, rows.sizes[clusters][:, None] - 1)]
    is_first = ((piece == 0) & (size > 0)).reshape(n_blocks, n_lanes)
    return BucketLayout(sources, is_row, clusters, is_first, start.reshape(n_blocks, n_lanes)), block, first


def _counted(repeats: np.ndarray) -> np.ndarray:
    """Numbers 0, 1, ... within each run of ``repeats`` entries."""
    return np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)


def _row_slots(rows: _Sorted, places: _Places) -> np.ndarray:
    place = _counted(rows.sizes)
    width, first, stride = (np.repeat(values, rows.sizes) for values in (places.width, places.first, places.stride))
    slots = np.empty(len(rows.order), np.int64)
    slots[rows.order] = first + (place % width) * stride + place // width
    return slots
