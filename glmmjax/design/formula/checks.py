"""Checks of what patsy would make of the terms, before and after it has looked at the rows."""

from __future__ import annotations

import ast
import datetime
import enum
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import patsy

from glmmjax.errors import FormulaError
from glmmjax.values import shown

__all__ = ["SPLINES", "check_levels", "check_splines"]

SPLINES = ("bs", "cc", "cr", "te")  # these functions keep all values of their columns to find knots and constraints
_MOST_COLUMNS = 1000  # of a spline
_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64, pd.Period)
_ARITHMETIC = (ast.Constant, ast.Name, ast.Load, ast.BinOp, ast.UnaryOp, ast.Add, ast.Sub, ast.Mult, ast.USub, ast.Pow)


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
    knots = [keyword.value for keyword in node.keywords if keyword.arg == "knots"]
    found += [float(np.size(patsy.EvalEnvironment([namespace]).eval(ast.unparse(code)))) for code in knots]
    return max(found, default=None)


def _number(node: ast.expr, namespace: Mapping[str, Any]) -> float:
    """The value of plain arithmetic, 0 for anything else."""
    inside = list(ast.walk(node))
    powers = [one.right for one in inside if isinstance(one, ast.BinOp) and isinstance(one.op, ast.Pow)]
    is_plain = all(isinstance(one, _ARITHMETIC) for one in inside)
    if not is_plain or any(not (isinstance(one, ast.Constant) and one.value in range(20)) for one in powers):
        return 0.0
    names = {one.id: namespace.get(one.id) for one in inside if isinstance(one, ast.Name)}
    if any(isinstance(one, bool) or not isinstance(one, int | float | np.number) for one in names.values()):
        return 0.0
    value = eval(compile(ast.Expression(node), "<spline>", "eval"), {"__builtins__": {}}, names)  # numbers and signs alone
    return float(value) if isinstance(value, int | float | np.number) else 0.0


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
    strange = next((level for level in levels if _equals_itself_alone(level)), None)
    if strange is not None:
        raise FormulaError(
            f"{formula}: {name!r} has objects of type {type(strange).__name__}, which are neither numbers nor levels that other rows "
            "could have; turn them into text or numbers first."
        )


def _equals_itself_alone(level: Any) -> bool:
    """Whether no other row, and no saved fit, can have this level."""
    equality: Any = type(level).__eq__
    return callable(level) or (equality is object.__eq__ and not isinstance(level, enum.Enum))
