"""Simulations, quantile residuals, their tests, and scores as labelled tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from glmmjax.fitted import FittedModel
from glmmjax.postfit.checking.quantile_residuals import QuantileResidualRecord
from glmmjax.postfit.checking.scoring import Scores
from glmmjax.postfit.checking.simulate import SimulationSettings, simulate
from glmmjax.tables.result_frame import ResultFrame

__all__ = [
    "quantile_residual_series",
    "residual_tests_frame",
    "residual_tests_html",
    "residual_tests_text",
    "scoring_frame",
    "simulation_frame",
]


def simulation_frame(fitted: FittedModel, settings: SimulationSettings, newdata: Any) -> pd.DataFrame:
    """``simulate``, one column a simulation, with integers for whole-number outcomes and ordered categories for ordinal ones."""
    simulated = simulate(fitted, settings, newdata)
    frame = ResultFrame(simulated.values, index=simulated.labels, columns=pd.RangeIndex(simulated.values.shape[1], name="simulation"))
    if fitted.design.levels:
        return frame.apply(lambda column: _as_levels(column, fitted.design.levels))
    is_known = not np.isnan(simulated.values).any()
    return frame.astype(np.int64) if is_known and fitted.problem.family.is_discrete else frame


def _as_levels(codes: pd.Series, levels: tuple[Any, ...]) -> pd.Series:
    values = pd.Categorical.from_codes(codes.fillna(-1).astype(int), categories=list(levels), ordered=True)
    return pd.Series(values, index=codes.index)


def quantile_residual_series(record: QuantileResidualRecord) -> pd.Series:
    """Residuals by the labels of their rows."""
    return pd.Series(record.values, index=record.labels, name="quantile_residual")


def residual_tests_frame(record: QuantileResidualRecord) -> pd.DataFrame:
    """Tests of the fit, one row a test."""
    rows = [[test.statistic, test.expected, test.p_value, test.independent_p_value] for test in record.tests]
    columns = ["Observed", "Simulated", "p-value", "p if independent"]
    return ResultFrame(rows, index=pd.Index([test.name for test in record.tests]), columns=columns)


def residual_tests_text(record: QuantileResidualRecord) -> str:
    """The table of tests under a line that names rows and simulations."""
    head = f"Quantile residuals of {len(record.values)} rows from {record.n_simulations} simulations"
    return f"{head}\n\n{residual_tests_frame(record).to_string(float_format='{:.4g}'.format, na_rep='')}"


def residual_tests_html(record: QuantileResidualRecord) -> str:
    """The table of tests for notebooks."""
    return residual_tests_frame(record).to_html(float_format="{:.4g}".format, na_rep="")


def scoring_frame(found: Scores) -> pd.DataFrame:
    """Scores, one row a row of the data."""
    return ResultFrame(found.columns, index=found.labels)
