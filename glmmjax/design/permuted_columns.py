"""The fixed-effects columns of a fitted model when the values of one covariate are exchanged between rows."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

import numpy as np
import pandas as pd

from glmmjax.design.added_terms import rows_used
from glmmjax.design.columns.predictors import without_intercept
from glmmjax.design.columns.table import as_frame, find_columns, plain_types, with_categories
from glmmjax.design.design import Design
from glmmjax.design.formula.tokens import names_in
from glmmjax.design.hypotheses import term_columns
from glmmjax.errors import ArgumentError, FormulaError
from glmmjax.values import shown

__all__ = ["PermutedColumns", "permuted_columns", "strata_of_rows"]


@dataclasses.dataclass(frozen=True, eq=False)
class PermutedColumns:
    """One covariate of the fixed effects, and the columns that other values of it give.

    Attributes
    ----------
    design : of the fit
    name : of the covariate
    frame : (n,) the variables of the formula in the rows used, in the caller's order
    codes : (n,) whole numbers, equal where the covariate is equal
    """

    design: Design
    name: str
    frame: pd.DataFrame
    codes: np.ndarray

    def of_rows(self, sources: np.ndarray) -> np.ndarray:
        """(p, R, n) fixed-effects columns where row j of data set r has the covariate of row ``sources[r, j]``, for ``sources`` (R, n)."""
        design, (n_sets, n) = self.design, sources.shape
        own = np.tile(np.arange(n), n_sets)
        columns = {name: self.frame[name].array.take(sources.ravel() if name == self.name else own) for name in self.frame}
        frame = pd.DataFrame(columns, index=pd.RangeIndex(n_sets * n))
        found = design.recipe.predictors["main"](frame, design.row_labels.take(own), None)
        if design.family.is_ordinal:
            found = without_intercept(found, design.formula)
        return np.ascontiguousarray(found.fixed.values.T).reshape(-1, n_sets, n)


def permuted_columns(design: Design, term: str, data: Any) -> PermutedColumns:
    """The covariate that ``term`` names: a column of the data, or a term or a coefficient that is made of one column.

    Raises
    ------
    ArgumentError
        For a term that is not of the fixed effects, one of several covariates, and a covariate that other parts of the model have too.
    """
    if data is None:
        raise ArgumentError("permutation_test needs the data of the fit, which were not kept; refit the model.")
    name = _covariate(design, term)
    _check_elsewhere(design, name, term)
    table, right = as_frame(data), design.formula.right_sides["main"]
    expressions = (right.fixed, *right.offsets, *(bar.terms for bar in right.bars))
    found = find_columns(expressions, table, design.recipe.namespace, f"term={term!r}")
    used = rows_used(design, pd.DataFrame(found, index=table.index), "permutation_test").reset_index(drop=True)
    frame = plain_types(used)
    for column, levels in design.recipe.levels.items():
        if column in frame:
            frame[column] = with_categories(frame[column].array, levels)
    return PermutedColumns(design, name, frame, pd.factorize(used[name])[0])


def strata_of_rows(design: Design, strata: str | None, data: Any) -> np.ndarray:
    """(n,) whole numbers, equal in rows of the same stratum: the values of the column ``strata``; None stands for a single one.

    Raises
    ------
    ArgumentError
        For a name that is no column, and one with missing values in rows used.
    """
    if strata is None:
        return np.zeros(len(design.row_labels), np.int64)
    table = as_frame(data)
    if strata not in table.columns:
        raise ArgumentError(f"strata={shown(strata)} must be a column of the data; they have {', '.join(map(str, table.columns))}.")
    codes = pd.factorize(rows_used(design, table[[strata]], "permutation_test")[strata])[0]
    if (codes < 0).any():
        raise ArgumentError(f"strata={strata!r} is missing in {int((codes < 0).sum())} of the rows used; every row needs a stratum.")
    return codes


def _covariate(design: Design, term: str) -> str:
    """The one variable of a term of the fixed effects."""
    known, terms = _variables(design.formula.fixed, design), term_columns(design)
    of_column = {design.fixed_names[k]: name for name, columns in terms.items() for k in columns}
    text = " ".join(term.split())
    if text in known:
        return text
    try:
        named = _variables(of_column.get(text, text), design)
    except FormulaError:
        named = []
    if len(named) > 1 and set(named) <= set(known):
        raise ArgumentError(
            f"term={term!r} is of several covariates ({', '.join(named)}), and no exchange of rows leaves their other terms as they are. "
            "Permute one covariate with all of its terms, or test the term by anova(..., null='simulated')."
        )
    if len(named) == 1 and named[0] in known and (text in of_column or text in terms):
        return named[0]
    close = difflib.get_close_matches(term, [*known, *terms, *of_column], n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the covariates are {', '.join(map(repr, known)) or 'none'}."
    raise ArgumentError(f"term={shown(term)} is no covariate of the fixed effects {design.formula.fixed!r}: {hint}")


def _variables(text: str, design: Design) -> list[str]:
    """Columns that a text of a formula names."""
    return list(dict.fromkeys(name.text for name in names_in(text) if not name.is_called and name.text in design.recipe.columns))


def _check_elsewhere(design: Design, name: str, term: str) -> None:
    """Refuse a covariate that would keep its values in another part of the model: no exchange of rows would leave that part as it is."""
    sides = design.formula.right_sides
    main = sides["main"]
    parts = {"the random effects": [bar.terms for side in sides.values() for bar in side.bars], "the offset": list(main.offsets)}
    parts |= {f"the {kind} part": [side.fixed, *side.offsets] for kind, side in sides.items() if kind != "main"}
    for part, texts in parts.items():
        if any(name in _variables(text, design) for text in texts):
            raise ArgumentError(
                f"term={term!r}: {name!r} is in {part} too, so that rows with other values of it are not exchangeable. Test it by "
                "anova(..., null='simulated'), which draws from the smaller model."
            )
    if name in [column for column in design.recipe.offsets.values() if column is not None]:
        raise ArgumentError(f"term={term!r}: {name!r} is the offset too; a covariate with a known effect has nothing to permute.")
