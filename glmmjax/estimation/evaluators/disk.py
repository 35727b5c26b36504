"""Blocks on disk. A chunk of them is read while the chunk before is evaluated, with one thread for each core.

All chunks have arrays of the same shapes and share the compiled programs of a sample in memory. Modes of all clusters stay in memory,
where the next pass over the chunks begins its search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from glmmjax.estimation.evaluators.cores import n_cores, share
from glmmjax.estimation.evaluators.evaluator import End
from glmmjax.estimation.evaluators.parts import Found, Part, Parts, total
from glmmjax.estimation.objective import FitSettings, Integral
from glmmjax.estimation.xla.programs import Programs
from glmmjax.estimation.xla.workers import Workers
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.rule import Rule

__all__ = ["Blocks", "Disk", "Replaced"]


class Blocks(Protocol):
    """Clusters that are read some blocks at a time."""

    @property
    def total_weight(self) -> float:
        """Sum of the cluster weights."""

    @property
    def n_chunks(self) -> int:
        """Chunks that hold all blocks."""

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(S, B) of every bucket."""

    def bounds(self, chunk: int) -> list[tuple[int, int]]:
        """First block and one past the last block of a chunk in every bucket."""

    def read(self, chunk: int) -> tuple[Bucket, ...]:
        """The blocks of a chunk, in arrays of the same shapes for all chunks; blocks beyond ``bounds`` are not visited."""

    def sample(self) -> tuple[Bucket, ...]:
        """Blocks spread over all data, in arrays of the same shapes; all of them may be visited."""


class Replaced:
    """``blocks`` whose buckets are handed over as ``change`` gives them."""

    def __init__(self, blocks: Blocks, change: Callable[[tuple[Bucket, ...]], tuple[Bucket, ...]]):
        self._blocks, self._change = blocks, change
        self.total_weight, self.n_chunks, self.shapes, self.bounds = blocks.total_weight, blocks.n_chunks, blocks.shapes, blocks.bounds

    def read(self, chunk: int) -> tuple[Bucket, ...]:
        """The blocks of a chunk."""
        return self._change(self._blocks.read(chunk))

    def sample(self) -> tuple[Bucket, ...]:
        """Blocks spread over all data."""
        return self._change(self._blocks.sample())


class Disk(Parts):
    """``Evaluator`` of ``blocks``; the buckets of ``like`` have the shapes of a chunk."""

    def __init__(self, settings: FitSettings, like: Integral, run: Programs, blocks: Blocks):
        self._source, self._like = blocks, like.buckets
        self._n_parts = min(n_cores(), max(bucket.shape[0] for bucket in self._like))
        self._reader = Workers()
        self._q = settings.problem.layout.covariance.q
        super().__init__(settings, like.rule, run, self._no_modes(), self._n_parts)

    def modes(self, last: End | None = None) -> tuple[np.ndarray, ...]:
        return tuple(self._kept)

    def close(self) -> None:
        super().close()
        self._reader.close()

    def _example(self) -> tuple[tuple[Bucket, ...], Part]:
        return self._like, self._parts(0)[0]

    def _visit(self, program: Callable[..., Found], theta: np.ndarray, rule: Rule) -> tuple[Found, Any]:
        totals, modes = [], self._no_modes()
        for chunk, buckets in enumerate(self._chunks()):
            parts = self._parts(chunk)
            found = self._side_by_side(program, theta, buckets, rule, parts)
            totals.append(total(found))
            for (at, _), part in zip(found, parts, strict=True):
                for target, source, span, (first, _) in zip(modes, at.modes, part.spans, self._source.bounds(chunk), strict=True):
                    own = slice(span.first, span.first + span.count)
                    target[first:][own] = np.asarray(source)[own]
        return total(totals), modes

    def _chunks(self) -> Iterator[tuple[Bucket, ...]]:
        n_chunks = self._source.n_chunks
        following = self._reader.start(self._source.read, 0)
        for chunk in range(n_chunks):
            buckets = following.result()
            if chunk + 1 < n_chunks:
                following = self._reader.start(self._source.read, chunk + 1)
            yield buckets

    def _parts(self, chunk: int) -> list[Part]:
        """The parts of a chunk, with the kept modes of its blocks in arrays of the chunk's shape."""
        bounds, modes = self._source.bounds(chunk), []
        for kept, bucket, (first, stop) in zip(self._kept, self._like, bounds, strict=True):
            start = np.zeros((bucket.shape[0], *kept.shape[1:]))
            start[: stop - first] = kept[first:stop]
            modes.append(start)
        n_blocks = [stop - first for first, stop in bounds]
        return [Part(tuple(modes), share(n_blocks, part, self._n_parts)) for part in range(self._n_parts)]

    def _no_modes(self) -> list[np.ndarray]:
        return [np.zeros((n, self._q, lanes)) for n, lanes in self._source.shapes]
