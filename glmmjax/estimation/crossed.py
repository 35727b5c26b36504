"""Crossed factors after Laplace's method: its error by importance sampling, and the maximum of the corrected log-likelihood."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import Array

from glmmjax.estimation.ascent import ascend_again
from glmmjax.estimation.convergence import LaplaceError
from glmmjax.estimation.evaluators.one_program import OneProgram
from glmmjax.estimation.judgement import Judgement, Settled, added
from glmmjax.estimation.maximum import Asked
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.sequence import FIRST_ORDER
from glmmjax.estimation.xla.program import as_program
from glmmjax.likelihood.clusters import Bucket, padded_rows
from glmmjax.likelihood.crossed import crossed_integrand, crossed_levels
from glmmjax.likelihood.crossed_importance import importance_rule, importance_weights
from glmmjax.likelihood.crossed_modes import from_levels
from glmmjax.likelihood.levels import CrossedFactors, ImportanceRule
from glmmjax.likelihood.rows import Integrand
from glmmjax.values import check_size

__all__ = ["corrected", "with_laplace_error"]

_POINTS = {1: 11, 2: 7}  # for each level of the factor that is eliminated, by the number of its effects; 5 for more
_ERROR_DRAWS = 400  # draws that tell the error of Laplace's method, fewer on large data
_ERROR_WORK = 100_000_000  # rows x nodes x draws that this may take
_FEWEST_DRAWS = 40
_ENOUGH = 5  # draws for each effect from which on their covariance is made exact
_ROUNDS = 6  # of draws around a maximum, each from where the one before has ended
_STILL = 0.01  # standard errors: a round that moves no estimate by more is the last


def with_laplace_error(whole: OneProgram, found: Settled, asked: Asked) -> tuple[Settled, LaplaceError]:
    """The end of an ascent by Laplace's method, with the error of its log-likelihood there."""
    problem, bucket = whole.settings.problem, whole.integral.buckets[0]
    nodes = _nodes(bucket) ** crossed_levels(bucket).n_effects[crossed_levels(bucket).eliminated]
    n = int(np.clip(_ERROR_WORK // (padded_rows([bucket]) * nodes), _FEWEST_DRAWS, _ERROR_DRAWS))
    newton = found.last.newton
    if not np.isfinite(float(newton.at.value)):
        return found, LaplaceError(np.nan, np.nan, 0.0, n)
    rule, _ = _drawn(problem, _nodes(bucket), newton.theta, bucket, newton.at.modes[0], _pairs(bucket, n, asked.options.seed))
    error = _error(_weights(problem, newton.theta, bucket, rule), float(newton.at.log_likelihood))
    return found._replace(judgement=Judgement(error.value, np.nan)), error


def corrected(whole: OneProgram, found: Settled, asked: Asked) -> tuple[Settled, LaplaceError]:
    """The maximum of the log-likelihood by importance sampling, from that by Laplace's method.

    The draws come from the normal approximation at a maximum, and are made again from where the search by them has ended, by the same
    random numbers.
    """
    if not found.is_certified:  # draws around it would be draws around no maximum
        return with_laplace_error(whole, found, asked)
    problem, bucket = whole.settings.problem, whole.integral.buckets[0]
    z, modes = _pairs(bucket, asked.options.n_draws, asked.options.seed), found.last.newton.at.modes[0]
    last, counts, shift = found.last, found.n_evaluations, np.inf
    for _ in range(_ROUNDS):
        before = np.asarray(last.newton.theta)
        rule, modes = _drawn(problem, _nodes(bucket), last.newton.theta, bucket, modes, z)
        last = ascend_again(whole.with_rule(rule), last, None, asked.report)
        counts = added(counts, (0, 0, last.newton.n_newton))
        shift = _largest_shift(before, last.newton)
        if shift < _STILL:
            break
    # the modes, and the log-likelihood by Laplace's method, at the end
    rule, modes = _drawn(problem, _nodes(bucket), last.newton.theta, bucket, modes, z)
    at_end, _ = whole.by_rule(last, whole.integral.rule, FIRST_ORDER)
    error = _error(_weights(problem, last.newton.theta, bucket, rule), float(at_end.log_likelihood))
    at = last.newton.at._replace(modes=(modes,))
    last = last._replace(newton=last.newton._replace(at=at))
    return found._replace(last=last, n_evaluations=counts, judgement=Judgement(np.nan, shift)), error


def _largest_shift(before: np.ndarray, newton: Any) -> float:
    """By how many standard errors a search has moved an estimate."""
    errors = np.sqrt(np.abs(np.diagonal(np.linalg.pinv(-np.asarray(newton.hessian), hermitian=True))))
    moved = np.abs(np.asarray(newton.theta) - before)
    return float(np.max(np.divide(moved, errors, out=np.where(moved > 0, np.inf, 0.0), where=errors > 0), initial=0.0))


def _nodes(bucket: Bucket) -> int:
    factors = crossed_levels(bucket)
    return _POINTS.get(factors.n_effects[factors.eliminated], 5)


def _pairs(bucket: Bucket, n: int, seed: int) -> np.ndarray:
    """(n, N) standard normal numbers, the second half the negative of the first; N effects of all factors but the eliminated one."""
    factors = crossed_levels(bucket)
    sizes = [q * levels for q, levels in zip(factors.n_effects, factors.n_levels, strict=True)]
    check_size(f"Options(n_draws={n:,})", (n, sum(sizes)), "take fewer draws, a few thousand are enough")
    z = np.random.default_rng(seed).normal(size=(max(n // 2, 1), sum(sizes) - sizes[factors.eliminated]))
    if len(z) >= _ENOUGH * z.shape[1]:  # the sample has the covariance of the law, which takes most of the Monte Carlo error out
        values, vectors = np.linalg.eigh(z.T @ z / len(z))
        z = z @ (vectors / np.sqrt(values)) @ vectors.T
    return np.concatenate([z, -z])


def _error(log_weights: Array, by_laplace: float) -> LaplaceError:
    """The log of the mean weight beside Laplace's value, with the standard error that the pairs of draws show."""
    values = np.asarray(log_weights)
    largest = values.max()
    weights = np.exp(values - largest)
    pairs, total = weights.reshape(2, -1).mean(0), weights.sum()
    spread = pairs.std(ddof=1) / pairs.mean() / np.sqrt(len(pairs)) if len(pairs) > 1 else np.nan
    value = float(np.log(weights.mean()) + largest - by_laplace)
    return LaplaceError(value, float(spread), float(total**2 / (weights**2).sum()), len(values))


@as_program((0, 1))
def _drawn(problem: Problem, n_points: int, theta: Array, bucket: Bucket, modes: Array, z: Array) -> tuple[ImportanceRule, Array]:
    """Draws around the mode at ``theta``, and the modes (1, q, n) there."""
    f, factors = _at(problem, theta, bucket)
    rule, peak = importance_rule(f, factors, modes[0], z, n_points)
    return rule, from_levels(factors, peak.mode)[None]


@as_program(0)
def _weights(problem: Problem, theta: Array, bucket: Bucket, rule: ImportanceRule) -> Array:
    return importance_weights(*_at(problem, theta, bucket), rule)


def _at(problem: Problem, theta: Array, bucket: Bucket) -> tuple[Integrand, CrossedFactors]:
    block = jax.tree.map(lambda leaf: leaf[0], bucket)
    return crossed_integrand(problem.layout.params(theta), block, problem.family, problem.prior), crossed_levels(block)
