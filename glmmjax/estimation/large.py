"""A fit of large data: steps decided in Python, the log-likelihood evaluated in ``Parts``.

A fit to a sample of the clusters comes first. It costs a few evaluations of the whole and leaves a start within some standard errors
of the maximum, with its Hessian for a metric, from where all data take three or four evaluations and one Hessian.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from glmmjax.estimation import first_order, newton
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.maximum import Maximum, Monitor, finer_rule, maximum, report
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.parts import Parts
from glmmjax.estimation.precompile import precompile
from glmmjax.estimation.programs import Programs, programs
from glmmjax.estimation.starting_values import Start
from glmmjax.estimation.worker import worker
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.gauss_hermite import Rule, padded_rule
from glmmjax.likelihood.marginal import Span, start_modes
from glmmjax.options import Options

__all__ = ["maximise_in_parts"]

_SAMPLE_ROWS = 20_000  # padded rows that a sample has at least
_LARGEST_STRIDE = 20  # of the blocks of a sample
_FEWEST_BLOCKS = 4  # of the largest bucket in a sample


class _Fit(NamedTuple):
    """What the phases of one fit share."""

    problem: Problem
    options: Options
    rule: Rule
    run: Programs
    monitor: Monitor | None


class _End(NamedTuple):
    start: Start
    state: first_order.FirstOrder
    end: newton.Newton
    code: Any


def maximise_in_parts(
    problem: Problem,
    options: Options,
    buckets: tuple[Bucket, ...],
    n_agq: int,
    initial: np.ndarray | None,
    monitor: Monitor | None,
    every_step: bool,
) -> Maximum:
    """``driver.maximise`` for large data; ``monitor`` hears of every step."""
    del every_step
    q = problem.layout.covariance.q
    fit = _Fit(problem, options, padded_rule(n_agq, q), programs(is_small=False), monitor)
    wait = _precompile_hessian(fit, buckets)
    stride = sample_stride(buckets)
    with worker() as call:
        begun = _begin(call, fit, buckets, stride, initial)
        n_on_sample = 0
        if stride > 1 and initial is None:
            sample = Parts(problem, fit.run, buckets, stride)
            wait()
            found = _ascend(call, fit, sample, *begun)
            sample.close()
            n_on_sample = int(found.state.n_em) + int(found.state.n_quasi_newton) + int(found.end.n_newton)
            # a boundary or a failure on a sample says little on all data
            is_certified = Code(int(found.code)) is Code.CONVERGED
            begun = _resume(call, fit, found, buckets, stride) if is_certified else _begin(call, fit, buckets, 1, None)
        parts = Parts(problem, fit.run, buckets)
        wait()
        last = _ascend(call, fit, parts, *begun)
        fine = parts.evaluate(last.end.theta, finer_rule(n_agq, q))
        parts.close()
    return maximum(
        last.state,
        last.end,
        parts.modes(),
        last.code,
        float(fine.log_likelihood),
        options,
        n_agq,
        float(last.start.total_weight),
        n_on_sample,
    )


def sample_stride(buckets: tuple[Bucket, ...]) -> int:
    """Every how many blocks a sample takes; 1 where a sample would be no smaller than the data or miss a bucket."""
    blocks = [bucket.cluster_weight.shape[0] for bucket in buckets]
    rows = sum(bucket.row_weight.size for bucket in buckets)
    return max(1, min(_LARGEST_STRIDE, rows // _SAMPLE_ROWS, max(blocks) // _FEWEST_BLOCKS))


def _begin(call, fit: _Fit, buckets: tuple[Bucket, ...], stride: int, initial) -> tuple[Start, first_order.FirstOrder]:
    """Starting values from every ``stride``-th block."""
    given = np.zeros(fit.problem.layout.size) if initial is None else np.asarray(initial, float)
    sample = buckets if stride == 1 else jax.tree.map(lambda leaf: leaf[::stride], buckets)
    start, state = call(fit.run.begin, fit.problem, sample, given, np.bool_(initial is not None))
    return start, state._replace(at=state.at._replace(modes=()))


def _resume(call, fit: _Fit, found: _End, buckets, stride: int) -> tuple[Start, first_order.FirstOrder]:
    all_weight = sum(float(bucket.cluster_weight.sum()) for bucket in buckets)
    return call(fit.run.resume, fit.problem, found.start, found.end, np.float64(all_weight) / found.start.total_weight)


def _ascend(call, fit: _Fit, parts: Parts, start: Start, state: first_order.FirstOrder) -> _End:
    """Both phases, one evaluation of the log-likelihood at a time."""
    while not state.is_done:
        at = parts.evaluate(state.theta + state.proposal, fit.rule)
        state, end = call(fit.run.advance, fit.problem, fit.options, start, state, at)
        if state.n_rejected == 0:
            parts.keep()
        report(fit.monitor, state)
    code: Any = Code.NOT_FINITE
    while not end.is_done:
        at, hessian = parts.evaluate_with_hessian(end.theta + end.proposal, fit.rule)
        end, code = call(fit.run.advance_newton, fit.problem, fit.options, start, end, at, hessian)
        if end.n_rejected == 0:
            parts.keep()
        report(fit.monitor, end)
    return _End(start, state, end, code)


def _precompile_hessian(fit: _Fit, buckets: tuple[Bucket, ...]):
    """Start compiling the program of the last phase while the first ones are compiled."""
    nowhere = tuple(Span(np.int32(0), np.int32(0), np.int32(1)) for _ in buckets)
    modes, size = start_modes(buckets, fit.problem.layout.covariance.q), fit.problem.layout.size
    return precompile(
        fit.run.evaluate_with_hessian, (fit.problem,), (buckets, fit.rule), lambda: (np.zeros(size), buckets, fit.rule, modes, nowhere)
    )
