"""The arguments of a model that describe its data, as ``mixed_model`` and ``make_design`` take them; no work is done here."""

from __future__ import annotations

from typing import Any, NamedTuple

from glmmjax.design.formula.split import FormulaParts, split_formula
from glmmjax.errors import ArgumentError
from glmmjax.families import Family, WithDispersion

__all__ = ["ModelArguments", "family_of", "parts_of"]


class ModelArguments(NamedTuple):
    """See ``mixed_model`` for what each of them may be."""

    fixed: str
    random: str | None
    data: Any
    family: Any  # a ``Family``
    weights: Any = None
    offset: Any = None
    zi_fixed: str | None = None
    zi_random: str | None = None
    zi_offset: Any = None
    dispersion: str | None = None
    covariance: str | None = None


def family_of(given: ModelArguments) -> Family:
    """The family with a linear predictor for its extra parameter where the arguments ask for one.

    Raises
    ------
    ArgumentError
        For arguments of a zero part or a dispersion that the family does not have.
    """
    family = given.family
    for name in ("zi_fixed", "zi_random", "zi_offset"):
        value = getattr(given, name)
        if value is not None and not family.has_zero_part:
            shown = repr(value) if isinstance(value, str) else "..."
            raise ArgumentError(
                f"{name}={shown} belongs to a family with a zero part, and the {family.name} family has none; take a zero-inflated or "
                "hurdle family, such as family='zero_inflated_poisson' or 'hurdle_poisson'."
            )
    if given.dispersion is None:
        return family
    if len(family.phi_names) != 1:
        have = f"has {', '.join(family.phi_names)}" if family.phi_names else "has none"
        raise ArgumentError(
            f"dispersion={given.dispersion!r} is a predictor for the one extra parameter of a family, and the {family.name} family {have}."
        )
    return WithDispersion(family)


def parts_of(given: ModelArguments) -> FormulaParts:
    """The formulas in pieces; a zero part that is not described has an intercept.

    Raises
    ------
    ArgumentError, FormulaError
        For formulas that cannot be read.
    """
    zi_fixed = "~ 1" if given.zi_fixed is None and given.family.has_zero_part else given.zi_fixed
    return split_formula(given.fixed, given.random, zi_fixed, given.zi_random, given.dispersion)
