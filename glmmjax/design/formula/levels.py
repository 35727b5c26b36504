"""Groups of random effects: one cluster variable, or two of which one is nested in the other. Pure text, no tables."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from glmmjax.design.formula.tokens import split_at, unquoted_name
from glmmjax.errors import FormulaError

if TYPE_CHECKING:
    from glmmjax.design.formula.split import Bar, FormulaParts

__all__ = ["by_level", "read_group"]

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


def by_level(parts: FormulaParts) -> FormulaParts:
    """``parts`` with the effects of the upper level first, where there are two.

    Raises
    ------
    FormulaError
        For groups that are not one column, or one nested in another.
    """
    bars = [bar for side in parts.right_sides.values() for bar in side.bars]
    uppers = list(dict.fromkeys(bar.group for bar in bars if bar.lower is None))
    pairs = list(dict.fromkeys(frozenset((bar.group, bar.lower)) for bar in bars if bar.lower is not None))
    if not pairs:
        _check_one_group(uppers, parts.text)
        return parts
    if len(pairs) > 1 or len(uppers) != 1 or uppers[0] not in pairs[0]:
        levels = ", ".join(repr(level) for level in dict.fromkeys(bar.level for bar in bars))
        raise FormulaError(
            f"{parts.text} has the groups {levels}; random effects may have one grouping factor, or two levels of which one is nested in "
            f"the other, both with effects of their own. {_HOW} For one level given by two columns make one column, "
            "df['g12'] = df['g1'].astype(str) + '/' + df['g2'].astype(str), and write | g12."
        )
    (lower,) = pairs[0] - {uppers[0]}
    main = _ordered(parts.bars, uppers[0], lower)
    zero = parts.zero and parts.zero._replace(bars=_ordered(parts.zero.bars, uppers[0], lower))
    if zero is not None and any(bar.lower is None for bar in zero.bars):
        raise FormulaError(
            f"{parts.text}: random effects of the zero part belong to the lower of two levels; write zi_random='~ 1 | {uppers[0]}:{lower}'."
        )
    if not any(bar.lower for bar in main):
        raise FormulaError(f"{parts.text}: the main part has no effects of {uppers[0]}:{lower}; add (1 | {uppers[0]}:{lower}).")
    return dataclasses.replace(parts, bars=main, zero=zero)


def _ordered(bars: tuple[Bar, ...], upper: str, lower: Any) -> tuple[Bar, ...]:
    """Effects of the upper level, then those of the lower one, whichever way round its columns were written."""
    named = [dataclasses.replace(bar, group=upper, lower=lower) if bar.lower else bar for bar in bars]
    return tuple(sorted(named, key=lambda bar: bar.lower is not None))


def _check_one_group(groups: list[str], text: str) -> None:
    if len(groups) > 1:
        raise FormulaError(
            f"{text} has {len(groups)} grouping factors: {', '.join(map(repr, groups))}. One of them may be nested in the other: "
            f"write | {groups[0]}/{groups[1]} if each {groups[1]} belongs to one {groups[0]}. For crossed factors keep the one with "
            "more levels, and put the other into the fixed effects, as C(name)."
        )
