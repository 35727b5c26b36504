"""Blocks of clusters in files: the layout of ``likelihood.clusters`` on disk, written as rows come and read a few blocks at a time.

Every array of a bucket has a file of its own, so that consecutive blocks are consecutive bytes and are read into arrays that need no
copy. Files are read and not mapped: mapped pages would count as memory of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from glmmjax.design.layout.grouping import block_shape, choose_widths, ladder, lay_out, pack
from glmmjax.design.layout.packing import frame_of
from glmmjax.likelihood.clusters import Bucket

__all__ = ["BlockFiles", "BlockWriter", "ClusteredRows", "StreamedRows", "Widths", "lay_out_clusters"]

_CHUNK_STEPS = 8  # sizes per octave for the blocks of a chunk, so that streams of similar size share a compiled program


class Widths(NamedTuple):
    """How clusters are spread over buckets, and what a chunk takes of each bucket.

    Attributes
    ----------
    widths : (K,) padded rows of a cluster, increasing
    n_lanes : clusters of a block, by bucket
    n_blocks : blocks, by bucket
    chunk_blocks : blocks of a chunk, by bucket
    slots : (m,) int32: where cluster i stands in the (S, B) arrays laid end to end
    """

    widths: np.ndarray
    n_lanes: tuple[int, ...]
    n_blocks: tuple[int, ...]
    chunk_blocks: tuple[int, ...]
    slots: np.ndarray


class ClusteredRows(NamedTuple):
    """Columns of some rows, clusters one after the other.

    Attributes
    ----------
    columns : (C, n): outcome columns, X, Z, offset
    sizes : (m,) rows of each cluster
    weights : (m,) cluster weights
    """

    columns: np.ndarray
    sizes: np.ndarray
    weights: np.ndarray


class StreamedRows(NamedTuple):
    """The part that is kept of rows that were read from a stream and are no longer in memory.

    Attributes
    ----------
    slots : (m,) where cluster i stands in the buckets laid end to end
    outcome_digest : digest of the outcome columns in the order of the rows
    weights_digest : digest of each row's cluster weight
    """

    slots: np.ndarray
    outcome_digest: bytes
    weights_digest: bytes


class BlockFiles(NamedTuple):
    """The blocks of a data set in the files of ``folder``.

    Attributes
    ----------
    folder : where the files are
    layout : how clusters are spread over buckets and chunks
    n_columns : numbers of columns of the outcome, X and Z
    total_weight : sum of the cluster weights
    frame : (q, q) see ``Bucket``
    """

    folder: Path
    layout: Widths
    n_columns: tuple[int, int, int]
    total_weight: float
    frame: np.ndarray

    @property
    def n_chunks(self) -> int:
        """Chunks that hold all blocks."""
        return max(-(-n // chunk) for n, chunk in zip(self.layout.n_blocks, self.layout.chunk_blocks, strict=True))

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(S, B) of every bucket."""
        return list(zip(self.layout.n_blocks, self.layout.n_lanes, strict=True))

    def bounds(self, chunk: int) -> list[tuple[int, int]]:
        """First block and one past the last block of a chunk in every bucket; some buckets end early."""
        sizes = zip(self.layout.n_blocks, self.layout.chunk_blocks, strict=True)
        return [(min(chunk * size, n), min((chunk + 1) * size, n)) for n, size in sizes]

    def read(self, chunk: int) -> tuple[Bucket, ...]:
        """The blocks of a chunk, in arrays of the same shapes for all chunks; blocks beyond ``bounds`` are 0."""
        return tuple(
            _padded(self._blocks(k, first, stop - first), size)
            for k, ((first, stop), size) in enumerate(zip(self.bounds(chunk), self.layout.chunk_blocks, strict=True))
        )

    def sample(self) -> tuple[Bucket, ...]:
        """As many blocks as a chunk has, spread evenly over all; a bucket with fewer repeats its last one with weight 0."""
        buckets = []
        for k, (n, size) in enumerate(zip(self.layout.n_blocks, self.layout.chunk_blocks, strict=True)):
            chosen = np.unique(np.linspace(0, n - 1, min(n, size)).astype(int))
            blocks = [self._blocks(k, first, 1) for first in [*chosen, *[n - 1] * (size - len(chosen))]]
            joined = _map(lambda *arrays: np.concatenate(arrays), *blocks)
            joined.cluster_weight[len(chosen) :] = 0.0
            buckets.append(joined)
        return tuple(buckets)

    def within(self, sizes: tuple[int, ...]) -> BlockFiles:
        """The same files with the frame of a structure of D, whose ``basis_sizes`` are known after the columns."""
        return self._replace(frame=frame_of([self.frame.T], 1, sizes))

    def kept(self, outcome_digest: bytes, weights_digest: bytes) -> StreamedRows:
        """What stays when the files are gone."""
        return StreamedRows(self.layout.slots, outcome_digest, weights_digest)

    def _blocks(self, k: int, first: int, count: int) -> Bucket:
        width, n_lanes = int(self.layout.widths[k]), self.layout.n_lanes[k]
        n_y, p, q = self.n_columns
        shapes = [(width, n_lanes)] * n_y + [(p, width, n_lanes), (q, width, n_lanes), (1, width, n_lanes), (width, n_lanes), (n_lanes,)]
        parts = [_read(path, first, count, shape) for path, shape in zip(_paths(self.folder, k, len(shapes)), shapes, strict=True)]
        return _bucket([*parts, np.broadcast_to(self.frame, (count, q, q))])


class BlockWriter:
    """Writes ``BlockFiles`` as rows come. A bucket keeps the clusters that do not fill a block until more come."""

    def __init__(self, folder: Path, layout: Widths, n_columns: tuple[int, int, int]):
        self._folder, self._layout, self._n_columns = folder, layout, n_columns
        nothing = ClusteredRows(np.zeros((sum(n_columns) + 1, 0)), np.zeros(0, np.int64), np.zeros(0))
        self._waiting = [nothing] * len(layout.widths)
        self._total_weight, self._n_rows = 0.0, 0
        self._triangle = np.zeros((n_columns[2], 0))  # its columns have the inner products of those of Z

    def add(self, rows: ClusteredRows) -> None:
        """Write the blocks that these rows fill."""
        self._total_weight += float(rows.weights.sum())
        n_y, p, q = self._n_columns
        together = np.hstack([self._triangle, rows.columns[n_y + p : n_y + p + q]])
        self._triangle = np.asarray(np.linalg.qr(together.T, mode="r")).T
        self._n_rows += rows.columns.shape[1]
        bucket_of = np.searchsorted(self._layout.widths, rows.sizes)
        for k, n_lanes in enumerate(self._layout.n_lanes):
            waiting = _join(self._waiting[k], _select(rows, bucket_of == k))
            n_full = len(waiting.sizes) // n_lanes * n_lanes
            self._write(k, _select(waiting, np.arange(len(waiting.sizes)) < n_full))
            self._waiting[k] = _select(waiting, np.arange(len(waiting.sizes)) >= n_full)

    def finish(self) -> BlockFiles:
        """Write the clusters that still wait, in a last block that is not full."""
        for k, waiting in enumerate(self._waiting):
            self._write(k, waiting)
        frame = frame_of([self._triangle], self._n_rows, (len(self._triangle),))
        return BlockFiles(self._folder, self._layout, self._n_columns, self._total_weight, frame)

    def _write(self, k: int, rows: ClusteredRows) -> None:
        n_clusters, n_lanes = len(rows.sizes), self._layout.n_lanes[k]
        if not n_clusters:
            return
        index = lay_out(rows.sizes, int(self._layout.widths[k]), (-(-n_clusters // n_lanes), n_lanes))
        columns = pack(index, rows.columns)
        n_y, p, q = self._n_columns
        parts = [*(columns[:, j] for j in range(n_y)), *np.split(columns[:, n_y:], [p, p + q], axis=1)]
        parts += [index.is_row.astype(float), np.where(index.is_cluster, rows.weights[index.clusters], 0.0)]
        for path, part in zip(_paths(self._folder, k, len(parts)), parts, strict=True):
            with open(path, "ab") as file:
                np.ascontiguousarray(part).tofile(file)


def lay_out_clusters(sizes: np.ndarray, max_block_rows: int, chunk_rows: int) -> Widths:
    """Buckets, blocks and chunks for clusters of these sizes (m,). A chunk has about ``chunk_rows`` padded rows."""
    of_size = np.bincount(sizes)  # number of clusters of every size: a short array, where arrays of all clusters are long
    occurring = np.flatnonzero(of_size)
    widths = choose_widths(occurring, of_size[occurring])
    by_size = np.searchsorted(widths, np.arange(len(of_size)))
    counts = np.bincount(by_size, of_size, minlength=len(widths)).astype(int)
    bucket_of = by_size.astype(np.int8)[sizes]
    n_lanes = [block_shape(int(count), int(width), max_block_rows)[1] for count, width in zip(counts, widths, strict=True)]
    n_blocks = [-(-int(count) // lanes) for count, lanes in zip(counts, n_lanes, strict=True)]
    n_chunks = max(1, round(sum(n * lanes * int(w) for n, lanes, w in zip(n_blocks, n_lanes, widths, strict=True)) / chunk_rows))
    chunk_blocks = [int(ladder(-(-n // n_chunks), _CHUNK_STEPS)) for n in n_blocks]
    slots, first = np.empty(len(sizes), np.int32), 0
    for k, (n, lanes) in enumerate(zip(n_blocks, n_lanes, strict=True)):
        slots[bucket_of == k] = np.arange(first, first + counts[k], dtype=np.int32)
        first += n * lanes
    return Widths(widths, tuple(n_lanes), tuple(n_blocks), tuple(chunk_blocks), slots)


def _join(a: ClusteredRows, b: ClusteredRows) -> ClusteredRows:
    if not len(a.sizes):
        return b
    return ClusteredRows(*(np.concatenate(pair, axis=-1) for pair in zip(a, b, strict=True)))


def _select(rows: ClusteredRows, chosen: np.ndarray) -> ClusteredRows:
    """The clusters where ``chosen`` (m,) holds."""
    if chosen.all():
        return rows
    return ClusteredRows(rows.columns[:, np.repeat(chosen, rows.sizes)], rows.sizes[chosen], rows.weights[chosen])


def _paths(folder: Path, bucket: int, n: int) -> Iterator[Path]:
    return (folder / f"{bucket}-{part}" for part in range(n))


def _read(path: Path, first: int, count: int, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    if not size * count:
        return np.zeros((count, *shape))
    return np.fromfile(path, np.float64, count * size, offset=8 * first * size).reshape(count, *shape)


def _bucket(parts: list[np.ndarray]) -> Bucket:
    *y, x, z, offset, row_weight, cluster_weight, frame = parts
    return Bucket(tuple(y) if len(y) > 1 else y[0], (x,), (z,), offset, row_weight, cluster_weight, None, frame)  # type: ignore[arg-type]


def _padded(bucket: Bucket, n_blocks: int) -> Bucket:
    """The bucket filled up to ``n_blocks`` blocks with zeros, which are never read."""

    def pad(array: np.ndarray) -> np.ndarray:
        if len(array) == n_blocks:
            return array
        padded = np.zeros((n_blocks, *array.shape[1:]))
        padded[: len(array)] = array
        return padded

    return _map(pad, bucket)


def _map(function: Any, *buckets: Bucket) -> Bucket:
    """``jax.tree.map`` on host arrays."""
    parts = [[*(b.y if isinstance(b.y, tuple) else (b.y,)), *b.X, *b.Z, b.offset, b.row_weight, b.cluster_weight, b.frame] for b in buckets]
    return _bucket([function(*arrays) for arrays in zip(*parts, strict=True)])
