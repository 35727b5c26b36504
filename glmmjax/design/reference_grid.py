"""Rows for a look at a fitted model: all combinations of chosen values with the other covariates held fixed, and groups of such rows."""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.columns.table import as_frame, show_label
from glmmjax.design.design import Design
from glmmjax.design.formula.tokens import names_in
from glmmjax.design.levels import cluster_columns
from glmmjax.errors import ArgumentError

__all__ = [
    "RowGroups",
    "as_lists",
    "covariates_of",
    "fitted_frame",
    "groups_of_rows",
    "is_factor",
    "one_group",
    "reference_grid",
    "usual_values",
    "varying",
]


_FEW_VALUES, _POINTS_ALONG = 12, 50  # of a covariate along an axis
_FEW_LINES = 5
_MOST_ROWS = 5_000_000  # of a grid


class RowGroups(NamedTuple):
    """Groups of rows, in the order in which tables show them.

    Attributes
    ----------
    codes : (n,) number of the group of each row
    labels : (G,) label of each group: its values in the columns that make it
    """

    codes: np.ndarray
    labels: pd.Index


def covariates_of(design: Design) -> tuple[str, ...]:
    """Columns on the right sides of the formulas and in offset arguments. The cluster variable counts only where it is one of them."""
    parts, recipe = design.formula, design.recipe
    used = {name.text for e in parts.expressions if e not in parts.outcome_columns for name in names_in(e)}
    offsets = [name for name in recipe.offsets.values() if name is not None]
    return tuple(dict.fromkeys([*(name for name in recipe.columns if name in used), *offsets]))


def reference_grid(design: Design, data: Any, values: Mapping[str, Any], argument: str = "newdata") -> pd.DataFrame:
    """Every combination of ``values``, where the first name varies slowest; other covariates have typical values.

    Parameters
    ----------
    data : the rows fitted, for typical values: the mean of a number, the most frequent level (the first of them) of anything else, of
        numbers inside ``factor()`` too. None where they are not kept.
    values : by column, one value or several.

    Raises
    ------
    ArgumentError
        For a name that is no covariate, for no values, and for a covariate whose typical value is unknown because no data are kept.
    """
    names = covariates_of(design)
    chosen = {name: _several(name, value, names, argument) for name, value in values.items()}
    n_rows = math.prod(len(several) for several in chosen.values())
    if n_rows > _MOST_ROWS:
        raise ArgumentError(f"{argument} asks for a grid of {n_rows:,} rows, and {_MOST_ROWS:,} are allowed; give fewer values.")
    held = {name: _typical(design, data, name, argument) for name in names if name not in chosen}
    combinations = list(itertools.product(*chosen.values()))
    columns = {name: list(column) for name, column in zip(chosen, zip(*combinations, strict=True), strict=True)} if chosen else {}
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(combinations)))
    return frame.assign(**held)


def varying(values: Mapping[str, list[Any]]) -> list[str]:
    """Names with more than one value, all of them where there is none."""
    several = [name for name, value in values.items() if len(value) != 1]
    return several or list(values)


def as_lists(values: Mapping[str, Any], argument: str = "newdata") -> dict[str, list[Any]]:
    """Every value as a list: text and numbers are one value, and an iterator is read only here.

    Raises
    ------
    ArgumentError
        For a table or a dict in the place of values, and for more values than a grid may have rows.
    """
    return {name: _listed(name, value, argument) for name, value in values.items()}


def groups_of_rows(data: pd.DataFrame, by: str | list[str] | tuple[str, ...], argument: str = "by", *, in_order: bool = False) -> RowGroups:
    """Groups of rows with equal values in the columns ``by``; ``argument`` is the argument that named them.

    They stand in order of first appearance, or ``in_order`` of their levels: of a categorical its own, of anything else the sorted one.

    Raises
    ------
    ArgumentError
        For a column that the data do not have, and missing values in one.
    """
    names = [by] if isinstance(by, str) else list(by)
    for name in names:
        if name not in data.columns:
            shown = ", ".join(map(repr, data.columns))
            raise ArgumentError(f"{argument}={by!r} names {name!r}, and the rows have no such column; they have {shown}.")
        if data[name].isna().any():
            raise ArgumentError(f"{argument}={by!r}: {name!r} has missing values in {int(data[name].isna().sum())} of {len(data)} rows.")
    keys = data[names].reset_index(drop=True)
    codes = keys.groupby(names, sort=in_order, observed=True).ngroup().to_numpy()
    first = keys.iloc[np.unique(codes, return_index=True)[1]]
    labels = pd.Index(first[names[0]].astype(object).tolist(), name=names[0]) if len(names) == 1 else pd.MultiIndex.from_frame(first)
    return RowGroups(codes, labels)


def one_group(n: int) -> RowGroups:
    """All of n rows in one group."""
    return RowGroups(np.zeros(n, np.int64), pd.Index(["average"]))


def usual_values(design: Design, data: Any, name: str, along: bool) -> list[Any]:
    """Values of one covariate that a plot shows: all levels; of a number 50 values over its range ``along`` an axis, else all values
    where there are few, or the quartiles.

    Raises
    ------
    ArgumentError
        For a name that is no covariate.
    """
    _several(name, [0], covariates_of(design), "newdata, by and facets")  # raises for another name
    column = fitted_frame(design, data)[name]
    if is_factor(design, name) or not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        seen = set(column)
        return [level for level in design.recipe.levels.get(name, sorted(seen)) if level in seen]
    values = np.unique(column.to_numpy(float))
    if along:
        return values.tolist() if len(values) <= _FEW_VALUES else np.linspace(values[0], values[-1], _POINTS_ALONG).tolist()
    return values.tolist() if len(values) <= _FEW_LINES else np.quantile(column.to_numpy(float), (0.25, 0.5, 0.75)).round(6).tolist()


def is_factor(design: Design, name: str) -> bool:
    """Whether a covariate has levels: by its column, or because the formulas name it inside ``factor()`` or ``C()`` alone."""
    if name in design.recipe.levels:
        return True
    parts, in_brackets = design.formula, rf"\b(?:factor|C)\(\s*{re.escape(name)}\b(?:[^()]|\([^()]*\))*\)"
    texts = [text for text in parts.expressions if text not in parts.outcome_columns and re.search(in_brackets, text)]
    others = [re.sub(in_brackets, "1", text) if text in texts else text for text in parts.expressions if text not in parts.outcome_columns]
    return bool(texts) and all(name not in {found.text for found in names_in(text)} for text in others)


def fitted_frame(design: Design, data: Any) -> pd.DataFrame:
    """The rows of ``data`` that were fitted: those without a missing value in a column that the model needs."""
    frame = as_frame(data)
    needed = [*design.recipe.columns, *cluster_columns(design), *design.recipe.offsets.values()]
    return frame.dropna(subset=[name for name in dict.fromkeys(needed) if name is not None and name in frame.columns])


def _several(name: str, value: Any, names: tuple[str, ...], argument: str) -> list[Any]:
    if name not in names:
        close = difflib.get_close_matches(str(name), names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the covariates are {', '.join(map(repr, names)) or 'none'}."
        raise ArgumentError(f"{argument} has values for {name!r}, which is no covariate of the model: {hint}")
    found = _listed(name, value, argument)
    if not found:
        raise ArgumentError(f"{argument}[{name!r}] holds no value; give at least one.")
    return found


def _listed(name: str, value: Any, argument: str) -> list[Any]:
    n_axes = getattr(value, "ndim", 1)
    is_one = isinstance(value, str | bytes) or not isinstance(value, Iterable) or n_axes == 0
    if isinstance(value, Mapping) or n_axes > 1:
        raise ArgumentError(f"{argument}[{name!r}] is a {type(value).__name__}, and must be one value, or a list of values.")
    found = [value] if is_one else list(itertools.islice(value, _MOST_ROWS + 1))
    if len(found) > _MOST_ROWS:
        raise ArgumentError(f"{argument}[{name!r}] has more than {_MOST_ROWS:,} values, which a grid cannot take; give fewer.")
    return found


def _typical(design: Design, data: Any, name: str, argument: str) -> Any:
    """The value at which a covariate is held."""
    if data is None or name not in as_frame(data).columns:
        raise ArgumentError(f"{argument} needs values for {name!r}: the fit keeps no rows from which a typical value could be taken.")
    column = fitted_frame(design, data)[name]
    if not is_factor(design, name) and pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return float(column.mean())
    counts = column.value_counts(sort=False)
    levels = [level for level in design.recipe.levels.get(name, counts.index) if level in counts.index]
    if not levels:
        raise ArgumentError(f"{argument} needs values for {name!r}, of which {show_label(column.iloc[0])} is one.")
    return levels[int(np.argmax([counts[level] for level in levels]))]
