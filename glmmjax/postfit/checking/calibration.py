"""Predicted probabilities of a 0/1 outcome against the shares of ones that were seen, in bins of equally many rows.

The probability of a row is its mean over the population of clusters. The band is that of simulated data sets, which allows for the
dependence within clusters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.checking.residual_bands import bins_of
from glmmjax.postfit.checking.simulate import SimulationSettings, simulate
from glmmjax.postfit.prediction.predict import request_of, values_of
from glmmjax.postfit.prediction.rows import own_outcome, read_own_rows

__all__ = ["Calibration", "calibration"]

_ENDS = (0.025, 0.975)


class Calibration(NamedTuple):
    """Bins of rows, by their predicted probability.

    Attributes
    ----------
    predicted : (B,) mean predicted probability
    observed : (B,) share of successes
    lower : (B,) lower end of the share in 95 % of simulated data sets
    upper : (B,) upper end
    n_rows : (B,) number of rows
    """

    predicted: np.ndarray
    observed: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n_rows: np.ndarray


def calibration(fitted: FittedModel, settings: SimulationSettings, n_bins: int) -> Calibration:
    """Bins of the rows fitted.

    Raises
    ------
    ArgumentError
        For an outcome that is neither 0/1 nor successes out of trials, and as ``simulate``.
    RowsNotKeptError
        For a streamed fit.
    """
    family, outcome = fitted.problem.family, own_outcome(fitted)
    if not (family.has_trials or family.is_binary):
        raise ArgumentError(
            f"plot_calibration is for outcomes of 0 and 1, or successes out of trials, and the {family.name} family has others; see "
            "plot_qq and plot_predictive."
        )
    successes = outcome[0]
    trials = successes + outcome[1] if len(outcome) > 1 else np.ones(len(successes))
    predicted = values_of(fitted, request_of(fitted, "marginal", "response"), read_own_rows(fitted), None)[0]
    simulated = simulate(fitted, settings).values
    bins = np.unique(bins_of(predicted, n_bins), return_inverse=True)[1]
    n = np.bincount(bins, trials)
    shares = np.stack([np.bincount(bins, column) / n for column in simulated.T], axis=1)
    lower, upper = np.quantile(shares, _ENDS, axis=1)
    return Calibration(np.bincount(bins, predicted * trials) / n, np.bincount(bins, successes) / n, lower, upper, np.bincount(bins))
