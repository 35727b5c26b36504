"""Influence of clusters and bootstrap refits as labelled tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from glmmjax.fitted import FittedModel
from glmmjax.postfit.refitting import influence
from glmmjax.postfit.refitting.bootstrap import Bootstrap, reported_values
from glmmjax.postfit.refitting.bootstrap_limits import bootstrap_limits
from glmmjax.postfit.uncertainty.parameters import estimates, reported
from glmmjax.tables.result_frame import ResultFrame

__all__ = [
    "bootstrap_converged_series",
    "bootstrap_interval_frame",
    "bootstrap_parameter_frame",
    "bootstrap_text",
    "cooks_series",
    "dfbetas_frame",
    "leave_cluster_out_series",
]


def cooks_series(found: influence.Influence, method: str, part: str, scaled: bool) -> pd.Series:
    """Cook's distances by cluster."""
    return _by_cluster(found.fitted, influence.cooks_distances(found, method, part, scaled), "cooks_distance")


def dfbetas_frame(found: influence.Influence, method: str) -> pd.DataFrame:
    """Scaled changes of the parameters, one row a cluster."""
    return ResultFrame(influence.dfbetas(found, method), index=found.fitted.design.groups, columns=list(reported(found.fitted).labels))


def leave_cluster_out_series(found: influence.Influence) -> pd.Series:
    """Log predictive scores by cluster."""
    return _by_cluster(found.fitted, influence.leave_cluster_out_scores(found), "leave_cluster_out_score")


def bootstrap_parameter_frame(fitted: FittedModel, found: Bootstrap) -> pd.DataFrame:
    """Estimates of every refit, on the scales that are reported, one row a data set."""
    return ResultFrame(reported_values(fitted, found.theta), index=_data_sets(found), columns=list(reported(fitted).labels))


def bootstrap_converged_series(found: Bootstrap) -> pd.Series:
    """Which refits have a certificate."""
    return pd.Series(found.converged, index=_data_sets(found), name="converged")


def bootstrap_interval_frame(fitted: FittedModel, found: Bootstrap, level: float, ci: str) -> pd.DataFrame:
    """Estimates, bootstrap standard errors and intervals, of the refits with a certificate."""
    draws = reported_values(fitted, found.theta[found.converged])
    lower, upper = bootstrap_limits(fitted, found, level, ci)
    columns = {"estimate": estimates(fitted, reported(fitted)), "std_error": _deviations(draws), "lower": lower, "upper": upper}
    return ResultFrame(columns, index=list(reported(fitted).labels))


def bootstrap_text(found: Bootstrap) -> str:
    """A bootstrap in one line."""
    lost = int((~found.converged).sum())
    what = "draws" if found.kind == "wild" else "data sets"
    text = f"{found.kind} bootstrap, {len(found.theta)} {what}, seed {found.seed}"
    return text + (f"; {lost} refits without a certified maximum" if lost else "")


def _deviations(draws: np.ndarray) -> np.ndarray:
    """(N,) standard deviations over draws; NaN (a correlation without variances) is not counted."""
    return np.array([column[np.isfinite(column)].std(ddof=1) if np.isfinite(column).sum() > 1 else np.nan for column in draws.T])


def _data_sets(found: Bootstrap) -> pd.Index:
    return pd.RangeIndex(len(found.theta), name="data_set")


def _by_cluster(fitted: FittedModel, values: np.ndarray, name: str) -> pd.Series:
    return pd.Series(values, index=fitted.design.groups, name=name)
