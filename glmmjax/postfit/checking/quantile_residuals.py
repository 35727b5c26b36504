r"""Randomised quantile residuals: the place of each outcome among outcomes simulated from the model.

Of the n simulated outcomes of row j, r_j lie below the observed one, with ties in random order. With v_j uniform on (0, 1), the residual
:math:`(r_j + v_j) / (n + 1)` is uniform on (0, 1) when the model holds, for continuous and discrete outcomes alike. Its resolution is
1 / (n + 1), so all outcomes outside the simulated ones look alike.
Source: Dunn and Smyth (1996), JCGS 5, 236-244; the form by simulation is that of the R package DHARMa.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from glmmjax.fitted import FittedModel
from glmmjax.postfit.checking.residual_bands import ResidualBands, residual_bands
from glmmjax.postfit.checking.residual_tests import ResidualTest, residual_tests
from glmmjax.postfit.checking.simulate import SimulationSettings, simulate
from glmmjax.postfit.prediction.predict import Request, values_of
from glmmjax.postfit.prediction.rows import own_clusters, own_outcome, own_rows, read_own_rows

__all__ = ["QuantileResidualRecord", "is_censored", "quantile_residuals"]

FEWEST = 20  # simulations


class QuantileResidualRecord(NamedTuple):
    """Residuals of the rows fitted, in the caller's order, with their tests and the variables to draw them against.

    Attributes
    ----------
    values : (n_rows,) in (0, 1)
    fitted_means : (n_rows,) means at random effects 0, on the response scale
    tests : the tests that apply to the outcome
    n_simulations : number n of simulated data sets
    labels : (n_rows,) pandas Index
    columns : fixed-effects columns (n_rows,), by patsy's names
    bands : where they lie under the model
    """

    values: np.ndarray
    fitted_means: np.ndarray
    tests: tuple[ResidualTest, ...]
    n_simulations: int
    labels: Any
    columns: dict[str, np.ndarray]
    bands: ResidualBands


def quantile_residuals(fitted: FittedModel, settings: SimulationSettings) -> QuantileResidualRecord:
    """Residuals and their tests from simulated data sets; see ``MixedModelResults.quantile_residuals``.

    Raises
    ------
    ArgumentError
        As ``simulate``.
    RowsNotKeptError
        For a streamed fit.
    """
    n = settings.n
    simulated = simulate(fitted, settings).values
    rng = np.random.default_rng([settings.seed, 3])
    outcome = own_outcome(fitted)
    lowest, highest = fitted.problem.family.limits(outcome if len(outcome) > 1 else outcome[0])
    first = (simulated < lowest[:, None]).sum(1)
    rank = first + rng.integers(0, (simulated <= highest[:, None]).sum(1) - first + 1)
    ranks = _pooled_ranks(rank, simulated, rng)
    values = (ranks + rng.uniform(size=(len(rank), 1))) / (n + 1)
    outcomes = None if is_censored(fitted) else np.column_stack([lowest, simulated])
    tests = residual_tests(values, (ranks == 0) | (ranks == n), outcomes, own_clusters(fitted), not fitted.problem.family.is_ordinal)
    means, columns = _fitted_means(fitted)
    return QuantileResidualRecord(values[:, 0], means, tests, int(n), fitted.design.row_labels, columns, residual_bands(values, means))


def is_censored(fitted: FittedModel) -> bool:
    """Whether the outcome has a column that says which values were observed."""
    return len(fitted.design.formula.outcome_columns) > 1 and fitted.problem.family.is_censored


def _pooled_ranks(rank: np.ndarray, simulated: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n_rows, 1 + n) ranks 0, ..., n of the observed outcome and of the simulated ones among all of them, ties in random order."""
    order = np.lexsort((rng.uniform(size=simulated.shape), simulated), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(simulated.shape[1]), order.shape), axis=1)
    return np.column_stack([rank, ranks + (ranks >= rank[:, None])])


def _fitted_means(fitted: FittedModel) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Means at random effects 0, and the fixed-effects columns."""
    means = values_of(fitted, Request("none", "mean", False), read_own_rows(fitted), None)
    return means[0], dict(zip(fitted.design.fixed_names, own_rows(fitted).X[0], strict=True))
