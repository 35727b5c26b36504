"""A fit as the three tables of R's broom: a row a parameter (``tidy``), a single row (``glance``), a row a row of data (``augment``).

Column names are those of broom and broom.mixed, so that tables of different packages can be stacked.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd

from glmmjax.design.columns.table import as_frame
from glmmjax.design.reference_grid import fitted_frame
from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.checking.residuals import residuals
from glmmjax.postfit.inference.confidence import confidence_intervals
from glmmjax.postfit.inference.information_criteria import aic, bic, n_groups, n_parameters, n_rows
from glmmjax.postfit.population.marginal_means import data_of
from glmmjax.postfit.prediction.predict import predict
from glmmjax.postfit.prediction.random_effects import levels_of_effects, random_effects, random_effects_covariance
from glmmjax.postfit.uncertainty.link_intervals import normal_quantile
from glmmjax.postfit.uncertainty.p_values import normal_two_sided
from glmmjax.postfit.uncertainty.parameters import Reported, errors_of, estimates, reported
from glmmjax.postfit.uncertainty.vcov import covariance
from glmmjax.tables.result_frame import ResultFrame

__all__ = ["COEFFICIENTS", "EFFECTS", "ROWS", "augment_frame", "glance_frame", "tidy_frame"]

EFFECTS = ("fixed", "ran_pars", "extra", "ran_vals", "all")
ROWS = {  # kind of a reported parameter -> effect, component
    "fixed": ("fixed", "cond"),
    "zero": ("fixed", "zi"),
    "dispersion": ("fixed", "disp"),
    "phi": ("extra", "disp"),
    "random": ("ran_pars", "cond"),
}
COEFFICIENTS = ("fixed", "zero", "dispersion")


def tidy_frame(fitted: FittedModel, conf_int: bool, level: float, exponentiate: bool, effects: str, robust: Any) -> pd.DataFrame:
    """One row a parameter, or a random effect of a cluster; see ``MixedModelResults.tidy``."""
    if effects == "ran_vals":
        return _random_values(fitted, conf_int, level)
    parameters = reported(fitted)
    kinds = np.array(parameters.kinds)
    errors = errors_of(fitted, parameters, covariance(fitted, robust))
    is_tested = np.isin(kinds, COEFFICIENTS)
    values = estimates(fitted, parameters)
    statistic = np.where(is_tested, values / errors, np.nan)
    columns: dict[str, Any] = {
        "effect": [ROWS[kind][0] for kind in kinds],
        "component": _components(fitted, parameters),
        "group": _levels(fitted, parameters),
        "term": list(parameters.names),
        "estimate": values,
        "std.error": errors,
        "statistic": statistic,
        "p.value": normal_two_sided(statistic),
    }
    chosen = np.array([effects in (effect, "all") for effect in columns["effect"]], bool)
    if conf_int:
        columns |= _limits(fitted, parameters, chosen, level, robust)
    frame = ResultFrame(columns)
    if exponentiate:
        frame.loc[is_tested, "std.error"] *= np.exp(values[is_tested])
        ends = [name for name in ("estimate", "conf.low", "conf.high") if name in frame]
        frame.loc[is_tested, ends] = np.exp(frame.loc[is_tested, ends])
    return frame[chosen].reset_index(drop=True)


def glance_frame(fitted: FittedModel) -> pd.DataFrame:
    """Fit statistics in one row; see ``MixedModelResults.glance``."""
    family = fitted.problem.family
    values = {
        "nobs": n_rows(fitted),
        "n.groups": n_groups(fitted) if fitted.design.group_name is not None else None,
        "df": n_parameters(fitted),
        "df.residual": n_rows(fitted) - n_parameters(fitted),
        "logLik": fitted.log_likelihood,
        "AIC": aic(fitted),
        "BIC": bic(fitted),
        "deviance": -2.0 * fitted.log_likelihood,
        "family": family.name,
        "link": family.link.name,
        "nAGQ": fitted.n_agq if fitted.design.random_names else None,
        "converged": fitted.convergence.has_converged,
        "singular": fitted.is_singular,
    }
    return ResultFrame([values])


def augment_frame(fitted: FittedModel, newdata: Any = None, kind: str | None = None) -> pd.DataFrame:
    """The rows with predictions and residuals; see ``MixedModelResults.augment``."""
    if newdata is None:
        kind = "subject_specific" if kind is None else kind
        data = data_of(fitted, needed=not fitted.design.is_streamed)
        frame = fitted_frame(fitted.design, data) if data is not None else pd.DataFrame(index=fitted.design.row_labels)
    else:
        kind = "mean_subject" if kind is None else kind
        frame = as_frame(newdata)
    added = {".fitted": predict(fitted, newdata, kind=kind).values[0], ".fixed": predict(fitted, newdata, kind="mean_subject").values[0]}
    if newdata is None:
        added[".resid"] = residuals(fitted, "raw", kind)
    return ResultFrame(pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1))


def _levels(fitted: FittedModel, parameters: Reported) -> list[str | None]:
    """The level that each parameter of D belongs to; None for other parameters."""
    of_effect = [at.name for at in levels_of_effects(fitted.design) for _ in at.effects]
    found = iter([*of_effect, *(of_effect[row] for row, _ in parameters.pairs)])
    return [next(found) if kind == "random" else None for kind in parameters.kinds]


def _components(fitted: FittedModel, parameters: Reported) -> list[str]:
    """The part of the model that each parameter belongs to. Effects of the zero part, and correlations of two of them, have ``zi``."""
    of_zero = [fitted.problem.family.has_zero_part and name.startswith("zi_") for name in fitted.design.random_names]
    random = [*of_zero, *(of_zero[r] and of_zero[c] for r, c in parameters.pairs)]
    found = iter(random)
    return ["zi" if kind == "random" and next(found) else ROWS[kind][1] for kind in parameters.kinds]


def _random_values(fitted: FittedModel, conf_int: bool, level: float) -> pd.DataFrame:
    """Conditional modes, one row a cluster and random effect, with conditional standard deviations."""
    levels = levels_of_effects(fitted.design)
    if not levels:
        raise ArgumentError("effects='ran_vals': the model has no random effects.")
    values, errors = random_effects(fitted), np.sqrt(np.diagonal(random_effects_covariance(fitted), axis1=1, axis2=2))
    columns: dict[str, Any] = {
        "effect": "ran_vals",
        "group": np.repeat([at.name for at in levels], [len(at.labels) * len(at.effects) for at in levels]),
        "level": functools.reduce(pd.Index.append, [at.labels.repeat(len(at.effects)) for at in levels]),
        "term": [name for at in levels for name in at.effects * len(at.labels)],
        "estimate": np.concatenate([values[at.first, at.place].ravel() for at in levels]),
        "std.error": np.concatenate([errors[at.first, at.place].ravel() for at in levels]),
    }
    if conf_int:
        reach = normal_quantile(level) * columns["std.error"]
        columns |= {"conf.low": columns["estimate"] - reach, "conf.high": columns["estimate"] + reach}
    return ResultFrame(columns)


def _limits(fitted: FittedModel, parameters: Reported, chosen: np.ndarray, level: float, robust: Any) -> dict[str, np.ndarray]:
    """Wald limits of the parameters shown, kind by kind; NaN for all others, and for those of a singular D."""
    limits = np.full((2, len(chosen)), np.nan)
    kinds = np.array(parameters.kinds)
    for kind in dict.fromkeys(kinds[chosen]):
        if kind == "random" and fitted.is_singular:
            continue
        found = confidence_intervals(fitted, str(kind), "wald", level, robust)
        limits[:, kinds == kind] = found.lower, found.upper
    return {"conf.low": limits[0], "conf.high": limits[1]}
