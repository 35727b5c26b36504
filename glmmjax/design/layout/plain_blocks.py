"""Blocks of clusters as plain tuples of arrays, whose sizes may be symbols: what an exported program takes.

Every lane is a cluster, and all blocks have one frame, which is no part of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from glmmjax.design.layout.grouping import BucketLayout, Layout
from glmmjax.likelihood.clusters import Bucket

__all__ = ["BlockSizes", "bucket_of", "has_lanes", "plain_shapes", "plain_tuple", "with_longer_clusters"]


class BlockSizes(NamedTuple):
    """Numbers of columns in blocks.

    Attributes
    ----------
    n_fixed : fixed-effects columns of each predictor
    n_random : random-effects columns of each
    n_outcomes : outcome columns
    """

    n_fixed: tuple[int, ...]
    n_random: tuple[int, ...]
    n_outcomes: int


def plain_tuple(bucket: Bucket) -> tuple[Any, ...]:
    """The arrays of a bucket."""
    y = bucket.y if isinstance(bucket.y, tuple) else (bucket.y,)
    return y, bucket.X, bucket.Z, bucket.offset, bucket.row_weight, bucket.cluster_weight


def bucket_of(arrays: tuple[Any, ...], frame: Any) -> Bucket:
    """The bucket of a ``plain_tuple``, with the frame (q, q) of all its blocks."""
    y, x, z, offset, row_weight, cluster_weight = arrays
    frames = jnp.broadcast_to(jnp.asarray(frame), (cluster_weight.shape[0], *frame.shape))
    return Bucket(y if len(y) > 1 else y[0], x, z, offset, row_weight, cluster_weight, None, frames)


def plain_shapes(sizes: BlockSizes, symbols: tuple[Any, ...], array: Callable[..., Any]) -> tuple[Any, ...]:
    """``plain_tuple`` of blocks with (S, w, B) ``symbols`` for sizes, each array made by ``array(shape)``."""
    blocks, width, lanes = symbols
    return (
        (array((blocks, width, lanes)),) * sizes.n_outcomes,
        tuple(array((blocks, p, width, lanes)) for p in sizes.n_fixed),
        tuple(array((blocks, q, width, lanes)) for q in sizes.n_random),
        array((blocks, len(sizes.n_fixed), width, lanes)),
        array((blocks, width, lanes)),
        array((blocks, lanes)),
    )


def has_lanes(layout: Layout) -> bool:
    """Whether some cluster spans several lanes."""
    return any(bucket.lane_clusters is not None for bucket in layout.buckets)


def with_longer_clusters(layout: Layout, length: Callable[[int], int]) -> Layout:
    """The layout with room for ``length(w)`` rows of each cluster, by more padding."""

    def longer(bucket: BucketLayout) -> BucketLayout:
        width = bucket.rows.shape[1]
        more = ((0, 0), (0, length(width) - width), (0, 0))
        return bucket._replace(rows=np.pad(bucket.rows, more, "edge"), is_row=np.pad(bucket.is_row, more))

    return layout._replace(buckets=tuple(map(longer, layout.buckets)))
