"""A fit from Python: the loop that runs the compiled ``programs``, shows progress, can be stopped, and judges the result."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from glmmjax.estimation import first_order, newton
from glmmjax.estimation.convergence import Code, Convergence
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.precompile import precompile
from glmmjax.estimation.programs import programs
from glmmjax.estimation.worker import worker
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.gauss_hermite import finer, padded_rule
from glmmjax.options import Options

__all__ = ["Maximum", "Progress", "maximise"]

_ALL = 1_000_000  # steps of a phase in one call, when nothing has to be shown in between
_SMALL_WORK = 2_000_000  # rows x nodes of an evaluation up to which time goes to compiling and not to running
_QUIET_WORK = 20_000_000  # rows x nodes of an evaluation up to which a whole phase runs in one call (well below a second a step)


class Progress(NamedTuple):
    """What a monitor is told between steps."""

    phase: str  # "EM", "quasi-Newton" or "Newton"
    iteration: int
    log_likelihood: float
    gradient_norm: float


class Maximum(NamedTuple):
    """Where a fit ended; numpy arrays."""

    theta: np.ndarray  # (P,)
    hessian: np.ndarray  # (P, P) of the objective
    log_likelihood: float
    objective: float  # with the penalty
    modes: tuple[np.ndarray, ...]  # (S, q, B) a bucket
    convergence: Convergence


Monitor = Callable[[Progress], None]


def maximise(
    problem: Problem,
    options: Options,
    buckets: tuple[Bucket, ...],
    n_agq: int,
    initial: np.ndarray | None = None,
    monitor: Monitor | None = None,
    every_step: bool = False,
) -> Maximum:
    """Maximise the penalised log-likelihood from ``initial`` (P,), or from starting values of its own.

    Runs under the precision of ``buckets``. ``monitor`` is called whenever compiled code comes back: after
    every step with ``every_step`` or on large data, after a phase otherwise.
    """
    q = problem.layout.covariance.q
    work = n_agq**q * sum(bucket.row_weight.size for bucket in buckets)
    run = programs(is_small=work <= _SMALL_WORK)
    n_steps = np.int32(1 if every_step or work > _QUIET_WORK else _ALL)
    given = np.zeros(problem.layout.size) if initial is None else np.asarray(initial, float)
    begin_with, rule = (problem, buckets, given, np.bool_(initial is not None)), padded_rule(n_agq, q)
    wait = precompile(run.second_order, (problem, options), (buckets, rule), lambda: (*run.shapes(*begin_with), buckets, rule, n_steps))

    with worker() as call:
        start, state = call(run.begin, *begin_with)
        while not state.is_done:
            state, end = call(run.first_order, problem, options, start, state, buckets, rule, n_steps)
            if monitor is not None:
                monitor(_progress("EM" if state.in_em else "quasi-Newton", int(state.n_em) + int(state.n_quasi_newton), state.at))
        wait()
        code = Code.NOT_FINITE
        while not end.is_done:
            end, code = call(run.second_order, problem, options, start, end, buckets, rule, n_steps)
            if monitor is not None:
                monitor(_progress("Newton", int(end.n_newton), end.at))
        take_steps = functools.partial(call, run.first_order, problem, options, start)
        finer_value = _finer_log_likelihood(take_steps, state, end, buckets, n_agq, q)
    error = finer_value - float(end.at.log_likelihood)
    return _maximum(state, end, _judged(Code(int(code)), error, n_agq, options, float(start.total_weight)), error, n_agq, q)


def _judged(code: Code, quadrature_error: float, n_agq: int, options: Options, n_clusters: float) -> Code:
    """``code``, unless a certified maximum of a rule with several points says little on the integral."""
    is_certified = code in (Code.CONVERGED, Code.CONVERGED_ON_BOUNDARY)
    is_settled = n_agq == 1 or abs(quadrature_error) < options.quadrature_limit * n_clusters**0.5
    return Code.QUADRATURE_NOT_SETTLED if is_certified and not is_settled else code


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
    fine = padded_rule(finer(n_agq, q), q)
    size = padded_rule(n_agq, q).log_weights.shape[0]  # holds the finer rule, by construction
    fine = fine._replace(nodes=fine.nodes[:size], log_weights=fine.log_weights[:size])
    return float(take_steps(at_end, buckets, fine, np.int32(1))[0].at.log_likelihood)


def _maximum(state: first_order.FirstOrder, end: newton.Newton, code: Code, quadrature_error: float, n_agq: int, q: int) -> Maximum:
    convergence = Convergence(
        code=code,
        message=code.text,
        newton_decrement=float(end.decrement),
        gradient_norm=float(np.max(np.abs(np.asarray(end.at.gradient)), initial=0.0)),
        n_em=int(state.n_em),
        n_quasi_newton=int(state.n_quasi_newton),
        n_newton=int(end.n_newton),
        quadrature_error=quadrature_error,
        n_agq=n_agq,
        finer_n_agq=finer(n_agq, q),
    )
    modes = tuple(np.asarray(m) for m in end.at.modes)
    return Maximum(np.asarray(end.theta), np.asarray(end.hessian), float(end.at.log_likelihood), float(end.at.value), modes, convergence)


def _progress(phase: str, iteration: int, at) -> Progress:
    return Progress(phase, iteration, float(at.log_likelihood), float(np.max(np.abs(np.asarray(at.gradient)), initial=0.0)))
