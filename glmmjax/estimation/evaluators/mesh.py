"""The log-likelihood of blocks that lie on the devices of a mesh, from Python: one process with several devices, or several processes.

Every process runs the same fit and decides every step by itself, from sums that are the same everywhere. Their processors must round
alike for that, so processes belong on machines of one kind.
"""

from __future__ import annotations

import concurrent.futures
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, PartitionSpec

from glmmjax.estimation.large import Data, in_memory
from glmmjax.estimation.objective import Evaluated, Problem, evaluate_likelihood, likelihood_with_hessian
from glmmjax.estimation.xla.programs import quick_to_run
from glmmjax.estimation.xla.worker import is_double_precision
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.gauss_hermite import Rule
from glmmjax.likelihood.marginal import Modes, Span
from glmmjax.likelihood.sharding import by_block, over_blocks, plain_mesh, shard_array, shard_buckets, sum_over_devices

__all__ = ["MeshLikelihood", "on_mesh"]


class MeshLikelihood:
    """``Likelihood`` of blocks in equal shares on the devices of a mesh."""

    def __init__(self, problem: Problem, buckets: tuple[Bucket, ...], mesh: Mesh):
        self.total_weight = sum(float(bucket.cluster_weight.sum()) for bucket in buckets)
        self._problem, self._mesh, self._run = problem, plain_mesh(mesh), _programs(plain_mesh(mesh))
        self._n_blocks = [bucket.cluster_weight.shape[0] for bucket in buckets]
        self.blocks = shard_buckets(buckets, self._mesh)
        self._kept = self._found = self._start_modes()
        self._is_double = is_double_precision()
        # one thread: programs that wait for each other across devices must be started everywhere in the same order
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "glmmjax")

    def traced(self, rule: Rule) -> Iterator[Any]:
        arguments = self._arguments(np.zeros(self._problem.layout.size), rule)
        yield self._run.evaluate_with_hessian.trace(self._problem, *arguments)
        yield self._run.evaluate.trace(self._problem, *arguments)

    def evaluate(self, theta: Any, rule: Rule) -> Evaluated:
        at = self._call(self._run.evaluate, theta, rule)
        self._found = at.modes
        return jax.tree.map(np.asarray, at._replace(modes=()))

    def evaluate_with_hessian(self, theta: Any, rule: Rule) -> tuple[Evaluated, Any]:
        at, hessian = self._call(self._run.evaluate_with_hessian, theta, rule)
        self._found = at.modes
        return jax.tree.map(np.asarray, (at._replace(modes=()), hessian))

    def keep(self) -> None:
        self._kept = self._found

    def modes(self) -> tuple[np.ndarray, ...]:
        whole = multihost_utils.process_allgather(self._kept, tiled=True)
        return tuple(np.asarray(modes)[:n] for modes, n in zip(whole, self._n_blocks, strict=True))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start_modes(self) -> Modes:
        q = self._problem.layout.covariance.q
        shapes = [(b.cluster_weight.shape, b.cluster_weight.dtype) for b in self.blocks]
        return tuple(shard_array(np.zeros((s, q, lanes), dtype), self._mesh) for (s, lanes), dtype in shapes)

    def _arguments(self, theta: Any, rule: Rule) -> tuple[Any, Any]:
        """What every device gets alike, and what is divided among them."""
        own = [bucket.cluster_weight.shape[0] // self._mesh.size for bucket in self.blocks]
        spans = tuple(Span(np.int32(0), np.int32(n), np.int32(1)) for n in own)
        return (np.asarray(theta), rule, spans), (self.blocks, self._kept)

    def _call(self, program: Callable[..., Any], theta: Any, rule: Rule) -> Any:
        arguments = self._arguments(theta, rule)

        def run() -> Any:
            with jax.enable_x64(self._is_double):
                return jax.block_until_ready(program(self._problem, *arguments))

        return self._pool.submit(run).result()


def on_mesh(problem: Problem, buckets: tuple[Bucket, ...], mesh: Mesh, is_small: bool) -> Data:
    """Blocks on the devices of a mesh. Starting values and the sample are each process's own, on one device.

    A fit takes the same steps as on one device, so its estimates agree far beyond the tolerance that ends it: small data have no sample.
    """
    whole = MeshLikelihood(problem, buckets, mesh)
    return Data(buckets, lambda: buckets, None, whole) if is_small else in_memory(problem, buckets)._replace(whole=whole)


class _Programs(NamedTuple):
    """Jitted functions of a problem, of what is the same on every device, and of what belongs to its blocks."""

    evaluate: Any
    evaluate_with_hessian: Any


@functools.cache
def _programs(mesh: Mesh) -> _Programs:
    compiled = functools.partial(jax.jit, static_argnums=0, compiler_options=quick_to_run(mesh.devices.flat[0].platform))
    return _Programs(
        evaluate=compiled(functools.partial(_evaluate, mesh)),
        evaluate_with_hessian=compiled(functools.partial(_evaluate_with_hessian, mesh)),
    )


def _evaluate(mesh: Mesh, problem: Problem, shared: Any, own: Any) -> Evaluated:
    def of_own(shared: Any, own: Any) -> Evaluated:
        (theta, rule, spans), (buckets, modes) = shared, own
        return _added(evaluate_likelihood(problem, theta, buckets, rule, modes, spans), mesh)

    return over_blocks(of_own, mesh, _specs(mesh))(shared, own)


def _evaluate_with_hessian(mesh: Mesh, problem: Problem, shared: Any, own: Any) -> tuple[Evaluated, Any]:
    def of_own(shared: Any, own: Any) -> tuple[Evaluated, Any]:
        (theta, rule, spans), (buckets, modes) = shared, own
        at, hessian = likelihood_with_hessian(problem, theta, buckets, rule, modes, spans)
        return _added(at, mesh), sum_over_devices(hessian, mesh)

    return over_blocks(of_own, mesh, (_specs(mesh), PartitionSpec()))(shared, own)


def _added(at: Evaluated, mesh: Mesh) -> Evaluated:
    """The evaluation of the blocks of all devices, each with its own modes."""
    worst = jax.lax.pmax(at.mode_error, mesh.axis_names)
    return sum_over_devices(at._replace(modes=()), mesh)._replace(modes=at.modes, mode_error=worst)


def _specs(mesh: Mesh) -> Evaluated:
    everywhere: Any = PartitionSpec()
    blocks: Any = by_block(mesh)
    return Evaluated(everywhere, everywhere, everywhere, everywhere, modes=blocks, mode_error=everywhere)
