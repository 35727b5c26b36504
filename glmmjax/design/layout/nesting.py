"""The places of rows of nested clusters: a lower cluster on each lane of a block, those of an upper cluster side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from glmmjax.design.layout.grouping import BucketLayout, Layout, choose_widths, ladder
from glmmjax.design.layout.split_clusters import fill_blocks
from glmmjax.likelihood.clusters import Bucket

__all__ = ["LowerLevel", "NestedLayout", "nest_rows"]

_STEPS = 8  # steps per octave for numbers of lanes and blocks
_LANES = 256  # of a block, or more where an upper cluster has more: sums over lanes multiply by a square matrix of this size


class NestedLayout(NamedTuple):
    """Index layout of nested clusters.

    Attributes
    ----------
    layout : ``slots`` are those of the first lanes of upper clusters
    lower_lanes : (m_lower,) place of each lower cluster in the (S, B) arrays laid end to end
    """

    layout: Layout
    lower_lanes: np.ndarray


class LowerLevel(NamedTuple):
    """The clusters inside the clusters of a design, in order of first appearance.

    Attributes
    ----------
    labels : (m_lower,) pandas MultiIndex of the labels of the upper cluster and of the lower one
    upper_of : (m_lower,) numpy int, number of the upper cluster of each
    sizes : (m_lower,) numpy int, rows of each
    lanes : (m_lower,) numpy int, lane of each in the buckets laid end to end
    codes : (n,) numpy int, lower cluster of each row used, in the caller's order
    """

    labels: Any
    upper_of: Any
    sizes: Any
    lanes: Any
    codes: Any

    def from_blocks(self, blocks: Sequence[Any]) -> np.ndarray:
        """Values (..., m_lower) from one (S, ..., B) array for each bucket."""
        moved = [np.moveaxis(np.asarray(values), 0, -2) for values in blocks]
        flat = [values.reshape(*values.shape[:-2], math.prod(values.shape[-2:])) for values in moved]
        return np.concatenate(flat, axis=-1)[..., self.lanes]

    def in_blocks(self, buckets: tuple[Bucket, ...], values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Values (k, m_lower) as one (S, k, B) array for each bucket, 0 where no cluster stands."""
        shapes = [bucket.cluster_weight.shape for bucket in buckets]
        ends = np.cumsum([0, *map(math.prod, shapes)])
        flat = np.zeros((len(values), ends[-1]))
        flat[:, self.lanes] = values
        parts = zip(itertools.pairwise(ends), shapes, strict=True)
        return tuple(np.moveaxis(flat[:, first:end].reshape(-1, *shape), 1, 0) for (first, end), shape in parts)


class _Rows(NamedTuple):
    """Rows in the order of their lower clusters, and these in the order of their upper ones."""

    order: np.ndarray  # (n,) row numbers
    sizes: np.ndarray  # (m_lower,) rows of each lower cluster
    starts: np.ndarray  # (m_lower,) first place of each in ``order``
    lower: np.ndarray  # (m_lower,) lower clusters, those of an upper one side by side
    counts: np.ndarray  # (m,) lower clusters of each upper one
    firsts: np.ndarray  # (m,) first place of each upper cluster in ``lower``


def nest_rows(codes: np.ndarray, upper_of: np.ndarray, max_block_rows: int) -> NestedLayout:
    """Lay rows out in buckets of one padded number of rows of a lower cluster.

    Parameters
    ----------
    codes : (n,) lower cluster of each row, every number at least once.
    upper_of : (m_lower,) upper cluster of each lower one, every number at least once.
    max_block_rows : padded rows of a block, about; an upper cluster that has more has a block of its own.
    """
    rows = _sorted(codes, upper_of)
    longest = np.zeros(len(rows.counts), np.int64)
    np.maximum.at(longest, upper_of, rows.sizes)
    widths = choose_widths(longest, rows.counts)
    bucket_of = np.searchsorted(widths, longest)
    buckets, n_slots, n_row_slots = [], 0, 0
    slots, lower_lanes, row_slots = np.empty(len(longest), np.int64), np.empty(len(upper_of), np.int64), np.empty(len(codes), np.int64)
    for k, width in enumerate(widths.tolist()):
        members = np.flatnonzero(bucket_of == k)
        bucket, first, lanes, lower = _bucket(members, width, max_block_rows, rows)
        n_blocks, n_lanes = bucket.clusters.shape
        slots[members], lower_lanes[lower] = n_slots + first, n_slots + lanes
        block, lane = np.divmod(lanes, n_lanes)
        place = np.arange(width)[:, None]
        at = n_row_slots + block * (width * n_lanes) + lane + place * n_lanes
        is_row = place < rows.sizes[lower]
        row_slots[rows.order[(rows.starts[lower] + place)[is_row]]] = at[is_row]
        buckets.append(bucket)
        n_slots, n_row_slots = n_slots + n_blocks * n_lanes, n_row_slots + n_blocks * width * n_lanes
    return NestedLayout(Layout(tuple(buckets), slots, row_slots), lower_lanes)


def _sorted(codes: np.ndarray, upper_of: np.ndarray) -> _Rows:
    sizes, counts = np.bincount(codes, minlength=len(upper_of)), np.bincount(upper_of)
    return _Rows(
        np.argsort(codes, kind="stable"), sizes, np.cumsum(sizes) - sizes,
        np.argsort(upper_of, kind="stable"), counts, np.cumsum(counts) - counts,
    )  # fmt: skip


def _bucket(members: np.ndarray, width: int, max_block_rows: int, rows: _Rows) -> tuple[BucketLayout, np.ndarray, np.ndarray, np.ndarray]:
    """A bucket of upper clusters, the flat place of the first lane of each, and the flat lanes with the lower clusters that stand there."""
    counts = rows.counts[members]
    n_lanes = max(int(ladder(counts.max(), _STEPS)), min(_LANES, -(-max_block_rows // width), int(ladder(counts.sum(), _STEPS))))
    block, first = fill_blocks(counts, n_lanes)
    n_blocks = int(ladder(block.max() + 1, _STEPS))
    member = np.repeat(np.arange(len(members)), counts)
    piece = np.arange(len(member)) - np.repeat(np.cumsum(counts) - counts, counts)
    lower = rows.lower[np.repeat(rows.firsts[members], counts) + piece]
    lanes = (block * n_lanes + first)[member] + piece
    size = n_blocks * n_lanes
    owner, of_lane, start = np.full(size, members[0]), np.full(size, lower[0]), np.tile(np.arange(n_lanes), n_blocks)
    is_used, is_first = np.zeros(size, bool), np.zeros(size, bool)
    owner[lanes], of_lane[lanes], start[lanes], is_used[lanes] = members[member], lower, first[member], True
    is_first[block * n_lanes + first] = True
    shape = (n_blocks, n_lanes)
    place, of_lane = np.arange(width)[:, None], of_lane.reshape(shape)[:, None]
    sources = rows.order[rows.starts[of_lane] + np.minimum(place, rows.sizes[of_lane] - 1)]
    is_row = (place < rows.sizes[of_lane]) & is_used.reshape(shape)[:, None]
    bucket = BucketLayout(sources, is_row, owner.reshape(shape), is_first.reshape(shape), start.reshape(shape))
    return bucket, block * n_lanes + first, lanes, lower
