r"""Observed and expected frequencies of counts.

The expected frequency of the count k is :math:`\sum_j E_b\, p(k \mid x_j' \beta + z_j' b)` over the rows, b ~ N(0, D). It is computed by
quadrature, without simulation. Source: Kleiber and Zeileis (2016), The American Statistician 70, 296-303.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel, check_rows_count_once, padding_of
from glmmjax.likelihood.model_rows import ModelRows
from glmmjax.likelihood.population import population_average
from glmmjax.postfit.prediction.discrete import Discrete, discrete_outcome, highest_outcomes, log_masses
from glmmjax.postfit.prediction.rows import own_outcome, own_rows
from glmmjax.values import check_size

__all__ = ["RootogramFrequencies", "rootogram"]

_MOST_SHOWN = 100  # counts, unless ``max_count`` asks for more


class RootogramFrequencies(NamedTuple):
    """Number of rows with each outcome, in the data and as the model expects it.

    Attributes
    ----------
    counts : (K,) 0, 1, ...
    observed : (K,) numbers of rows
    expected : (K,) expected numbers of rows
    """

    counts: np.ndarray
    observed: np.ndarray
    expected: np.ndarray


def rootogram(fitted: FittedModel, max_count: int | None = None) -> RootogramFrequencies:
    """Frequencies of the outcomes 0, ..., ``max_count``: successes of a binomial outcome, codes of an ordinal one.

    Parameters
    ----------
    max_count : whole number >= 0; the largest outcome observed when not given, 100 at most. Rows with a larger one are not shown.

    Raises
    ------
    ArgumentError
        For an outcome that is no count, and a ``max_count`` beyond memory.
    RowsNotKeptError
        For a streamed fit.
    """
    kind = discrete_outcome(fitted, "rootogram")
    check_rows_count_once(fitted, "a rootogram")
    outcome = own_outcome(fitted)
    last = int(min(outcome[0].max(), _MOST_SHOWN) if max_count is None else max_count)
    check_size(f"max_count={last:,}", (last, len(outcome[0])), "give a smaller one")
    counts = np.arange(last + 1)
    observed = np.bincount(outcome[0].astype(int), minlength=last + 1)[: last + 1].astype(float)
    with jax.enable_x64(True):
        wide = padding_of(fitted)
        arrays = (wide.vector(fitted.theta), wide.rows(own_rows(fitted)), highest_outcomes(fitted, outcome), counts.astype(float))
        expected = np.asarray(_expected(wide.problem, kind, *arrays))
    return RootogramFrequencies(counts, observed, expected)


@as_program((0, 1))
def _expected(problem: Problem, kind: Discrete, theta: Array, rows: ModelRows, highest: Array, counts: Array) -> Array:
    """(K,) expected frequencies, summed over the rows."""
    params = problem.layout.params(theta)

    def frequencies(eta: Array) -> Array:
        return jax.lax.map(lambda k: jnp.exp(log_masses(problem.family, kind, params, eta, k, highest)).sum(), counts)

    return population_average(frequencies, params, rows, problem.prior)
