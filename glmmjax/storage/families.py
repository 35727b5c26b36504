"""A family by its registered name and its fields. The functions of a family that a user wrote are code, which is not saved."""

from __future__ import annotations

import dataclasses
from typing import Any

from glmmjax.errors import ArgumentError
from glmmjax.families import Family, resolve_family
from glmmjax.families.links import Link
from glmmjax.families.registry import FAMILIES

__all__ = ["decode_family", "encode_family"]


def encode_family(family: str | Family) -> Any:
    """The argument ``family`` as JSON; of an unregistered family only its name."""
    if isinstance(family, str):
        return family
    if FAMILIES.get(family.name) is not type(family):
        return {"own": type(family).__name__}
    fields = {field.name: getattr(family, field.name) for field in dataclasses.fields(family)}
    return {"name": family.name, "fields": {name: value.name if isinstance(value, Link) else value for name, value in fields.items()}}


def decode_family(found: Any, given: Any, path: str) -> str | Family:
    """The argument ``family``; ``given`` is the one passed to ``load``, for a family that is not registered.

    Raises
    ------
    ArgumentError
        When one must be given and is not, or the other way round.
    """
    is_own = isinstance(found, dict) and "own" in found
    if is_own and not isinstance(given, Family):
        raise ArgumentError(
            f"the fit has a family of the user's own ({found['own']}), whose functions are not in the file. Make the same "
            f"family again and pass it: load({path!r}, family=that)."
        )
    if is_own:
        return given
    if given is not None:
        name = found if isinstance(found, str) else found["name"]
        raise ArgumentError(f"family= is for a fit with a family of the user's own, and this one has family={name!r}; leave it out.")
    return found if isinstance(found, str) else type(resolve_family(found["name"]))(**found["fields"])
