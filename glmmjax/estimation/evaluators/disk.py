"""The log-likelihood of clusters on disk: chunks of blocks, read while the one before is evaluated, one thread a core.

All chunks have arrays of the same shapes and share the compiled programs of a sample in memory. Modes of all clusters stay in memory,
where the next pass over the chunks begins its search.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from glmmjax.estimation.evaluators.cores import Cores, Parts, n_cores, share, total
from glmmjax.estimation.large import Data, maximise_in_parts
from glmmjax.estimation.maximum import Maximum, Monitor
from glmmjax.estimation.objective import Evaluated, Problem
from glmmjax.estimation.xla.programs import Programs, programs
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.gauss_hermite import Rule
from glmmjax.likelihood.marginal import Span
from glmmjax.options import Options

__all__ = ["Blocks", "StreamedLikelihood", "maximise_streamed"]


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
        """Blocks from everywhere, in arrays of the same shapes, all of which may be visited."""


class StreamedLikelihood:
    """``Likelihood`` of blocks on disk; ``like`` has the shapes of a chunk."""

    def __init__(self, problem: Problem, run: Programs, blocks: Blocks, like: tuple[Bucket, ...]):
        self.total_weight = blocks.total_weight
        self._problem, self._run, self._source, self.blocks = problem, run, blocks, like
        self._kept, self._found = ([np.zeros((n, problem.layout.covariance.q, lanes)) for n, lanes in blocks.shapes] for _ in range(2))
        self._is_new = False
        self._n_parts = min(n_cores(), max(len(bucket.cluster_weight) for bucket in like))
        self._cores = Cores(self._n_parts)
        self._reader = concurrent.futures.ThreadPoolExecutor(1, "glmmjax-reader")

    def traced(self, rule: Rule) -> Iterator[Any]:
        return self._run.traced_evaluations(self._problem, self.blocks, rule, self._starts(0), self._spans(0)[0])

    def evaluate(self, theta: Any, rule: Rule) -> Evaluated:
        return total([total(self._store(chunk, found)) for chunk, found in self._on_chunks(self._run.evaluate, theta, rule)])

    def evaluate_with_hessian(self, theta: Any, rule: Rule) -> tuple[Evaluated, Any]:
        values, hessian = [], np.zeros(())
        for chunk, found in self._on_chunks(self._run.evaluate_with_hessian, theta, rule):
            values.append(total(self._store(chunk, [at for at, _ in found])))
            hessian = hessian + sum(np.asarray(part) for _, part in found)
        return total(values), hessian

    def keep(self) -> None:
        if self._is_new:  # a pass writes all modes, so the arrays can change places
            self._kept, self._found = self._found, self._kept
        self._is_new = False

    def modes(self) -> tuple[np.ndarray, ...]:
        return tuple(self._kept)

    def close(self) -> None:
        self._cores.close()
        self._reader.shutdown(wait=False, cancel_futures=True)
        self._found = []

    def _on_chunks(self, program: Callable[..., Any], theta: Any, rule: Rule) -> Iterator[tuple[int, list[Any]]]:
        """Every chunk's number and the results of ``program`` on its parts."""
        n_chunks = self._source.n_chunks
        following = self._reader.submit(self._source.read, 0)
        for chunk in range(n_chunks):
            buckets = following.result()
            if chunk + 1 < n_chunks:
                following = self._reader.submit(self._source.read, chunk + 1)
            starts = [self._starts(chunk)] * self._n_parts
            yield chunk, self._cores.evaluate(program, self._problem, theta, buckets, rule, starts, self._spans(chunk))
        self._is_new = True

    def _spans(self, chunk: int) -> list[tuple[Span, ...]]:
        n_blocks = [stop - first for first, stop in self._source.bounds(chunk)]
        return [share(n_blocks, part, self._n_parts) for part in range(self._n_parts)]

    def _starts(self, chunk: int) -> tuple[np.ndarray, ...]:
        """Modes kept of a chunk's blocks, in arrays of the chunk's shape."""
        starts = []
        for kept, bucket, (first, stop) in zip(self._kept, self.blocks, self._source.bounds(chunk), strict=True):
            start = np.zeros((len(bucket.cluster_weight), *kept.shape[1:]))
            start[: stop - first] = kept[first:stop]
            starts.append(start)
        return tuple(starts)

    def _store(self, chunk: int, found: list[Evaluated]) -> list[Evaluated]:
        """Put the modes of a chunk's parts where ``keep`` takes them from."""
        for at, spans in zip(found, self._spans(chunk), strict=True):
            for target, modes, span, (first, _) in zip(self._found, at.modes, spans, self._source.bounds(chunk), strict=True):
                target[first + span.first : first + span.first + span.count] = np.asarray(modes)[span.first : span.first + span.count]
        return found


def maximise_streamed(
    problem: Problem, options: Options, blocks: Blocks, n_agq: int, initial: np.ndarray | None = None, monitor: Monitor | None = None
) -> Maximum:
    """``driver.maximise`` for blocks on disk."""
    return maximise_in_parts(problem, options, _data(problem, blocks, initial), n_agq, initial, monitor)


def _data(problem: Problem, blocks: Blocks, initial: np.ndarray | None) -> Data:
    """Blocks on disk with a chunk's worth of them, from everywhere, as the sample in memory."""
    run, sample = programs(is_small=False), blocks.sample()
    whole = StreamedLikelihood(problem, run, blocks, sample)
    ratio = blocks.total_weight / sum(float(bucket.cluster_weight.sum()) for bucket in sample)
    # where nothing comes before the whole, the sample stands for it with the weight of all clusters
    scaled = tuple(bucket._replace(cluster_weight=ratio * bucket.cluster_weight) for bucket in sample)
    if blocks.n_chunks == 1 or initial is not None:
        return Data(scaled, lambda: scaled, None, whole)
    return Data(sample, lambda: scaled, Parts(problem, run, sample), whole)
