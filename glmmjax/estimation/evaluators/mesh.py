"""Blocks that lie on the devices of a mesh: one process with several devices, or several processes.

Every process runs the same fit and decides every step by itself, from sums that are the same everywhere. Their processors must round
alike for that, so processes belong on machines of one kind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import Mesh, PartitionSpec

from glmmjax.estimation.evaluators.evaluator import End
from glmmjax.estimation.evaluators.parts import Found, Part, Parts, total
from glmmjax.estimation.objective import Evaluated, FitSettings, Integral, Problem, likelihood_with_gradient, likelihood_with_hessian
from glmmjax.estimation.xla.compiler_options import quick_to_run
from glmmjax.estimation.xla.program import as_program
from glmmjax.estimation.xla.programs import Programs, programs
from glmmjax.likelihood.block_sums import Modes, Span
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.rule import Rule
from glmmjax.likelihood.sharding import by_block, over_blocks, plain_mesh, shard_array, shard_buckets, sum_over_devices

__all__ = ["MeshEvaluator"]


class MeshEvaluator(Parts):
    """``Evaluator`` of blocks in equal shares on the devices of a mesh. They are one part, whose program divides the work among devices."""

    def __init__(self, settings: FitSettings, integral: Integral, mesh: Mesh):
        mesh, q = plain_mesh(mesh), settings.problem.layout.covariance.q
        self._n_blocks = [bucket.shape[0] for bucket in integral.buckets]
        self._buckets = shard_buckets(integral.buckets, mesh)
        modes = tuple(shard_array(np.zeros((b.shape[0], q, b.shape[-1]), b.offset.dtype), mesh) for b in self._buckets)
        self._spans = tuple(Span(np.int32(0), np.int32(b.shape[0] // mesh.size), np.int32(1)) for b in self._buckets)  # of every device
        # one thread, because programs that wait for each other across devices must start everywhere in the same order
        super().__init__(settings, integral.rule, _programs(mesh, programs(is_small=False)), modes, n_threads=1)

    def modes(self, last: End | None = None) -> tuple[np.ndarray, ...]:
        whole = multihost_utils.process_allgather(self._kept, tiled=True)
        return tuple(np.asarray(modes)[:n] for modes, n in zip(whole, self._n_blocks, strict=True))

    def _example(self) -> tuple[tuple[Bucket, ...], Part]:
        return self._buckets, Part(self._kept, self._spans)

    def _visit(self, program: Callable[..., Found], theta: np.ndarray, rule: Rule) -> tuple[Found, Any]:
        (found,) = self._side_by_side(program, theta, self._buckets, rule, [Part(self._kept, self._spans)])
        return total([found]), found[0].modes


@functools.cache
def _programs(mesh: Mesh, run: Programs) -> Programs:
    """``run`` with programs that evaluate on all devices of ``mesh``."""
    compiled = as_program(0, functools.partial(quick_to_run, mesh.devices.flat[0].platform))
    added = _added(mesh)
    return run._replace(
        evaluate=compiled(_on_mesh(mesh, likelihood_with_gradient, (added, None))),
        evaluate_with_hessian=compiled(_on_mesh(mesh, likelihood_with_hessian, (added, PartitionSpec()))),
    )


def _on_mesh(mesh: Mesh, likelihood: Callable[..., Found], specs: Any) -> Callable[..., Found]:
    """``likelihood`` of the blocks of all devices, each with its own modes; ``specs`` say how results lie on the mesh."""

    def evaluate(problem: Problem, theta: Array, buckets: tuple[Bucket, ...], rule: Rule, modes: Modes, spans: tuple[Span, ...]) -> Found:
        def of_own(shared: Any, own: Any) -> Found:
            (theta, rule, spans), (buckets, modes) = shared, own
            at, hessian = likelihood(problem, theta, buckets, rule, modes, spans)
            worst = jax.lax.pmax(at.mode_error, mesh.axis_names)
            at_all, hessian = sum_over_devices((at._replace(modes=()), hessian), mesh)
            return at_all._replace(modes=at.modes, mode_error=worst), hessian

        return over_blocks(of_own, mesh, specs)((theta, rule, spans), (buckets, modes))

    return evaluate


def _added(mesh: Mesh) -> Evaluated:
    everywhere: Any = PartitionSpec()
    blocks: Any = by_block(mesh)
    return Evaluated(*(everywhere,) * 5, modes=blocks, mode_error=everywhere)
