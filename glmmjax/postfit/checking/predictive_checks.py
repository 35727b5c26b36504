"""Empirical distribution of the outcomes beside those of data sets simulated from the model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.checking.quantile_residuals import is_censored
from glmmjax.postfit.checking.simulate import SimulationSettings, simulate
from glmmjax.postfit.prediction.rows import own_outcome

__all__ = ["PredictiveECDF", "predictive_ecdf"]

_MOST_POINTS = 512  # the grid has no more


class PredictiveECDF(NamedTuple):
    """Shares of outcomes at or below the values of a grid. For successes out of trials the outcome is the proportion.

    Attributes
    ----------
    grid : (g,) outcome values, increasing
    observed : (g,) shares of the data
    simulated : (n, g) shares of each simulated data set
    is_step : whether outcomes are whole numbers
    """

    grid: np.ndarray
    observed: np.ndarray
    simulated: np.ndarray
    is_step: bool


def predictive_ecdf(fitted: FittedModel, settings: SimulationSettings) -> PredictiveECDF:
    """The empirical distribution functions of the observed outcomes and of simulated data sets.

    Raises
    ------
    ArgumentError
        For censored outcomes, and as ``simulate``.
    RowsNotKeptError
        For a streamed fit.
    """
    if is_censored(fitted):
        raise ArgumentError(
            f"the outcome {fitted.design.outcome_name!r} is censored, and its values are no sample of the outcome's distribution; "
            "see fit.quantile_residuals(), which allows for censoring."
        )
    simulated = simulate(fitted, settings).values
    observed, *others = own_outcome(fitted)
    is_whole = fitted.problem.family.is_discrete and not others
    if others:  # successes out of trials
        trials = observed + others[0]
        kept = trials > 0
        observed, simulated = observed[kept] / trials[kept], simulated[kept] / trials[kept, None]
    grid = _grid(observed, simulated)
    return PredictiveECDF(grid, _shares(observed, grid), np.stack([_shares(column, grid) for column in simulated.T]), is_whole)


def _grid(observed: np.ndarray, simulated: np.ndarray) -> np.ndarray:
    """The values that occur, or quantiles of them where there are many. The largest 0.1 % of the simulated values are left out."""
    top = max(observed.max(), np.quantile(simulated, 0.999))
    bottom = min(observed.min(), np.quantile(simulated, 0.001))
    values = np.unique(np.concatenate([observed, simulated.ravel()]))
    values = values[(values >= bottom) & (values <= top)]
    if len(values) <= _MOST_POINTS:
        return values
    pool = np.concatenate([observed, simulated[:, 0]])
    return np.unique(np.clip(np.quantile(pool, np.linspace(0.0, 1.0, _MOST_POINTS)), bottom, top))


def _shares(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.sort(values), grid, side="right") / len(values)
