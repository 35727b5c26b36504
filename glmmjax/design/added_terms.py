"""Columns that terms would add to a predictor of a fitted model, for the rows that were fitted."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.columns.table import as_frame, check_finite, find_columns, plain_types, show_label, with_categories
from glmmjax.design.design import Design
from glmmjax.design.formula.matrices import right_side_matrix
from glmmjax.design.formula.rank import aliased_columns
from glmmjax.design.formula.spellings import as_patsy_reads, column_names
from glmmjax.errors import ArgumentError, DesignError, FormulaError
from glmmjax.values import NOT_NUMBERS

__all__ = ["AddedColumns", "read_added_columns", "rows_used"]

_WHAT = "the added terms"


class AddedColumns(NamedTuple):
    """Columns that are no linear combination of those in the model, or of one another.

    Attributes
    ----------
    values : (n, k) in the order of the rows used
    names : (k,) names of the columns, as patsy writes them
    """

    values: np.ndarray
    names: tuple[str, ...]


def read_added_columns(design: Design, own: np.ndarray, terms: Any, data: Any, part: str, env: Mapping[str, Any]) -> AddedColumns:
    """The columns that ``terms`` add to the columns ``own`` (n, p) of the predictor ``part``.

    Parameters
    ----------
    terms : text of a right side, evaluated together with the formula of the fit, so that factors are coded as in a refit; or columns
        (n, k), a DataFrame, Series or array with a row for each row used or each row of ``data``.
    data : the table that was fitted.
    env : the meaning of names in ``terms`` that are no columns.

    Raises
    ------
    ArgumentError, FormulaError, DesignError
        For terms that cannot be evaluated on these rows, have missing values there, or add nothing.
    """
    found = _of_text(design, terms, data, part, env) if isinstance(terms, str) else _of_array(design, terms, data)
    check_finite(found.values, found.names, design.row_labels, _WHAT)
    base = own if not (design.family.is_ordinal and part == "main") else np.column_stack([np.ones(len(own)), own])
    aliased = [column - base.shape[1] for column in aliased_columns(np.column_stack([base, found.values]))]
    kept = [k for k in range(len(found.names)) if k not in aliased]
    if not kept:
        shown = repr(terms) if isinstance(terms, str) else "the columns given"
        raise DesignError(f"terms: {shown} add nothing, because the model has these columns, or gives them as linear combinations.")
    if len(kept) < len(found.names) and not isinstance(terms, str):
        raise DesignError(f"terms: {', '.join(repr(found.names[k]) for k in aliased)} follow from other columns; leave them out.")
    return AddedColumns(found.values[:, kept], tuple(found.names[k] for k in kept))


def _of_text(design: Design, terms: str, data: Any, part: str, env: Mapping[str, Any]) -> AddedColumns:
    if not terms.strip() or "~" in terms or "|" in terms:
        raise FormulaError(
            f"terms={terms!r} must be fixed effects as they stand on a right side, such as 'I(time**2) + sex:time', without '~' or random "
            "effects. For random effects refit, and compare by anova(..., boundary=True)."
        )
    right = design.formula.right_sides[part]
    terms = as_patsy_reads(terms, lambda: column_names(data))
    text = f"{right.fixed} + {terms}"
    namespace = ChainMap(dict(design.recipe.namespace), dict(env))
    if data is None:
        raise ArgumentError(f"terms={terms!r} needs the data of the fit, which were not kept; give terms as an array of numbers (n, k).")
    table = rows_used(design, as_frame(data))
    columns = find_columns((right.fixed, terms), table, namespace, f"terms={terms!r}")
    for name, values in columns.items():
        missing = np.flatnonzero(pd.isna(values))
        if len(missing):
            raise DesignError(
                f"terms={terms!r}: {name!r} is missing in {len(missing)} of the rows fitted, first in row "
                f"{show_label(design.row_labels[missing[0]])}. Both models must have the same rows: refit without these, then test."
            )
    frame = plain_types(pd.DataFrame(columns, index=pd.RangeIndex(len(table))))
    for name, levels in design.recipe.levels.items():
        if name in frame:
            frame[name] = with_categories(frame[name].array, levels)
    values, names = right_side_matrix(text, lambda: [frame], namespace, f"terms={terms!r}")(frame)
    present = {"main": design.fixed_names, "zero": design.zi_fixed_names, "dispersion": design.dispersion_names}[part]
    new = [k for k, name in enumerate(names) if name not in present and not (design.family.is_ordinal and name == "Intercept")]
    return AddedColumns(values[:, new], tuple(names[k] for k in new))


def rows_used(design: Design, data: pd.DataFrame, argument: str = "terms") -> pd.DataFrame:
    """The rows of the table that were fitted, in their order; ``argument`` is what needs them.

    Raises
    ------
    ArgumentError
        Where the table has changed, or the rows cannot be found again.
    """
    if len(data) != len(design.row_labels) + design.n_dropped:
        raise ArgumentError(
            f"{argument}: the data of the fit had {len(design.row_labels) + design.n_dropped} rows and now have {len(data)}; refit the "
            "model" + (", or give terms as an array with one row for each row used." if argument == "terms" else ".")
        )
    if not design.n_dropped:
        return data
    if not data.index.is_unique:
        raise ArgumentError(
            f"{argument}: {design.n_dropped} rows with missing values were dropped, and the row labels of data repeat, so that the rows "
            "used cannot be found again. Refit with data.reset_index(drop=True)."
        )
    return data.loc[design.row_labels]


def _of_array(design: Design, terms: Any, data: Any) -> AddedColumns:
    names = [str(name) for name in terms.columns] if isinstance(terms, pd.DataFrame) else [str(getattr(terms, "name", None) or "added")]
    try:
        values = np.asarray(terms, float)
    except NOT_NUMBERS:
        raise ArgumentError(
            f"terms has type {type(terms).__name__}, and must be text such as 'I(time**2)', or columns of numbers."
        ) from None
    values = values[:, None] if values.ndim == 1 else values
    n, n_all = len(design.row_labels), len(design.row_labels) + design.n_dropped
    if values.ndim != 2 or len(values) not in (n, n_all) or not values.shape[1]:
        raise ArgumentError(f"terms has shape {np.shape(terms)}, and must have {n} rows, one for each row used, and a column or more.")
    if len(names) != values.shape[1]:
        names = [f"added[{k}]" for k in range(values.shape[1])]
    if len(values) != n:
        positions = pd.DataFrame({"row": np.arange(n_all)}, index=as_frame(data).index)
        values = values[rows_used(design, positions)["row"].to_numpy()]
    return AddedColumns(values, tuple(names))
