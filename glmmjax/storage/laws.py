"""A law of the random effects by its name and its fields. The function of one that a user wrote is code, which is not saved."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.custom_law import CustomEffects
from glmmjax.likelihood.prior import Prior
from glmmjax.storage.values import Arrays, decode, encode

__all__ = ["decode_law", "encode_law"]

_OWN = "own_law"
_AT = np.linspace(-3.0, 3.0, 13)  # where two laws of one name are compared


def encode_law(law: Prior | None, arrays: Arrays) -> Any:
    """The argument ``random_effects_law`` as JSON; of a user's own its name, and its log density at some points."""
    if not isinstance(law, CustomEffects):
        return encode(law, arrays, "the argument random_effects_law")
    return {_OWN: {"name": law.name, "log_density": _at_points(law)}}


def decode_law(found: Any, given: Prior | None, arrays: Arrays, path: str) -> Prior | None:
    """The argument ``random_effects_law``; ``given`` is the one passed to ``load``, for a law of the user's own.

    Raises
    ------
    ArgumentError
        When one must be given and is not, or the other way round, or is another law.
    """
    is_own = isinstance(found, dict) and _OWN in found
    if not is_own:
        law: Prior | None = decode(found, arrays)
        if given is not None:
            raise ArgumentError(
                "random_effects_law= is for a fit with a law of the user's own, and this one has "
                f"{'normal random effects' if law is None else repr(law)}; leave it out."
            )
        return law
    name = found[_OWN]["name"]
    if not isinstance(given, CustomEffects):
        raise ArgumentError(
            f"the fit has a law of random effects of the user's own ({name}), whose function is not in the file. Make the same law again "
            f"and pass it: load({path!r}, random_effects_law=that)."
        )
    if not np.allclose(_at_points(given), found[_OWN]["log_density"], rtol=1e-6, atol=1e-6):
        raise ArgumentError(f"random_effects_law={given!r} has another density than the law {name} of the fit. Make that law again.")
    return given


def _at_points(law: CustomEffects) -> list[float]:
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        return (np.asarray(law.log_density(_AT[None])) + law.log_constant(1)).tolist()
