"""Fits of one model to many changed data sets, each from the estimates of the data as they are: other cluster weights, other outcomes.

Leaving a cluster out is a weight of 0, a bootstrap sample of clusters is a vector of counts, a simulated data set has other outcomes. The
shapes of the arrays stay, so every refit runs the programs that the fit has compiled: quasi-Newton steps whose metric is the inverse of
the fit's exact information, then exact Newton steps, which end in the certificate of a fit. On a CPU refits run side by side, one thread
a core; on an accelerator they are vmapped in chunks.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.estimation.convergence import Code, code_of
from glmmjax.estimation.driver import is_small, maximise
from glmmjax.estimation.evaluators.cores import n_cores
from glmmjax.estimation.large import climb, in_memory
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.phases import first_order, newton
from glmmjax.estimation.starting_values import Start
from glmmjax.estimation.xla.compiler_options import platform_in_force
from glmmjax.estimation.xla.precompile import precompile
from glmmjax.estimation.xla.programs import programs
from glmmjax.estimation.xla.worker import is_double_precision
from glmmjax.likelihood.clusters import Bucket, ClusterData, cluster_starts, replace_outcomes, replace_weights, weights_in_blocks
from glmmjax.likelihood.gauss_hermite import Rule, padded_rule
from glmmjax.likelihood.marginal import Modes
from glmmjax.likelihood.params import Theta
from glmmjax.options import Options

__all__ = ["Changes", "Origin", "Refits", "refit", "refit_in_chunks", "with_outcomes", "with_weights"]

_ALL = np.int32(1_000_000)  # steps of a phase in one call
_CHUNK = 64  # refits of one call on an accelerator
_LEAST_CURVATURE = 1e-3  # of the information at a unit diagonal: a direction without any is explored in steps of this metric


class Origin(NamedTuple):
    """The fit that refits start from."""

    problem: Problem
    options: Options
    n_agq: int
    buckets: tuple[Bucket, ...]
    theta: Any  # (P,)
    information: Any  # (P, P) negative Hessian there
    modes: Modes  # (S, q, B) a bucket; where searches for modes begin


class Changes(NamedTuple):
    """``n`` data sets that differ from the original in the weights of its clusters or in its outcomes."""

    n: int
    change: Callable[[tuple[Bucket, ...], tuple[Any, ...]], tuple[Bucket, ...]]  # buckets with other values
    values: Callable[[int], tuple[Any, ...]]  # of data set r, one entry a bucket


class Refits(NamedTuple):
    """Where ``R`` refits ended, numpy arrays. What has no certificate is here too, with a code that says why."""

    theta: np.ndarray  # (R, P), the diagonal of L non-negative
    code: np.ndarray  # (R,) ``Code`` as an integer
    log_likelihood: np.ndarray  # (R,) of the changed data, without the penalty
    information: np.ndarray  # (R, P, P) negative Hessian

    @property
    def converged(self) -> np.ndarray:
        """(R,) bool: a certified maximum, on the boundary or inside."""
        return np.isin(self.code, (Code.CONVERGED, Code.CONVERGED_ON_BOUNDARY))


class _End(NamedTuple):
    """What is kept of one refit."""

    theta: Any
    code: Any
    log_likelihood: Any
    hessian: Any


def with_weights(clusters: ClusterData, n: int, weights: Callable[[int], np.ndarray]) -> Changes:
    """``n`` data sets of other cluster weights: ``weights(r)`` gives those (m,) of data set r, in the order of ``design.groups``."""
    starts = cluster_starts(clusters)
    return Changes(n, replace_weights, lambda r: weights_in_blocks(starts, weights(r)))


def with_outcomes(n: int, draw: Callable[[int], tuple[Any, ...]]) -> Changes:
    """``n`` data sets of other outcomes: ``draw(r)`` gives the ``y`` of every bucket, in the form and shape that it has."""
    return Changes(n, replace_outcomes, draw)


def refit(origin: Origin, changes: Changes) -> Refits:
    """Maximise the penalised log-likelihood of every changed data set from the estimates of the original.

    A refit that ends without certificate and without a sign of divergence is repeated from starting values of its own.
    Call it inside ``jax.enable_x64(True)``.
    """
    with _where_data_are(origin.buckets):
        if not changes.n:
            ends = []
        elif not is_small(origin.problem, origin.buckets, origin.n_agq):
            ends = [_refit_large(origin, _changed(origin, changes, r)) for r in range(changes.n)]
        elif platform_in_force() != "cpu":
            ends = refit_in_chunks(origin, changes)
        else:
            ends = _refit_side_by_side(origin, changes)
        ends = [_again(origin, changes, r, end) if _may_have_missed(end) else end for r, end in enumerate(ends)]
    return _collected(origin.problem.layout, ends)


def _changed(origin: Origin, changes: Changes, r: int) -> tuple[Bucket, ...]:
    return changes.change(origin.buckets, changes.values(r))


def _refit_side_by_side(origin: Origin, changes: Changes) -> list[_End]:
    """One thread a core, each refit two calls of compiled programs."""
    problem, options = origin.problem, origin.options
    run, rule, is_double = programs(is_small=True), padded_rule(origin.n_agq, problem.layout.covariance.q), is_double_precision()
    begin_with = (origin.buckets, np.asarray(origin.theta, float), np.bool_(True))
    precompile((run, problem, options), (origin.buckets, rule), lambda: run.traced(problem, options, begin_with, rule, _ALL))
    start, state = run.begin(problem, *begin_with)
    # on the device once: to hand numpy arrays over takes as long as a step
    start, state, rule, n_steps = jax.tree.map(jnp.asarray, (start, _warm(state, origin), rule, _ALL))

    def one(r: int) -> _End:
        with jax.enable_x64(is_double), _where_data_are(origin.buckets):
            buckets = _changed(origin, changes, r)
            _, end = run.first_order(problem, options, start, state, buckets, rule, n_steps)
            end, code = run.second_order(problem, options, start, end, buckets, rule, n_steps)
            return jax.tree.map(np.asarray, _End(end.theta, code, end.at.log_likelihood, end.hessian))

    first = one(0)  # alone, so that no program is compiled twice
    pool = concurrent.futures.ThreadPoolExecutor(n_cores(), "glmmjax-refits")
    try:
        return [first, *pool.map(one, range(1, changes.n))]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def refit_in_chunks(origin: Origin, changes: Changes, size: int = _CHUNK) -> list[_End]:
    """``size`` refits at a time in one vmapped program, for an accelerator; the last chunk is filled up by repeats."""
    problem, rule = origin.problem, padded_rule(origin.n_agq, origin.problem.layout.covariance.q)
    start, state = programs(is_small=True).begin(problem, origin.buckets, np.asarray(origin.theta, float), np.bool_(True))
    state, ends = _warm(state, origin), []
    for first in range(0, changes.n, size):
        numbers = [min(r, changes.n - 1) for r in range(first, first + size)]
        values = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[changes.values(r) for r in numbers])
        found = jax.device_get(_chunk(problem, origin.options, changes.change, start, state, origin.buckets, rule, values))
        ends += [_End(*(leaf[k] for leaf in found)) for k in range(min(size, changes.n - first))]
    return ends


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _chunk(problem: Problem, options: Options, change: Any, start: Start, state, buckets: tuple[Bucket, ...], rule: Rule, values) -> _End:
    def one(values: tuple[Any, ...]) -> _End:
        changed = change(buckets, values)
        ascend = lambda s: first_order.step(problem, options, start, s, changed, rule)  # noqa: E731
        ascent = jax.lax.while_loop(lambda s: ~s.is_done, ascend, state)
        finish = lambda s: newton.step(problem, options, s, changed, rule)  # noqa: E731
        end = jax.lax.while_loop(lambda s: ~s.is_done, finish, newton.init(ascent))
        return _End(end.theta, code_of(problem, options, start, end), end.at.log_likelihood, end.hessian)

    return jax.vmap(one)(values)


def _refit_large(origin: Origin, buckets: tuple[Bucket, ...]) -> _End:
    """Steps decided in Python, the log-likelihood in parts, one core each."""
    data = in_memory(origin.problem, buckets)
    begun = functools.partial(_warm, origin=origin._replace(modes=()))
    end, code = climb(origin.problem, origin.options, data, origin.n_agq, np.asarray(origin.theta, float), begun)
    return jax.device_get(_End(end.theta, code, end.at.log_likelihood, end.hessian))


def _again(origin: Origin, changes: Changes, r: int, before: _End) -> _End:
    """The refit from starting values of its own; ``before`` where that is no better."""
    found = maximise(origin.problem, origin.options, _changed(origin, changes, r), origin.n_agq)
    end = _End(found.theta, int(found.convergence.code), found.log_likelihood, found.hessian)
    return end if found.convergence.code in (Code.CONVERGED, Code.CONVERGED_ON_BOUNDARY, Code.DIVERGING) else before


def _may_have_missed(end: _End) -> bool:
    return int(end.code) not in (Code.CONVERGED, Code.CONVERGED_ON_BOUNDARY, Code.DIVERGING)


def _warm(state: first_order.FirstOrder, origin: Origin) -> first_order.FirstOrder:
    """The quasi-Newton phase before its first evaluation, at the estimates, with the inverse of their information."""
    information = np.asarray(origin.information)
    diagonal = np.abs(np.diagonal(information))
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(np.nan_to_num(information) * scale[:, None] * scale)
    root = scale[:, None] * vectors
    inverse = root / np.maximum(np.abs(values), _LEAST_CURVATURE) @ root.T
    at = state.at._replace(modes=origin.modes)
    arrays = {"theta": np.asarray(origin.theta, float), "inverse": inverse, "in_em": np.bool_(False)}
    return state._replace(at=at, **jax.tree.map(jnp.asarray, arrays))


def _collected(layout: Theta, ends: list[_End]) -> Refits:
    size = layout.size
    theta = np.array([end.theta for end in ends]).reshape(-1, size)
    hessian = np.array([end.hessian for end in ends]).reshape(-1, size, size)
    sign = np.ones_like(theta)
    sign[:, layout.random] = layout.covariance.signs(theta[:, layout.random])  # as the record of a fit has it
    code, log_likelihood = np.array([int(end.code) for end in ends], int), np.array([float(end.log_likelihood) for end in ends])
    return Refits(theta * sign, code, log_likelihood, -hessian * sign[:, :, None] * sign[:, None, :])


def _where_data_are(buckets: tuple[Bucket, ...]) -> contextlib.AbstractContextManager[Any]:
    """New arrays and programs go to the device that a fit has put its data on; the setting belongs to a thread."""
    leaf = buckets[0].cluster_weight
    if not getattr(leaf, "committed", False):
        return contextlib.nullcontext()
    return jax.default_device(next(iter(leaf.devices())))
