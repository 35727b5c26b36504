"""The arguments that describe a model and its data, as ``mixed_model`` and ``make_design`` take them, and what their texts mean."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from glmmjax.arguments import Judged, Kind, Maybe, Text
from glmmjax.design.formula.spellings import column_names, read_spellings
from glmmjax.design.formula.split import FormulaParts, split_formula
from glmmjax.design.frames import as_pandas
from glmmjax.errors import ArgumentError
from glmmjax.families import Family, WithDispersion, resolve_family
from glmmjax.values import shown

__all__ = ["MODEL", "ModelArguments"]


class Formula(Text):
    """A formula as text; who passes a table in its place is told where that goes."""

    def check(self, argument: str, value: Any) -> None:
        if hasattr(value, "columns") or isinstance(value, dict):
            raise ArgumentError(
                f"{argument}={shown(value)} must be {self.allowed}; the table goes by name: "
                "mixed_model('y ~ x', random='~ 1 | id', data=data, family='binomial')."
            )
        super().check(argument, value)


_NUMBERS = "the name of a column, or one number for each"
MODEL: dict[str, Kind] = {
    "fixed": Formula("a formula as text, such as 'y ~ x'"),
    "random": Maybe(Formula("a formula as text, such as '~ 1 | id'")),
    "data": Judged("a DataFrame of pandas, polars or another library, a dict of columns, or glmmjax.stream(...)"),
    "family": Judged("the name of a family, or a family object such as glmmjax.families.Poisson()"),
    "weights": Judged(f"None, {_NUMBERS} cluster"),
    "row_weights": Judged(f"None, {_NUMBERS} row"),
    "offset": Judged(f"None, {_NUMBERS} row"),
    "zi_fixed": Maybe(Text("a formula as text, such as '~ x'")),
    "zi_random": Maybe(Text("a formula as text, such as '~ 1 | id'")),
    "zi_offset": Judged(f"None, {_NUMBERS} row"),
    "dispersion": Maybe(Text("a formula as text, such as '~ x'")),
    "covariance": Maybe(Text("the name of a structure, such as 'ar1'")),
}


@dataclasses.dataclass(frozen=True, eq=False)
class ModelArguments:
    """The arguments as they were given; see ``mixed_model`` for what each of them may be. No rows are read here."""

    fixed: str
    random: str | None
    data: Any
    family: str | Family
    weights: Any = None
    row_weights: Any = None
    offset: Any = None
    zi_fixed: str | None = None
    zi_random: str | None = None
    zi_offset: Any = None
    dispersion: str | None = None
    covariance: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", as_pandas(self.data))  # once, for all that reads them later

    @functools.cached_property
    def resolved_family(self) -> Family:
        """The family as an object, with a linear predictor for its extra parameter where ``dispersion`` asks for one.

        Raises
        ------
        ArgumentError
            For a family that is not known, and arguments of a zero part or a dispersion that the family does not have.
        """
        family = resolve_family(self.family)
        for name in ("zi_fixed", "zi_random", "zi_offset"):
            value = getattr(self, name)
            if value is not None and not family.has_zero_part:
                shown = repr(value) if isinstance(value, str) else "..."
                raise ArgumentError(
                    f"{name}={shown} belongs to a family with a zero part, and the {family.name} family has none; take a zero-inflated or "
                    "hurdle family, such as family='zero_inflated_poisson' or 'hurdle_poisson'."
                )
        if self.dispersion is None:
            return family
        if family.is_ordinal or len(family.phi_names) != 1:
            names = ("thresholds",) if family.is_ordinal else family.phi_names
            have = f"has {', '.join(names)}" if names else "has none"
            raise ArgumentError(
                f"dispersion={self.dispersion!r} is a predictor for the one extra parameter of a family, and the {family.name} family "
                f"{have}."
            )
        return WithDispersion(family)

    @functools.cached_property
    def formula(self) -> FormulaParts:
        """The formulas in pieces; a zero part that is not described has an intercept.

        Raises
        ------
        ArgumentError, FormulaError
            For formulas that cannot be read.
        """
        return split_formula(**self.spelled_out())

    def spelled_out(self, *left_out: str) -> dict[str, Any]:
        """The formulas as patsy reads them, by argument; a ``.`` in them stands for no column of ``left_out``.

        Raises
        ------
        FormulaError
            For formulas that cannot be read.
        """
        zi_fixed = "~ 1" if self.zi_fixed is None and self.resolved_family.has_zero_part else self.zi_fixed
        given: dict[str, Any] = {
            "fixed": self.fixed,
            "random": self.random,
            "zi_fixed": zi_fixed,
            "zi_random": self.zi_random,
            "dispersion": self.dispersion,
        }
        roles = [name for name in (self.weights, self.row_weights, self.offset, self.zi_offset) if isinstance(name, str)]
        return read_spellings(given, lambda: column_names(self.data), [*roles, *left_out])

    @property
    def offsets(self) -> list[tuple[str, str, Any]]:
        """(predictor, argument, value) of the offsets that arguments give."""
        given = (("main", "offset", self.offset), ("zero", "zi_offset", self.zi_offset))
        return [(kind, name, value) for kind, name, value in given if value is not None]

    @property
    def offset_columns(self) -> dict[str, str | None]:
        """The column that each offset argument names, by predictor; None for an offset given as numbers."""
        return {kind: value if isinstance(value, str) else None for kind, _, value in self.offsets}
