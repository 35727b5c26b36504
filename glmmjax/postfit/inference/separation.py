"""Why a fit has no maximum: separation, with the covariate that separates and the direction, or else the estimates that run off."""

from __future__ import annotations

import dataclasses

import numpy as np

from glmmjax.estimation.convergence import Code
from glmmjax.estimation.separation import Direction, by_one_column, separating_direction, sides
from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.separation_text import separation_text
from glmmjax.postfit.inference.wald import theta_names
from glmmjax.postfit.prediction.rows import own_outcome, to_caller_order
from glmmjax.postfit.uncertainty.vcov import standard_errors

__all__ = ["explained", "separation"]

_TINY = 0.05  # standard errors
_MOST_CELLS = 20_000_000  # rows times columns that are searched


def explained(fitted: FittedModel, is_separated: bool = False) -> FittedModel:
    """The fit, with what separates its data, or what diverges, in the message of a fit without certificate.

    A fit that looks certified is no maximum where its data are separated: a search can stop where all that is left to gain is tiny. Nor is
    one where a coefficient has no standard error.
    """
    convergence = fitted.convergence
    has_error = convergence.code is not Code.QUADRATURE_NOT_SETTLED and not convergence.has_converged
    lost, weak = (np.zeros(0, int),) * 2 if has_error or fitted.problem.penalty is not None else _doubtful(fitted)
    if not (is_separated or has_error or lost.size or weak.size):
        return fitted
    found = None if fitted.design.is_streamed else separation(fitted)
    if found is not None:
        return _diverging(fitted, separation_text(fitted, found))
    if convergence.code is Code.DIVERGING or lost.size:
        return _diverging(fitted, f"{Code.DIVERGING.text} What runs off is {', '.join(_running(fitted))}.")
    return fitted


def _diverging(fitted: FittedModel, text: str) -> FittedModel:
    """The fit without a certificate, and the reason."""
    convergence = dataclasses.replace(fitted.convergence, code=Code.DIVERGING, message=text, limits=())
    return dataclasses.replace(fitted, convergence=convergence)


def _doubtful(fitted: FittedModel) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients without a standard error, and coefficients that are tiny beside theirs, as one that runs off is.

    One of many ordinary coefficients is tiny too. The search for a separation tells them apart.
    """
    layout = fitted.problem.layout
    asked = np.concatenate([np.arange(layout.size)[where] for where in layout.by_predictor[: 1 + fitted.problem.family.has_zero_part]])
    asked = np.array([k for k in asked if k not in fitted.convergence.limits], int)
    theta, quick = fitted.theta[asked], _quick_variances(fitted.information)[asked]
    if (_TINY**2 * quick <= theta * theta).all():
        return np.zeros(0, int), np.zeros(0, int)
    errors = standard_errors(fitted)[asked]
    with np.errstate(invalid="ignore"):
        is_weak = np.abs(theta) < _TINY * errors
    return asked[~np.isfinite(errors)], asked[is_weak]


def _quick_variances(information: np.ndarray) -> np.ndarray:
    """(P,) diagonal of the inverse, NaN where it is no variance; it costs a tenth of the standard errors."""
    try:
        found = np.diagonal(np.linalg.inv(information))
    except np.linalg.LinAlgError:
        found = np.full(len(information), np.nan)
    return np.where(found > 0.0, found, np.nan)


def separation(fitted: FittedModel) -> Direction | None:
    """The separation of the rows of a fit by as few columns as it takes; None without one, and of more rows than are searched."""
    design, family = fitted.design, fitted.problem.family
    found = by_one_column(family, design.clusters.buckets)
    if found is not None or len(design.row_labels) * len(fitted.theta) > _MOST_CELLS:
        return found
    outcome = own_outcome(fitted)
    for e in range(1 + family.has_zero_part):
        columns = to_caller_order(design, [bucket.X[e] for bucket in design.clusters.buckets]).T
        down, up = sides(family, outcome if len(outcome) > 1 else outcome[0], e)
        if e > 0 and not up.any():
            continue  # a zero part without zeros is at the limit of the family
        n_columns = columns.shape[1]
        if family.is_ordinal:
            columns, down, up = _between_thresholds(columns, outcome[0], len(design.levels))
        change = _fewest(columns, down, up, n_columns)
        if change is not None:
            return Direction(e, change[:n_columns])
    return None


def _between_thresholds(columns: np.ndarray, level: np.ndarray, n_levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(r, p + K - 1) how far each row of an ordinal outcome lies below its upper threshold, and above its lower one; all are to grow."""
    threshold = np.eye(n_levels - 1)
    has_upper, has_lower = level < n_levels - 1, level > 0
    below = np.hstack([-columns[has_upper], threshold[level[has_upper].astype(int)]])
    above = np.hstack([columns[has_lower], -threshold[level[has_lower].astype(int) - 1]])
    rows = np.concatenate([below, above])
    return rows, np.zeros(len(rows), bool), np.ones(len(rows), bool)


def _fewest(columns: np.ndarray, down: np.ndarray, up: np.ndarray, n_columns: int) -> np.ndarray | None:
    """(p,) a separating direction from which none of the first ``n_columns`` covariates can be left out; None without one."""
    found = separating_direction(columns, down, up)
    if found is None:
        return None
    kept = columns * ((found != 0.0) | (np.ptp(columns, axis=0) == 0.0))
    for j in np.flatnonzero(np.ptp(kept[:, :n_columns], axis=0)):
        fewer = np.where(np.arange(kept.shape[1]) == j, 0.0, kept)
        simpler = separating_direction(fewer, down, up)
        if simpler is not None:
            found, kept = simpler, fewer
    return found


def _running(fitted: FittedModel) -> list[str]:
    """Estimates without a standard error, or that with the largest one."""
    with np.errstate(invalid="ignore"):
        errors = standard_errors(fitted)
    names, lost = theta_names(fitted), ~np.isfinite(errors)
    lost[list(fitted.convergence.limits)] = False
    chosen = np.flatnonzero(lost) if lost.any() else [int(np.nanargmax(errors))]
    return [names[k] for k in chosen]
