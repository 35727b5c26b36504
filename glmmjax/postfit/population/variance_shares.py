r"""R2 and the intraclass correlation: the shares of fixed effects, random effects and rows in the variance on the scale of the link.

.. math:: R^2_m = \frac{\sigma_f^2}{\sigma_f^2 + \sigma_\alpha^2 + \sigma_\varepsilon^2}, \quad
          R^2_c = \frac{\sigma_f^2 + \sigma_\alpha^2}{\sigma_f^2 + \sigma_\alpha^2 + \sigma_\varepsilon^2}, \quad
          \mathrm{ICC} = \frac{\sigma_\alpha^2}{\sigma_\alpha^2 + \sigma_\varepsilon^2}

:math:`\sigma_f^2` is the variance of :math:`x_{ij}'\beta` over the rows, :math:`\sigma_\alpha^2` the mean of :math:`z_{ij}' D z_{ij}`.

Source: Nakagawa, Johnson and Schielzeth (2017), Journal of the Royal Society Interface 14, 20170213; Johnson (2014), Methods in Ecology and
Evolution 5, 944-946, for random slopes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glmmjax.design.levels import crossed_of, level_names
from glmmjax.design.new_rows import NewRows
from glmmjax.errors import ArgumentError
from glmmjax.families.observation_variance import observation_variance
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.clusters import cluster_weights
from glmmjax.postfit.prediction.rows import own_clusters, own_outcome, read_own_rows, row_counts
from glmmjax.postfit.uncertainty.natural_phi import natural_phi
from glmmjax.postfit.uncertainty.random_covariance import random_covariance

__all__ = ["Variances", "upper_variance", "variances"]


class Variances(NamedTuple):
    """The parts of the variance on the scale of the link.

    Attributes
    ----------
    fixed : of the fixed effects over the rows
    random : of the random effects, mean over the rows
    residual : of a row about its linear predictor
    """

    fixed: float
    random: float
    residual: float


def variances(fitted: FittedModel, approximation: str, mean: float | None, needs_random: bool = False) -> Variances:
    """The parts of the variance; a row counts with the weight of its cluster.

    Parameters
    ----------
    approximation : of the variance of log y; see ``observation_variance``.
    mean : mean of the outcome at which it is taken; that of the rows when None.
    needs_random : refuse a model without random effects.

    Raises
    ------
    ArgumentError
        For a family without a formula, and where a predictor of the dispersion gives every row its own variance.
    RowsNotKeptError
        For a streamed fit.
    """
    family = fitted.problem.family
    if needs_random and not fitted.design.random_names:
        raise ArgumentError("no ICC: the model has no random effects; add some, random='~ 1 | id'.")
    if family.has_dispersion:
        raise ArgumentError(
            "no R2 and no ICC: the extra parameter has a predictor (dispersion=), so that every row has a variance of its own."
        )
    rows = read_own_rows(fitted)
    weights = cluster_weights(fitted.design.clusters)[own_clusters(fitted)] * row_counts(fitted)
    observed = family.response(own_outcome(fitted) if len(rows.outcome) > 1 else rows.outcome[0])
    at = float(np.average(observed, weights=weights)) if mean is None else mean
    phi = tuple(natural_phi(fitted)[0].tolist())
    residual = observation_variance(family, phi, at, approximation)
    fixed = fitted.params.beta @ rows.X[0]
    between = (weights * (fixed - np.average(fixed, weights=weights)) ** 2).sum() / (weights.sum() - 1.0)
    return Variances(float(between), _of_effects(fitted, rows, weights, len(rows.Z[0])), float(residual))


def upper_variance(fitted: FittedModel) -> dict[str, float]:
    """The variance of the random effects of the upper of two levels, or of each crossed factor, by name; mean over the rows. Empty for one
    level.
    """
    if fitted.design.factors:
        return _factor_variances(fitted)
    if fitted.design.lower is None:
        return {}
    weights = cluster_weights(fitted.design.clusters)[own_clusters(fitted)] * row_counts(fitted)
    return {level_names(fitted.design)[0]: _of_effects(fitted, read_own_rows(fitted), weights, fitted.design.n_upper)}


def _factor_variances(fitted: FittedModel) -> dict[str, float]:
    """The variance of the random effects of each crossed factor, mean over the rows."""
    z, d, places = read_own_rows(fitted).Z[0], random_covariance(fitted), crossed_of(fitted.design).effects
    names = level_names(fitted.design)
    return {name: float(np.einsum("in,ij,jn->n", z[at], d[at, at], z[at]).mean()) for name, at in zip(names, places, strict=True)}


def _of_effects(fitted: FittedModel, rows: NewRows, weights: np.ndarray, n: int) -> float:
    """The variance of the first ``n`` random effects, mean over the rows."""
    z = rows.Z[0][:n]
    return float(np.average(np.einsum("in,ij,jn->n", z, random_covariance(fitted)[: len(z), : len(z)], z), weights=weights))
