"""Which evaluator a data set gets, and the sample of its clusters that is fitted first.

A fit to a sample costs as much as a few evaluations of all data. It ends within some standard errors of the maximum and has a Hessian that
serves as metric. From there all data take three or four evaluations and one Hessian.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from glmmjax.estimation.evaluators.cores import Cores
from glmmjax.estimation.evaluators.disk import Blocks, Disk
from glmmjax.estimation.evaluators.evaluator import End, Evaluator
from glmmjax.estimation.evaluators.mesh import MeshEvaluator
from glmmjax.estimation.evaluators.one_program import SOME_STEPS, OneProgram
from glmmjax.estimation.objective import FitSettings, Integral, Problem
from glmmjax.estimation.phases.first_order import Begun
from glmmjax.estimation.xla.program import as_program
from glmmjax.estimation.xla.programs import Programs, given_theta, programs
from glmmjax.estimation.xla.workers import Workers
from glmmjax.likelihood.clusters import Bucket, padded_rows, total_weight, with_scaled_weights

__all__ = ["Data", "Sample", "in_memory", "is_small", "on_disk", "on_mesh", "small"]

_SMALL_WORK = 1_000_000  # rows x nodes of an evaluation; up to here one core and one program are enough (some 5 ms)
_SAMPLE_ROWS = 20_000  # fewest padded rows of a sample
_LIGHT_WORK = 50_000  # the same; up to here an evaluation takes a few milliseconds however it is compiled
_LARGEST_STRIDE = 20  # between the blocks of a sample
_FEWEST_BLOCKS = 4  # fewest blocks of the largest bucket in a sample


class Sample(NamedTuple):
    """Clusters that are fitted before all of them are.

    Attributes
    ----------
    evaluator : evaluates the sample
    all_blocks : blocks from which starting values are found when the fit of the sample has failed
    """

    evaluator: Evaluator
    all_blocks: tuple[Bucket, ...]


class Data(NamedTuple):
    """What is fitted, in the form that a fit from Python takes it.

    Attributes
    ----------
    run : the compiled programs
    begin_with : blocks from which starting values are found
    total_weight : sum of all cluster weights
    whole : evaluates all clusters
    sample : clusters that are fitted first, None where all are at once
    is_real : (P,) bool: False for padding of theta; None where there is none
    """

    run: Programs
    begin_with: tuple[Bucket, ...]
    total_weight: float
    whole: Evaluator
    sample: Sample | None = None
    is_real: np.ndarray | None = None

    def begin(self, initial: np.ndarray | None, blocks: tuple[Bucket, ...] | None = None) -> Begun:
        """Where an ascent begins: at ``initial`` (P,), or at starting values from ``blocks``, by default ``begin_with``."""
        problem = self.whole.settings.problem
        return self.whole.begin(self.run.begin, problem, blocks or self.begin_with, given_theta(problem, initial, self.is_real))

    def begin_on_all(self, theta: np.ndarray | None) -> Begun:
        """``begin`` for an ascent that all data take from its first step on: the weight of the clusters is that of all."""
        return self.begin(theta, None if self.sample is None else self.sample.all_blocks)

    def resume(self, last: End) -> Begun:
        """Where an ascent on all data begins after an ascent on the sample."""
        start, ratio = last.begun.start, self.total_weight / float(last.begun.start.total_weight)
        return self.whole.begin(self.run.resume, self.whole.settings.problem, start, last.newton, np.float64(ratio))

    def close(self) -> None:
        """Release the threads of both evaluators."""
        self.whole.close()
        if self.sample is not None:
            self.sample.evaluator.close()


def is_small(problem: Problem, buckets: tuple[Bucket, ...], n_agq: int) -> bool:
    """Whether one core and one program are enough for a fit."""
    return _work(problem, buckets, n_agq) <= _SMALL_WORK


def _work(problem: Problem, buckets: tuple[Bucket, ...], n_agq: int) -> int:
    """Densities of rows in an evaluation."""
    return n_agq**problem.layout.covariance.q * padded_rows(buckets)


def small(settings: FitSettings, integral: Integral, every_step: bool, n_agq: int, takes_long: bool = False) -> Data:
    """Blocks for one program, which comes back after every step or after some; where it ``takes_long`` it is compiled to run fast."""
    is_light = not takes_long and _work(settings.problem, integral.buckets, n_agq) <= _LIGHT_WORK
    run, max_steps = programs(not takes_long, is_light), np.int32(1) if every_step else SOME_STEPS
    whole = OneProgram(settings, integral, run.run_phase, max_steps, Workers(), runs_whole_phases=False, compiled=run)
    return Data(run, integral.buckets, total_weight(integral.buckets), whole)


def in_memory(settings: FitSettings, integral: Integral) -> Data:
    """Blocks in memory and, where that is worth it, every k-th of them as a sample."""
    run, buckets = programs(is_small=False), integral.buckets
    data, stride = Data(run, buckets, total_weight(buckets), Cores(settings, integral, run)), _sample_stride(buckets)
    if stride == 1:
        return data
    # the sample has the arrays of the whole and skips blocks, so that both use one compiled program
    sample = Sample(Cores(settings, integral, run, stride), buckets)
    return data._replace(begin_with=_every(stride, buckets), sample=sample)


def on_mesh(settings: FitSettings, integral: Integral, mesh: Mesh, is_small: bool) -> Data:
    """Blocks on the devices of a mesh. Starting values and the sample are each process's own, on one device.

    A fit takes the same steps as on one device, so its estimates agree far beyond the tolerance that ends it: small data have no sample.
    """
    data = in_memory(settings, integral)._replace(whole=MeshEvaluator(settings, integral, mesh))
    return data._replace(begin_with=integral.buckets, sample=None) if is_small else data


def on_disk(settings: FitSettings, blocks: Blocks, sample: Integral, has_start: bool) -> Data:
    """Blocks on disk; the sample is in memory: as many blocks as a chunk has, spread over all."""
    run, ratio = programs(is_small=False), blocks.total_weight / total_weight(sample.buckets)
    # where no sample is fitted first, its blocks give the starting values, with the weight of all clusters
    scaled = with_scaled_weights(sample.buckets, ratio)
    data = Data(run, scaled, blocks.total_weight, Disk(settings, sample, run, blocks))
    if blocks.n_chunks == 1 or has_start:
        return data
    return data._replace(begin_with=sample.buckets, sample=Sample(Cores(settings, sample, run), scaled))


@as_program(0)
def _every(stride: int, buckets: tuple[Bucket, ...]) -> tuple[Bucket, ...]:
    """Every ``stride``-th block."""
    return jax.tree.map(lambda leaf: leaf[::stride], buckets)


def _sample_stride(buckets: tuple[Bucket, ...]) -> int:
    """The stride k of a sample that takes every k-th block; 1 where a sample would be no smaller than the data or miss a bucket."""
    most_blocks = max(bucket.shape[0] for bucket in buckets)
    return max(1, min(_LARGEST_STRIDE, padded_rows(buckets) // _SAMPLE_ROWS, most_blocks // _FEWEST_BLOCKS))
