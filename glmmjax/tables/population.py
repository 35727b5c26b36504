"""Marginal coefficients, means, contrasts and effects as labelled tables."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from glmmjax.postfit.population.contrasts import Contrasts
from glmmjax.postfit.population.effects import Effects
from glmmjax.postfit.population.marginal_coefs import MarginalCoefficients
from glmmjax.postfit.population.marginal_means import Means
from glmmjax.postfit.population.variance_shares import Variances
from glmmjax.postfit.uncertainty.link_intervals import normal_quantile
from glmmjax.tables.frames import wald_frame, with_kind
from glmmjax.tables.page import Summary
from glmmjax.tables.result_frame import ResultFrame
from glmmjax.tables.text import Section, coefficient_texts

__all__ = [
    "contrast_frame",
    "effect_frame",
    "icc_series",
    "marginal_coefficient_covariance",
    "marginal_coefficient_frame",
    "marginal_coefficient_intervals",
    "marginal_coefficient_summary",
    "mean_frame",
    "r2_series",
]

_NAMES = {"estimate": "estimate", "error": "std_error", "z": "z", "p_value": "p_value", "lower": "lower", "upper": "upper"}


def marginal_coefficient_frame(found: MarginalCoefficients) -> pd.DataFrame:
    """Marginal coefficients with Wald tests."""
    return wald_frame(found.estimate, np.sqrt(np.diagonal(found.covariance)), found.names)


def marginal_coefficient_covariance(found: MarginalCoefficients) -> pd.DataFrame:
    """Covariance matrix of the marginal coefficients."""
    return ResultFrame(found.covariance, index=pd.Index(found.names), columns=pd.Index(found.names))


def marginal_coefficient_intervals(found: MarginalCoefficients, level: float) -> pd.DataFrame:
    """Wald intervals."""
    reach = normal_quantile(level) * np.sqrt(np.diagonal(found.covariance))
    return ResultFrame({"lower": found.estimate - reach, "upper": found.estimate + reach}, index=pd.Index(found.names))


def marginal_coefficient_summary(found: MarginalCoefficients) -> Summary:
    """The table as text and HTML."""
    frame = marginal_coefficient_frame(found)
    errors = "the inverse information" if found.robust is None else f"the cluster-robust covariance {found.robust}"
    notes = (f"Averaged over the random effects, on the scale of the {found.link} link. Standard errors: delta method from {errors}.",)
    return Summary((Section("Marginal coefficients", (), coefficient_texts(frame), notes),), {"marginal coefficients": frame})


def mean_frame(found: Means) -> pd.DataFrame:
    """Means, one row a mean; for an ordinal outcome one row a mean and level."""
    frame = _long(_columns(found), found.labels, found.levels, found.kind)
    if found.counts is not None:
        frame.insert(len(frame.columns), "n", np.repeat(found.counts, max(1, len(found.levels))))
    return frame


def contrast_frame(found: Contrasts) -> pd.DataFrame:
    """Contrasts, one row a contrast; for an ordinal outcome one row a contrast and level."""
    labels = pd.Index(found.names, name="contrast")
    if found.stratum_names:
        keys = [(*key, name) for key, name in zip(found.strata, found.names, strict=True)]
        labels = pd.MultiIndex.from_tuples(keys, names=[*found.stratum_names, "contrast"])
    return _long(_columns(found), labels, found.levels, found.kind)


def effect_frame(found: Effects) -> pd.DataFrame:
    """The rows with their estimates. For an ordinal outcome every row stands once for each level, in the column ``level``."""
    repeats = max(1, len(found.levels))
    frame = found.frame.iloc[np.repeat(np.arange(len(found.frame)), repeats)]
    columns: dict[str, Any] = {name: values.T.ravel() for name, values in _columns(found).items()}
    if found.levels:
        columns = {"level": pd.Categorical(list(found.levels) * len(found.frame), categories=list(found.levels), ordered=True), **columns}
    return with_kind(ResultFrame(frame.assign(**columns)), found.kind)


def _columns(found: Means | Contrasts | Effects) -> dict[str, np.ndarray]:
    """The numbers of a record by the names that tables have for them."""
    return {_NAMES[name]: values for name, values in found._asdict().items() if name in _NAMES}


def _long(columns: dict[str, np.ndarray], labels: pd.Index, levels: tuple[Any, ...], kind: str) -> pd.DataFrame:
    """(O, G) arrays as columns of one table, in which the levels of a label follow one another."""
    if levels:
        keys = [(*(label if isinstance(label, tuple) else (label,)), level) for label in labels for level in levels]
        labels = pd.MultiIndex.from_tuples(keys, names=[*labels.names, "level"])
    return with_kind(ResultFrame({name: values.T.ravel() for name, values in columns.items()}, index=labels), kind)


def r2_series(parts: Variances) -> pd.Series:
    """Marginal and conditional R2."""
    total = sum(parts)
    return _shares({"marginal": parts.fixed / total, "conditional": (parts.fixed + parts.random) / total}, parts, "r2")


def icc_series(parts: Variances, of_levels: Mapping[str, float] = MappingProxyType({})) -> pd.Series:
    """Adjusted and unadjusted intraclass correlation, and the adjusted one of single levels, whose variances are ``of_levels``."""
    total = parts.random + parts.residual
    shares = {level: value / total for level, value in of_levels.items()}
    return _shares({"adjusted": parts.random / total, "unadjusted": parts.random / sum(parts), **shares}, parts, "icc")


def _shares(values: dict[str, float], parts: Variances, name: str) -> pd.Series:
    found = pd.Series(values, name=name)
    found.attrs["variances"] = parts._asdict()
    return found
