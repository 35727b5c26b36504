"""How the columns of a model are made from rows other than those fitted. ``new_rows`` reads such rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from glmmjax.design.columns.predictor import PredictorOf

__all__ = ["Recipe"]


@dataclasses.dataclass(frozen=True, eq=False)
class Recipe:
    """Functions that hold the levels, means and knots of the rows fitted.

    Attributes
    ----------
    predictors : by predictor ("main", "zero", "dispersion"), the function that makes its columns
    namespace : the names in the formulas that are no columns, with their values
    columns : variables of the formulas, outcome included
    levels : by variable, for those that have levels
    outcome_levels : failure and success of a two-level outcome, else None
    offsets : by predictor, the column that the offset argument names; None where it was numbers
    """

    predictors: Mapping[str, PredictorOf]
    namespace: Mapping[str, Any]
    columns: tuple[str, ...]
    levels: Mapping[str, pd.Index]
    outcome_levels: list[Any] | None
    offsets: Mapping[str, str | None]
