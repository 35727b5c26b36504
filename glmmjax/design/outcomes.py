"""Many outcomes of one design: read from any container, some at a time, and checked one by one.

What is wrong with one outcome is a text of its own and stops no other; what is wrong with all of them is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types as dtypes

from glmmjax.design.columns.outcome import check_support, check_varies, read_outcome
from glmmjax.design.columns.table import as_frame
from glmmjax.design.formula.split import FormulaParts
from glmmjax.errors import ArgumentError, GlmmError, OutcomeError
from glmmjax.families import Family
from glmmjax.values import shown

__all__ = [
    "NO_OUTCOMES",
    "Checked",
    "OutcomeBlock",
    "OutcomeParts",
    "OutcomeTable",
    "Outcomes",
    "checked_outcomes",
    "filled",
    "names_of_fits",
    "read_outcomes",
]

_ALLOWED = (
    "a DataFrame or a matrix (NumPy, or SciPy's sparse ones) with a row for each row of data and a column for each fit, "
    "or an iterator that gives such parts, some columns each"
)


class OutcomeBlock(NamedTuple):
    """Some outcomes.

    Attributes
    ----------
    labels : (r,) names of the fits
    values : (r, N) numbers, NaN where missing
    columns : outcomes that are no numbers, by position; their ``values`` are NaN
    """

    labels: list[Any]
    values: np.ndarray
    columns: dict[int, Any]

    def one(self, k: int) -> OutcomeBlock:
        """The outcome at a position."""
        return OutcomeBlock(self.labels[k : k + 1], self.values[k : k + 1], {0: self.columns[k]} if k in self.columns else {})

    def column(self, k: int) -> Any:
        """The outcome at a position as a column of a table."""
        return self.columns.get(k, self.values[k])

    def chosen(self, rows: np.ndarray) -> OutcomeBlock:
        """The outcomes in some rows of the data."""
        return OutcomeBlock(self.labels, self.values[:, rows], {k: column[rows] for k, column in self.columns.items()})


class Checked(NamedTuple):
    """Outcomes that have been read.

    Attributes
    ----------
    values : (r, n) numbers that the family works with, NaN where missing
    problems : what is wrong with an outcome, by position
    """

    values: np.ndarray
    problems: dict[int, str]


class OutcomeTable(NamedTuple):
    """Outcomes in memory.

    Attributes
    ----------
    table : DataFrame, array, or sparse matrix by columns: a column for each outcome
    """

    table: Any

    @property
    def n(self) -> int | None:
        """Number of outcomes."""
        return self.table.shape[1]

    def blocks(self, size: int) -> Iterator[OutcomeBlock]:
        """The outcomes, ``size`` at a time."""
        return _of_table(self.table, 0, size)

    def one(self, k: int) -> OutcomeBlock:
        """The outcome with a number."""
        return _block(self.table, slice(k, k + 1), 0)


class OutcomeParts(NamedTuple):
    """Outcomes that come in parts and are not kept.

    Attributes
    ----------
    parts : iterator of tables
    data : rows of the model
    """

    parts: Iterator[Any]
    data: pd.DataFrame

    @property
    def n(self) -> int | None:
        """Number of outcomes, which is not known."""
        return None

    def blocks(self, size: int) -> Iterator[OutcomeBlock]:
        """The outcomes, at most ``size`` at a time."""
        first = 0
        for part in self.parts:
            table = _table(part, self.data)
            yield from _of_table(table, first, size)
            first += table.shape[1]


Outcomes = OutcomeTable | OutcomeParts
NO_OUTCOMES = OutcomeTable(np.zeros((0, 0)))


def read_outcomes(outcomes: Any, data: pd.DataFrame) -> Outcomes:
    """The argument ``outcomes`` for the rows of ``data``.

    Raises
    ------
    ArgumentError
        For something that holds no columns of numbers, another number of rows, another index, and no outcomes at all.
    """
    if _is_parts(outcomes):
        return OutcomeParts(iter(outcomes), data)
    table = _table(outcomes, data)
    if not table.shape[1]:
        raise ArgumentError(f"outcomes={shown(outcomes)} has no column; give {_ALLOWED}.")
    return OutcomeTable(table)


def filled(column: Any) -> Any:
    """An outcome without missing values: the first one known in their place."""
    values = pd.Series(column).reset_index(drop=True)
    known = values.notna()
    return values.where(known, values[known].iloc[0]).array if known.any() else values.array


def names_of_fits(labels: list[Any]) -> pd.Index:
    """(R,) names of the fits."""
    return pd.Index(labels, name="fit", tupleize_cols=False)


def checked_outcomes(block: OutcomeBlock, formula: FormulaParts, family: Family, levels: tuple[Any, ...] = ()) -> Checked:
    """The outcomes as the numbers that the family works with.

    Parameters
    ----------
    levels : those of an ordinal outcome, which all outcomes must have.
    """
    values, problems = np.array(block.values, float), {}
    columns = block.columns if not family.is_ordinal else dict(enumerate(block.values)) | block.columns
    for k, column in columns.items():
        try:
            values[k] = _as_numbers(column, _named(formula, block.labels[k]), family, levels)
        except GlmmError as error:
            values[k], problems[k] = np.nan, str(error)
    missing = np.isnan(values)
    for k in np.flatnonzero(missing.all(axis=1)).tolist():
        problems.setdefault(k, f"the outcome {block.labels[k]!r} is missing in every row that the model uses.")
    known = values[np.arange(len(values)), np.argmin(missing, axis=1)]  # a value of each outcome, where it has one
    filled = np.where(missing, known[:, None], values)
    wrong = ~(np.isfinite(filled) & np.asarray(family.in_support(filled))).all(axis=1)
    is_constant = family.is_binary & (filled.min(axis=1, initial=np.inf) == filled.max(axis=1, initial=-np.inf))
    for k in np.flatnonzero((wrong | is_constant) & ~missing.all(axis=1)).tolist():
        problems.setdefault(k, _problem(values[k][~missing[k]], np.flatnonzero(~missing[k]), _named(formula, block.labels[k]), family))
    return Checked(values, problems)


def _problem(values: np.ndarray, rows: np.ndarray, formula: FormulaParts, family: Family) -> str:
    """What ``mixed_model`` would say of an outcome."""
    labels = pd.Index(rows)
    try:
        if not np.isfinite(values).all():
            k = int(np.flatnonzero(~np.isfinite(values))[0])
            return f"the outcome {formula.outcome!r} is {values[k]} in row {labels[k]}; every value must be finite."
        outcome = read_outcome((values,), formula, family, labels)
        check_support(outcome.columns, formula.outcome, family, labels)
        check_varies(outcome, values.min(), values.max(), formula, family)
    except GlmmError as error:
        return str(error)
    return f"the outcome {formula.outcome!r} is outside the support of the {family.name} family: {family.support}."


def _as_numbers(column: Any, formula: FormulaParts, family: Family, levels: tuple[Any, ...]) -> np.ndarray:
    """(n,) an outcome that is no column of numbers, such as one of two levels."""
    known = ~np.asarray(pd.isna(column))
    found = np.full(len(known), np.nan)
    if known.any():
        kept = pd.Series(column)[known].reset_index(drop=True).array
        outcome = read_outcome((kept,), formula, family, pd.RangeIndex(int(known.sum())))
        if levels and outcome.levels != levels:
            raise OutcomeError(f"{family.name}: the outcome {formula.outcome!r} has other levels than those before it; fit it by itself.")
        found[known] = outcome.columns[0]
    return found


def _named(formula: FormulaParts, label: Any) -> FormulaParts:
    """The formula with an outcome by its own name, for messages."""
    return FormulaParts(**{**vars(formula), "outcome": str(label), "outcome_columns": (str(label),)})


def _is_parts(outcomes: Any) -> bool:
    if hasattr(outcomes, "__next__"):
        return True
    return isinstance(outcomes, list | tuple) and len(outcomes) > 0 and all(getattr(part, "ndim", 0) == 2 for part in outcomes)


def _table(outcomes: Any, data: pd.DataFrame) -> Any:
    """A DataFrame, an array or a sparse matrix by columns, with a row for each row of data."""
    if hasattr(outcomes, "tocsc"):
        table = outcomes.tocsc()
    elif isinstance(outcomes, pd.DataFrame):
        table = _aligned(outcomes, data)
    elif isinstance(outcomes, dict | pd.Series):
        table = _aligned(as_frame(outcomes, "outcomes"), data) if isinstance(outcomes, pd.Series) else as_frame(outcomes, "outcomes")
    else:
        table = _matrix(outcomes)
    if table.shape[0] != len(data):
        raise ArgumentError(
            f"outcomes={shown(outcomes)} has {table.shape[0]} rows, and data have {len(data)}; outcomes are {_ALLOWED}. "
            "Where fits are its rows, pass outcomes.T."
        )
    return table


def _matrix(outcomes: Any) -> np.ndarray:
    try:
        table = np.asarray(outcomes)
    except ValueError:  # rows of different lengths
        table = np.zeros(0, object)
    if table.ndim != 2 or table.dtype.kind not in "biuf":
        raise ArgumentError(f"outcomes={shown(outcomes)} must be {_ALLOWED}.")
    return table


def _aligned(outcomes: pd.DataFrame, data: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of data, by their labels."""
    if outcomes.index.equals(data.index) or len(outcomes) != len(data):
        return outcomes
    if outcomes.index.is_unique and data.index.isin(outcomes.index).all() and data.index.is_unique:
        return outcomes.loc[data.index]
    raise ArgumentError("outcomes have another index than data; pass outcomes.to_numpy() to match rows by position.")


def _of_table(table: Any, first: int, size: int) -> Iterator[OutcomeBlock]:
    for start in range(0, table.shape[1], size):
        yield _block(table, slice(start, min(start + size, table.shape[1])), first)


def _block(table: Any, chosen: slice, first: int) -> OutcomeBlock:
    """Some columns of a table, of which the first is number ``first``."""
    if isinstance(table, pd.DataFrame):
        part = table.iloc[:, chosen]
        is_number = np.array([dtypes.is_numeric_dtype(dtype) and not dtypes.is_bool_dtype(dtype) for dtype in part.dtypes], bool)
        values = np.full((part.shape[1], len(part)), np.nan)
        values[is_number] = part.loc[:, is_number].to_numpy(float, na_value=np.nan).T
        return OutcomeBlock(list(part.columns), values, {k: part.iloc[:, k].array for k in np.flatnonzero(~is_number).tolist()})
    dense = table[:, chosen].toarray() if hasattr(table, "toarray") else table[:, chosen]
    labels = list(range(first + chosen.start, first + chosen.stop))
    if dense.dtype.kind == "b":
        return OutcomeBlock(labels, np.full(dense.T.shape, np.nan), dict(enumerate(dense.T)))
    return OutcomeBlock(labels, np.array(dense.T, float), {})
