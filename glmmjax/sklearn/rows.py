"""What ``fit`` and ``predict`` take, as scikit-learn checks it, and how a formula names the columns."""

from __future__ import annotations

import dataclasses
import keyword
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from glmmjax.design.frames import as_pandas
from glmmjax.errors import ArgumentError
from glmmjax.values import shown

__all__ = ["FeatureColumns", "FitRows", "features", "fit_rows", "group_labels", "random_slopes"]


@dataclasses.dataclass(frozen=True)
class FeatureColumns:
    """Names of the columns of a fit: the features, as ``X`` or their places name them, the outcome, and the groups."""

    features: tuple[str, ...]
    outcome: str
    groups: str

    @classmethod
    def of(cls, features: list[str]) -> FeatureColumns:
        return cls(tuple(features), _free("y", features), _free("group", features))

    @property
    def fixed(self) -> str:
        """The formula of outcome and fixed effects."""
        return f"{self.outcome} ~ {' + '.join(['1', *map(_term, self.features)])}"

    def random(self, slopes: Any) -> str:
        """The formula of a random intercept and random slopes.

        Raises
        ------
        ArgumentError
            For a slope that is no feature.
        """
        return f"~ {' + '.join(['1', *(_term(self.feature(slope)) for slope in slopes)])} | {self.groups}"

    def feature(self, slope: Any) -> str:
        if isinstance(slope, str) and slope in self.features:
            return slope
        is_place = isinstance(slope, int | np.integer) and not isinstance(slope, bool)
        if is_place and -len(self.features) <= slope < len(self.features):
            return self.features[slope]
        raise ArgumentError(
            f"slopes has {shown(slope)}, which is no column of X; choose among the names {', '.join(self.features)}, or the numbers from 0 "
            f"to {len(self.features) - 1}."
        )


class FitRows(NamedTuple):
    """Checked rows of a fit, those of weight 0 left out.

    Attributes
    ----------
    X : a table of the features
    y : (n,) outcomes as they were given
    groups, weights : (n,), None where there are none
    """

    X: pd.DataFrame
    y: np.ndarray
    groups: np.ndarray | None
    weights: np.ndarray | None


def fit_rows(model: Any, X: Any, y: Any, groups: Any, sample_weight: Any) -> FitRows:
    """The rows of a fit.

    Raises
    ------
    ValueError
        For missing groups, and for weights that are negative or all 0.
    """
    frame, outcomes = _checked(model, X, y)
    labels = None if groups is None else group_labels(groups, len(frame))
    if labels is not None and pd.isna(labels).any():
        raise ValueError("groups has missing values; give these rows a group of their own, or leave them out.")
    if sample_weight is None:
        return FitRows(frame, outcomes, labels, None)
    weights = column_or_1d(check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"))
    check_consistent_length(frame, weights)
    if (weights < 0).any() or not weights.any():
        raise ValueError("sample_weight must be numbers >= 0, not all of them zero weights.")
    kept = weights > 0
    return FitRows(frame[kept].reset_index(drop=True), outcomes[kept], None if labels is None else labels[kept], weights[kept])


def _checked(model: Any, X: Any, y: Any) -> tuple[pd.DataFrame, np.ndarray]:
    """Features and outcomes of a fit."""
    frame = features(model, X, y=y, reset=True)
    outcomes = column_or_1d(y, warn=True)
    check_consistent_length(frame, outcomes)
    return frame, outcomes


def features(model: Any, X: Any, **how: Any) -> pd.DataFrame:
    """``X`` as scikit-learn checks it, as a table; an array has columns x0, x1, ..."""
    X = as_pandas(X, "X")
    if isinstance(X, pd.DataFrame) and all(isinstance(name, str) for name in X.columns):
        validate_data(model, X, skip_check_array=True, **how)
        return _checked_table(X.reset_index(drop=True))
    if "y" in how:  # both at once, so that a missing y and one row alone are said as everywhere in scikit-learn
        X, _ = validate_data(model, X, dtype=np.float64, ensure_min_samples=2, **how)
    else:
        X = validate_data(model, X, dtype=np.float64, **how)
    return pd.DataFrame(X, columns=[f"x{k}" for k in range(X.shape[1])])


def _checked_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table with finite numbers as float64, and factors without missing values."""
    numbers = table.select_dtypes("number")
    if numbers.shape[1]:
        checked = pd.DataFrame(check_array(numbers, dtype=np.float64, input_name="X"), table.index, numbers.columns)
        table = table.assign(**{name: checked[name] for name in checked})
    missing = [name for name in table.columns if table[name].isna().any()]
    if missing:
        raise ValueError(f"Input X contains NaN: column {missing[0]!r}.")
    return table


def group_labels(groups: Any, n: int) -> np.ndarray:
    """(n,) labels of groups.

    Raises
    ------
    ValueError
        For another number of labels than ``n``.
    """
    found = np.asarray(column_or_1d(groups))
    if len(found) != n:
        raise ValueError(f"groups has {len(found)} labels, and X has {n} rows.")
    return found


def random_slopes(slopes: Any) -> Any:
    """The slopes as a sequence.

    Raises
    ------
    ArgumentError
    """
    if isinstance(slopes, str | int | np.integer) and not isinstance(slopes, bool):
        return (slopes,)
    if not isinstance(slopes, list | tuple | np.ndarray | pd.Index):
        raise ArgumentError(f"slopes={shown(slopes)} must be a list of columns of X, by name or by number, such as ['time'] or [0].")
    return slopes


def _free(name: str, taken: list[str]) -> str:
    """``name``, or one like it that is not taken."""
    while name in taken:
        name += "_"
    return name


def _term(column: str) -> str:
    """A column as a formula names it."""
    return column if column.isidentifier() and not keyword.iskeyword(column) else f"Q({column!r})"
