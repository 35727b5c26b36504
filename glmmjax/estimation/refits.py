"""Fits of one model to many changed data sets, each from the estimates of the data as they are: other weights, outcomes or columns.

Leaving a cluster out is a weight of 0, a bootstrap sample of clusters is a vector of counts, a simulated data set has other outcomes, a
permuted covariate other columns. The shapes of the arrays stay, so every refit runs the programs that the fit has compiled: quasi-Newton
steps whose metric is the inverse of the fit's exact information, then exact Newton steps, which end in the certificate of a fit. On a CPU
refits run side by side, one thread a core; on an accelerator they are vmapped in chunks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.estimation.ascent import ascend
from glmmjax.estimation.batch import ascend_in_batch
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.evaluators.choice import in_memory, is_small
from glmmjax.estimation.evaluators.cores import n_cores
from glmmjax.estimation.evaluators.evaluator import Estimate
from glmmjax.estimation.evaluators.one_program import ALL_STEPS, OneProgram
from glmmjax.estimation.maximise import maximise
from glmmjax.estimation.objective import Integral, Problem, fit_settings
from glmmjax.estimation.phases.first_order import Begun, FirstOrderState, moved, with_metric
from glmmjax.estimation.search_space import SearchSpace, search_space
from glmmjax.estimation.xla.compiler_options import platform_in_force
from glmmjax.estimation.xla.news import tell_count
from glmmjax.estimation.xla.programs import given_theta, programs
from glmmjax.estimation.xla.workers import Workers
from glmmjax.likelihood.block_sums import Modes
from glmmjax.likelihood.clusters import (
    Bucket,
    ClusterData,
    cluster_starts,
    replace_all,
    replace_columns,
    replace_outcomes,
    replace_weights,
    weights_in_blocks,
)
from glmmjax.likelihood.params import Theta
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.options import Options

__all__ = ["Changes", "Origin", "Refits", "refit_all", "refit_in_chunks", "with_columns", "with_data_sets", "with_outcomes", "with_weights"]

_CHUNK = 64  # number of refits in one call on an accelerator
_LEAST_CURVATURE = 1e-3  # of the information scaled to a unit diagonal, so that steps along a direction without information stay finite
_SETTLED = (*(code for code in Code if code.is_certified), Code.DIVERGING)  # codes of refits that need no second attempt


class Origin(NamedTuple):
    """The fit that refits start from.

    Attributes
    ----------
    problem : what is maximised
    options : settings of the fit
    quadrature : the rule of the fit
    buckets : blocks of clusters with the original data
    theta : (P,) estimates in the free vector
    information : (P, P) negative Hessian at the estimates
    modes : (S, q, B) for each bucket, where searches for modes begin
    is_real : (P,) bool: False for padding of theta; None where there is none
    """

    problem: Problem
    options: Options
    quadrature: Quadrature
    buckets: tuple[Bucket, ...]
    theta: Any
    information: Any
    modes: Modes
    is_real: np.ndarray | None = None


class Changes(NamedTuple):
    """``n`` data sets that differ from the original in the weights of its clusters, its outcomes, its columns, or in all of them.

    Attributes
    ----------
    n : number of data sets
    change : gives the buckets with these values in the place of their own
    values : takes the number of a data set and gives its values, one entry for each bucket
    of_columns : whether columns are among the values, which a search replaces by its own
    """

    n: int
    change: Callable[[tuple[Bucket, ...], tuple[Any, ...]], tuple[Bucket, ...]]
    values: Callable[[int], tuple[Any, ...]]
    of_columns: bool = False

    def searched(self, space: SearchSpace, buckets: tuple[Bucket, ...]) -> Changes:
        """The same changes of the columns in which the model is searched; ``buckets`` are the original ones of the data."""
        if not self.of_columns:
            return self
        kept = _columns_of if self.change is replace_columns else tuple
        return self._replace(values=lambda r: kept(space.buckets(self.change(buckets, self.values(r)))))


class Refits(NamedTuple):
    """Where ``R`` refits ended, numpy arrays. What has no certificate is here too, with a code that says why.

    Attributes
    ----------
    theta : (R, P), the diagonal of L non-negative
    code : (R,) ``Code`` as an integer
    log_likelihood : (R,) of the changed data, without the penalty
    information : (R, P, P) negative Hessian
    """

    theta: np.ndarray
    code: np.ndarray
    log_likelihood: np.ndarray
    information: np.ndarray

    @property
    def converged(self) -> np.ndarray:
        """(R,) bool: a certified maximum, on the boundary or inside."""
        return np.array([Code(int(code)).is_certified for code in self.code], bool)


def with_weights(clusters: ClusterData, n: int, weights: Callable[[int], np.ndarray]) -> Changes:
    """``n`` data sets with other cluster weights; ``weights(r)`` (m,) are those of data set r, in the order of ``design.groups``."""
    starts = cluster_starts(clusters)
    return Changes(n, replace_weights, lambda r: weights_in_blocks(starts, weights(r)))


def with_outcomes(n: int, draw: Callable[[int], tuple[Any, ...]]) -> Changes:
    """``n`` data sets with other outcomes; ``draw(r)`` gives the ``y`` of every bucket, in its form and shape."""
    return Changes(n, replace_outcomes, draw)


def with_columns(n: int, columns: Callable[[int], tuple[Any, ...]]) -> Changes:
    """``n`` data sets with other fixed-effects columns; ``columns(r)`` gives the ``X`` of every bucket, NumPy arrays in its shapes."""
    return Changes(n, replace_columns, columns, of_columns=True)


def with_data_sets(n: int, buckets: Callable[[int], tuple[Bucket, ...]]) -> Changes:
    """``n`` data sets of their own, in the shapes of the original; ``buckets(r)`` are those of data set r."""
    return Changes(n, replace_all, buckets, of_columns=True)


def refit_all(origin: Origin, changes: Changes) -> Refits:
    """Maximise the penalised log-likelihood of every changed data set from the estimates of the original.

    A refit that ends without certificate and without a sign of divergence is repeated from starting values of its own.
    Call it inside ``jax.enable_x64(True)``.
    """
    with _where_data_are(origin.buckets):
        ends = _refit(origin, changes) if changes.n else []
        ends = [end if end.code in _SETTLED else _again(origin, changes, r, end) for r, end in enumerate(ends)]
    return _collected(origin.problem.layout, ends)


def _refit(origin: Origin, changes: Changes) -> list[Estimate]:
    """The refits, in the columns in which the fit was searched: nothing new is compiled."""
    space = search_space(origin.problem, origin.buckets, origin.quadrature.n_points)
    searched = origin._replace(
        problem=space.problem,
        buckets=space.buckets(origin.buckets),
        theta=space.theta(origin.theta),
        information=space.information(origin.theta, origin.information),
        modes=space.modes(origin.theta, origin.modes),
        is_real=space.is_real,
    )
    changes = changes.searched(space, origin.buckets)
    if not is_small(searched.problem, searched.buckets, searched.quadrature.n_points):
        ends = list(_counted((_refit_large(searched, _changed(searched, changes, r)) for r in range(changes.n)), changes.n))
    elif platform_in_force() != "cpu":
        ends = refit_in_chunks(searched, changes)
    else:
        ends = _refit_side_by_side(searched, changes)
    return [_mapped_back(space, end) for end in ends]


def _mapped_back(space: SearchSpace, end: Estimate) -> Estimate:
    """``end`` in the columns of the data, with the Hessian as it is where the gradient is 0."""
    found = space.back(end.theta, np.zeros(np.shape(end.theta)), end.hessian)
    return end._replace(theta=found.theta, hessian=found.hessian)


def _columns_of(buckets: tuple[Bucket, ...]) -> tuple[Any, ...]:
    return tuple(bucket.X for bucket in buckets)


def _changed(origin: Origin, changes: Changes, r: int) -> tuple[Bucket, ...]:
    return changes.change(origin.buckets, changes.values(r))


def _refit_side_by_side(origin: Origin, changes: Changes) -> list[Estimate]:
    """One thread for each core; each refit takes two calls of compiled programs."""
    settings, run = fit_settings(origin.problem, origin.options), programs(is_small=True)
    as_fitted = OneProgram(settings, _integral(origin), run.run_phase, ALL_STEPS)
    as_fitted.precompile(origin.buckets)
    # put on the device once, because handing over numpy arrays takes as long as a step
    begun, rule, max_steps = jax.device_put((_begun(origin, as_fitted), as_fitted.integral.rule, ALL_STEPS))

    def one(r: int) -> Estimate:
        with _where_data_are(origin.buckets):
            integral = Integral(_changed(origin, changes, r), rule)
            last = ascend(dataclasses.replace(as_fitted, integral=integral, max_steps=max_steps), begun)
            return jax.tree.map(np.asarray, last.estimate)

    first = one(0)  # the first refit runs alone, so that no program is compiled twice
    with Workers(n_cores()) as workers:
        running = [workers.start(one, r) for r in range(1, changes.n)]
        return list(_counted(itertools.chain([first], (refit.result() for refit in running)), changes.n))


def _counted(ends: Iterable[Estimate], n: int) -> Iterator[Estimate]:
    """The ends one after the other, each told when it is there."""
    for k, end in enumerate(ends, 1):
        tell_count(k, n)
        yield end


def refit_in_chunks(origin: Origin, changes: Changes, size: int = _CHUNK) -> list[Estimate]:
    """``size`` refits at a time in one vmapped program, for an accelerator; the last chunk is filled up by repeats."""
    settings, integral = fit_settings(origin.problem, origin.options), _integral(origin)
    begun, ends = _begun(origin, OneProgram(settings, integral)), []
    for first in range(0, changes.n, size):
        numbers = [min(r, changes.n - 1) for r in range(first, first + size)]
        values = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[changes.values(r) for r in numbers])
        found = jax.device_get(ascend_in_batch(settings, changes.change, begun, integral, values))
        ends += [Estimate(*(leaf[k] for leaf in found)) for k in range(min(size, changes.n - first))]
        tell_count(len(ends), changes.n)
    return ends


def _refit_large(origin: Origin, buckets: tuple[Bucket, ...]) -> Estimate:
    """Python decides the steps; the log-likelihood is evaluated in parts, one for each core."""
    data = in_memory(fit_settings(origin.problem, origin.options), _integral(origin._replace(buckets=buckets)))
    data = data._replace(is_real=origin.is_real)
    try:
        data.whole.precompile(data.begin_with)
        begun = data.begin(np.asarray(origin.theta, float))
        begun = begun._replace(state=_warm(begun.state, origin._replace(modes=())))
        return jax.device_get(ascend(data.whole, begun).estimate)
    finally:
        data.close()


def _integral(origin: Origin) -> Integral:
    return Integral(origin.buckets, origin.quadrature.padded(origin.problem.layout.covariance.q, origin.problem.prior))


def _begun(origin: Origin, evaluator: OneProgram) -> Begun:
    """The state in which every refit of small data begins."""
    given = given_theta(origin.problem, origin.theta, origin.is_real)
    start, state = evaluator.begin(programs(is_small=True).begin, origin.problem, origin.buckets, given)
    return Begun(start, _warm(state, origin))


def _again(origin: Origin, changes: Changes, r: int, before: Estimate) -> Estimate:
    """The refit from starting values of its own; ``before`` where that is no better."""
    found = maximise(origin.problem, origin.options, _changed(origin, changes, r), origin.quadrature)
    end = Estimate(found.theta, int(found.convergence.code), found.log_likelihood, found.hessian)
    return end if end.code in _SETTLED else before


def _warm(state: FirstOrderState, origin: Origin) -> FirstOrderState:
    """The quasi-Newton phase before its first evaluation, at the estimates, with the inverse of their information."""
    information = np.asarray(origin.information)
    diagonal = np.abs(np.diagonal(information))
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(np.nan_to_num(information) * scale[:, None] * scale)
    root = scale[:, None] * vectors
    inverse = root / np.maximum(np.abs(values), _LEAST_CURVATURE) @ root.T
    return with_metric(moved(state, np.asarray(origin.theta, float), origin.modes), inverse)


def _collected(layout: Theta, ends: list[Estimate]) -> Refits:
    size = layout.size
    theta = np.array([end.theta for end in ends]).reshape(-1, size)
    hessian = np.array([end.hessian for end in ends]).reshape(-1, size, size)
    sign = np.ones_like(theta)
    sign[:, layout.random] = layout.covariance.signs(theta[:, layout.random])  # with the signs that the record of a fit has
    code, log_likelihood = np.array([int(end.code) for end in ends], int), np.array([float(end.log_likelihood) for end in ends])
    return Refits(theta * sign, code, log_likelihood, -hessian * sign[:, :, None] * sign[:, None, :])


def _where_data_are(buckets: tuple[Bucket, ...]) -> contextlib.AbstractContextManager[Any]:
    """New arrays and programs go to the device that a fit has put its data on; the setting belongs to a thread."""
    leaf = buckets[0].offset
    if not getattr(leaf, "committed", False):
        return contextlib.nullcontext()
    return jax.default_device(next(iter(leaf.devices())))
