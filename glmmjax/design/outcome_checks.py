"""Outcomes of many fits, checked one by one: what is wrong with one is a text of its own and stops no other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.columns.outcome import check_support, check_varies, read_outcome
from glmmjax.design.formula.split import FormulaParts
from glmmjax.design.outcomes import OutcomeBlock
from glmmjax.errors import GlmmError, OutcomeError
from glmmjax.families import Family

__all__ = ["Checked", "checked_outcomes"]


class Checked(NamedTuple):
    """Outcomes that have been read.

    Attributes
    ----------
    values : (C, r, n) numbers that the family works with, NaN in all columns where one is missing
    problems : what is wrong with an outcome, by position
    """

    values: np.ndarray
    problems: dict[int, str]


def checked_outcomes(block: OutcomeBlock, formula: FormulaParts, family: Family, levels: tuple[Any, ...] = ()) -> Checked:
    """The outcomes as the numbers that the family works with.

    Parameters
    ----------
    levels : those of an ordinal outcome, which all outcomes must have.
    """
    values, problems = np.array(block.values, float), {}
    columns = block.columns if not family.is_ordinal else {k: block.outcome(k) for k in range(len(block.labels))}
    for k, outcome in columns.items():
        try:
            values[:, k] = _as_numbers(outcome, _named(formula, block.labels[k], len(values)), family, levels)
        except GlmmError as error:
            values[:, k], problems[k] = np.nan, str(error)
    missing = np.isnan(values).any(axis=0)
    values[:, missing] = np.nan
    for k in np.flatnonzero(missing.all(axis=1)).tolist():
        problems.setdefault(k, f"the outcome {block.labels[k]!r} is missing in every row that the model uses.")
    known = values[:, np.arange(len(missing)), np.argmin(missing, axis=1)]  # a value of each outcome, where it has one
    filled = np.where(missing, known[..., None], values)
    is_right = np.isfinite(filled).all(axis=0) & np.asarray(family.in_support(filled[0] if len(filled) == 1 else tuple(filled)))
    is_constant = family.is_binary & (len(filled) == 1) & (filled[0].min(axis=1, initial=np.inf) == filled[0].max(axis=1, initial=-np.inf))
    for k in np.flatnonzero((~is_right.all(axis=1) | is_constant) & ~missing.all(axis=1)).tolist():
        rows = np.flatnonzero(~missing[k])
        problems.setdefault(k, _problem(values[:, k, rows], rows, _named(formula, block.labels[k], len(values)), family))
    return Checked(values, problems)


def _problem(values: np.ndarray, rows: np.ndarray, formula: FormulaParts, family: Family) -> str:
    """What ``mixed_model`` would say of an outcome (C, n)."""
    labels = pd.Index(rows)
    try:
        if not np.isfinite(values).all():
            j, k = (int(found[0]) for found in np.nonzero(~np.isfinite(values)))
            return f"the outcome {formula.outcome!r} is {values[j, k]} in row {labels[k]}; every value must be finite."
        outcome = read_outcome(tuple(values), formula, family, labels)
        check_support(outcome.columns, formula.outcome, family, labels)
        check_varies(outcome, values[0].min(), values[0].max(), formula, family)
    except GlmmError as error:
        return str(error)
    return f"the outcome {formula.outcome!r} is outside the support of the {family.name} family: {family.support}."


def _as_numbers(columns: tuple[Any, ...], formula: FormulaParts, family: Family, levels: tuple[Any, ...]) -> np.ndarray:
    """(C, n) of an outcome whose columns are no numbers, such as one of two levels."""
    known = ~np.any([np.asarray(pd.isna(column)) for column in columns], axis=0)
    found = np.full((len(columns), len(known)), np.nan)
    if known.any():
        kept = tuple(pd.Series(column)[known].reset_index(drop=True).array for column in columns)
        outcome = read_outcome(kept, formula, family, pd.RangeIndex(int(known.sum())))
        if levels and outcome.levels != levels:
            raise OutcomeError(f"{family.name}: the outcome {formula.outcome!r} has other levels than those before it; fit it by itself.")
        found[:, known] = outcome.columns
    return found


def _named(formula: FormulaParts, label: Any, n_columns: int) -> FormulaParts:
    """The formula with an outcome by its own name, for messages."""
    return FormulaParts(**{**vars(formula), "outcome": str(label), "outcome_columns": (str(label),) * n_columns})
