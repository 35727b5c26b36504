"""Offsets and weights of which each of many fits has its own: a table with a column for each fit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.columns.groups import Groups, as_numbers, check_any_weight, check_weights
from glmmjax.design.outcomes import aligned_table
from glmmjax.errors import ArgumentError, DesignError
from glmmjax.values import shape_of, shown

__all__ = ["OwnNumbers", "has_own", "own_offsets", "own_weights", "problems_of_offsets", "problems_of_weights"]


class OwnNumbers(NamedTuple):
    """One argument with a column for each fit.

    Attributes
    ----------
    argument : its name
    values : (R, K) numbers
    labels : names of the columns of a DataFrame, by which fits are found; None for a matrix, whose columns are in the order of the fits
    """

    argument: str
    values: np.ndarray
    labels: pd.Index | None

    def of(self, first: int, labels: list[Any]) -> np.ndarray:
        """(r, K) numbers of consecutive fits, of which the first has this number.

        Raises
        ------
        ArgumentError
            Where there is no column for one of them.
        """
        end = first + len(labels)
        if self.labels is not None and not (end <= len(self.labels) and list(self.labels[first:end]) == labels):
            return self.values[self._by_name(labels)]
        if end > len(self.values):
            raise ArgumentError(f"{self.argument} has {len(self.values)} columns, and outcomes have more; give one for each fit.")
        return self.values[first:end]

    def _by_name(self, labels: list[Any]) -> np.ndarray:
        known: Any = self.labels
        if known.has_duplicates:
            raise ArgumentError(
                f"{self.argument} has several columns of one name, and not those of outcomes; pass {self.argument}.to_numpy() to match its "
                "columns by position."
            )
        found = known.get_indexer(pd.Index(labels, tupleize_cols=False))
        if (found < 0).any():
            raise ArgumentError(
                f"{self.argument} has no column for the outcome {labels[int(np.argmin(found))]!r}; give a column for each fit, by its "
                f"name, or pass {self.argument}.to_numpy() to match its columns by position."
            )
        return found


def has_own(values: Any) -> bool:
    """Whether an offset or weights have a column for each fit."""
    shape = shape_of(values)
    return not isinstance(shape, str) and len(shape) == 2


def own_offsets(offset: Any, data: pd.DataFrame, n: int | None) -> OwnNumbers:
    """The argument ``offset`` for the rows of ``data`` and ``n`` fits, None where their number is not known.

    Raises
    ------
    ArgumentError, DesignError
        For another size, another index, and values that are no numbers.
    """
    table = aligned_table(offset, data, "offset") if isinstance(offset, pd.DataFrame) else offset
    return _own("offset", table, len(data), f"{len(data)} rows of data", n)


def own_weights(weights: Any, groups: pd.Index, n: int | None) -> OwnNumbers:
    """The argument ``weights`` for the clusters ``groups`` and ``n`` fits: a DataFrame by cluster label, a matrix in their order.

    Raises
    ------
    ArgumentError, DesignError
        For another size, a missing label, and values that are no numbers.
    """
    table = weights
    if isinstance(weights, pd.DataFrame):
        found = weights.index.get_indexer(groups) if weights.index.is_unique else np.full(1, -1)
        if (found < 0).any():
            raise DesignError(
                f"weights={shown(weights)} must have one row for each cluster, with its label in the index; "
                f"{groups[int(np.argmin(found))]!r} has none, or several."
            )
        table = weights.iloc[found]
    return _own("weights", table, len(groups), f"{len(groups)} clusters of the rows used", n)


def _own(argument: str, table: Any, size: int, what: str, n: int | None) -> OwnNumbers:
    labels = table.columns if isinstance(table, pd.DataFrame) else None
    shape = shape_of(table)
    if shape[0] != size or (n is not None and shape[1] != n):
        fits = "" if n is None else f"{n} "
        raise ArgumentError(
            f"{argument} has shape {shape}, and must have a row for each of the {what}, and a column for each of the {fits}fits."
        )
    values = as_numbers(table.toarray() if hasattr(table, "toarray") else table, argument)
    return OwnNumbers(argument, np.ascontiguousarray(values.T), labels)


def problems_of_offsets(offset: np.ndarray, labels: list[Any], rows: Any) -> dict[int, str]:
    """What is wrong with offsets (r, n), by position; a missing one takes its row out. ``rows`` (n,) are the labels of the rows."""
    infinite = np.isinf(offset)
    found = {}
    for k in np.flatnonzero(infinite.any(axis=1)).tolist():
        row = int(np.argmax(infinite[k]))
        found[k] = f"offset is {offset[k, row]} for the outcome {labels[k]!r} in row {rows[row]}; every value must be finite."
    return found


def problems_of_weights(weights: np.ndarray, groups: pd.Index) -> dict[int, str]:
    """What is wrong with weights (r, m), by position."""
    is_right = (np.isfinite(weights) & (weights >= 0)).all(axis=1) & (weights > 0).any(axis=1)
    found = {}
    for k in np.flatnonzero(~is_right).tolist():
        try:
            check_weights(weights[k], Groups(np.arange(len(groups)), groups))
            check_any_weight(bool(weights[k].any()))
        except DesignError as error:
            found[k] = str(error)
    return found
