"""The numbers behind an effect plot: means along chosen covariates, with pointwise intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from glmmjax.design.columns.table import as_frame
from glmmjax.design.new_rows import NewRows, read_new_rows
from glmmjax.design.reference_grid import reference_grid, usual_values
from glmmjax.errors import ArgumentError
from glmmjax.families.links import Identity, Link, Logit
from glmmjax.fitted import FittedModel
from glmmjax.postfit.population.marginal_means import Values, data_of, quantity_of, row_values, standard_errors_of
from glmmjax.postfit.prediction.quantities import interval_link
from glmmjax.postfit.prediction.rows import in_all_rows
from glmmjax.postfit.uncertainty.link_intervals import limits, on_scale
from glmmjax.postfit.uncertainty.vcov import covariance

__all__ = ["EFFECT_SCALES", "Effects", "effects"]

EFFECT_SCALES = ("response", "link")


class Effects(NamedTuple):
    """Estimates with pointwise intervals, (O, n) each; O is the number of levels of an ordinal outcome, else 1.

    Attributes
    ----------
    estimate : means or probabilities, or these on the scale of the link
    error : standard errors, on the scale of the estimates
    lower : lower limits
    upper : upper limits
    frame : pandas DataFrame with n rows, the rows of the effects
    kind : "mean_subject", "marginal" or "zero_part"
    levels : (O,) levels of an ordinal outcome, else ()
    """

    estimate: np.ndarray
    error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    frame: Any
    kind: str
    levels: tuple[Any, ...]


def effects(fitted: FittedModel, newdata: Any, kind: str, scale: str, robust: bool | str, level: float) -> Effects:
    """Effects at rows or a grid of values; the arguments are those of ``MixedModelResults.effects``."""
    if isinstance(newdata, str):
        newdata = {newdata: usual_values(fitted.design, data_of(fitted, needed=True), newdata, along=True)}
    frame = reference_grid(fitted.design, data_of(fitted), newdata) if isinstance(newdata, Mapping) else as_frame(newdata)
    rows = read_new_rows(fitted.design, frame)
    if not rows.is_complete.any():
        raise ArgumentError("newdata has no row without missing values.")
    found, link = _values(fitted, rows, kind, scale)
    error = standard_errors_of(found, covariance(fitted, robust))
    ends = limits(link, found.values, error, level)
    estimate, error, lower, upper = (in_all_rows(part, rows.is_complete) for part in (found.values, error, *ends))
    return Effects(estimate, error, lower, upper, frame, kind, () if kind == "zero_part" else fitted.design.levels)


def _values(fitted: FittedModel, rows: NewRows, kind: str, scale: str) -> tuple[Values, Link]:
    """The quantity asked for, and the link on whose scale its intervals are formed."""
    family, quantity = fitted.problem.family, quantity_of(fitted, kind)
    is_predictor = kind == "zero_part" or (kind == "mean_subject" and quantity == "mean" and not family.has_zero_part)
    if scale == "link" and is_predictor:
        return row_values(fitted, rows, kind, "zero_predictor" if kind == "zero_part" else "predictor"), Identity()
    found = row_values(fitted, rows, kind, quantity)
    if scale == "response":
        return found, interval_link(family, quantity)
    values, slope = on_scale(Logit() if family.is_ordinal else family.mean_link, found.values)
    return Values(values, slope[..., None] * found.jacobian), Identity()
