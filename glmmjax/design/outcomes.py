"""Many outcomes of one design, read from any container, some at a time. An outcome may have several columns, as ``cbind`` makes them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types as dtypes

from glmmjax.design.columns.table import as_frame
from glmmjax.design.frames import as_pandas
from glmmjax.errors import ArgumentError
from glmmjax.values import shown

__all__ = [
    "NO_OUTCOMES",
    "OutcomeBlock",
    "OutcomeParts",
    "OutcomeTable",
    "Outcomes",
    "aligned_table",
    "filled",
    "names_of_fits",
    "read_outcomes",
]

_ALLOWED = (
    "a DataFrame or a matrix (NumPy, or SciPy's sparse ones) with a row for each row of data and a column for each fit, "
    "a tuple of such tables for an outcome in several columns, such as (successes, failures), or an iterator or list of such parts, some "
    "fits each"
)


class OutcomeBlock(NamedTuple):
    """Some outcomes.

    Attributes
    ----------
    labels : (r,) names of the fits
    values : (C, r, N) numbers of the C columns of each outcome, NaN where missing
    columns : by position, the C columns of outcomes that are no numbers; their ``values`` are NaN
    """

    labels: list[Any]
    values: np.ndarray
    columns: dict[int, tuple[Any, ...]]

    def one(self, k: int) -> OutcomeBlock:
        """The outcome at a position."""
        return OutcomeBlock(self.labels[k : k + 1], self.values[:, k : k + 1], {0: self.columns[k]} if k in self.columns else {})

    def outcome(self, k: int) -> tuple[Any, ...]:
        """The outcome at a position as the columns of a table."""
        return self.columns.get(k, tuple(self.values[:, k]))

    def chosen(self, rows: np.ndarray) -> OutcomeBlock:
        """The outcomes in some rows of the data."""
        columns = {k: tuple(column[rows] for column in outcome) for k, outcome in self.columns.items()}
        return OutcomeBlock(self.labels, self.values[:, :, rows], columns)


class OutcomeTable(NamedTuple):
    """Outcomes in memory.

    Attributes
    ----------
    tables : (C,) DataFrames, arrays, or sparse matrices by columns, one for each column of an outcome: a column for each fit
    """

    tables: tuple[Any, ...]

    @property
    def n(self) -> int | None:
        """Number of outcomes."""
        return self.tables[0].shape[1]

    @property
    def n_columns(self) -> int | None:
        """Columns of an outcome."""
        return len(self.tables)

    def blocks(self, size: int) -> Iterator[OutcomeBlock]:
        """The outcomes, ``size`` at a time."""
        return _of_tables(self.tables, 0, size)

    def one(self, k: int) -> OutcomeBlock:
        """The outcome with a number."""
        return _block(self.tables, slice(k, k + 1), 0)


class OutcomeParts(NamedTuple):
    """Outcomes that come in parts and are not kept.

    Attributes
    ----------
    parts : iterator of tables, or of tuples of them
    data : rows of the model
    n_columns : columns of an outcome, None where there is none
    """

    parts: Iterator[Any]
    data: pd.DataFrame
    n_columns: int | None

    @property
    def n(self) -> int | None:
        """Number of outcomes, which is not known."""
        return None

    def blocks(self, size: int) -> Iterator[OutcomeBlock]:
        """The outcomes, at most ``size`` at a time."""
        first = 0
        for part in self.parts:
            tables = _tables(part, self.data)
            if len(tables) != self.n_columns:
                raise ArgumentError(
                    f"outcomes has a part in {len(tables)} column(s) after one in {self.n_columns}; all of them must be alike."
                )
            yield from _of_tables(tables, first, size)
            first += tables[0].shape[1]


Outcomes = OutcomeTable | OutcomeParts
NO_OUTCOMES = OutcomeTable((np.zeros((0, 0)),))


def read_outcomes(outcomes: Any, data: pd.DataFrame) -> Outcomes:
    """The argument ``outcomes`` for the rows of ``data``.

    Raises
    ------
    ArgumentError
        For something that holds no columns of numbers, another number of rows, another index, and no outcomes at all.
    """
    if _is_parts(outcomes):
        parts = iter(outcomes)
        first = list(itertools.islice(parts, 1))
        return OutcomeParts(itertools.chain(first, parts), data, len(_tables(first[0], data)) if first else None)
    tables = _tables(outcomes, data)
    if not tables[0].shape[1]:
        raise ArgumentError(f"outcomes={shown(outcomes)} has no column; give {_ALLOWED}.")
    return OutcomeTable(tables)


def filled(outcome: tuple[Any, ...]) -> tuple[Any, ...]:
    """The columns of an outcome without missing values: those of the first row known in their place."""
    columns = [pd.Series(column).reset_index(drop=True) for column in outcome]
    known = np.logical_and.reduce([column.notna().to_numpy() for column in columns])
    return tuple(column.where(known, column[known].iloc[0]).array if known.any() else column.array for column in columns)


def names_of_fits(labels: list[Any]) -> pd.Index:
    """(R,) names of the fits."""
    return pd.Index(labels, name="fit", tupleize_cols=False)


def aligned_table(table: pd.DataFrame, data: pd.DataFrame, argument: str = "outcomes") -> pd.DataFrame:
    """The rows of a table in the order of data, by their labels.

    Raises
    ------
    ArgumentError
        For another index.
    """
    if table.index.equals(data.index) or len(table) != len(data):
        return table
    if table.index.is_unique and data.index.isin(table.index).all() and data.index.is_unique:
        return table.loc[data.index]
    raise ArgumentError(f"{argument} have another index than data; pass {argument}.to_numpy() to match rows by position.")


def _is_parts(outcomes: Any) -> bool:
    if hasattr(outcomes, "__next__"):
        return True
    return isinstance(outcomes, list) and len(outcomes) > 0 and all(_is_table(part) or _is_columns(part) for part in outcomes)


def _is_table(part: Any) -> bool:
    return getattr(part, "ndim", 0) == 2


def _is_columns(outcomes: Any) -> bool:
    """Whether this is a tuple of tables, one for each column of an outcome."""
    return isinstance(outcomes, tuple) and len(outcomes) > 0 and all(map(_is_table, outcomes))


def _tables(outcomes: Any, data: pd.DataFrame) -> tuple[Any, ...]:
    """One table for each column of an outcome."""
    tables = tuple(_table(one, data) for one in (outcomes if _is_columns(outcomes) else (outcomes,)))
    first = tables[0]
    for table in tables[1:]:
        if table.shape != first.shape:
            raise ArgumentError(
                f"outcomes has tables of {first.shape[1]} and of {table.shape[1]} columns; all tables of a tuple must have one size, "
                "because the columns of an outcome stand at the same place of each."
            )
        if isinstance(table, pd.DataFrame) and isinstance(first, pd.DataFrame) and not table.columns.equals(first.columns):
            raise ArgumentError(
                "outcomes has tables whose columns have other names, or another order; give the columns of all the same names."
            )
    return tables


def _table(outcomes: Any, data: pd.DataFrame) -> Any:
    """A DataFrame, an array or a sparse matrix by columns, with a row for each row of data."""
    outcomes = as_pandas(outcomes, "outcomes")
    if hasattr(outcomes, "tocsc"):
        table = outcomes.tocsc()
    elif isinstance(outcomes, pd.DataFrame):
        table = aligned_table(outcomes, data)
    elif isinstance(outcomes, dict | pd.Series):
        table = as_frame(outcomes, "outcomes")
        table = aligned_table(table, data) if isinstance(outcomes, pd.Series) else table
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


def _of_tables(tables: tuple[Any, ...], first: int, size: int) -> Iterator[OutcomeBlock]:
    for start in range(0, tables[0].shape[1], size):
        yield _block(tables, slice(start, min(start + size, tables[0].shape[1])), first)


def _block(tables: tuple[Any, ...], chosen: slice, first: int) -> OutcomeBlock:
    """Some columns of the tables, of which the first is number ``first``."""
    parts = [_part(table, chosen, first) for table in tables]
    values = np.stack([values for _, values, _ in parts])
    odd = sorted(set().union(*(columns for _, _, columns in parts)))
    columns = {k: tuple(own.get(k, numbers[k]) for _, numbers, own in parts) for k in odd}
    values[:, odd] = np.nan
    return OutcomeBlock(parts[0][0], values, columns)


def _part(table: Any, chosen: slice, first: int) -> tuple[list[Any], np.ndarray, dict[int, Any]]:
    """Labels, (r, N) numbers, and by position the columns of one table that are no numbers."""
    if isinstance(table, pd.DataFrame):
        part = table.iloc[:, chosen]
        is_number = np.array([dtypes.is_numeric_dtype(dtype) and not dtypes.is_bool_dtype(dtype) for dtype in part.dtypes], bool)
        values = np.full((part.shape[1], len(part)), np.nan)
        values[is_number] = part.loc[:, is_number].to_numpy(float, na_value=np.nan).T
        return list(part.columns), values, {k: part.iloc[:, k].array for k in np.flatnonzero(~is_number).tolist()}
    dense = table[:, chosen].toarray() if hasattr(table, "toarray") else table[:, chosen]
    labels = list(range(first + chosen.start, first + chosen.stop))
    if dense.dtype.kind == "b":
        return labels, np.full(dense.T.shape, np.nan), dict(enumerate(dense.T))
    return labels, np.array(dense.T, float), {}
