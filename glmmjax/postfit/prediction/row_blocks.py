"""Rows to predict, each beside the block of clusters that has its own, so that one block at a time is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from glmmjax.design.layout.grouping import ladder
from glmmjax.design.levels import check_one_level
from glmmjax.design.new_rows import NewRows
from glmmjax.estimation.factors import root_of
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.clusters import Bucket, Place, places_of_clusters
from glmmjax.likelihood.covariance import lower_factor
from glmmjax.likelihood.model_rows import ModelRows
from glmmjax.postfit.prediction.subjects import blocks_of_modes
from glmmjax.postfit.prediction.targets import Targets

__all__ = ["MOST_ROWS", "BlockRows", "NumberedRows", "rows_by_bucket", "rows_of_bucket"]

MOST_ROWS = 1024  # most rows that are worked on together where each has many draws
_STEPS = 8  # sizes of arrays between two powers of two


class BlockRows(NamedTuple):
    """A bucket of clusters, with at most R rows to predict for each of its S blocks.

    Attributes
    ----------
    bucket : the clusters with their outcomes
    start : (S, q, B) points at which the searches for modes begin, in coordinates u
    rows : (S, ..., R) rows to predict; padding repeats a row
    clusters : (S, R) place in the block of the row's cluster
    outcome : (S, R) outcome columns of the rows, () where they were not read
    """

    bucket: Bucket
    start: Any
    rows: ModelRows
    clusters: Any
    outcome: tuple[Any, ...]


class NumberedRows(NamedTuple):
    """A bucket with the numbers of its rows, which stay on the host."""

    arrays: BlockRows
    numbers: np.ndarray  # (S, R) number of the row, -1 for padding

    def put(self, found: Array, into: np.ndarray) -> None:
        """Write values of the rows (S, O, R) into an array (O, n)."""
        is_row = self.numbers >= 0
        into[:, self.numbers[is_row]] = np.moveaxis(np.asarray(found), 1, 0)[:, is_row]


def rows_by_bucket(fitted: FittedModel, targets: Targets) -> Iterator[NumberedRows]:
    """The rows of the targets with padded columns, for every bucket that has any; call it inside ``jax.enable_x64(True)``.

    R is a step of a ladder of sizes, and a multiple of ``MOST_ROWS`` above that number. Searches start at coordinates u, b = L u, with the
    factor L of theta, ``layout.params(theta).chol``.
    """
    check_one_level(fitted.design, "an interval around subject-specific predictions")
    layout, wide = fitted.problem.layout, padding_of(fitted)
    _, rotation = lower_factor(root_of(layout.covariance, fitted.theta[layout.random]))
    source_of, number_of = targets.source_of[targets.codes], targets.number_of[targets.codes]
    for k, source in enumerate(targets.sources):
        members = np.flatnonzero(source_of == k)
        of_cluster = places_of_clusters(source.clusters)
        places = Place(*(leaf[number_of[members]] for leaf in of_cluster))
        modes = np.zeros((len(of_cluster.bucket), len(rotation))) if source.modes is None else source.modes @ rotation.T
        for b, (bucket, start) in enumerate(zip(source.clusters.buckets, blocks_of_modes(modes, source.clusters), strict=True)):
            inside = places.bucket == b
            if inside.any():
                found = rows_of_bucket(targets.rows, bucket, start, members[inside], Place(*(leaf[inside] for leaf in places)))
                (padded,), rows = wide.buckets((bucket,)), wide.rows(found.arrays.rows)
                yield found._replace(arrays=found.arrays._replace(bucket=padded, rows=rows))


def rows_of_bucket(rows: NewRows, bucket: Bucket, start: Any, members: np.ndarray, places: Place) -> NumberedRows:
    """The ``rows`` with the numbers ``members`` beside the blocks of a bucket that has their clusters at ``places``."""
    n_blocks, order = bucket.shape[0], np.lexsort((places.in_block, places.block))
    block = places.block[order]
    counts = np.bincount(block, minlength=n_blocks)
    width = int(ladder(counts.max(), _STEPS))
    if width > MOST_ROWS:
        width = -(-width // MOST_ROWS) * MOST_ROWS
    place = np.arange(len(order)) - (np.cumsum(counts) - counts)[block]
    numbers, clusters = np.full((n_blocks, width), -1), np.zeros((n_blocks, width), np.int32)
    numbers[block, place], clusters[block, place] = members[order], places.in_block[order]
    index = np.where(numbers < 0, members[0], numbers)

    def gathered(leaf: Any) -> np.ndarray:
        return np.moveaxis(np.asarray(leaf)[..., index], -2, 0)

    model = ModelRows(*jax.tree.map(gathered, (rows.X, rows.Z, rows.offset)))
    return NumberedRows(BlockRows(bucket, start, model, clusters, tuple(gathered(y) for y in rows.outcome)), numbers)
