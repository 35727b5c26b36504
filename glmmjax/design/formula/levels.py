"""Groups of random effects: one cluster variable, two of which one is nested in the other, or several that are crossed. Pure text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from glmmjax.design.formula.tokens import split_at, unquoted_name
from glmmjax.errors import FormulaError

if TYPE_CHECKING:
    from glmmjax.design.formula.split import Bar, FormulaParts

__all__ = ["by_level", "is_crossed", "read_group"]

_HOW = "For classes nested in schools write | school/class, or (time | school) + (1 | school:class)."


def read_group(text: str, formula: str) -> list[tuple[str, str | None]]:
    """(column, column nested in it or None) of each level that a group names: ``a``, ``a:b``, or ``a/b`` for ``a`` and ``a:b``.

    Raises
    ------
    FormulaError
        For anything else.
    """
    single = unquoted_name(text)
    if single is not None:
        return [(single, None)]
    for operator in "/:":
        names = [name for name in map(unquoted_name, split_at(text, operator)) if name is not None]
        if len(names) == len(set(names)) == len(split_at(text, operator)) == 2:
            upper, lower = names
            return [(upper, None), (upper, lower)] if operator == "/" else [(upper, lower)]
    if any(len(split_at(text, operator)) > 1 for operator in "/:+*"):
        raise FormulaError(
            f"the cluster variable {text!r} in {formula!r} is neither one column nor one nested in another. {_HOW} For clusters given by "
            "several columns together make one column, df['g12'] = df['g1'].astype(str) + '/' + df['g2'].astype(str), and write | g12."
        )
    raise FormulaError(f"the cluster variable {text!r} in {formula!r} must be the name of one column, or Q('name with spaces').")


def is_crossed(bars: tuple[Bar, ...]) -> bool:
    """Whether the sets of random effects belong to several factors that are not one level nested in another, both with effects."""
    levels = {bar.columns for bar in bars}
    return len(levels) > 1 and not _is_nested(levels)


def _is_nested(levels: set[tuple[str, ...]]) -> bool:
    """Whether the levels are ``a``, and ``a:b`` or ``b:a``."""
    upper, lower = min(levels, key=len), max(levels, key=len)
    return len(levels) == 2 and len(upper) == 1 and len(lower) == 2 and upper[0] in lower


def by_level(parts: FormulaParts) -> FormulaParts:
    """``parts`` with the effects of one level side by side: those of the upper level first where one is nested in the other.

    Raises
    ------
    FormulaError
        For a zero part or levels that the model cannot have.
    """
    bars = tuple(_one_spelling([bar for side in parts.right_sides.values() for bar in side.bars]))
    levels = {bar.columns for bar in bars}
    if len(levels) == 1:
        if len(min(levels)) == 2:
            raise FormulaError(
                f"{parts.text} has the group {bars[0].level!r} alone. {_HOW} For one level given by two columns make one column, "
                "df['g12'] = df['g1'].astype(str) + '/' + df['g2'].astype(str), and write | g12."
            )
        return parts
    main = tuple(_one_spelling(list(parts.bars)))
    if is_crossed(bars):
        return _crossed(parts, main)
    return _nested(parts, min(levels, key=len)[0], main) if levels else parts


def _one_spelling(bars: list[Bar]) -> list[Bar]:
    """``class:school`` as ``school:class``, if that or ``school`` comes first."""
    seen: list[tuple[str, ...]] = []
    singles = {bar.group for bar in bars if bar.lower is None}
    found = []
    for bar in bars:
        turned = dataclasses.replace(bar, group=bar.lower, lower=bar.group) if bar.lower is not None else bar
        bar = turned if turned.columns in seen or (turned.group in singles and bar.group not in singles) else bar
        seen.append(bar.columns)
        found.append(bar)
    return found


def _crossed(parts: FormulaParts, main: tuple[Bar, ...]) -> FormulaParts:
    if parts.zero is not None and parts.zero.bars:
        factors = ", ".join(repr(level) for level in dict.fromkeys(bar.level for bar in (*main, *parts.zero.bars)))
        raise FormulaError(
            f"{parts.text} has the grouping factors {factors}: with several of them the zero part has no random effects. Leave zi_random "
            "out, or keep one factor in both parts."
        )
    order = list(dict.fromkeys(bar.level for bar in main))
    return dataclasses.replace(parts, bars=tuple(sorted(main, key=lambda bar: order.index(bar.level))))


def _nested(parts: FormulaParts, upper: str, bars: tuple[Bar, ...]) -> FormulaParts:
    """The model of two levels, one nested in the other."""
    main = _upper_first(bars)
    zero = parts.zero and parts.zero._replace(bars=_upper_first(tuple(_one_spelling([*bars, *parts.zero.bars])[len(bars) :])))
    pair = next(bar for bar in (*main, *(zero.bars if zero else ())) if bar.lower is not None)
    if zero is not None and any(bar.lower is None for bar in zero.bars):
        raise FormulaError(
            f"{parts.text}: random effects of the zero part belong to the lower of two levels; write zi_random='~ 1 | {pair.level}'."
        )
    if not any(bar.lower for bar in main):
        raise FormulaError(f"{parts.text}: the main part has no effects of {pair.level}; add (1 | {pair.level}).")
    if all(bar.lower for bar in main):
        raise FormulaError(f"{parts.text}: the main part has no effects of {upper}; add (1 | {upper}).")
    return dataclasses.replace(parts, bars=main, zero=zero)


def _upper_first(bars: tuple[Bar, ...]) -> tuple[Bar, ...]:
    return tuple(sorted(bars, key=lambda bar: bar.lower is not None))
