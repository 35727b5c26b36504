"""A text that tells two values apart which JAX would compile into different programs, the same in every process."""

from __future__ import annotations

import dataclasses
import dis
import functools
import hashlib
import importlib.metadata
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

__all__ = ["NotStorable", "token"]

_PACKAGE = __name__.split(".")[0]
_KNOWN = (_PACKAGE, "jax", "jaxlib", "numpy")  # their versions are part of every name
_RULES = ("fun", "jvp", "fwd", "bwd", "nondiff_argnums", "symbolic_zeros", "optimize_remat")  # of custom_jvp and custom_vjp
_OPAQUE = frozenset({"globals", "locals", "vars", "eval", "exec", "__import__", "import_module"})  # what they find is hidden
_JITTED: Any = type(jax.jit(len))


class NotStorable(Exception):
    """For a value of which nobody can say what it will be in another process."""


def token(value: Any) -> str:
    """The text of a value: its type with its parts; for a function, its code with all that the code refers to.

    Parameters
    ----------
    value : numbers, texts, arrays, dataclasses, named tuples, functions, devices and shardings, and containers of them.

    Returns
    -------
    str
        Equal for equal values.

    Raises
    ------
    NotStorable
        For anything else: an object whose class says nothing of its parts, or a function that reads one.
    """
    return _token(value, ())


def _token(value: Any, path: tuple[int, ...]) -> str:
    """``path`` holds the identities of the values around this one: a function may refer to itself."""
    if id(value) in path and not isinstance(value, int | str | bool | None):
        return f"<{path.index(id(value))}>"
    inner = (*path, id(value))
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr((type(value).__name__, value))
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _array(np.asarray(value))
    if isinstance(value, type):
        return _class(value)
    if isinstance(value, types.FunctionType):
        return _function(value, inner)
    if isinstance(value, functools.partial):
        return f"partial{_all((value.func, value.args, value.keywords), inner)}"
    if isinstance(value, dict):
        return f"dict{_all(sorted(value.items(), key=lambda item: repr(item[0])), inner)}"
    if isinstance(value, tuple | list):
        return f"{_class(type(value))}{_all(value, inner)}"
    if isinstance(value, frozenset | set):
        return f"set{sorted(_token(part, inner) for part in value)}"
    return _object(value, inner)


def _object(value: Any, path: tuple[int, ...]) -> str:
    if dataclasses.is_dataclass(value):
        parts = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return f"{_class(type(value))}{_all(parts, path)}"
    if isinstance(value, types.MethodType):
        return f"method{_all((value.__func__, value.__self__), path)}"
    if hasattr(type(value), "token_parts"):
        return f"{_class(type(value))}{_all(value.token_parts, path)}"
    if isinstance(value, types.ModuleType):
        return _module(value)
    if isinstance(value, types.BuiltinFunctionType | np.ufunc):
        return f"builtin {getattr(value, '__module__', '')}.{value.__name__}"
    if isinstance(value, jax.ShapeDtypeStruct):
        return f"shape{_all((value.shape, value.dtype, value.weak_type, value.sharding), path)}"
    if isinstance(value, np.dtype | jax.Device | jax.sharding.Sharding | jax.tree_util.PyTreeDef):
        return f"{type(value).__name__} {value}"
    if isinstance(value, _JITTED):
        return f"jitted {_token(value.__wrapped__, path)}"
    if isinstance(value, jax.custom_jvp | jax.custom_vjp):
        return f"{_class(type(value))}{_all([vars(value).get(name) for name in _RULES], path)}"
    raise NotStorable(f"{type(value).__name__} says nothing of its parts")


def _module(value: types.ModuleType) -> str:
    return _module_named(value.__name__)


def _module_named(name: str) -> str:
    """By name, where a version says what is in it; that of Python, of our source and of ``_KNOWN`` is part of every name."""
    top = name.split(".")[0]
    if top in sys.stdlib_module_names or top in _KNOWN:
        return f"module {name}"
    if top != "scipy":
        raise NotStorable(f"{name!r} is a module whose functions may change")
    return f"module {name} {_version(top)}"


def _version(name: str) -> str:
    """Of a package that need not be loaded yet."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # copied and not installed
        raise NotStorable(f"nothing tells the version of {name}") from None


def _class(value: type) -> str:
    """By name: what a class of ours or of JAX does is in the versions. Of another class nothing is known but its name."""
    if value.__module__.split(".")[0] not in (*_KNOWN, "builtins"):
        raise NotStorable(f"{value.__qualname__} is a class of another package")
    return f"{value.__module__}.{value.__qualname__}"


def _function(value: types.FunctionType, path: tuple[int, ...]) -> str:
    """Functions of ours and of JAX by their code, and by what they close over: the versions make definite what else they read.

    The globals say where a function was written. Its ``__module__`` may be copied from another, as ``functools.wraps`` does.
    """
    code, cells = value.__code__, [cell.cell_contents for cell in value.__closure__ or ()]
    module = value.__globals__.get("__name__") or ""
    if module.split(".")[0] in _KNOWN:
        defaults = (value.__defaults__, value.__kwdefaults__) if "<locals>" in code.co_qualname else ()
        return f"{module}.{code.co_qualname} {_code(code)}{_all((cells, defaults), path)}"
    names = _names(code)
    if not names.isdisjoint(_OPAQUE):
        raise NotStorable(f"{value.__qualname__} looks up names that its code does not hold")
    read = {name: value.__globals__[name] for name in sorted(names) if name in value.__globals__}
    imported = [_module_named(name) for name in sorted(_imports(code))]
    return f"function {_code(code)}{_all((cells, value.__defaults__, value.__kwdefaults__, read, imported), path)}"


def _parts(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code with that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _parts(constant)


def _names(code: types.CodeType) -> set[str]:
    """Names that the code may look up."""
    return {name for part in _parts(code) for name in part.co_names}


def _imports(code: types.CodeType) -> set[str]:
    """Modules that the code imports when it runs."""
    return {step.argval for part in _parts(code) for step in dis.get_instructions(part) if step.opname == "IMPORT_NAME"}


@functools.cache
def _code(code: types.CodeType) -> str:
    constants = [_code(part) if isinstance(part, types.CodeType) else _constant(part) for part in code.co_consts]
    content = (code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_exceptiontable, constants)
    return hashlib.blake2b(repr(content).encode()).hexdigest()


def _constant(value: Any) -> str:
    """A frozen set is written in another order in each process."""
    return f"set{sorted(map(repr, value))}" if isinstance(value, frozenset) else repr(value)


def _array(value: np.ndarray) -> str:
    if value.dtype.hasobject:
        raise NotStorable("an array of objects")
    return f"array {value.dtype} {value.shape} {hashlib.blake2b(np.ascontiguousarray(value).tobytes()).hexdigest()}"


def _all(parts: Iterable[Any], path: tuple[int, ...]) -> str:
    return "(" + ",".join(_token(part, path) for part in parts) + ")"
