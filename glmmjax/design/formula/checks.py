"""Checks of what patsy would make of the terms, before and after it has looked at the rows."""

from __future__ import annotations

import ast
import datetime
import enum
import math
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import patsy

from glmmjax.errors import FormulaError
from glmmjax.values import shown

__all__ = ["SPLINES", "check_levels", "check_splines"]

SPLINES = ("bs", "cc", "cr", "ns", "poly", "te")  # these functions keep all values of their columns to find knots and constraints
_MOST_COLUMNS = 1000  # of a spline
_MANY_LEVELS = 12  # above this, levels most of which are numbers are a measurement with something else in between
_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64, pd.Period)
_OPERATORS: dict[type[ast.operator], Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow
}  # fmt: skip


def check_splines(terms: str, namespace: Mapping[str, Any], formula: str) -> None:
    """Refuse a spline with more columns than data can tell apart: patsy would begin to make them all.

    Raises
    ------
    FormulaError
    """
    if not any(f"{name}(" in terms for name in SPLINES):
        return
    described = patsy.ModelDesc.from_formula(f"~ {terms}")
    for code in {factor.code for term in described.rhs_termlist for factor in term.factors}:
        for node in ast.walk(ast.parse(code, mode="eval")):
            n_columns = _n_columns(node, namespace)
            if n_columns is not None and n_columns > _MOST_COLUMNS:
                raise FormulaError(
                    f"{formula}: {code!r} asks for a spline of {n_columns:,.0f} columns, and at most {_MOST_COLUMNS} are allowed; 3 to 10 "
                    "are usual."
                )


def _n_columns(node: ast.AST, namespace: Mapping[str, Any]) -> float | None:
    """Columns that the call of a spline asks for, as far as its text tells; None for anything else."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SPLINES):
        return None
    if node.func.id == "te":
        return float(np.prod([_n_columns(one, namespace) or 1.0 for one in node.args]))
    given = {"df": node.args[1]} if len(node.args) > 1 else {}
    given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg in ("df", "degree")}
    found = [_number(value, namespace) for value in given.values()]
    found += [_n_knots(keyword.value, namespace) for keyword in node.keywords if keyword.arg == "knots"]
    return max(found, default=None)


def _n_knots(node: ast.expr, namespace: Mapping[str, Any]) -> float:
    """The number of knots, 0 where only the rows can tell: there are then no more than the rows give."""
    try:
        return float(np.size(patsy.EvalEnvironment([namespace]).eval(ast.unparse(node))))
    except NameError:  # of a column
        return 0.0


def _number(node: ast.expr, namespace: Mapping[str, Any]) -> float:
    """The value of plain arithmetic, 0 for anything else, infinity for one that is too large for a float."""
    try:
        return _value(node, namespace)
    except (OverflowError, ZeroDivisionError):
        return math.inf
    except TypeError:
        return 0.0


def _value(node: ast.expr, namespace: Mapping[str, Any]) -> float:
    """In floats, so that no power takes long."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, namespace)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return float(_OPERATORS[type(node.op)](_value(node.left, namespace), _value(node.right, namespace)))
    value = namespace.get(node.id) if isinstance(node, ast.Name) else node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{ast.unparse(node)} is no plain number")
    return float(value)


def check_levels(info: Any, formula: str) -> None:
    """Refuse factors that nobody means: of dates, of one level, of objects that equal nothing but themselves. ``info`` is patsy's.

    Raises
    ------
    FormulaError
    """
    for factor, found in info.factor_infos.items():
        if found.type == "categorical":
            _check_factor(factor.name(), found.categories, formula)
    for term, subterms in info.term_codings.items():
        for subterm in subterms:
            for factor, contrast in subterm.contrast_matrices.items():
                if not contrast.matrix.shape[1]:
                    level = info.factor_infos[factor].categories[0]
                    raise FormulaError(
                        f"{formula}: {factor.name()!r} has one level only in the rows used, {shown(level)}, and so {term.name()!r} has no "
                        "effect that could be estimated; leave it out."
                    )


def _check_factor(name: str, levels: tuple[Any, ...], formula: str) -> None:
    if any(isinstance(level, _DATES) for level in levels):
        raise FormulaError(
            f"{formula}: {name!r} has dates or times, and a formula needs numbers: count from a day, such as "
            f"data['days'] = (data[{name!r}] - data[{name!r}].min()) / pandas.Timedelta('1D')."
        )
    text = _text_among_numbers(levels)
    if text is not None and not name.startswith(("C(", "factor(")):
        raise FormulaError(
            f"{formula}: {name!r} holds numbers and texts such as {shown(text)}, and would have a coefficient for each of {len(levels)} "
            f"values. Numbers alone: data[{name!r}] = pandas.to_numeric(data[{name!r}], errors='coerce'), which makes the texts missing. "
            f"Where each value is a level of its own: C({name})."
        )
    strange = next((level for level in levels if _equals_itself_alone(level)), None)
    if strange is not None:
        raise FormulaError(
            f"{formula}: {name!r} has objects of type {type(strange).__name__}, which are neither numbers nor levels that other rows "
            "could have; turn them into text or numbers first."
        )


def _text_among_numbers(levels: tuple[Any, ...]) -> Any:
    """A level that is no number, where there are many levels and most are numbers or texts of numbers; else None."""
    others = [level for level in levels if not _is_number(level)]
    return others[0] if len(levels) > _MANY_LEVELS and 0 < len(others) <= len(levels) / 5 else None


def _is_number(level: Any) -> bool:
    try:
        return math.isfinite(float(level))
    except (TypeError, ValueError, OverflowError):
        return False


def _equals_itself_alone(level: Any) -> bool:
    """Whether no other row, and no saved fit, can have this level."""
    equality: Any = type(level).__eq__
    return callable(level) or (equality is object.__eq__ and not isinstance(level, enum.Enum))
