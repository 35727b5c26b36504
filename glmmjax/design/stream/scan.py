"""The first reading of a stream finds levels, clusters and missing values, which a part of the rows does not show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.columns.groups import number_clusters, weights_column
from glmmjax.design.columns.table import column_of, describe_unknown, find_columns, plain_types, show_label, with_categories
from glmmjax.design.formula.matrices import needs_all_rows
from glmmjax.design.formula.split import FormulaParts
from glmmjax.design.formula.tokens import names_in
from glmmjax.design.stream.source import Stream, columns_of, read_frames
from glmmjax.errors import ArgumentError, DesignError, FormulaError

__all__ = ["OTHER_ROWS", "Scan", "Used", "complete_frames", "find_used", "scan_rows", "with_levels"]

OTHER_ROWS = (
    "the source of the stream gave other rows when it was read again; a function must return a fresh iterator over the same rows at "
    "every call."
)


class Used(NamedTuple):
    """Columns of a stream that a model uses.

    Attributes
    ----------
    variables : names in the formulas
    group : the cluster variable, None without random effects
    weights : column of the cluster weights, None without
    offset : column that the argument ``offset`` names, None without
    """

    variables: tuple[str, ...]
    group: str | None
    weights: str | None
    offset: str | None

    @property
    def columns(self) -> list[str]:
        """All of these columns, each once."""
        return list(dict.fromkeys([*self.variables, *(name for name in self[1:] if name is not None)]))


class Scan(NamedTuple):
    """The result of the first reading.

    Attributes
    ----------
    levels : of each variable that has levels, in the order that a frame of all rows would give
    labels : (m,) clusters in order of first appearance
    sizes : (m,) int32, rows of each cluster
    n_rows : rows without a missing value
    n_dropped : rows dropped for missing values
    """

    levels: dict[str, pd.Index]
    labels: pd.Index
    sizes: np.ndarray
    n_rows: int
    n_dropped: int


class _Levels(NamedTuple):
    """Levels of a column in the rows so far."""

    are_sorted: bool  # of text; else a categorical type has an order
    order: list[Any]
    used: set[Any]


def find_used(source: Stream, formula: FormulaParts, namespace: Mapping[str, Any], weights: Any, offset: Any) -> Used:
    """``Used`` of a model, its names checked against the columns.

    Raises
    ------
    FormulaError
        For a name that is no column, a variable outside the stream, and a function that needs all rows in memory.
    DesignError, ArgumentError
        For weights and an offset that are no columns.
    """
    empty = columns_of(source)
    for argument, value in (("weights", weights), ("offset", offset)):
        if value is not None and not isinstance(value, str):
            raise ArgumentError(f"{argument} must be the name of a column when data are a stream, not a {type(value).__name__}.")
    for name in (name for expression in formula.expressions for name in names_in(expression)):
        if name.is_called and needs_all_rows(name.text, namespace):
            raise FormulaError(
                f"{formula.text}: {name.text}(...) takes its knots from all rows at once, which a stream does not hold: compute the "
                "columns of the spline beforehand, or use powers such as x + I(x**2)."
            )
        if name.is_bare and name.text not in empty.columns and np.ndim(namespace.get(name.text, 0)):
            raise FormulaError(f"{formula.text}: {name.text!r} is no column of the stream but a variable; make it a column.")
    variables = tuple(find_columns(formula.expressions, empty, namespace, formula.text))
    if formula.group is not None:
        if formula.group not in empty.columns:
            raise FormulaError(describe_unknown(formula.group, empty, f"{formula.text} as cluster variable"))
        column_of(empty, formula.group)
    weights_column(weights, empty)
    if offset is not None and offset not in empty.columns:
        raise DesignError(describe_unknown(offset, empty, f"offset={offset!r}"))
    return Used(variables, formula.group, weights, offset)


def complete_frames(source: Stream, used: Used) -> Iterator[pd.DataFrame]:
    """The rows without a missing value. Frames in which no row is left are left out."""
    n_rows = 0
    for frame in read_frames(source, used.columns):
        kept = _without_missing(frame)
        n_rows += len(kept)
        if len(kept):
            yield kept
    if not n_rows:
        raise DesignError(OTHER_ROWS)


def _without_missing(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows without a missing value."""
    missing = frame.isna().to_numpy().any(axis=1)
    return frame[~missing] if missing.any() else frame


def scan_rows(source: Stream, used: Used) -> Scan:
    """Read all rows once.

    Raises
    ------
    DesignError
        When no row is left, the rows of a cluster do not follow one another, or a column is text in some frames only.
    """
    levels: dict[str, _Levels | None] = {}
    labels: list[pd.Index] = []
    sizes: list[np.ndarray] = []
    n_read = n_rows = 0
    for frame in read_frames(source, used.columns):
        kept = _without_missing(frame)
        n_read, n_rows = n_read + len(frame), n_rows + len(kept)
        if not len(kept):
            continue
        for name in used.variables:
            seen = _levels_seen(kept[name], levels.get(name))
            if name in levels and (seen is None) != (levels[name] is None):
                raise DesignError(f"the column {name!r} of the stream holds text or categories in some frames and numbers in others.")
            levels[name] = seen
        if used.group is not None:
            _add_clusters(labels, sizes, kept[used.group], used.group)
    if not n_rows:
        reason = (
            f"each of the {n_read} rows has a missing value in one of {', '.join(map(repr, used.columns))}" if n_read else "not one row"
        )
        raise DesignError(f"no rows to fit: the stream has columns, and {reason}.")
    found, counts = _clusters(labels, sizes, used.group, n_rows)
    return Scan({name: _in_order(seen) for name, seen in levels.items() if seen is not None}, found, counts, n_rows, n_read - n_rows)


def with_levels(frame: pd.DataFrame, used: Used, levels: Mapping[str, pd.Index]) -> pd.DataFrame:
    """The variables of some rows in plain types, with the levels of all rows."""
    plain = plain_types(frame[[name for name in used.variables if name not in levels]].reset_index(drop=True))
    columns = {name: with_categories(frame[name], levels[name]) if name in levels else plain[name] for name in used.variables}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def _levels_seen(column: pd.Series, before: _Levels | None) -> _Levels | None:
    """The levels of a column together with those of ``before``; None for a column of numbers."""
    plain = plain_types(column.to_frame()).iloc[:, 0]
    if not isinstance(plain.dtype, pd.CategoricalDtype):
        return None
    is_text = not isinstance(column.dtype, pd.CategoricalDtype)
    order, used = (before.order, before.used) if before is not None else ([], set())
    known = set(order)
    order = [*order, *(level for level in (plain if is_text else column).cat.categories.tolist() if level not in known)]
    return _Levels(is_text if before is None else is_text and before.are_sorted, order, used | set(plain.cat.categories.tolist()))


def _in_order(seen: _Levels) -> pd.Index:
    used = [level for level in seen.order if level in seen.used]
    return pd.Categorical(used).categories if seen.are_sorted else pd.Index(used, tupleize_cols=False)


def _add_clusters(labels: list[pd.Index], sizes: list[np.ndarray], column: pd.Series, name: str) -> None:
    """Append the clusters of a frame, the first of which may go on from the frame before."""
    groups = number_clusters(column, name)
    back = np.flatnonzero(np.diff(groups.codes) < 0)
    if len(back):
        _refuse_scattered(groups.labels[groups.codes[back[0] + 1]], name)
    counts = np.bincount(groups.codes, minlength=len(groups.labels)).astype(np.int32)
    if labels and labels[-1][-1] == groups.labels[0]:
        sizes[-1][-1] += counts[0]
        labels.append(groups.labels[1:])
        sizes.append(counts[1:])
    else:
        labels.append(groups.labels)
        sizes.append(counts)
    if not len(labels[-1]):
        labels.pop()
        sizes.pop()


def _clusters(labels: list[pd.Index], sizes: list[np.ndarray], name: str | None, n_rows: int) -> tuple[pd.Index, np.ndarray]:
    """Labels and sizes of all clusters; without random effects every row is one."""
    if name is None:
        return pd.RangeIndex(n_rows), np.ones(n_rows, np.int32)
    found = labels[0].append(labels[1:])
    if not found.is_monotonic_increasing and not found.is_unique:  # the first needs no table of all labels
        _refuse_scattered(found[found.duplicated()][0], name)
    return found, np.concatenate(sizes)


def _refuse_scattered(label: Any, name: str) -> None:
    raise DesignError(
        f"the rows of cluster {show_label(label)} do not follow one another: a stream must be sorted by {name!r}, "
        "or at least hold each cluster in one piece."
    )
