"""Blocks in memory, in equal shares, one for each core.

XLA runs one program on one core where its arrays are as small as a block. So every core gets the same compiled program, the same buckets,
and the numbers of the blocks that it must visit; nothing is copied. Results are added in a fixed order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from glmmjax.estimation.evaluators.evaluator import End
from glmmjax.estimation.evaluators.parts import Found, Part, Parts, total
from glmmjax.estimation.objective import FitSettings, Integral
from glmmjax.estimation.xla.compiler_options import platform_in_force
from glmmjax.estimation.xla.programs import Programs
from glmmjax.likelihood.block_sums import Span, start_modes
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.rule import Rule

__all__ = ["Cores", "n_cores", "share"]


class Cores(Parts):
    """``Evaluator`` of every ``stride``-th block: with a stride above 1, of a sample of the clusters."""

    def __init__(self, settings: FitSettings, integral: Integral, run: Programs, stride: int = 1):
        self._buckets, rule = integral
        n_blocks = [-(-bucket.shape[0] // stride) for bucket in self._buckets]
        n_parts = min(n_cores(), max(n_blocks))
        self._spans = [share(n_blocks, part, n_parts, stride) for part in range(n_parts)]
        modes = start_modes(self._buckets, settings.problem.layout.covariance.q)
        super().__init__(settings, rule, run, [modes] * n_parts, n_parts)

    def modes(self, last: End | None = None) -> tuple[np.ndarray, ...]:
        merged = [np.array(modes) for modes in self._kept[0]]
        for spans, modes in zip(self._spans[1:], self._kept[1:], strict=True):
            for target, span, source in zip(merged, spans, modes, strict=True):
                own = slice(span.first, span.first + span.count * span.stride, span.stride)
                target[own] = np.asarray(source)[own]
        return tuple(merged)

    def _example(self) -> tuple[tuple[Bucket, ...], Part]:
        return self._buckets, Part(self._kept[0], self._spans[0])

    def _visit(self, program: Callable[..., Found], theta: np.ndarray, rule: Rule) -> tuple[Found, Any]:
        parts = [Part(*pair) for pair in zip(self._kept, self._spans, strict=True)]
        found = self._side_by_side(program, theta, self._buckets, rule, parts)
        return total(found), [at.modes for at, _ in found]


def share(n_blocks: list[int], part: int, n_parts: int, stride: int = 1) -> tuple[Span, ...]:
    """The blocks of one part: a contiguous run of the selected blocks of every bucket, of which there are ``n_blocks``."""
    spans = []
    for k, n in enumerate(n_blocks):
        turn = (part + k) % n_parts  # buckets with fewer blocks than parts begin with different parts
        first, last = n * turn // n_parts, n * (turn + 1) // n_parts
        spans.append(Span(np.int32(first * stride), np.int32(last - first), np.int32(stride)))
    return tuple(spans)


def n_cores() -> int:
    """Cores that this process may use; one program at a time on a device that is not a CPU."""
    if platform_in_force() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
