"""A fit from Python: starting values, a sample where the data are large, the ascent, and the judgement of its end."""

from __future__ import annotations

from typing import Any

import numpy as np
from jax.sharding import Mesh

from glmmjax.estimation.ascent import ascend
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.crossed import corrected, with_laplace_error
from glmmjax.estimation.evaluators.choice import Data, in_memory, is_small, on_disk, on_mesh, small
from glmmjax.estimation.evaluators.disk import Blocks, Replaced
from glmmjax.estimation.evaluators.evaluator import End
from glmmjax.estimation.evaluators.one_program import OneProgram
from glmmjax.estimation.family_limits import close_to_limits, limit_parts, near_limits, on_host, slopes_outwards, without_slope
from glmmjax.estimation.judgement import judged
from glmmjax.estimation.maximum import Asked, Maximum, Monitor, maximum
from glmmjax.estimation.objective import Integral, Problem, fit_settings
from glmmjax.estimation.search_space import SearchSpace, search_space, space_of_stream
from glmmjax.estimation.second_starts import dispersed
from glmmjax.estimation.sequence import FIRST_ORDER
from glmmjax.estimation.settling import settled
from glmmjax.estimation.starting_values import Start
from glmmjax.likelihood.clusters import Bucket, padded_rows
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.options import Options

__all__ = ["maximise", "maximise_streamed"]

_LONG_CROSSED = 10_000  # rows of crossed factors from which on a fit takes longer than compiling saves


def maximise(
    problem: Problem,
    options: Options,
    buckets: tuple[Bucket, ...],
    quadrature: Quadrature,
    initial: np.ndarray | None = None,
    *,
    is_exact: bool = True,
    monitor: Monitor | None = None,
    every_step: bool = False,
    mesh: Mesh | None = None,
    is_corrected: bool = False,
) -> Maximum:
    """Maximise the penalised log-likelihood from ``initial`` (P,), or from starting values of its own.

    The rule is ``quadrature``; without ``is_exact``, a finer one where that has not settled. Runs under the precision of ``buckets``.
    ``monitor`` is called whenever compiled code comes back: after every step with ``every_step`` or on large data, after a phase otherwise.
    With ``mesh`` its devices share the blocks, whatever the size of the data. ``is_corrected`` maximises the log-likelihood of crossed
    factors by importance sampling, from the maximum by Laplace's method.
    """
    space = search_space(problem, buckets, quadrature.n_points)
    buckets = space.buckets(buckets)
    settings = fit_settings(space.problem, options)
    integral = Integral(buckets, quadrature.padded(problem.layout.covariance.q, problem.prior))
    # the one block of crossed factors cannot be shared out
    fits_one_program = problem.prior.is_crossed or is_small(problem, buckets, quadrature.n_points)
    if mesh is not None:
        data = on_mesh(settings, integral, mesh, fits_one_program)
    elif fits_one_program:
        takes_long = problem.prior.is_crossed and padded_rows(buckets) > _LONG_CROSSED
        data = small(settings, integral, every_step, quadrature.n_points, takes_long)
    else:
        data = in_memory(settings, integral)
    start = None if initial is None else space.theta(initial)
    asked = Asked(options, quadrature, is_exact, start, monitor, is_corrected)
    return _maximise(asked, data._replace(is_real=space.is_real), space)


def maximise_streamed(
    problem: Problem,
    options: Options,
    blocks: Blocks,
    quadrature: Quadrature,
    initial: np.ndarray | None = None,
    *,
    is_exact: bool = True,
    monitor: Monitor | None = None,
) -> Maximum:
    """``maximise`` for blocks on disk."""
    of_sample = blocks.sample()
    space = space_of_stream(problem, of_sample)
    if space.columns is not None:
        blocks = Replaced(blocks, space.buckets)
    sample = Integral(space.buckets(of_sample), quadrature.padded(problem.layout.covariance.q, problem.prior))
    data = on_disk(fit_settings(problem, options), blocks, sample, has_start=initial is not None)
    start = None if initial is None else space.theta(initial)
    return _maximise(Asked(options, quadrature, is_exact, start, monitor), data, space)


def _maximise(asked: Asked, data: Data, space: SearchSpace) -> Maximum:
    try:
        data.whole.precompile(data.begin_with)
        last, n_on_sample = _climb(asked, data)
        found = judged(data.whole, last, asked.quadrature)
        error = None
        if isinstance(data.whole, OneProgram) and data.whole.settings.problem.prior.is_crossed:
            judge = corrected if asked.is_corrected else with_laplace_error
            found, error = judge(data.whole, found, asked)
        elif not asked.is_exact:
            found = settled(data, found, asked.options, asked.report)
    finally:
        data.close()
    return maximum(asked, found, found.whole.modes(found.last), n_on_sample, space, error)


def _climb(asked: Asked, data: Data) -> tuple[End, int]:
    """The end of an ascent on all data, and the number of evaluations on a sample before it."""
    end, n_on_sample = _climb_from_start(asked, data)
    if Code(int(end.code)) is not Code.NOT_FINITE:
        return _checked_at_limits(asked, data, end), n_on_sample
    for theta in dispersed(data.whole.settings.problem, end.begun.start):
        again = ascend(data.whole, data.begin_on_all(theta), asked.report)
        if Code(int(again.code)) is not Code.NOT_FINITE:
            return again, n_on_sample
    return end, n_on_sample


def _checked_at_limits(asked: Asked, data: Data, end: End) -> End:
    """``end``, or a higher one where a step has gone past a maximum to a limit of the family, from which no slope leads back."""
    if not limit_parts(data.whole.settings.problem):
        return end
    checked, near = _close_to_limit(asked, data, end)
    if near is None:
        return checked
    again = ascend(data.whole, data.begin_on_all(near), asked.report)
    lost = 0.0 if Code(int(end.code)).is_certified else data.whole.settings.options.certificate
    is_higher = float(again.newton.at.value) > float(end.newton.at.value) - lost
    return _close_to_limit(asked, data, again)[0] if is_higher else end


def _close_to_limit(asked: Asked, data: Data, end: End) -> tuple[End, np.ndarray | None]:
    """``end`` with the code of a limit where it is one; and where to climb from once more, if it is close to one without being it."""
    settings, newton, problem = data.whole.settings, end.newton, data.whole.settings.problem
    start = on_host(end.begun.start)
    theta, gradient, hessian = (np.asarray(a) for a in (newton.theta, newton.at.gradient, newton.hessian))
    is_close = close_to_limits(problem, start, theta, gradient, hessian, settings.options.certificate)
    if not any(is_close):
        return end, None
    near = near_limits(problem, start, theta, is_close)
    if Code(int(end.code)).is_certified:
        rule = asked.quadrature.padded(problem.layout.covariance.q, problem.prior)
        there = newton._replace(theta=near)  # type: ignore[arg-type]
        at, _ = data.whole.by_rule(end._replace(newton=there), rule, FIRST_ORDER)
        if slopes_outwards(problem, near, np.asarray(at.gradient), is_close):
            return _at_limit(problem, start, end, is_close), None
    return end, near


def _at_limit(problem: Problem, start: Start, end: End, is_close: tuple[Any, ...]) -> End:
    """``end`` as the maximum at a limit that it is: so far out, the sign of a slope is one of rounding."""
    at, code = end.newton.at, Code(int(end.code))
    moved = at._replace(gradient=without_slope(problem, start, np.asarray(at.gradient), is_close))  # type: ignore[arg-type]
    return end._replace(newton=end.newton._replace(at=moved), code=int(Code.CONVERGED_AT_FAMILY_LIMIT if code is Code.CONVERGED else code))


def _climb_from_start(asked: Asked, data: Data) -> tuple[End, int]:
    begun, report = data.begin(asked.initial), asked.report
    if data.sample is None or asked.initial is not None:
        return ascend(data.whole, begun, report), 0
    found = ascend(data.sample.evaluator, begun, report)
    data.sample.evaluator.close()
    # a boundary or a failure on a sample says little on all data
    has_converged = Code(int(found.code)) is Code.CONVERGED
    begun = data.resume(found) if has_converged else data.begin_on_all(None)
    return ascend(data.whole, begun, report), sum(map(int, found.n_evaluations))
