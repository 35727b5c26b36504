"""A fit from Python: the loop that runs the compiled ``programs`` on one data set, shows progress, and can be stopped."""

from __future__ import annotations

import functools

import numpy as np
from jax.sharding import Mesh

from glmmjax.estimation.convergence import Code
from glmmjax.estimation.evaluators.mesh import on_mesh
from glmmjax.estimation.large import in_memory, maximise_in_parts
from glmmjax.estimation.maximum import Maximum, Monitor, finer_rule, maximum, report
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.precompile import precompile
from glmmjax.estimation.xla.programs import programs
from glmmjax.estimation.xla.worker import worker
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.gauss_hermite import padded_rule
from glmmjax.options import Options

__all__ = ["is_small", "maximise"]

_ALL = 1_000_000  # steps of a phase in one call, when nothing has to be shown in between
_SMALL_WORK = 1_000_000  # rows x nodes of an evaluation up to which one core and one program are enough (some 5 ms)


def maximise(
    problem: Problem,
    options: Options,
    buckets: tuple[Bucket, ...],
    n_agq: int,
    initial: np.ndarray | None = None,
    monitor: Monitor | None = None,
    every_step: bool = False,
    mesh: Mesh | None = None,
) -> Maximum:
    """Maximise the penalised log-likelihood from ``initial`` (P,), or from starting values of its own.

    Runs under the precision of ``buckets``. ``monitor`` is called whenever compiled code comes back: after every step with
    ``every_step`` or on large data, after a phase otherwise. With ``mesh`` its devices share the blocks, whatever the size of the data.
    """
    if mesh is not None:
        data = on_mesh(problem, buckets, mesh, is_small(problem, buckets, n_agq))
        return maximise_in_parts(problem, options, data, n_agq, initial, monitor)
    if is_small(problem, buckets, n_agq):
        return _maximise_in_one_program(problem, options, buckets, n_agq, initial, monitor, every_step)
    return maximise_in_parts(problem, options, in_memory(problem, buckets), n_agq, initial, monitor)


def is_small(problem: Problem, buckets: tuple[Bucket, ...], n_agq: int) -> bool:
    """Whether one core and one program are enough for a fit."""
    return n_agq**problem.layout.covariance.q * sum(bucket.row_weight.size for bucket in buckets) <= _SMALL_WORK


def _maximise_in_one_program(
    problem: Problem,
    options: Options,
    buckets: tuple[Bucket, ...],
    n_agq: int,
    initial: np.ndarray | None,
    monitor: Monitor | None,
    every_step: bool,
) -> Maximum:
    """A phase at a time, each a loop inside compiled code."""
    q = problem.layout.covariance.q
    run, n_steps = programs(is_small=True), np.int32(1 if every_step else _ALL)
    given = np.zeros(problem.layout.size) if initial is None else np.asarray(initial, float)
    begin_with, rule = (problem, buckets, given, np.bool_(initial is not None)), padded_rule(n_agq, q)
    precompile((run, problem, options), (buckets, rule), lambda: run.traced(problem, options, begin_with[1:], rule, n_steps))

    with worker() as call:
        start, state = call(run.begin, *begin_with)
        while not state.is_done:
            state, end = call(run.first_order, problem, options, start, state, buckets, rule, n_steps)
            report(monitor, state)
        code = Code.NOT_FINITE
        while not end.is_done:
            end, code = call(run.second_order, problem, options, start, end, buckets, rule, n_steps)
            report(monitor, end)
        take_steps = functools.partial(call, run.first_order, problem, options, start)
        finer_value = _finer_log_likelihood(take_steps, state, end, buckets, n_agq, q)
    return maximum(state, end, end.at.modes, code, finer_value, options, n_agq, float(start.total_weight))


def _finer_log_likelihood(take_steps, state, end, buckets, n_agq: int, q: int) -> float:
    """Log-likelihood at the estimates by the finer rule: one step of the compiled first-order program, taken there."""
    zero = np.zeros((), np.int32)
    at_end = state._replace(
        theta=end.theta,
        # a rule without a finite value there leaves the state as it is, and must not pass for one that agrees
        at=end.at._replace(log_likelihood=np.full((), np.nan, end.theta.dtype)),
        proposal=np.zeros(end.theta.shape, end.theta.dtype),
        n_em=zero,
        n_quasi_newton=zero,
        is_done=np.bool_(False),
    )
    return float(take_steps(at_end, buckets, finer_rule(n_agq, q), np.int32(1))[0].at.log_likelihood)
