"""The outcome as the numbers that a family works with; its levels and values are checked against the family."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.columns.table import check_finite, show_label, with_categories
from glmmjax.design.formula.matrices import column_vector
from glmmjax.design.formula.split import FormulaParts
from glmmjax.errors import FormulaError, OutcomeError
from glmmjax.families import Family

_MOST_LEVELS = 30  # of an ordinal outcome, because each level has a threshold

__all__ = [
    "Outcome",
    "check_outcome_columns",
    "check_support",
    "check_varies",
    "fixed_levels",
    "levels_used",
    "read_outcome",
    "read_part_of_outcome",
]


class Outcome(NamedTuple):
    """Outcome values in the order of the rows.

    Attributes
    ----------
    columns : one or more arrays (n,) float64
    success_level : level counted as 1, None for a numeric outcome
    levels : levels of an ordinal outcome, in order
    """

    columns: tuple[np.ndarray, ...]
    success_level: Any
    levels: tuple[Any, ...] = ()


def check_outcome_columns(parts: FormulaParts, family: Family) -> None:
    """Refuse a number of outcome columns that the family does not take.

    Raises
    ------
    OutcomeError
    """
    given, allowed = len(parts.outcome_columns), family.outcome_columns
    if given not in allowed:
        forms = {1: "one column", 2: "two columns, cbind(a, b)", 3: "three columns, cbind(a, b, c)"}
        form = " or ".join(forms[n] for n in allowed)
        raise OutcomeError(f"{family.name}: the outcome {parts.outcome!r} has {given} column(s) and must be {form}: {family.support}.")


def read_outcome(values: tuple[Any, ...], parts: FormulaParts, family: Family, labels: pd.Index) -> Outcome:
    """Numbers from the evaluated outcome expressions.

    Parameters
    ----------
    values : the value of each expression of ``parts.outcome_columns``.
    labels : (n,) row labels, for messages.

    Raises
    ------
    OutcomeError
        For values that the family cannot have produced, levels where it takes numbers, and a binary outcome that never varies.
    FormulaError
        For an expression that gives no column.
    """
    if family.is_ordinal:
        return _read_ordinal(values[0], parts, family)
    outcome = read_part_of_outcome(values, parts, family, labels, levels_used(values))
    if outcome.success_level is None:
        check_varies(outcome, outcome.columns[0].min(), outcome.columns[0].max(), parts, family)
    return outcome


def read_part_of_outcome(
    values: tuple[Any, ...], parts: FormulaParts, family: Family, labels: pd.Index, levels: list[Any] | None
) -> Outcome:
    """``read_outcome`` for some of the rows, which may not vary; ``levels`` are those of all rows, None for numbers."""
    if all(np.ndim(value) == 0 for value in values):
        raise _no_column(parts)
    if levels is not None:
        _check_levels(levels, parts.outcome, family)
        return Outcome((with_categories(values[0], levels).codes.astype(np.float64),), levels[1])
    columns = tuple(_numbers(v, name, parts, family, len(labels)) for v, name in zip(values, parts.outcome_columns, strict=True))
    check_finite(np.column_stack(columns), parts.outcome_columns, labels, f"{parts.text}: the outcome")
    check_support(columns, parts.outcome, family, labels)
    return Outcome(columns, None)


def _read_ordinal(value: Any, parts: FormulaParts, family: Family) -> Outcome:
    """Levels as 0, 1, ...: those of a categorical type that occur, or distinct numbers in order."""
    if np.ndim(value) == 0:
        raise _no_column(parts)
    is_categorical = isinstance(getattr(value, "dtype", None), pd.CategoricalDtype)
    are_numbers = (value.dtype.categories.dtype if is_categorical else np.asarray(value).dtype).kind in "iufb"
    if not are_numbers and not (is_categorical and value.dtype.ordered):
        raise OutcomeError(
            f"{family.name}: the outcome {parts.outcome!r} is text, whose levels have no order; give them one, "
            f"data[{parts.outcome!r}] = pd.Categorical(data[{parts.outcome!r}], categories=[lowest, ..., highest], ordered=True)."
        )
    used = pd.Categorical(value) if not is_categorical else pd.Series(value).cat.remove_unused_categories().array
    levels = tuple(used.categories.tolist())
    if not 2 <= len(levels) <= _MOST_LEVELS:
        raise OutcomeError(
            f"{family.name}: the outcome {parts.outcome!r} has {len(levels)} levels, and must have 2 to {_MOST_LEVELS}; "
            "merge rare levels, or take a continuous family for a measurement."
        )
    return Outcome((used.codes.astype(np.float64),), None, levels)


def _no_column(parts: FormulaParts) -> FormulaError:
    """The error of an outcome that is one value, such as the box that ``factor(y)`` makes for the terms of a formula."""
    if parts.outcome.startswith(("C(", "factor(")):
        return FormulaError(
            f"{parts.text}: the outcome {parts.outcome!r} needs no function, because its levels are read from its values; "
            "write the column alone."
        )
    return FormulaError(f"{parts.text}: the outcome {parts.outcome!r} is one value, and must have one for each row.")


def check_varies(outcome: Outcome, smallest: float, largest: float, parts: FormulaParts, family: Family) -> None:
    """Refuse a binary outcome between ``smallest`` and ``largest`` that is the same in all rows; ``outcome`` holds some of them.

    Raises
    ------
    OutcomeError
    """
    if family.is_binary and len(outcome.columns) == 1 and smallest == largest:
        raise OutcomeError(_never_varies(family, parts.outcome, f"{smallest:g}"))


def fixed_levels(values: tuple[Any, ...], parts: FormulaParts) -> list[Any] | None:
    """Levels that do not depend on the rows: those of a categorical type, or False and True; None for numbers.

    Raises
    ------
    FormulaError
        For an expression that makes levels of its own.
    """
    if len(values) > 1 or not _has_levels(values[0]):
        return None
    if isinstance(values[0].dtype, pd.CategoricalDtype):
        return pd.Series(values[0]).cat.categories.tolist()
    if np.asarray(values[0]).dtype.kind == "b":
        return [False, True]
    raise FormulaError(
        f"{parts.text}: the outcome {parts.outcome!r} gives text, whose levels a part of the rows does not show; "
        "write a comparison, such as I(status == 'ill')."
    )


def _has_levels(value: Any) -> bool:
    """Whether the values are boolean, text or categorical, and no numbers."""
    dtype = getattr(value, "dtype", None)
    return isinstance(dtype, pd.CategoricalDtype) or np.asarray(value).dtype.kind in "bOUST"


def levels_used(values: tuple[Any, ...]) -> list[Any] | None:
    """Levels of these rows in the order of the categories, or sorted; None for numbers."""
    if len(values) > 1 or not _has_levels(values[0]):
        return None
    value = pd.Series(values[0])
    try:
        value = value if isinstance(value.dtype, pd.CategoricalDtype) else value.astype("category")
    except TypeError as error:  # lists and arrays cannot be levels
        raise OutcomeError(
            f"the outcome has values that are neither numbers nor levels ({error}); give one number or text a row."
        ) from None
    return value.cat.remove_unused_categories().cat.categories.tolist()


def _check_levels(levels: list[Any], name: str, family: Family) -> None:
    """Two levels, of which the second is the success, or an error."""
    shown = ", ".join(map(repr, levels[:5])) + (", ..." if len(levels) > 5 else "")
    if not family.is_binary:
        raise OutcomeError(
            f"{family.name}: the outcome {name!r} has the levels {shown} and no numbers; it must be {family.support}. "
            "Turn text into numbers with pd.to_numeric(), and True/False with .astype(int)."
        )
    if len(levels) == 1:
        raise OutcomeError(_never_varies(family, name, repr(levels[0])))
    if len(levels) > 2:
        raise OutcomeError(
            f"{family.name}: the outcome {name!r} has {len(levels)} levels ({shown}) and must have two. Write the event as the outcome, "
            f"such as I({name} == {levels[-1]!r}) ~ ..., or merge levels."
        )


def _numbers(value: Any, name: str, parts: FormulaParts, family: Family, n: int) -> np.ndarray:
    if _has_levels(value) and np.asarray(value).dtype.kind != "b":
        raise OutcomeError(f"{family.name}: the outcome {name!r} of {parts.outcome!r} is not numeric; it must be {family.support}.")
    return column_vector(value, n, f"the outcome {name!r}", parts.text)


def check_support(columns: tuple[np.ndarray, ...], name: str, family: Family, labels: pd.Index) -> None:
    """Refuse values that the family cannot have produced.

    Raises
    ------
    OutcomeError
    """
    supported = np.asarray(family.in_support(columns[0] if len(columns) == 1 else columns))
    if supported.all():
        return
    rows = np.flatnonzero(~supported)
    shown = ", ".join(f"{column[rows[0]]:g}" for column in columns)
    shown = shown if len(columns) == 1 else f"({shown})"
    others = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
    raise OutcomeError(
        f"{family.name}: the outcome {name!r} is {shown} in row {show_label(labels[rows[0]])}{others}; it must be {family.support}."
    )


def _never_varies(family: Family, name: str, level: str) -> str:
    return (
        f"{family.name}: every outcome is {level}, so that {name!r} leaves nothing to estimate; "
        "check how the outcome is coded and which rows are left."
    )
