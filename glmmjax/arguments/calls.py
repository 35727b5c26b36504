"""``takes``: the arguments of a call are checked before the function begins."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from glmmjax.arguments.kinds import Kind
from glmmjax.other_names import NEEDED, advice_on_argument

__all__ = ["check_arguments", "takes"]

P = ParamSpec("P")
R = TypeVar("R")


def takes(**kinds: Kind) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare the kinds of a function's arguments: a call with another value is refused before the function begins."""

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters
        names = tuple(parameters)
        by_place = [name for name, one in parameters.items() if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
        takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
        by_name = [name for name, one in parameters.items() if one.kind is not inspect.Parameter.VAR_POSITIONAL]
        takes_many = len(by_name) < len(names)
        needed = [name for name in by_name if parameters[name].default is inspect.Parameter.empty and name != "self"]
        if unknown := set(kinds) - set(names):
            raise TypeError(f"{function.__qualname__} has no {', '.join(sorted(unknown))}")

        @functools.wraps(function)
        def checked(*args: P.args, **given: P.kwargs) -> R:
            if not takes_any:
                _check_names(function.__name__, by_name, given)
            check_arguments(kinds, dict(zip(by_place, args, strict=False)) | given)
            if not takes_any:
                _check_number(function.__name__, by_place, needed, args[: len(by_place)] if takes_many else args, given, kinds)
            return function(*args, **given)

        checked.kinds = kinds  # type: ignore[attr-defined]
        return checked

    return declare


def _check_number(
    function: str, by_place: Sequence[str], needed: Sequence[str], args: Sequence[Any], given: Mapping[str, Any], kinds: Mapping[str, Kind]
) -> None:
    """Refuse more arguments by their place than there are, and a call without one that has no default.

    Raises
    ------
    TypeError
        As Python raises it, with what to write.
    """
    if len(args) > len(by_place):
        own = ", ".join(name for name in by_place if name != "self") or "nothing"
        raise TypeError(
            f"{function}() takes by place {own}; all else goes by name{''.join(f', {n}=' for n in needed if n not in by_place)}"
        )
    missing = [name for name in needed if name not in given and name not in by_place[: len(args)]]
    if missing:
        what = kinds[missing[0]].allowed if missing[0] in kinds else "it has no default"
        raise TypeError(f"{function}() needs {missing[0]}: {NEEDED.get((function, missing[0]), what)}")


def _check_names(function: str, names: Sequence[str], given: Mapping[str, Any]) -> None:
    """Refuse a keyword that the function does not have, with the name that it has here.

    Raises
    ------
    TypeError
        As Python raises it, with what to write.
    """
    for name in given:
        if name not in names:
            own = [one for one in names if one != "self"]
            advice = advice_on_argument(name, own, function)
            how = f"write {advice}" if advice else f"it has {', '.join(own) or 'no arguments'}"
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}; {how}")


def check_arguments(kinds: Mapping[str, Kind], given: Mapping[str, Any]) -> None:
    """Refuse values that are not of their kinds.

    Raises
    ------
    ArgumentError
    """
    for name, value in given.items():
        if name in kinds:
            kinds[name].check(name, value)
