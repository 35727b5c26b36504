"""The log-likelihood of large data from Python: parts of the blocks, evaluated side by side, one thread a core.

XLA runs one program on one core where its arrays are as small as a block. So every core gets the same compiled program and the same
buckets, and the blocks that it is to visit as an argument; nothing is copied. Results are added in a fixed order.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import jax
import numpy as np

from glmmjax.estimation.objective import Evaluated, Problem
from glmmjax.estimation.xla.compiler_options import platform_in_force
from glmmjax.estimation.xla.programs import Programs
from glmmjax.estimation.xla.worker import is_double_precision
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.gauss_hermite import Rule
from glmmjax.likelihood.marginal import Modes, Span, start_modes

__all__ = ["Cores", "Likelihood", "Parts", "n_cores", "share", "total"]


class Likelihood(Protocol):
    """The log-likelihood of a data set as a large fit uses it: where the clusters are and what evaluates them is its own business.

    ``evaluate`` and ``evaluate_with_hessian`` start their search for modes at those of the last ``keep``.
    """

    total_weight: float  # sum of the cluster weights
    blocks: tuple[Bucket, ...]  # arrays in the shapes and places that its programs are compiled for

    def traced(self, rule: Rule) -> Iterator[Any]:
        """Its programs for ``precompile``, those first that take longest to compile."""

    def evaluate(self, theta: Any, rule: Rule) -> Evaluated:
        """The log-likelihood at ``theta`` (P,), numpy, without modes and without penalty."""

    def evaluate_with_hessian(self, theta: Any, rule: Rule) -> tuple[Evaluated, Any]:
        """The same with the Hessian (P, P), not yet symmetrised."""

    def keep(self) -> None:
        """Let the next search begin at the modes found last."""

    def modes(self) -> tuple[np.ndarray, ...]:
        """Modes kept, (S, q, B) a bucket."""

    def close(self) -> None:
        """Release threads; ``modes`` still works."""


class Cores:
    """Threads that evaluate parts of the blocks side by side, under the precision of the thread that made them."""

    def __init__(self, n_parts: int):
        self._is_double = is_double_precision()
        self._pool = concurrent.futures.ThreadPoolExecutor(n_parts, "glmmjax")

    def evaluate(
        self, program: Callable[..., Any], problem: Problem, theta: Any, buckets: Any, rule: Rule, starts: Any, spans: Any
    ) -> list[Any]:
        """Results of ``program`` on every one of ``spans``, its search for modes beginning at the same one of ``starts``."""

        def run(modes: Modes, spans: tuple[Span, ...]) -> Any:
            with jax.enable_x64(self._is_double):
                return jax.block_until_ready(program(problem, theta, buckets, rule, modes, spans))

        return [future.result() for future in [self._pool.submit(run, *pair) for pair in zip(starts, spans, strict=True)]]

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Parts:
    """``Likelihood`` of blocks in memory, in equal shares, one a core."""

    def __init__(self, problem: Problem, run: Programs, buckets: tuple[Bucket, ...], stride: int = 1):
        """Every ``stride``-th block of ``buckets`` only, for a fit to a sample of the clusters."""
        self.total_weight = sum(float(np.asarray(bucket.cluster_weight)[::stride].sum()) for bucket in buckets)
        n_blocks = [-(-bucket.cluster_weight.shape[0] // stride) for bucket in buckets]
        n_parts = min(n_cores(), max(n_blocks))
        self._problem, self._run, self.blocks = problem, run, buckets
        self._spans = [share(n_blocks, part, n_parts, stride) for part in range(n_parts)]
        self._kept: list[Modes] = [start_modes(buckets, problem.layout.covariance.q)] * n_parts
        self._found = self._kept
        self._cores = Cores(n_parts)

    def traced(self, rule: Rule) -> Iterator[Any]:
        return self._run.traced_evaluations(self._problem, self.blocks, rule, self._kept[0], self._spans[0])

    def evaluate(self, theta: Any, rule: Rule) -> Evaluated:
        found = self._on_all(self._run.evaluate, theta, rule)
        self._found = [at.modes for at in found]
        return total(found)

    def evaluate_with_hessian(self, theta: Any, rule: Rule) -> tuple[Evaluated, Any]:
        found = self._on_all(self._run.evaluate_with_hessian, theta, rule)
        self._found = [at.modes for at, _ in found]
        return total([at for at, _ in found]), sum(np.asarray(hessian) for _, hessian in found)

    def keep(self) -> None:
        self._kept = self._found

    def modes(self) -> tuple[np.ndarray, ...]:
        merged = [np.array(modes) for modes in self._kept[0]]
        for spans, modes in zip(self._spans[1:], self._kept[1:], strict=True):
            for target, span, source in zip(merged, spans, modes, strict=True):
                own = slice(span.first, span.first + span.count * span.stride, span.stride)
                target[own] = np.asarray(source)[own]
        return tuple(merged)

    def close(self) -> None:
        self._cores.close()

    def _on_all(self, program: Callable[..., Any], theta: Any, rule: Rule) -> list[Any]:
        return self._cores.evaluate(program, self._problem, theta, self.blocks, rule, self._kept, self._spans)


def share(n_blocks: list[int], part: int, n_parts: int, stride: int = 1) -> tuple[Span, ...]:
    """The blocks of one part: a contiguous run of the selected blocks of every bucket, of which there are ``n_blocks``."""
    spans = []
    for k, n in enumerate(n_blocks):
        turn = (part + k) % n_parts  # buckets with fewer blocks than parts begin with different parts
        first, last = n * turn // n_parts, n * (turn + 1) // n_parts
        spans.append(Span(np.int32(first * stride), np.int32(last - first), np.int32(stride)))
    return tuple(spans)


def total(found: list[Evaluated]) -> Evaluated:
    """The log-likelihood of all parts together, numpy, without modes."""
    parts = [jax.tree.map(np.asarray, at._replace(modes=())) for at in found]
    worst = np.max([at.mode_error for at in parts])
    return jax.tree.map(lambda *leaves: np.asarray(sum(leaves)), *parts)._replace(mode_error=worst)


def n_cores() -> int:
    """Cores that this process may use; one program at a time on a device that is not a CPU."""
    if platform_in_force() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
