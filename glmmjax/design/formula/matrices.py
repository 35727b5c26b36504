"""Matrices from formula texts. This file calls patsy, ``patsy_state`` takes patsy's records apart, and no object of patsy leaves them."""

from __future__ import annotations

import builtins
import importlib
import sys
import types
from collections import ChainMap
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import patsy

from glmmjax.arguments import takes
from glmmjax.design.formula.checks import SPLINES, check_levels, check_splines
from glmmjax.design.formula.patsy_state import remembered, restored
from glmmjax.design.formula.tokens import names_in
from glmmjax.design.formula.transforms import TRANSFORMS
from glmmjax.errors import FormulaError, GlmmError

__all__ = [
    "Matrix",
    "MatrixOf",
    "caller_namespace",
    "column_vector",
    "evaluate",
    "formula_namespace",
    "learned_by",
    "matrix_from",
    "names_used",
    "needs_all_rows",
    "right_side_matrix",
]

# patsy must neither drop rows nor complain: rows with missing values are gone by now, and check_finite names the values that a formula
# makes of the others, such as the log of a negative number
_KEEP_ALL_ROWS = patsy.NAAction(on_NA="raise", NA_types=[])


class Matrix(NamedTuple):
    """Columns of a design with patsy's names.

    Attributes
    ----------
    values : (n, k) float64, column after column in memory
    names : (k,) names of the columns
    """

    values: np.ndarray
    names: tuple[str, ...]


MatrixOf = Callable[[pd.DataFrame], Matrix]  # the same columns for any rows


def caller_namespace(depth: int = 0) -> Mapping[str, Any]:
    """Names visible in the function that called the caller of this one (``depth`` frames further out), for ``env``."""
    frame = _outer(sys._getframe(1))
    for _ in range(depth):
        frame = _outer(frame)
    return ChainMap(frame.f_locals, frame.f_globals)


def _outer(frame: Any) -> Any:
    """The frame that called this one; the check of arguments between them does not count."""
    frame = frame.f_back
    return frame.f_back if frame.f_globals.get("__name__") == takes.__module__ else frame


def formula_namespace(env: Any) -> Mapping[str, Any]:
    """The names that a formula may use besides columns: names of ``env``, then ``np``, patsy's functions and Python's.

    Parameters
    ----------
    env : mapping of names, a ``patsy.EvalEnvironment``, or None.
    """
    caller = getattr(env, "namespace", env) if env is not None else {}
    return _with_known(caller)


def names_used(expressions: Iterable[str], namespace: Mapping[str, Any], columns: Container[str] = ()) -> Mapping[str, Any]:
    """The part of ``namespace`` that these expressions use, so that a fit does not keep all variables of its caller.

    ``columns`` are the columns of the data. A name that is one of them means the column, unless it is called as a function.
    """
    found = (name for expression in expressions for name in names_in(expression))
    names = {name.text for name in found if name.is_called or name.text not in columns}
    known = _with_known({})
    own = {name: namespace[name] for name in names if name in namespace and namespace[name] is not known.get(name)}
    return _with_known({name: value for name, value in own.items() if not (name in TRANSFORMS and _is_of_math(value))})


def _is_of_math(function: Any) -> bool:
    """Whether it is a function such as ``math.log``, which takes one number and no column."""
    return getattr(function, "__module__", None) == "math"


class _Names(ChainMap[str, Any]):
    """A namespace that can be pickled, as ``names_used`` leaves it: what the user defined, and modules by their names."""

    def __reduce__(self) -> Any:
        own = self.maps[0]
        modules = {name: value.__name__ for name, value in own.items() if isinstance(value, types.ModuleType)}
        return _names_of, ({name: value for name, value in own.items() if name not in modules}, modules)


def _names_of(own: dict[str, Any], modules: Mapping[str, str]) -> Mapping[str, Any]:
    return _with_known({**own, **{name: importlib.import_module(module) for name, module in modules.items()}})


def _with_known(caller: Any) -> Mapping[str, Any]:
    return _Names(caller, {"np": np}, TRANSFORMS, vars(builtins))


def right_side_matrix(terms: str, frames: Callable[[], Iterable[pd.DataFrame]], namespace: Mapping[str, Any], formula: str) -> MatrixOf:
    """The design matrix of ``terms``, a right side in patsy's language, as a function of rows.

    ``frames`` gives all rows of the data, in one frame or more: levels, means and knots are those of all of them.

    Raises
    ------
    FormulaError
        Here and from the function, when patsy, or an expression in the formula, fails; the text holds the cause.
    """
    if terms.strip() == "1":  # a shortcut for the most common random effects, because patsy takes a millisecond for them
        return _ones
    _run(terms, formula, lambda: check_splines(terms, namespace, formula))
    env = patsy.EvalEnvironment([namespace])
    info = _run(terms, formula, lambda: patsy.incr_dbuilder(terms, lambda: iter(frames()), env, _KEEP_ALL_ROWS))
    check_levels(info, formula)
    return _PatsyMatrix(terms, formula, namespace, info)


class _PatsyMatrix:
    """A function of rows that can be pickled; see ``right_side_matrix``."""

    def __init__(self, terms: str, formula: str, namespace: Mapping[str, Any], info: Any):
        self.terms, self.formula, self.namespace, self.info = terms, formula, namespace, info

    def __call__(self, frame: pd.DataFrame) -> Matrix:
        terms, formula = self.terms, self.formula
        build = lambda: patsy.build_design_matrices([self.info], frame, _KEEP_ALL_ROWS)  # noqa: E731
        values = np.asarray(_run(terms, formula, build)[0])
        if values.dtype.kind not in "fiub":
            raise FormulaError(f"{formula}: the terms {terms!r} give {values.dtype} values, and must give real numbers.")
        return Matrix(np.asfortranarray(values, np.float64), tuple(self.info.column_names))

    def __reduce__(self) -> Any:
        return matrix_from, (self.terms, self.namespace, self.formula, learned_by(self))


def learned_by(matrix: MatrixOf) -> dict[str, Any] | None:
    """The values that a function of ``right_side_matrix`` has learned from the rows, in plain types; None for nothing."""
    return remembered(matrix.info) if isinstance(matrix, _PatsyMatrix) else None


def matrix_from(terms: str, namespace: Mapping[str, Any], formula: str, learned: Mapping[str, Any] | None) -> MatrixOf:
    """The function of ``right_side_matrix`` from what it has learned: the rows are not needed again."""
    return _ones if learned is None else _PatsyMatrix(terms, formula, namespace, restored(learned, namespace))


def _ones(frame: pd.DataFrame) -> Matrix:
    return Matrix(np.ones((len(frame), 1)), ("Intercept",))


def _run(terms: str, formula: str, step: Callable[[], Any]) -> Any:
    try:
        with np.errstate(all="ignore"):
            return step()
    except GlmmError:  # errors of the reader of the rows pass through
        raise
    except Exception as error:  # an expression can raise anything
        raise FormulaError(f"{formula}: the terms {terms!r} cannot be evaluated: {_cause(error)}") from None


def needs_all_rows(name: str, namespace: Mapping[str, Any]) -> bool:
    """Whether ``name`` is a function that holds all values of a column in memory, and no other function of the user's."""
    return name in SPLINES and namespace.get(name) is TRANSFORMS[name]


def evaluate(expression: str, frame: pd.DataFrame, namespace: Mapping[str, Any], formula: str) -> Any:
    """Value of a Python expression of columns, such as an outcome or an offset.

    Raises
    ------
    FormulaError
        When the expression fails.
    """
    try:
        with np.errstate(all="ignore"):
            return patsy.EvalEnvironment([namespace]).eval(expression.strip(), inner_namespace=frame)
    except Exception as error:
        raise FormulaError(f"{formula}: {expression!r} cannot be evaluated: {_cause(error)}") from None


def column_vector(value: Any, n: int, what: str, formula: str) -> np.ndarray:
    """``value`` as n real numbers; one number stands for all rows. ``what`` names it in messages.

    Raises
    ------
    FormulaError
        When it is no number, or has another length.
    """
    values = np.asarray(value)
    if values.dtype.kind not in "fiub":
        raise FormulaError(f"{formula}: {what} has values of type {values.dtype}, and must be numbers.")
    if values.shape not in ((), (n,)):
        raise FormulaError(f"{formula}: {what} has shape {values.shape}, and must have one value for each of the {n} rows used.")
    return np.broadcast_to(values.astype(np.float64, copy=False), (n,))


def _cause(error: Exception) -> str:
    """Type and first line of an error; patsy adds a drawing of the formula below it."""
    text = str(getattr(error, "message", error)).strip()
    first = text.splitlines()[0] if text else "no further text"
    if first.endswith("object is not callable"):
        first += "; a column has the name of the function that is called: rename the column"
    if not isinstance(error, patsy.PatsyError):
        return f"{type(error).__name__}: {first}"
    return f"{first}; factor(x, levels=[...]) compares texts as well" if "expected levels" in first else first
