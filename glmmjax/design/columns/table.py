"""The columns and rows of a table that a model uses, in plain types that formulas can work with.

Rows with a missing value in a used column are dropped here, before patsy sees the data, because knots of splines and means of centred
columns must come from the rows that are fitted.
"""

from __future__ import annotations

import decimal
import difflib
import numbers
import os
import types
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types as dtypes

from glmmjax.design.formula.tokens import Name, names_in
from glmmjax.design.frames import from_other_library
from glmmjax.errors import ArgumentError, DesignError, FormulaError
from glmmjax.values import shown

__all__ = [
    "Table",
    "as_frame",
    "check_finite",
    "column_of",
    "complete_rows",
    "describe_unknown",
    "find_columns",
    "levels_of",
    "plain_types",
    "show_label",
    "with_categories",
    "with_columns",
]

_OTHER_WAYS = {  # functions of R's formulas that are written otherwise here
    "c": "write a list, [1, 2]",
    "s": "write a spline of given flexibility, such as ns(x, 3)",
    "relevel": "write C(x, Treatment('level')), with the level that is the reference",
    "ordered": "write C(x, Poly)",
    "ifelse": "write np.where(x > 1, 1, 0)",
}

_MOST_COLUMNS_SHOWN = 12


class Table(NamedTuple):
    """Rows without missing values.

    Attributes
    ----------
    frame : columns used, rows numbered 0..n-1, types as they came
    labels : (n,) the caller's labels of these rows
    n_dropped : rows dropped for missing values
    """

    frame: pd.DataFrame
    labels: pd.Index
    n_dropped: int


def as_frame(data: Any, argument: str = "data") -> pd.DataFrame:
    """``data`` as a DataFrame: itself, a table of another library, or what ``pandas.DataFrame`` makes of it; ``argument`` names it.

    Raises
    ------
    ArgumentError
        When pandas can make none.
    """
    if isinstance(data, pd.DataFrame):
        return data
    other = from_other_library(data, argument)
    if other is not None:
        return other
    if isinstance(data, str | os.PathLike):
        file = os.fspath(data)
        raise ArgumentError(f"{argument}={shown(file)} is no table; read a file first, {argument}=pandas.read_csv({shown(file)}).")
    try:
        if data is None:
            raise TypeError("None holds no columns")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what pandas is about to refuse
            return pd.DataFrame(data)
    except (TypeError, ValueError, Warning) as error:
        kind = type(data).__name__
        raise ArgumentError(
            f"{argument} has type {kind} and must be a DataFrame of pandas, polars or pyarrow, or a dict of columns ({error})."
        ) from None


def with_columns(data: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """The table with more columns behind its own. ``assign`` warns where a table has been put together from many pieces."""
    return pd.concat([data, pd.DataFrame(dict(columns), index=data.index)], axis=1)


def find_columns(expressions: Iterable[str], data: pd.DataFrame, namespace: Mapping[str, Any], formula: str) -> dict[str, Any]:
    """Columns that the expressions use, by name: from the data, else an array of the data's length from ``namespace``.

    Other things in ``namespace`` (functions, knots, constants) stay where they are.

    Raises
    ------
    FormulaError
        For a name that is in neither, and for a function that is not known.
    """
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for expression in expressions for name in names_in(expression)):
        if name.text in data.columns and not name.is_called:
            found[name.text] = column_of(data, name.text)
        elif name.text not in namespace or _is_no_variable(name, namespace[name.text]):
            raise FormulaError(_unknown_function(name.text, formula) if name.is_called else describe_unknown(name.text, data, formula))
        elif _is_column(namespace[name.text], len(data)):
            found[name.text] = pd.Series(namespace[name.text]).array
    return found


def column_of(data: pd.DataFrame, name: str) -> Any:
    """The array of one column, without its index.

    Raises
    ------
    DesignError
        When several columns have this name.
    """
    column = data[name]
    if isinstance(column, pd.DataFrame):
        raise DesignError(f"data has {column.shape[1]} columns named {name!r}; rename all but one, so that it is clear which is meant.")
    return column.array


def describe_unknown(name: str, data: pd.DataFrame, where: str) -> str:
    """Message for a column that the data do not have, named in ``where``."""
    columns = [str(column) for column in data.columns]
    close = difflib.get_close_matches(name, columns, n=3)
    shown = ", ".join(map(repr, columns[:_MOST_COLUMNS_SHOWN])) + (", ..." if len(columns) > _MOST_COLUMNS_SHOWN else "")
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"the columns are {shown or 'none'}."
    return f"{where} names {name!r}, and data have no such column: {hint}"


def complete_rows(columns: Mapping[str, Any], index: pd.Index) -> Table:
    """Rows in which no column has a missing value.

    Parameters
    ----------
    columns : arrays of the length of ``index``, by name.
    index : the caller's row labels.

    Raises
    ------
    DesignError
        When no row is left.
    """
    missing = {name: np.asarray(pd.isna(column)) for name, column in columns.items()}
    kept = ~np.logical_or.reduce(list(missing.values()) or [np.zeros(len(index), bool)])
    if not kept.any():
        if not len(index):
            raise DesignError("no rows to fit: data have columns, and not one row.")
        counts = ", ".join(f"{name!r} in {count}" for name, mask in missing.items() if (count := int(mask.sum())))
        raise DesignError(
            f"no rows to fit: each of the {len(index)} rows has a missing value ({counts}); leave out the columns that are mostly "
            "missing, or fill them in first."
        )
    frame = pd.DataFrame(dict(columns), index=pd.RangeIndex(len(index)), copy=False)
    n_dropped = len(index) - int(kept.sum())
    if n_dropped:
        frame, index = frame[kept].reset_index(drop=True), index[kept]
    return Table(frame, index, n_dropped)


def plain_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns as bool, int64, float64 or categorical without unused levels; columns of other types stay as they are.

    Text becomes categorical (sorted, as patsy sorts it) because patsy reads text 20 times slower; small and unsigned integers
    are widened because expressions such as ``n - s`` or ``x**2`` would overflow in them.
    """
    return pd.DataFrame({name: _plain_column(frame[name]) for name in frame.columns}, index=frame.index, copy=False)


def levels_of(frame: pd.DataFrame) -> dict[str, pd.Index]:
    """Levels of the columns that have some."""
    return {name: dtype.categories for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)}


def with_categories(column: Any, categories: Any) -> pd.Categorical:
    """A column as categories in this order, which holds all its values."""
    if isinstance(getattr(column, "dtype", None), pd.CategoricalDtype):
        return pd.Series(column).cat.set_categories(categories).array
    return pd.Categorical(column, categories=categories)


def show_label(label: Any) -> str:
    """A row or cluster label as it is written in Python, in one short line."""
    return shown(label.item() if isinstance(label, np.generic) else label)


def check_finite(values: np.ndarray, names: tuple[str, ...], labels: pd.Index, what: str) -> None:
    """Refuse infinite values and NaN.

    Parameters
    ----------
    values : (n, k) columns called ``names``, rows called ``labels``; ``what`` they are, such as ``"the fixed effects"``.

    Raises
    ------
    DesignError
        Naming the first column and row.
    """
    finite = np.isfinite(values)
    if finite.all():
        return
    column = int(np.flatnonzero(~finite.all(axis=0))[0])
    rows = np.flatnonzero(~finite[:, column])
    others = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
    raise DesignError(
        f"{what}: {names[column]!r} is {values[rows[0], column]} in row {show_label(labels[rows[0]])}{others}; every value must be "
        "finite. Correct or drop these rows, or choose a transformation that is defined there."
    )


def _plain_column(column: pd.Series) -> pd.Series:
    if column.dtype == object:
        column = column.infer_objects()
    kind = dtypes.infer_dtype(column, skipna=False) if column.dtype == object else ""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    if dtypes.is_bool_dtype(column.dtype):
        return column.astype(bool)
    if dtypes.is_integer_dtype(column.dtype):
        return column.astype(np.int64 if str(column.dtype).lower() != "uint64" else np.float64)
    if dtypes.is_numeric_dtype(column.dtype) and not dtypes.is_complex_dtype(column.dtype):
        return column.astype(np.float64)
    if column.dtype == object and len(column) and all(isinstance(value, numbers.Real | decimal.Decimal) for value in column):
        return _of_exact_numbers(column)
    if kind == "string" or (column.dtype != object and dtypes.is_string_dtype(column.dtype)):
        return pd.Series(pd.Categorical(column.astype(object)), index=column.index)
    return column


def _of_exact_numbers(column: pd.Series) -> pd.Series:
    """Fractions, decimals and whole numbers of any size as float64."""
    try:
        return pd.Series([float(value) for value in column], index=column.index)
    except OverflowError:
        raise DesignError(
            f"{column.name!r} has a number that is too large for a float of 64 bits; take its logarithm, or scale it."
        ) from None


def _unknown_function(name: str, formula: str) -> str:
    known = _OTHER_WAYS.get(name) or (f"write np.{name}(...)" if hasattr(np, name) else None)
    advice = known or "use one of factor, log, exp, sqrt, poly, ns, scale, of numpy (np.), of patsy (C, bs, center, ...), or your own"
    return f"{formula} calls {name}(...), and no such function is known: {advice}."


def _is_no_variable(name: Name, value: Any) -> bool:
    """A function or module where a variable is meant: the formula ``y ~ time`` where the caller has ``import time``."""
    return name.is_bare and (callable(value) or isinstance(value, types.ModuleType))


def _is_column(value: Any, length: int) -> bool:
    return isinstance(value, np.ndarray | pd.Series | list) and np.ndim(value) == 1 and len(value) == length
