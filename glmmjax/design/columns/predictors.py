"""All linear predictors of a model: main part, zero part and dispersion. ``predictor`` is about a single one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from glmmjax.design.columns.predictor import Predictor, PredictorOf, build_predictor, predictor_of
from glmmjax.design.formula.matrices import Matrix
from glmmjax.design.formula.split import Bar, FormulaParts
from glmmjax.errors import ArgumentError, FormulaError
from glmmjax.families import Family
from glmmjax.likelihood.covariance import STRUCTURES, BlockDiagonal
from glmmjax.likelihood.structure import Structure

__all__ = ["build_predictors", "n_upper_effects", "names_of", "predictor_functions", "random_reach", "structure_of", "without_intercept"]

_LABELS = {"main": "the fixed effects", "zero": "the fixed effects of the zero part", "dispersion": "the effects on the dispersion"}


def predictor_functions(parts: FormulaParts, frame: pd.DataFrame, namespace: Mapping[str, Any]) -> dict[str, PredictorOf]:
    """The matrices of every right side of ``parts`` as functions of rows, with the levels, means and knots of ``frame``."""
    sides = parts.right_sides.items()
    functions = {kind: predictor_of(right, lambda: [frame], namespace, parts.text, _LABELS[kind]) for kind, right in sides}
    for function in functions.values():
        _check_repeats(function.factors, len(frame), parts.text)
    return functions


def _check_repeats(factors: Mapping[str, int], n_rows: int, formula: str) -> None:
    """Refuse factors with as many levels as there are rows."""
    for name, n_levels in factors.items():
        if n_levels == n_rows > 1:
            raise FormulaError(
                f"{formula}: {name!r} has another value in each of the {n_rows} rows, and so would have a coefficient for every row. Leave "
                "out labels of rows; turn texts of numbers into numbers with pandas.to_numeric."
            )


def build_predictors(
    parts: FormulaParts,
    family: Family,
    functions: Mapping[str, PredictorOf],
    frame: pd.DataFrame,
    labels: pd.Index,
    added_offsets: Mapping[str, np.ndarray],
) -> dict[str, Predictor]:
    """Matrices of every right side of ``parts``, made by ``predictor_functions``; ``added_offsets`` (n,) by predictor.

    Raises
    ------
    FormulaError, DesignError
        As ``build_predictor`` does, for a zero part or dispersion without a column, and an ordinal outcome without an intercept.
    """
    found = {kind: build_predictor(function, frame, labels, added_offsets.get(kind), _LABELS[kind]) for kind, function in functions.items()}
    for kind in ("zero", "dispersion"):
        if kind in found and not found[kind].fixed.names:
            raise FormulaError(f"{parts.text}: {_LABELS[kind]} have no columns; write '~ 1' for an intercept only.")
    if family.is_ordinal:
        found["main"] = without_intercept(found["main"], parts)
    return found


def without_intercept(main: Predictor, parts: FormulaParts) -> Predictor:
    """The predictor of an ordinal outcome, whose thresholds are the intercept.

    Raises
    ------
    FormulaError
    """
    values, names = main.fixed
    if "Intercept" not in names:
        raise FormulaError(
            f"{parts.text}: the thresholds of an ordinal outcome stand for the intercept, which must not be taken out of the formula; "
            "leave out the 0 or -1."
        )
    at = names.index("Intercept")
    kept = Matrix(np.asfortranarray(np.delete(values, at, axis=1)), (*names[:at], *names[at + 1 :]))
    return main._replace(fixed=kept)


def names_of(predictors: Mapping[str, Predictor]) -> dict[str, tuple[str, ...]]:
    """Column names by field of ``Design``; random effects of the zero part are marked."""
    fixed = {kind: predictors[kind].fixed.names if kind in predictors else () for kind in _LABELS}
    zero = predictors["zero"].random.names if "zero" in predictors else ()
    return {
        "fixed_names": fixed["main"],
        "random_names": (*predictors["main"].random.names, *(f"zi_{name}" for name in zero)),
        "zi_fixed_names": fixed["zero"],
        "dispersion_names": fixed["dispersion"],
    }


def structure_of(parts: FormulaParts, predictors: Mapping[str, Predictor], name: str | None = None) -> Structure:
    """Structure of D.

    One set of random effects in each part is one block over both; ``||`` anywhere makes all independent. ``name`` asks for another
    structure for a single set. Of two levels, those of the upper one are independent of the others.

    Raises
    ------
    ArgumentError
        For a name that is not known, and for one with several sets of random effects, or with one effect only.
    """
    bars = [right.bars for right in parts.right_sides.values() if right.bars]
    sizes = tuple(size for predictor in predictors.values() for size in predictor.block_sizes)
    if name is not None:
        _check_structure(name, [bar for side in bars for bar in side], sum(sizes))
        return STRUCTURES[name](sum(sizes))
    n_upper = n_upper_effects(parts, predictors)
    if n_upper and len(bars) == 2:
        lower = [bar for side in bars for bar in side if bar.lower is not None]
        own = sizes[: sum(1 for _ in itertools.takewhile(lambda end: end <= n_upper, itertools.accumulate(sizes)))]
        joined = len(lower) == 2 and not any(bar.independent for bar in lower)
        return BlockDiagonal((*own, sum(sizes) - n_upper) if joined else (*own, *(1,) * (sum(sizes) - n_upper)))
    if len(bars) == 2 and any(bar.independent for side in bars for bar in side):
        return BlockDiagonal((1,) * sum(sizes))
    if len(bars) == 2 and all(len(side) == 1 for side in bars):
        return BlockDiagonal((sum(sizes),))
    return BlockDiagonal(sizes)


def n_upper_effects(parts: FormulaParts, predictors: Mapping[str, Predictor]) -> int:
    """Random effects of the upper of two levels, which are the first; 0 where there is one level."""
    if parts.lower_group is None:
        return 0
    return sum(name.endswith(f" | {parts.group}") for name in predictors["main"].random.names)


def _check_structure(name: Any, bars: list[Bar], q: int) -> None:
    if name not in STRUCTURES:
        raise ArgumentError(f"covariance={name!r} is not known; choose one of {', '.join(map(repr, STRUCTURES))}.")
    if len(bars) != 1 or bars[0].independent:
        found = f"{len(bars)} of them" if len(bars) != 1 else "one with ||"
        raise ArgumentError(
            f"covariance={name!r} is for one set of random effects with a single bar, such as '~ 0 + C(visit) | id'; the model has {found}."
        )
    if q < STRUCTURES[name](q).fewest:
        raise ArgumentError(
            f"covariance={name!r} needs at least two random effects; write one for each level of a factor, such as '~ 0 + C(visit) | id'."
        )


def random_reach(predictors: Mapping[str, Predictor]) -> np.ndarray:
    """(q,) largest absolute value of each random-effects column."""
    values = [predictor.random.values for predictor in predictors.values()]
    return np.concatenate([np.maximum(z.max(axis=0, initial=0.0), -z.min(axis=0, initial=0.0)) for z in values])
