"""Plain values as JSON, with their arrays beside it: numbers, text, tuples, lists, dicts, arrays and options. ``columns`` has tables.

JSON has numbers, text, True, False, None and lists; everything else is written as an object with one key that says what it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.custom_law import CustomEffects
from glmmjax.likelihood.laws import LAWS
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.options import Options, StudentTPenalty

__all__ = ["Arrays", "decode", "encode"]

Arrays = list[np.ndarray]

_LAWS = {name: law for name, law in LAWS.items() if law is not CustomEffects}  # ``laws`` has that one
_RECORDS: dict[str, type[Any]] = {"Options": Options, "StudentTPenalty": StudentTPenalty, "Quadrature": Quadrature, **_LAWS}


def encode(value: Any, arrays: Arrays, what: str) -> Any:
    """``value`` as JSON; its arrays are appended to ``arrays``. ``what`` names it in messages.

    Raises
    ------
    ArgumentError
        For a value of another kind, such as a function.
    """
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [encode(item, arrays, what) for item in value]
    if isinstance(value, Params):
        return {"params": {name: encode(getattr(value, name), arrays, what) for name in Params._fields}}
    if type(value) is tuple:
        return {"tuple": [encode(item, arrays, what) for item in value]}
    if isinstance(value, Mapping):
        return {"dict": [[encode(item, arrays, what) for item in pair] for pair in value.items()]}
    if type(value) in _RECORDS.values():
        fields = {field.name: encode(getattr(value, field.name), arrays, what) for field in dataclasses.fields(value)}
        return {type(value).__name__: fields}
    if hasattr(value, "__array__") and np.asarray(value).dtype.kind in "biufU":
        arrays.append(np.asarray(value))
        return {"array": len(arrays) - 1}
    raise ArgumentError(
        f"save: {what} holds a {type(value).__name__}, and a file of a fit holds numbers, text, tuples of them and arrays of numbers only, "
        "no code and no other objects."
    )


def decode(found: Any, arrays: Arrays) -> Any:
    """The value that ``encode`` was given."""
    if isinstance(found, list):
        return [decode(item, arrays) for item in found]
    if not isinstance(found, dict):
        return found
    ((kind, content),) = found.items()
    if kind == "tuple":
        return tuple(decode(item, arrays) for item in content)
    if kind == "dict":
        return {decode(key, arrays): decode(value, arrays) for key, value in content}
    if kind == "array":
        return arrays[content]
    fields = {name: decode(value, arrays) for name, value in content.items()}
    if kind == "params":
        return Params(**fields)
    return _RECORDS[kind](**fields)
