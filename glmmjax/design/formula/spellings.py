"""Formulas as R's users write them, turned into what patsy reads. Texts that have none of this stay as they are.

- ``y ~ .`` : all other columns of the data
- ``x^2`` : ``x ** 2``
- ``a %in% b`` : ``a : b``
- ``blood.pressure`` : ``Q('blood.pressure')``, where the data have this column
- ``as.factor(x)`` : ``factor(x)``

A column such as ``x.1`` is no sequence of Python's names, so a regular expression finds it; it passes over quoted texts.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from glmmjax.design.formula.split import split_formula
from glmmjax.design.formula.tokens import names_in
from glmmjax.errors import FormulaError

__all__ = ["as_patsy_reads", "column_names", "of_update", "read_spellings"]

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_DOT = re.compile(rf"({_QUOTED})|(?<![\w.)\]])\.(?![\w.])")
_DOTTED = re.compile(rf"({_QUOTED})|(?<![\w.])[^\W\d][\w.]*(?!\w)")
_OPERATORS = re.compile(rf"({_QUOTED})|%in%|\^|\bas\.factor\b(?=\s*\()")
_OF_R = re.compile(r"\b((?:as|is)\.(?!factor\b)[\w.]+)\s*\(")
_PATSY = {"%in%": ":", "^": "**", "as.factor": "factor"}


def column_names(data: Any) -> list[Any]:
    """Names of the columns of ``data``; none for what holds no columns, or not yet, such as a stream."""
    if isinstance(data, Mapping):
        return list(data)
    columns = getattr(data, "columns", None)
    return [] if columns is None else list(columns)


def read_spellings(texts: Mapping[str, str | None], columns: Callable[[], Sequence[Any]], roles: Collection[str] = ()) -> dict[str, Any]:
    """The formulas of a model, by argument of ``split_formula``, as patsy reads them.

    Parameters
    ----------
    columns : gives the columns of the data; it is called only where a formula has a dot that may be one.
    roles : columns that other arguments name, such as the weights; ``.`` leaves them out.

    Raises
    ------
    FormulaError
        For a ``.`` that stands for no column.
    """
    found = {name: as_patsy_reads(text, columns) if isinstance(text, str) else text for name, text in texts.items()}
    dots = [name for name, text in found.items() if isinstance(text, str) and _has_dot(text)]
    if not dots:
        return found
    left_out = {*roles, *_named_elsewhere(found)}
    kept = [name for name in columns() if name not in left_out]
    what = f"{dots[0]}={texts[dots[0]]!r}"
    if not kept:
        raise FormulaError(
            f"{what}: the dot stands for the columns that are not named otherwise, and there are none; write the names of the columns, "
            "as in y ~ a + b. For a stream they must be written always."
        )
    strange = next((name for name in kept if not isinstance(name, str)), None)
    if strange is not None:
        raise FormulaError(f"{what}: the dot stands for columns whose names are texts, and {strange!r} is one that is none; rename it.")
    written = f"({' + '.join(_name(name) for name in kept)})"
    return {name: _DOT.sub(lambda m: m[1] or written, text) if name in dots and text else text for name, text in found.items()}


def as_patsy_reads(text: str, columns: Callable[[], Sequence[Any]]) -> str:
    """One text with R's operators and names with dots as patsy reads them; a ``.`` of its own stays.

    Raises
    ------
    FormulaError
        For ``%in%`` inside a function, where it would be a test of values, and for R's functions ``as.numeric`` and their kin.
    """
    if _is_in_call("%in%", _without_quoted(text)):
        raise FormulaError(
            f"the formula {text!r} has %in% inside the brackets of a function; for a test of values write I(x.isin(['a', 'b'])). "
            "Between terms, a %in% b is a:b."
        )
    foreign = _OF_R.search(_without_quoted(text))
    if foreign:
        raise FormulaError(
            f"the formula {text!r} calls R's {foreign[1]}(...): change the column before the fit, data['x'] = data['x'].astype(float), "
            "or write a comparison such as I(x == 'a')."
        )
    text = _OPERATORS.sub(lambda m: m[1] or _PATSY[m[0]], text)
    dotted = {m[0] for m in _DOTTED.finditer(text) if not m[1] and "." in m[0]}
    names = dotted & {name for name in columns() if isinstance(name, str)} if dotted else set()
    return _DOTTED.sub(lambda m: m[1] or _quoted_name(m, names), text) if names else text


def of_update(old: str, new: str) -> str:
    """R's ``update``: in ``. ~ . - x`` and ``~ . - x`` a dot stands for its side of the ``old`` formula, and so does an empty left side."""
    (left, tilde, right), (old_left, _, old_right) = new.partition("~"), old.partition("~")
    if not tilde or left.strip() not in ("", "."):
        return new
    whole = old_right.strip() if "|" in old_right else f"({old_right.strip()})"  # a bar must stand outside all brackets but its own
    return f"{old_left.strip()} ~ {_DOT.sub(lambda m: m[1] or whole, right).strip()}"


def _quoted_name(match: re.Match[str], names: Collection[str]) -> str:
    is_called = match.string[match.end() :].lstrip().startswith("(")
    return f"Q({match[0]!r})" if match[0] in names and not is_called else match[0]


def _has_dot(text: str) -> bool:
    return any(not m[1] for m in _DOT.finditer(text))


def _without_quoted(text: str) -> str:
    return re.sub(_QUOTED, "''", text)


def _is_in_call(operator: str, text: str) -> bool:
    """Whether an operator stands somewhere inside the brackets of a call or an index; no bracket is checked here."""
    brackets: list[bool] = []
    for k, character in enumerate(text):
        if character in "([":
            before = text[:k].rstrip()[-1:]
            brackets.append(character == "[" or before.isalnum() or before in ("_", ")", "]"))
        elif character in ")]" and brackets:
            brackets.pop()
        elif any(brackets) and text.startswith(operator, k):
            return True
    return False


def _named_elsewhere(texts: Mapping[str, Any]) -> set[str]:
    """The outcome's columns and the cluster variables."""
    parts = split_formula(
        **{name: _DOT.sub(lambda m: m[1] or "1", text) if isinstance(text, str) else text for name, text in texts.items()}
    )
    named = {name.text for column in parts.outcome_columns for name in names_in(column)}
    return named | {name for name in (parts.group, parts.lower_group) if name is not None}


def _name(column: str) -> str:
    return column if column.isidentifier() and not keyword.iskeyword(column) else f"Q({column!r})"
