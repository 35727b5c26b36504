"""The kinds of values that arguments take."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.values import shown

__all__ = [
    "AXES",
    "COUNT",
    "FLAG",
    "FOLDER",
    "LEVEL",
    "NAMES",
    "NUMBERS",
    "PATH",
    "SEED",
    "TABLE",
    "Container",
    "Flags",
    "Having",
    "InstanceOf",
    "Judged",
    "Kind",
    "Maybe",
    "NameOrTable",
    "Number",
    "OneOf",
    "SomeOf",
    "Text",
    "Whole",
]

_NO_CONTAINERS = (str, bytes, type, set, frozenset)
_OF_CONTAINERS = ("__iter__", "__array__", "__dataframe__", "__arrow_c_stream__")


class Kind:
    """What an argument may be."""

    allowed: str

    def holds(self, value: Any) -> bool:
        """Whether the value is of this kind."""
        raise NotImplementedError

    def check(self, argument: str, value: Any) -> None:
        """Refuse a value of another kind.

        Raises
        ------
        ArgumentError
            Naming the argument, what came, and what is allowed.
        """
        if not self.holds(value):
            raise ArgumentError(f"{argument}={shown(value)} must be {self.allowed}.")


@dataclasses.dataclass(frozen=True, init=False)
class OneOf(Kind):
    """One of a few values: texts, True, False or None; a dict has values with what they stand for, where that is not plain."""

    meaning: Mapping[Any, str]

    def __init__(self, *values: Any):
        pairs = (one.items() if isinstance(one, Mapping) else [(one, "")] for one in values)
        object.__setattr__(self, "meaning", dict(itertools.chain(*pairs)))

    def holds(self, value: Any) -> bool:
        value = bool(value) if isinstance(value, np.bool_) else value
        return any(isinstance(value, type(one)) and value == one for one in self.meaning)

    def check(self, argument: str, value: Any) -> None:
        if not self.holds(value):
            choices = ", ".join(f"{one!r} ({meaning})" if meaning else repr(one) for one, meaning in self.meaning.items())
            raise ArgumentError(f"{argument}={shown(value)} is not known; choose one of {choices}.")


class SomeOf(OneOf):
    """One of a few values, or several of them in a tuple or list."""

    def holds(self, value: Any) -> bool:
        several = value if isinstance(value, tuple | list) else (value,)
        return len(several) > 0 and all(super(SomeOf, self).holds(one) for one in several)


@dataclasses.dataclass(frozen=True)
class Whole(Kind):
    """A whole number from ``least`` to ``most``; ``why`` ends the message."""

    least: int
    most: int | None = None
    why: str = ""

    @property
    def allowed(self) -> str:  # type: ignore[override]
        ends = f">= {self.least}" if self.most is None else f">= {self.least} and <= {self.most:,}"
        return f"a whole number {ends}{self.why}"

    def holds(self, value: Any) -> bool:
        is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        return is_whole and bool(self.least <= value and (self.most is None or value <= self.most))


@dataclasses.dataclass(frozen=True)
class Number(Kind):
    """A number between two ends, which are left out."""

    low: float
    high: float
    allowed: str

    def holds(self, value: Any) -> bool:
        is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        return is_number and bool(self.low < value < self.high)


@dataclasses.dataclass(frozen=True)
class Text(Kind):
    """Text; ``allowed`` shows an example."""

    allowed: str = "text"

    def holds(self, value: Any) -> bool:
        return isinstance(value, str)


@dataclasses.dataclass(frozen=True)
class InstanceOf(Kind):
    """An object of one of these types."""

    types: type | tuple[type, ...]
    allowed: str

    def holds(self, value: Any) -> bool:
        return isinstance(value, self.types)


@dataclasses.dataclass(frozen=True)
class Having(Kind):
    """An object of a library that need not be loaded, known by what it has."""

    members: tuple[str, ...]
    allowed: str

    def holds(self, value: Any) -> bool:
        return not isinstance(value, type) and all(hasattr(value, name) for name in self.members)


@dataclasses.dataclass(frozen=True)
class Container(Kind):
    """Rows in columns, or numbers in order: any container; what stands in it is read with the model."""

    allowed: str = "a DataFrame, or a dict of columns"

    def holds(self, value: Any) -> bool:
        return not isinstance(value, _NO_CONTAINERS) and any(hasattr(value, name) for name in _OF_CONTAINERS)


@dataclasses.dataclass(frozen=True)
class NameOrTable(Kind):
    """What stands on an axis: one covariate by its name, or rows."""

    allowed: str = "the name of a covariate, a table of rows, or a dict of values by covariate; a second name goes to by="

    def holds(self, value: Any) -> bool:
        return not (isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(one, str) for one in value))


@dataclasses.dataclass(frozen=True)
class Names(Kind):
    """A name, or a list of them, each once."""

    allowed: str = "a name, or a list of one or more different names"

    def holds(self, value: Any) -> bool:
        if isinstance(value, list | tuple):
            return len(value) > 0 and all(isinstance(one, str) for one in value) and len(set(value)) == len(value)
        return isinstance(value, str)


@dataclasses.dataclass(frozen=True)
class Flags(Kind):
    """A tuple of True and False, which can be hashed."""

    allowed: str = "a tuple of True and False"

    def holds(self, value: Any) -> bool:
        return isinstance(value, tuple) and all(isinstance(one, bool) for one in value)


@dataclasses.dataclass(frozen=True)
class Location(Kind):
    """A path of a file or folder."""

    allowed: str = "a path, such as 'fit.glmm'"

    def holds(self, value: Any) -> bool:
        text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
        return isinstance(text, str) and text != "" and "\0" not in text


@dataclasses.dataclass(frozen=True)
class Maybe(Kind):
    """None, or a value of another kind; ``none`` says what None stands for, where that is not plain."""

    kind: Kind
    none: str = ""

    @property
    def allowed(self) -> str:  # type: ignore[override]
        return f"None{f' ({self.none})' if self.none else ''}, or {self.kind.allowed}"

    def holds(self, value: Any) -> bool:
        return value is None or self.kind.holds(value)

    def check(self, argument: str, value: Any) -> None:
        if isinstance(self.kind, OneOf):
            OneOf(None, self.kind.meaning).check(argument, value)
        elif not self.holds(value):
            if type(self.kind).check is not Kind.check:  # which says more than what is allowed
                kind: Any = self.kind
                dataclasses.replace(kind, allowed=self.allowed).check(argument, value)
            super().check(argument, value)


@dataclasses.dataclass(frozen=True)
class Judged(Kind):
    """A value that only the model can judge; ``allowed`` says what it may be."""

    allowed: str

    def holds(self, value: Any) -> bool:
        return True


LEVEL = Number(0.0, 1.0, "a number between 0 and 1, such as 0.95")
FLAG = OneOf(True, False)
COUNT = Whole(1, 10**9)  # of what is drawn or simulated
SEED = Whole(0, 2**63 - 1)
TABLE = Container()
NUMBERS = Container("numbers: an array, a list or a Series")
NAMES = Names()
PATH = Location()
FOLDER = Location("the path of a folder")
AXES = Maybe(Having(("plot", "get_xlabel", "transAxes"), "a matplotlib Axes, such as that of plt.subplots()"))
