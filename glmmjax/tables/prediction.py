"""Random effects, predictions, fitted values and residuals as labelled tables, in the row order of the caller."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from glmmjax.design.levels import check_has_clusters, cluster_columns, has_levels
from glmmjax.fitted import FittedModel
from glmmjax.postfit.checking.residuals import residuals
from glmmjax.postfit.prediction.predict import IntervalSettings, predict
from glmmjax.postfit.prediction.prediction_intervals import predict_with_intervals
from glmmjax.postfit.prediction.random_effects import EffectIntervals, cluster_coefficients, levels_of_effects, random_effects_intervals
from glmmjax.tables.frames import with_kind
from glmmjax.tables.result_frame import ResultFrame

__all__ = ["cluster_coefs_frame", "fitted_table", "prediction_table", "random_effects_table", "residual_series"]


def random_effects_table(fitted: FittedModel, kind: str = "mode", level: float = 0.95) -> pd.DataFrame:
    """Random effects with intervals, one row a cluster and random effect, index (cluster, effect); of two levels those of the upper come
    first, and the index says which level it is.
    """
    found, design = random_effects_intervals(fitted, kind, level), fitted.design
    parts = []
    for at in levels_of_effects(design):
        labels = _texts(at.labels).repeat(len(at.effects)) if design.factors else at.labels.repeat(len(at.effects))
        keys, effects = [labels.get_level_values(k) for k in range(labels.nlevels)], list(at.effects) * len(at.labels)
        if design.lower is not None:  # an upper cluster has no label of the lower level
            keys = [[at.name] * len(labels), *keys, *[[""] * len(labels)] * (2 - labels.nlevels)]
        if design.factors:
            keys = [[at.name] * len(labels), *keys]
        columns_of_labels = ("cluster",) if design.factors else cluster_columns(design)
        names = [*(["level"] if has_levels(design) else []), *columns_of_labels, "effect"]
        index = pd.MultiIndex.from_arrays([*keys, effects], names=names)
        columns = {name: getattr(found, name)[at.first, at.place].ravel() for name in found._fields}
        parts.append(ResultFrame(columns, index=index))
    return pd.concat(parts) if parts else _no_effects(found)


def _texts(labels: pd.Index) -> pd.Index:
    """Labels of a factor, one text for those of two columns."""
    return labels if labels.nlevels == 1 else labels.map(lambda pair: ":".join(map(str, pair)))


def _no_effects(found: EffectIntervals) -> pd.DataFrame:
    index = pd.MultiIndex.from_arrays([[], []], names=["row", "effect"])
    return ResultFrame({name: getattr(found, name).ravel() for name in found._fields}, index=index)


def cluster_coefs_frame(fitted: FittedModel) -> pd.DataFrame:
    """Coefficients of the clusters, one row a cluster, one column a coefficient."""
    check_has_clusters(fitted.design, "cluster_coefs")
    values, names = cluster_coefficients(fitted)
    return ResultFrame(values, index=fitted.design.units, columns=list(names))


def prediction_table(
    fitted: FittedModel, newdata: Any, newdata2: Any, kind: str, scale: str, settings: IntervalSettings | None
) -> pd.Series | pd.DataFrame:
    """Predictions as a Series, or as a DataFrame when a row has several values or ``settings`` ask for intervals."""
    if settings is None:
        found = predict(fitted, newdata, newdata2, kind, scale)
        return _table(fitted, found.values, found.labels, scale, kind)
    bounds = predict_with_intervals(fitted, settings, newdata, newdata2, kind, scale)
    columns = {"prediction": bounds.values, "std_error": bounds.std_errors, "lower": bounds.lower, "upper": bounds.upper}
    if scale != "probability":
        return with_kind(ResultFrame({name: values[0] for name, values in columns.items()}, index=bounds.labels), kind)
    by_level = {(level, name): values[k] for k, level in enumerate(fitted.design.levels) for name, values in columns.items()}
    return ResultFrame(by_level, index=bounds.labels).rename_axis(columns=["level", kind])


def fitted_table(fitted: FittedModel, kind: str, scale: str) -> pd.Series | pd.DataFrame:
    """Fitted values, by the caller's row labels."""
    return _table(fitted, predict(fitted, kind=kind, scale=scale).values, fitted.design.row_labels, scale, "fitted")


def residual_series(fitted: FittedModel, kind: str, at: str) -> pd.Series:
    """Residuals, by the caller's row labels."""
    return pd.Series(residuals(fitted, kind, at), index=fitted.design.row_labels, name=f"resid_{kind}")


def _table(fitted: FittedModel, values: np.ndarray, labels: Any, scale: str, name: str) -> pd.Series | pd.DataFrame:
    if scale != "probability":
        return pd.Series(values[0], index=labels, name=name)
    return with_kind(ResultFrame(values.T, index=labels, columns=list(fitted.design.levels)), name)
