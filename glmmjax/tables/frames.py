"""Numbers of a fit as labelled DataFrames."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from glmmjax.design.levels import effects_by_level
from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.information_criteria import aic, bic
from glmmjax.postfit.prediction.random_effects import levels_of_effects, random_effects, random_effects_covariance
from glmmjax.postfit.uncertainty.natural_phi import natural_phi
from glmmjax.postfit.uncertainty.p_values import normal_two_sided
from glmmjax.postfit.uncertainty.random_covariance import Spread, random_covariance, spread, spread_errors
from glmmjax.postfit.uncertainty.vcov import fixed_covariance, standard_errors, theta_covariance
from glmmjax.tables.result_frame import ResultFrame

__all__ = [
    "coefficient_frame",
    "correlation_pairs",
    "fixed_covariance_frame",
    "phi_frame",
    "random_covariance_frame",
    "random_effects_covariance_frame",
    "random_effects_frame",
    "spread_frame",
    "statistics_frame",
    "wald_frame",
    "with_kind",
]


def coefficient_frame(fitted: FittedModel, part: str = "fixed") -> pd.DataFrame:
    """Estimates with Wald tests: the ``"fixed"`` effects, those of the ``"zero"`` part, or those on the ``"dispersion"``."""
    where, design = getattr(fitted.problem.layout, part), fitted.design
    names = {"fixed": design.fixed_names, "zero": design.zi_fixed_names, "dispersion": design.dispersion_names}[part]
    return wald_frame(fitted.theta[where], standard_errors(fitted)[where], names)


def wald_frame(estimate: np.ndarray, error: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Estimates with standard errors, their ratios and two-sided p-values."""
    z = estimate / error
    return ResultFrame({"estimate": estimate, "std_error": error, "z": z, "p_value": normal_two_sided(z)}, index=pd.Index(names))


def with_kind(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The table with the kind of its means in its head, as the name of its columns."""
    return frame.rename_axis(columns=kind)


def phi_frame(fitted: FittedModel) -> pd.DataFrame:
    """Extra parameters on their natural scale, standard errors by the delta method."""
    estimate, error = natural_phi(fitted)
    levels = fitted.design.levels
    names = [f"{low}|{high}" for low, high in itertools.pairwise(levels)] if levels else list(fitted.problem.family.phi_names)
    return ResultFrame({"estimate": estimate, "std_error": error}, index=pd.Index(names))


def fixed_covariance_frame(fitted: FittedModel) -> pd.DataFrame:
    """Covariance matrix of the fixed effects."""
    return ResultFrame(fixed_covariance(fitted), index=fitted.design.fixed_names, columns=fitted.design.fixed_names)


def random_covariance_frame(fitted: FittedModel) -> pd.DataFrame | dict[str, pd.DataFrame]:
    """Covariance matrix D of the random effects; of two levels, that of each by its name."""
    levels, d = effects_by_level(fitted.design), random_covariance(fitted)
    found = {level: ResultFrame(d[place, place], index=names, columns=names) for level, (place, names) in levels.items()}
    return _by_level(found, ())


def spread_frame(fitted: FittedModel) -> pd.DataFrame:
    """Standard deviations and correlations of the random effects, one row each; no standard errors (NaN) at a singular D."""
    names, estimates, errors = fitted.design.random_names, spread(fitted), _spread_errors(fitted)
    pairs = correlation_pairs(fitted)
    index = [f"sd({name})" for name in names] + [f"corr({names[c]}, {names[r]})" for r, c in pairs]
    columns = {
        column: [*part.deviations, *(part.correlations[pair] for pair in pairs)]
        for column, part in (("estimate", estimates), ("std_error", errors))
    }
    return ResultFrame(columns, index=index, dtype=float)


def random_effects_frame(fitted: FittedModel) -> pd.DataFrame | dict[str, pd.DataFrame]:
    """Conditional modes, one row a cluster; of two levels, those of each by its name."""
    values = random_effects(fitted)
    levels = levels_of_effects(fitted.design)
    found = {at.name: ResultFrame(values[at.first, at.place], index=at.labels, columns=list(at.effects)) for at in levels}
    return _by_level(found, fitted.design.groups)


def random_effects_covariance_frame(fitted: FittedModel) -> pd.DataFrame | dict[str, pd.DataFrame]:
    """Conditional covariances, one row a cluster, one column a pair of random effects; of two levels, those of each by its name."""
    values, found = random_effects_covariance(fitted), {}
    for at in levels_of_effects(fitted.design):
        columns = pd.MultiIndex.from_tuples([(a, b) for a in at.effects for b in at.effects], names=["effect", "with"])
        own = values[at.first][:, at.place, at.place]
        found[at.name] = ResultFrame(own.reshape(len(own), -1), index=at.labels, columns=columns)
    return _by_level(found, fitted.design.groups)


def _by_level(found: dict[str, pd.DataFrame], labels: Any) -> pd.DataFrame | dict[str, pd.DataFrame]:
    """The table of the one level, an empty one for ``labels`` where a model has no random effects, or all tables."""
    return found if len(found) > 1 else next(iter(found.values()), ResultFrame(index=labels))


def statistics_frame(fitted: FittedModel) -> pd.DataFrame:
    """Log-likelihood (without penalty) and information criteria."""
    return ResultFrame([[fitted.log_likelihood, aic(fitted), bic(fitted)]], columns=["log.Lik", "AIC", "BIC"], index=[""])


def _spread_errors(fitted: FittedModel) -> Spread:
    return spread_errors(fitted, theta_covariance(fitted)) or spread(fitted)._replace(
        deviations=np.full(len(fitted.design.random_names), np.nan), correlations=np.full(fitted.params.chol.shape, np.nan)
    )


def correlation_pairs(fitted: FittedModel) -> list[tuple[int, int]]:
    """(row, column) of the correlations that the structure of D has."""
    mask = fitted.design.covariance.mask()
    return [(r, c) for r in range(len(mask)) for c in range(r) if mask[r][c]]
