"""A fit of large data: steps decided in Python, the log-likelihood evaluated in ``Parts``.

A fit to a sample of the clusters comes first. It costs a few evaluations of the whole and leaves a start within some standard errors
of the maximum, with its Hessian for a metric, from where all data take three or four evaluations and one Hessian.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from glmmjax.estimation.convergence import Code
from glmmjax.estimation.evaluators.cores import Likelihood, Parts
from glmmjax.estimation.maximum import Maximum, Monitor, finer_rule, maximum, report
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.phases import first_order, newton
from glmmjax.estimation.starting_values import Start
from glmmjax.estimation.xla.precompile import precompile
from glmmjax.estimation.xla.programs import Programs, programs
from glmmjax.estimation.xla.worker import worker
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.gauss_hermite import Rule, padded_rule
from glmmjax.options import Options

__all__ = ["Data", "climb", "in_memory", "maximise_in_parts"]

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


class Data(NamedTuple):
    """What is fitted, in the form that a large fit takes it."""

    sample_blocks: tuple[Bucket, ...]  # from which starting values are found
    all_blocks: Callable[[], tuple[Bucket, ...]]  # from which they are found when the sample has failed
    sample: Likelihood | None  # fitted before the whole
    whole: Likelihood


class _End(NamedTuple):
    """Where both phases ended."""

    start: Start
    state: first_order.FirstOrder
    end: newton.Newton
    code: Any


def maximise_in_parts(
    problem: Problem, options: Options, data: Data, n_agq: int, initial: np.ndarray | None, monitor: Monitor | None
) -> Maximum:
    """``driver.maximise`` for data that are evaluated in parts; ``monitor`` hears of every step."""
    q = problem.layout.covariance.q
    fit = _Fit(problem, options, padded_rule(n_agq, q), programs(is_small=False), monitor)
    n_on_sample = 0
    with worker() as call:
        _precompile(fit, data, initial)
        begun = _begin(call, fit, data.sample_blocks, initial)
        if data.sample is not None and initial is None:
            found = _ascend(call, fit, data.sample, *begun)
            data.sample.close()
            n_on_sample = int(found.state.n_em) + int(found.state.n_quasi_newton) + int(found.end.n_newton)
            if Code(int(found.code)) is Code.CONVERGED:
                begun = _resume(call, fit, found, data.whole.total_weight)
            else:  # a boundary or a failure on a sample says little on all data
                begun = _begin(call, fit, data.all_blocks(), None)
        last = _ascend(call, fit, data.whole, *begun)
        fine = data.whole.evaluate(last.end.theta, finer_rule(n_agq, q))
        data.whole.close()
    modes, finer_value = data.whole.modes(), float(fine.log_likelihood)
    return maximum(last.state, last.end, modes, last.code, finer_value, options, n_agq, data.whole.total_weight, n_on_sample)


def climb(
    problem: Problem,
    options: Options,
    data: Data,
    n_agq: int,
    initial: np.ndarray,
    begun: Callable[[first_order.FirstOrder], first_order.FirstOrder],
) -> tuple[newton.Newton, Any]:
    """The end of a fit of all data and its ``Code``; ``begun`` changes the state at ``initial`` (P,) that it begins in."""
    fit = _Fit(problem, options, padded_rule(n_agq, problem.layout.covariance.q), programs(is_small=False), None)
    with worker() as call:
        _precompile(fit, data, initial)
        start, state = _begin(call, fit, data.sample_blocks, initial)
        last = _ascend(call, fit, data.whole, start, begun(state))
    for likelihood in (data.sample, data.whole):
        if likelihood is not None:
            likelihood.close()
    return last.end, last.code


def in_memory(problem: Problem, buckets: tuple[Bucket, ...]) -> Data:
    """Blocks in memory and, where that is worth it, every k-th of them as a sample."""
    run, stride = programs(is_small=False), _sample_stride(buckets)
    if stride == 1:
        return Data(buckets, lambda: buckets, None, Parts(problem, run, buckets))
    sample = _every(stride, buckets)
    # the sample has the arrays of the whole and skips blocks, so that both use one compiled program
    return Data(sample, lambda: buckets, Parts(problem, run, buckets, stride), Parts(problem, run, buckets))


@functools.partial(jax.jit, static_argnums=0)
def _every(stride: int, buckets: tuple[Bucket, ...]) -> tuple[Bucket, ...]:
    """Every ``stride``-th block."""
    return jax.tree.map(lambda leaf: leaf[::stride], buckets)


def _sample_stride(buckets: tuple[Bucket, ...]) -> int:
    """Every how many blocks a sample takes; 1 where a sample would be no smaller than the data or miss a bucket."""
    blocks = [bucket.cluster_weight.shape[0] for bucket in buckets]
    rows = sum(bucket.row_weight.size for bucket in buckets)
    return max(1, min(_LARGEST_STRIDE, rows // _SAMPLE_ROWS, max(blocks) // _FEWEST_BLOCKS))


def _precompile(fit: _Fit, data: Data, initial: np.ndarray | None) -> None:
    begin_with = (data.sample_blocks, *_given(fit, initial))
    programs = lambda: itertools.chain(  # noqa: E731
        data.whole.traced(fit.rule), fit.run.traced_steps(fit.problem, fit.options, begin_with)
    )
    precompile((fit.run, fit.problem, fit.options), (data.sample_blocks, data.whole.blocks, fit.rule), programs)


def _given(fit: _Fit, initial: np.ndarray | None) -> tuple[np.ndarray, np.bool_]:
    """Starting values as compiled code takes them, and whether they count."""
    given = np.zeros(fit.problem.layout.size) if initial is None else np.asarray(initial, float)
    return given, np.bool_(initial is not None)


def _begin(call, fit: _Fit, buckets: tuple[Bucket, ...], initial: np.ndarray | None) -> tuple[Start, first_order.FirstOrder]:
    start, state = call(fit.run.begin, fit.problem, buckets, *_given(fit, initial))
    return start, state._replace(at=state.at._replace(modes=()))


def _resume(call, fit: _Fit, found: _End, total_weight: float) -> tuple[Start, first_order.FirstOrder]:
    return call(fit.run.resume, fit.problem, found.start, found.end, np.float64(total_weight / float(found.start.total_weight)))


def _ascend(call, fit: _Fit, parts: Likelihood, start: Start, state: first_order.FirstOrder) -> _End:
    """Both phases, one evaluation of the log-likelihood at a time."""
    while not state.is_done:
        at = parts.evaluate(np.asarray(state.theta) + np.asarray(state.proposal), fit.rule)
        state, end = call(fit.run.advance, fit.problem, fit.options, start, state, at)
        if int(state.n_rejected) == 0:
            parts.keep()
        report(fit.monitor, state)
    code: Any = Code.NOT_FINITE
    while not end.is_done:
        at, hessian = parts.evaluate_with_hessian(np.asarray(end.theta) + np.asarray(end.proposal), fit.rule)
        end, code = call(fit.run.advance_newton, fit.problem, fit.options, start, end, at, hessian)
        if int(end.n_rejected) == 0:
            parts.keep()
        report(fit.monitor, end)
    return _End(start, state, end, code)
