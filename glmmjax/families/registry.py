"""Families by name: the one place to register a family, and the reading of the ``family=`` argument."""

from __future__ import annotations

from typing import Any

from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.families.binomial import Binomial
from glmmjax.families.poisson import Poisson

__all__ = ["FAMILIES", "resolve_family"]

FAMILIES: dict[str, type[Family]] = {family.name: family for family in (Binomial, Poisson)}


def resolve_family(family: str | Family) -> Family:
    """The family meant by ``family``: its name with the default link, or the object itself.

    Raises
    ------
    ArgumentError
        When the text names no family, or the object is not a ``Family``.
    """
    if isinstance(family, Family):
        return family
    if isinstance(family, str) and family in FAMILIES:
        with_default_link: Any = FAMILIES[family]
        return with_default_link()
    names = ", ".join(repr(name) for name in FAMILIES)
    raise ArgumentError(
        f"family={family!r} is not known; choose one of {names}, or pass an object such as glmmjax.families.Binomial(link='probit')."
    )
