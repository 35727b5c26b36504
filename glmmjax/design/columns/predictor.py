"""One linear predictor of a model: its fixed-effects columns, its random-effects columns and its offset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from glmmjax.design.columns.table import check_finite
from glmmjax.design.formula.matrices import Matrix, MatrixOf, column_vector, evaluate, learned_by, matrix_from, right_side_matrix
from glmmjax.design.formula.rank import check_rank
from glmmjax.design.formula.split import Bar, RightSide
from glmmjax.errors import FormulaError

__all__ = ["Predictor", "PredictorOf", "build_predictor", "predictor_from", "predictor_of"]


class Predictor(NamedTuple):
    """Columns of one predictor, rows in the order of the table.

    Attributes
    ----------
    fixed : (n, p) fixed-effects columns
    random : (n, q) random-effects columns, q = 0 without random effects
    block_sizes : sizes of the independent blocks of D; their sum is q
    offset : (n,) offset, on the scale of the predictor
    """

    fixed: Matrix
    random: Matrix
    block_sizes: tuple[int, ...]
    offset: np.ndarray


class PredictorOf(Protocol):
    """A function of a frame, its row labels, and an offset to add, which gives the predictor of these rows."""

    def __call__(self, frame: pd.DataFrame, labels: pd.Index, added_offset: np.ndarray | None, /) -> Predictor: ...

    @property
    def factors(self) -> dict[str, int]:
        """The number of levels of each factor, by its text in the formulas."""

    def remembered(self) -> dict[str, Any]:
        """Plain values for ``predictor_from``."""


def build_predictor(
    function: PredictorOf, frame: pd.DataFrame, labels: pd.Index, added_offset: np.ndarray | None, what: str = "the fixed effects"
) -> Predictor:
    """The matrices of one right side; the rank of the fixed effects is checked.

    Parameters
    ----------
    function : the function that ``predictor_of`` returned for the right side.
    frame : columns that it uses, without missing values.
    labels : (n,) row labels, for messages, as ``what`` is.
    added_offset : (n,) added to the offsets of the formula.

    Raises
    ------
    FormulaError
        When terms cannot be evaluated, or random effects have no column or the same one twice.
    DesignError
        For values that are not finite, fixed effects of deficient rank, and random effects whose variances cannot be told.
    """
    predictor = function(frame, labels, added_offset)
    check_rank(predictor.fixed.values, predictor.fixed.names, what)
    _check_random(predictor)
    return predictor


def _check_random(predictor: Predictor) -> None:
    """Refuse random effects whose variances no data can tell: a column of zeros, or one that follows from those it is correlated with.

    Raises
    ------
    DesignError
        Naming the columns.
    """
    values, names = predictor.random
    start = 0
    for size in predictor.block_sizes:
        block = slice(start, start + size)
        check_rank(values[:, block], names[block], f"the random effects {', '.join(names[block])}")
        start += size


def predictor_of(
    right: RightSide,
    frames: Callable[[], Iterable[pd.DataFrame]],
    namespace: Mapping[str, Any],
    formula: str,
    what: str = "the fixed effects",
) -> PredictorOf:
    """The matrices of one right side as a function of rows, without the check of the rank; ``frames`` gives all rows.

    ``namespace`` holds the names that are no columns; ``formula`` and ``what`` are for messages.
    """
    fixed_of = right_side_matrix(right.fixed, frames, namespace, formula)
    random_of = [right_side_matrix(bar.terms, frames, namespace, formula) for bar in right.bars]
    return _PredictorFunction(right, namespace, formula, what, fixed_of, random_of)


def predictor_from(right: RightSide, namespace: Mapping[str, Any], formula: str, values: Mapping[str, Any]) -> PredictorOf:
    """The function that ``predictor_of`` returned, made again from its ``remembered`` values."""
    fixed_of, *random_of = (
        matrix_from(terms, namespace, formula, learned)
        for terms, learned in zip((right.fixed, *(bar.terms for bar in right.bars)), values["matrices"], strict=True)
    )
    return _PredictorFunction(right, namespace, formula, values["what"], fixed_of, random_of)


@dataclasses.dataclass(frozen=True, eq=False)
class _PredictorFunction:
    """The function that ``predictor_of`` returns. It is a class and no closure, so that it can be pickled."""

    right: RightSide
    namespace: Mapping[str, Any]
    formula: str
    what: str
    fixed_of: MatrixOf
    random_of: list[MatrixOf]  # one for each bar

    def __call__(self, frame: pd.DataFrame, labels: pd.Index, added_offset: np.ndarray | None) -> Predictor:
        fixed = self.fixed_of(frame)
        check_finite(fixed.values, fixed.names, labels, self.what)
        random, block_sizes = _random_effects(self.right.bars, self.random_of, frame, self.formula)
        check_finite(random.values, random.names, labels, "the random effects")
        offset = _total_offset(self.right.offsets, added_offset, frame, self.namespace, labels, self.formula)
        return Predictor(fixed, random, block_sizes, offset)

    @property
    def factors(self) -> dict[str, int]:
        """The number of levels of each factor, by its text in the formulas."""
        learned = [values for matrix in (self.fixed_of, *self.random_of) if (values := learned_by(matrix)) is not None]
        return {found["code"]: len(found["levels"]) for values in learned for found in values["factors"] if found["levels"] is not None}

    def remembered(self) -> dict[str, Any]:
        """Plain values for ``predictor_from``."""
        return {"what": self.what, "matrices": [learned_by(matrix) for matrix in (self.fixed_of, *self.random_of)]}


def _random_effects(bars: tuple[Bar, ...], matrices: list[MatrixOf], frame: pd.DataFrame, formula: str) -> tuple[Matrix, tuple[int, ...]]:
    """Columns of all bars side by side, and the sizes of their blocks of D."""
    parts = [matrix(frame) for matrix in matrices]
    sizes: list[int] = []
    for bar, part in zip(bars, parts, strict=True):
        if not part.names:
            raise FormulaError(f"{formula}: the random effects {bar.terms!r} have no columns; write 1 for a random intercept.")
        sizes += [1] * len(part.names) if bar.independent else [len(part.names)]
    has_levels = any(bar.lower is not None for bar in bars) or len({bar.level for bar in bars}) > 1
    levels = [f" | {bar.level}" if has_levels else "" for bar in bars]
    names = tuple(name + level for part, level in zip(parts, levels, strict=True) for name in part.names)
    repeated = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if repeated is not None:
        raise FormulaError(
            f"{formula}: the random effect {repeated!r} is in two bars, and their variances cannot be told apart. An intercept is "
            "implied in every bar; leave it out of the second with 0, as in (1 | id) + (0 + x | id)."
        )
    values = [part.values for part in parts] or [np.empty((len(frame), 0))]
    return Matrix(values[0] if len(values) == 1 else np.concatenate(values, axis=1), names), tuple(sizes)


def _total_offset(
    expressions: tuple[str, ...],
    added: np.ndarray | None,
    frame: pd.DataFrame,
    namespace: Mapping[str, Any],
    labels: pd.Index,
    formula: str,
) -> np.ndarray:
    names = [f"offset({expression})" for expression in expressions]
    columns = [
        column_vector(evaluate(expression, frame, namespace, formula), len(frame), name, formula)
        for expression, name in zip(expressions, names, strict=True)
    ]
    if added is not None:
        names, columns = [*names, "offset"], [*columns, added]
    if not columns:
        return np.zeros(len(frame))
    check_finite(np.column_stack(columns), tuple(names), labels, "the offset")
    return np.sum(columns, axis=0)
