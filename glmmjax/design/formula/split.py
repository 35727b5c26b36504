"""Splitting of model formulas into the parts that patsy can read. Pure text, no tables.

patsy reads ``(1 | id)`` as a bitwise or and gives no error, so everything with a bar is cut out here. So are ``offset(...)`` and
``cbind(...)``, which patsy does not know. A formula has this form, with ``random`` as an argument of its own or in bars:

    outcome ~ terms + offset(expression) + (terms | group) + (terms || group)

A group is a column, ``school``; a column inside another, ``school:class``; or both, ``school/class``. Groups of which neither is inside the
other are crossed, as ``(1 | item) + (1 | person)``. ``levels`` has the rules.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from glmmjax.design.formula.levels import by_level, is_crossed, read_group
from glmmjax.design.formula.tokens import call_argument, names_in, read_tokens, split_at
from glmmjax.errors import ArgumentError, FormulaError

__all__ = ["Bar", "FormulaParts", "RightSide", "split_formula", "split_right_side"]

_HOW_RANDOM = "write random='~ 1 | id', or add (1 | id) to the formula, with the column that identifies the clusters"


@dataclasses.dataclass(frozen=True)
class Bar:
    """One set of random effects, ``(terms | group)``.

    Attributes
    ----------
    terms : right side in patsy's language, such as "time" (an intercept is implied) or "0 + x"
    group : column that identifies the clusters
    independent : written ``||``: no correlations inside the set
    lower : column that identifies clusters inside those of ``group``, to which the effects belong; None for effects of ``group``
    """

    terms: str
    group: str
    independent: bool
    lower: str | None = None

    @property
    def level(self) -> str:
        """The level that the effects belong to: ``"school"``, ``"school:class"``."""
        return ":".join(self.columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns whose values identify a cluster of the level."""
        return (self.group,) if self.lower is None else (self.group, self.lower)


@dataclasses.dataclass(frozen=True)
class FormulaParts:
    """A model formula in pieces, all plain text, enough to build the same matrices for other data.

    Attributes
    ----------
    text : the arguments as written, for messages
    outcome : left side as written
    outcome_columns : one expression, or those of ``cbind(a, b)``
    fixed : right side of the fixed effects in patsy's language
    offsets : expressions added to the linear predictor
    bars : sets of random effects, independent of one another, in the order written
    zero : right side of the zero part, None without one
    dispersion : right side of the predictor of the extra parameter, None where that is constant
    """

    text: str
    outcome: str
    outcome_columns: tuple[str, ...]
    fixed: str
    offsets: tuple[str, ...]
    bars: tuple[Bar, ...]
    zero: RightSide | None = None
    dispersion: RightSide | None = None

    @property
    def factors(self) -> dict[str, tuple[str, ...]]:
        """The columns that identify the levels of each of several crossed factors, by name; empty where factors are not crossed."""
        found = {bar.level: bar.columns for bar in self.bars}
        return found if is_crossed(self.bars) else {}

    @property
    def group(self) -> str | None:
        """The cluster variable, None without random effects and for crossed factors."""
        if self.factors:
            return None
        return next((bar.group for side in self.right_sides.values() for bar in side.bars), None)

    @property
    def cluster_columns(self) -> tuple[str, ...]:
        """The columns that identify clusters, those of the upper of two levels first."""
        return tuple(dict.fromkeys(name for side in self.right_sides.values() for bar in side.bars for name in bar.columns))

    @property
    def lower_group(self) -> str | None:
        """The column of the clusters inside clusters, None where there are none."""
        if self.factors:
            return None
        return next((bar.lower for bar in self.right_sides["main"].bars if bar.lower is not None), None)

    @property
    def right_sides(self) -> dict[str, RightSide]:
        """Right sides of the linear predictors that the model has, in their order: "main", "zero", "dispersion"."""
        sides = {"main": RightSide(self.fixed, self.offsets, self.bars), "zero": self.zero, "dispersion": self.dispersion}
        return {kind: side for kind, side in sides.items() if side is not None}

    @property
    def expressions(self) -> tuple[str, ...]:
        """Every text of the formulas that names columns, except the cluster variable."""
        sides = self.right_sides.values()
        return (*self.outcome_columns, *(text for side in sides for text in (side.fixed, *side.offsets, *(bar.terms for bar in side.bars))))


class RightSide(NamedTuple):
    """Right side of a formula in pieces.

    Attributes
    ----------
    fixed : the fixed effects in patsy's language
    offsets : expressions added to the linear predictor
    bars : sets of random effects, independent of one another, in the order written
    """

    fixed: str
    offsets: tuple[str, ...]
    bars: tuple[Bar, ...]


def split_formula(
    fixed: str, random: str | None = None, zi_fixed: str | None = None, zi_random: str | None = None, dispersion: str | None = None
) -> FormulaParts:
    """Pieces of ``fixed``, such as ``"y ~ sex * time"``, and ``random``, such as ``"~ time | id"``.

    ``zi_fixed`` and ``dispersion`` have no outcome, ``"~ sex"``.

    Raises
    ------
    ArgumentError
        When one of them is not a text.
    FormulaError
        When one cannot be read, random effects are given twice, or by more than one grouping factor.
    """
    fixed = _clean(fixed, "fixed", "'y ~ x'")
    sides = split_at(fixed, "~")
    if len(sides) != 2 or not sides[0]:
        raise FormulaError(f"fixed={fixed!r} must have the form 'outcome ~ terms', with one ~ and an outcome before it.")
    if not sides[1]:
        raise FormulaError(f"fixed={fixed!r} has nothing after the ~; write '{sides[0]} ~ 1' for a model with an intercept only.")
    right = _with_random(split_right_side(sides[1], fixed), random, "random", f"fixed={fixed!r}")
    zero = spread = None
    if zi_fixed is not None:
        zero = _with_random(_split_one_sided(zi_fixed, "zi_fixed"), zi_random, "zi_random", f"zi_fixed={zi_fixed!r}")
    if dispersion is not None:
        spread = _split_one_sided(dispersion, "dispersion")
    if spread is not None and spread.bars:
        raise FormulaError(f"dispersion={dispersion!r} has random effects, and the extra parameter can have fixed effects only.")
    given = {"random": random, "zi_fixed": zi_fixed, "zi_random": zi_random, "dispersion": dispersion}
    text = ", ".join([f"fixed={fixed!r}", *(f"{name}={value!r}" for name, value in given.items() if value is not None)])
    parts = FormulaParts(text, sides[0], _outcome_columns(sides[0], fixed), right.fixed, right.offsets, right.bars, zero, spread)
    return by_level(parts)


def split_right_side(text: str, formula: str) -> RightSide:
    """Cut ``(terms | group)`` and ``offset(...)`` out of the sum ``text``; ``formula`` is what messages quote.

    Raises
    ------
    FormulaError
        For a bar or an offset that is not a term of its own.
    """
    kept, offsets, bars = [], [], []
    for sign, term in _signed_terms(text, formula):
        bracketed, offset = call_argument(term, ""), call_argument(term, "offset")
        if sign == "+" and bracketed is not None and _has_bar(bracketed):
            bars += _split_bar(bracketed, formula)
        elif sign == "+" and offset is not None:
            if len(split_at(offset, ",")) != 1 or not offset:
                raise FormulaError(f"offset({offset}) in {formula!r} must hold one expression, such as offset(np.log(t)).")
            offsets.append(offset)
        else:
            _check_plain(term, formula)
            kept.append((sign, term))
    fixed = " ".join(f"{sign} {term}" for sign, term in kept).removeprefix("+ ")
    return RightSide(fixed or "1", tuple(offsets), tuple(bars))


def _split_one_sided(text: str, argument: str) -> RightSide:
    text = _clean(text, argument, "'~ x'")
    sides = split_at(text, "~")
    if len(sides) != 2 or sides[0] or not sides[1]:
        raise FormulaError(f"{argument}={text!r} must have the form '~ terms', without an outcome; write '~ 1' for an intercept only.")
    return split_right_side(sides[1], text)


def _with_random(right: RightSide, random: str | None, argument: str, formula: str) -> RightSide:
    """``right`` with the random effects of a separate argument."""
    if random is None:
        return right
    if right.bars:
        raise FormulaError(f"{argument}={random!r} and the bar in {formula} both give random effects; keep one of them.")
    return right._replace(bars=tuple(_split_random(_clean(random, argument, "'~ 1 | id'"), argument)))


def _clean(text: str, argument: str, example: str) -> str:
    if not isinstance(text, str):
        raise ArgumentError(f"{argument}={text!r} must be a formula as text, such as {example}.")
    return " ".join(text.splitlines()).strip()


def _signed_terms(text: str, formula: str) -> list[tuple[str, str]]:
    """(sign, term) of a sum; a sign after another operator belongs to the term."""
    tokens = read_tokens(text)
    cuts = [(0, 0, "+")]
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.depth == 0 and token.text in "+-" and (before is None or before.text not in ("*", "/", ":", "**", "+", "-")):
            cuts.append((token.start, token.end, token.text))
    if len(cuts) > 1 and not text[: cuts[1][0]].strip():
        del cuts[0]  # the sum begins with a sign
    ends = [*(start for start, _, _ in cuts[1:]), len(text)]
    terms = [(sign, text[start:end].strip()) for (_, start, sign), end in zip(cuts, ends, strict=True)]
    if not all(term for _, term in terms):
        raise FormulaError(f"cannot read the formula {formula!r}: a + or - has nothing after it.")
    return terms


def _has_bar(text: str) -> bool:
    return any(token.text == "|" and not token.in_python for token in read_tokens(text))


def _check_plain(term: str, formula: str) -> None:
    """Refuse what patsy would misread in a term that is kept."""
    if _has_bar(term):
        raise FormulaError(
            f"cannot read the bar of {term!r} in {formula!r}: random effects must be a term of the sum in brackets of their own, "
            "such as y ~ x + (1 | id); inside a function, as in I(a | b), the bar is Python's."
        )
    if any(name.text == "offset" and name.is_called for name in names_in(term)):
        raise FormulaError(f"offset(...) in {formula!r} must be a term of the sum with a +, not a part of {term!r}.")


def _split_random(text: str, argument: str) -> list[Bar]:
    sides = split_at(text, "~")
    if len(sides) > 2 or (len(sides) == 2 and sides[0]):
        raise FormulaError(f"{argument}={text!r} must have the form '~ terms | group', without an outcome.")
    if call_argument(sides[-1], "") is not None and _has_bar(sides[-1]):
        inside = call_argument(sides[-1], "")
        raise FormulaError(f"{argument}={text!r} has brackets around the bar; write it without, {argument}='~ {inside}'.")
    if len(split_at(sides[-1], "+")) > 1 and all(_has_bar(term) for term in split_at(sides[-1], "+")):
        return [bar for term in split_at(sides[-1], "+") for bar in _split_bar(call_argument(term, "") or term, text)]
    if not _has_bar(sides[-1]):
        raise FormulaError(f"{argument}={text!r} has no cluster variable: {_HOW_RANDOM}.")
    return _split_bar(sides[-1], text)


def _split_bar(text: str, formula: str) -> list[Bar]:
    """``terms | group`` or ``terms || group``; a group ``a/b`` makes a set of effects for each level."""
    pieces = split_at(text, "|")
    independent = len(pieces) == 3 and not pieces[1] and "||" in text
    if not (len(pieces) == 2 or independent) or not pieces[0] or not pieces[-1]:
        raise FormulaError(f"cannot read {text!r} in {formula!r}: write 'terms | group' or 'terms || group', such as (time | id).")
    _check_plain(pieces[0], formula)
    return [Bar(pieces[0], group, independent, lower) for group, lower in read_group(pieces[-1], formula)]


def _outcome_columns(outcome: str, formula: str) -> tuple[str, ...]:
    argument = call_argument(outcome, "cbind")
    if argument is None:
        return (outcome,)
    columns = tuple(split_at(argument, ","))
    if len(columns) not in (2, 3) or not all(columns):
        raise FormulaError(
            f"{outcome!r} in {formula!r} must hold two columns, such as cbind(successes, failures), or three, cbind(value, status, upper)."
        )
    return columns
