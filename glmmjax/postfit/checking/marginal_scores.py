r"""Scores of rows of clusters that are not known yet, by the marginal distribution of the outcome.

The distribution averages over the random effects of a new cluster, so that it knows nothing of the other rows of the cluster. The scores
are those of ``scoring``; the CRPS of a continuous outcome is estimated from draws X of its distribution,

.. math:: \mathrm{CRPS} = -E|X - y| + \tfrac12 E|X - X'|

Source: Gneiting and Raftery (2007), JASA 102, 359-378, equation 21.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.columns.table import show_label
from glmmjax.design.new_rows import NewRows
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program, for_many_draws
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.model_rows import ModelRows, phi_of_rows, predictors_at
from glmmjax.likelihood.population import population_average
from glmmjax.postfit.checking.scoring import TAIL, CountSums, sums_over_counts
from glmmjax.postfit.prediction.discrete import Discrete, highest_outcomes, log_masses
from glmmjax.postfit.prediction.random_keys import key_data
from glmmjax.postfit.prediction.rows import model_rows

__all__ = ["MarginalScores", "marginal_scores"]

_MOST_COUNTS = 10_000
_DRAWS = 1000  # of a continuous outcome, for each row


class MarginalScores(NamedTuple):
    """Scores of n rows, larger for better predictions; NaN for what a continuous outcome has not.

    Attributes
    ----------
    brier : (n,) quadratic score
    crps : (n,)
    probability : (n,) of the outcome
    """

    brier: np.ndarray
    crps: np.ndarray
    probability: np.ndarray


def marginal_scores(fitted: FittedModel, theta: np.ndarray, rows: NewRows, numbers: np.ndarray, seed: int) -> MarginalScores:
    """Scores of some rows by the model at ``theta`` (P,); call it inside ``jax.enable_x64(True)``.

    Parameters
    ----------
    rows : all rows of the fit, with their outcomes.
    numbers : (n,) which of them are scored. The draws of a row depend on its number and ``seed`` alone.

    Raises
    ------
    ArgumentError
        For a distribution of counts that goes on too far, and a family without ``sample`` or with censored outcomes.
    """
    chosen = ModelRows(*jax.tree.map(lambda leaf: leaf[..., numbers], tuple(model_rows(rows))))
    outcome = tuple(column[numbers] for column in rows.outcome)
    wide = padding_of(fitted)
    given = wide.problem, wide.vector(theta), wide.rows(chosen), outcome
    if not fitted.problem.family.is_discrete:
        nothing = np.full(len(numbers), np.nan)
        return MarginalScores(nothing, _crps_of_draws(fitted, given, numbers, seed), nothing)
    discrete = Discrete(fitted.problem.family.lowest, len(outcome))
    highest = np.asarray(highest_outcomes(fitted, outcome))
    problem, at, columns, _ = given
    sums = jax.tree.map(np.asarray, _count_sums(problem, discrete, at, columns, outcome[0], highest))
    short = np.flatnonzero(~(np.abs(1.0 - sums.total) <= TAIL))
    if len(short):
        raise ArgumentError(
            f"score: the marginal distribution of row {show_label(rows.labels[numbers[short[0]]])} goes on beyond the count "
            f"{_MOST_COUNTS:,}, where the sums of 'brier' and 'crps' end; take score='log'."
        )
    p = np.exp(sums.log_at_outcome)
    return MarginalScores(2.0 * p - sums.squares, -sums.distance, p)


def _crps_of_draws(fitted: FittedModel, given: tuple[Any, ...], numbers: np.ndarray, seed: int) -> np.ndarray:
    family, (problem, theta, rows, outcome) = fitted.problem.family, given
    if len(outcome) > 1:
        raise ArgumentError(f"score='crps' needs an outcome in one column, and that of this {family.name} fit has {len(outcome)}.")
    try:
        keys = key_data(seed, (3,), numbers)
        return np.asarray(_sampled_crps(problem, theta, rows, outcome[0], keys))
    except NotImplementedError:
        raise ArgumentError(f"score='crps': the {family.name} family cannot be simulated from; take score='log'.") from None


@as_program((0, 1), compiler_options=for_many_draws)
def _count_sums(problem: Problem, discrete: Discrete, theta: Array, rows: ModelRows, y: Array, highest: Array) -> CountSums:
    """Sums over all counts of the marginal distribution of each row."""
    params = problem.layout.params(theta)

    def predictive(k: Array) -> Array:
        mass = lambda eta: jnp.exp(log_masses(problem.family, discrete, params, eta, k, highest))  # noqa: E731
        return jnp.log(population_average(mass, params, rows, problem.prior))

    return sums_over_counts(predictive, y, jnp.asarray(_MOST_COUNTS, y.dtype))


@as_program(0, compiler_options=for_many_draws)
def _sampled_crps(problem: Problem, theta: Array, rows: ModelRows, y: Array, keys: Array) -> Array:
    """(n,) the CRPS from draws, without bias: equal draws are no pair."""
    params, q = problem.layout.params(theta), problem.layout.covariance.q

    def one(row: tuple[ModelRows, Array, Array]) -> Array:
        columns, y, key = row
        for_effects, for_outcome = jax.random.split(jax.random.wrap_key_data(key))
        u = problem.prior.sample(for_effects, (q, _DRAWS), theta.dtype)
        repeated = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[..., None], (*leaf.shape, _DRAWS)), columns)
        eta = predictors_at(params, repeated, u)
        x = jnp.sort(problem.family.sample(for_outcome, jnp.full(_DRAWS, y), eta[0], phi_of_rows(params, _DRAWS), *eta[1:]))
        between = ((2.0 * jnp.arange(1, _DRAWS + 1) - _DRAWS - 1.0) * x).sum() * 2.0 / (_DRAWS * (_DRAWS - 1.0))
        return 0.5 * between - jnp.abs(x - y).mean()

    by_row = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), rows)
    return jax.lax.map(one, (by_row, y, keys))
