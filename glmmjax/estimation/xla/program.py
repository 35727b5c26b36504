"""``Program``: a jitted function whose executables are compiled, kept and released here, and found on disk in a later process.

``jax.jit`` keeps what it compiles out of reach, and a later process has to trace and lower again before JAX's own cache can answer. A
``Program`` asks the store first, by a key that needs neither. Where it is called with tracers it is the jitted function and no more.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from glmmjax.estimation.xla.compiler_options import device_in_force, platform_in_force, quick_to_compile, quick_to_run, run_once
from glmmjax.estimation.xla.executables import executable_in_memory, hold, name_of, read_executable, write_executable
from glmmjax.estimation.xla.forks import note_run, refuse_fork
from glmmjax.estimation.xla.interrupts import keep_interrupts
from glmmjax.estimation.xla.kept import Kept, keep
from glmmjax.estimation.xla.news import logger, tell
from glmmjax.estimation.xla.workers import is_double_precision

__all__ = ["Program", "Traced", "as_program", "for_many_draws", "shape_of"]

# numbers in the arguments of a program, some 5,000 and 30,000 rows: up to the first one run takes less than any optimisation does
_FEW = 30_000
_SMALL = 200_000  # up to which the user waits for the compiler

# what JAX reads of its settings when it traces and compiles, beside the arguments
_SETTINGS = (
    "jax_enable_x64", "jax_default_device", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_threefry_partitionable",
    "jax_debug_nans", "jax_debug_infs", "jax_numpy_dtype_promotion", "jax_numpy_rank_promotion",
)  # fmt: skip


Options = Callable[[], dict[str, Any]]
Decorator = Callable[[Callable[..., Any]], "Program"]


class _Key(NamedTuple):
    """The arguments of a call as far as they decide what is compiled."""

    static: tuple[Any, ...]
    tree: Any
    leaves: tuple[Any, ...]
    settings: tuple[Any, ...]


class Traced(NamedTuple):
    """A program that has been traced and not compiled.

    Attributes
    ----------
    compile : compiles it, unless it has been; XLA works without Python's lock
    out_info : its result, in shapes
    name : in the store, None where it has none
    """

    compile: Callable[[], Any]
    out_info: Any
    name: str | None


class Program:
    """``function``, compiled for the kinds of arguments that it is called with; positional arguments only.

    Parameters
    ----------
    function : pure, of trees of arrays.
    static_argnums : positions of hashable arguments on which the program depends; they come before all others.
    compiler_options : gives those of XLA, when something is first compiled; by default they follow from the size of the arguments.
    later_options : those with which it is compiled once more when it has run for some seconds; None for no second time.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        static_argnums: tuple[int, ...] = (),
        compiler_options: Options | None = None,
        later_options: Options | None = None,
    ):
        functools.update_wrapper(self, function)
        self._static_argnums, self._options, self._later_options = static_argnums, compiler_options, later_options
        self._n_static = len(static_argnums)
        self._executables: dict[_Key, Kept] = {}

    @functools.cached_property
    def _jitted(self) -> Any:
        """For calls with tracers: JAX takes no options, unless they are given, for what becomes a part of another program."""
        options = self._options() if self._options is not None else None
        return jax.jit(self.__wrapped__, static_argnums=self._static_argnums, compiler_options=options)  # type: ignore[attr-defined]

    def _new_jitted(self, arguments: tuple[Any, ...], options: dict[str, Any] | None = None) -> Any:
        """JAX remembers what it has traced and compiled for as long as the function lives: this one is for one executable."""
        function: Any = self.__wrapped__  # type: ignore[attr-defined]
        own = functools.wraps(function)(lambda *arguments: function(*arguments))
        given = self._options_for(arguments) if options is None else options
        return jax.jit(own, static_argnums=self._static_argnums, compiler_options=given)

    def _options_for(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        return self._options() if self._options is not None else _options_for(arguments[self._n_static :])

    def __call__(self, *arguments: Any) -> Any:
        refuse_fork()
        n = self._n_static
        key = _key(arguments[:n], arguments[n:])
        if key is None:
            return self._jitted(*arguments)
        executable = self._executables.get(key)
        if executable is None:
            with keep_interrupts():
                executable = self._found(key, arguments, lambda: self._new_jitted(arguments).lower(*arguments).compile())
        return executable(*arguments[n:])

    def trace(self, *arguments: Any) -> Traced:
        """The program for arguments of which only the shapes matter, as ``jax.ShapeDtypeStruct``."""
        traced = self._new_jitted(arguments).trace(*arguments)
        key = _key(arguments[: self._n_static], arguments[self._n_static :])
        assert key is not None, "a program is traced from shapes or arrays"
        return Traced(lambda: self._found(key, arguments, lambda: traced.lower().compile()), traced.out_info, self._name(key))

    @property
    def token_parts(self) -> tuple[Any, ...]:
        """What tells this program from others, for its name in the store."""
        return self.__wrapped__, self._options  # type: ignore[attr-defined]

    def _name(self, key: _Key) -> str | None:
        """The name of an executable in the store; None where it runs on several devices."""
        device = _device(key)
        return name_of(self, *key, str(device)) if device is not None else None

    def _found(self, key: _Key, arguments: tuple[Any, ...], compiled: Callable[[], Any]) -> Any:
        """The executable from memory, from the store, or from the compiler."""
        name = self._name(key)
        executable = executable_in_memory(name)
        if executable is None:
            executable = read_executable(name, _device(key))
        if executable is None:
            logger.debug("compiling %s", getattr(self, "__name__", "a program"))
            executable = compiled()
            write_executable(name, executable)
        note_run()
        kept = keep(executable, self._executables, key, self._faster(arguments))
        hold(name, kept)
        return kept

    def _faster(self, arguments: tuple[Any, ...]) -> Callable[[], Any] | None:
        """Compiles an executable with the later options, None where they change nothing; it holds the shapes of its arguments alone."""
        if self._later_options is None:
            return None
        later, first, static = self._later_options, self._options_for, arguments[: self._n_static]
        shapes = jax.tree.map(shape_of, arguments[self._n_static :])

        def compiled() -> Any:
            options, like_arguments = later(), (*static, *shapes)
            if options == first(like_arguments):
                return None
            tell("compiling once more, to run faster")
            return self._new_jitted(like_arguments, options).lower(*like_arguments).compile()

        return compiled


def as_program(
    static_argnums: tuple[int, ...] | int = (), compiler_options: Options | None = None, later_options: Options | None = None
) -> Callable[[Callable[..., Any]], Program]:
    """A decorator that makes a function a ``Program``."""
    numbers = (static_argnums,) if isinstance(static_argnums, int) else static_argnums
    return lambda function: Program(function, numbers, compiler_options, later_options)


def shape_of(leaf: Any) -> jax.ShapeDtypeStruct:
    """An array's shape, and its device where one was named; other arrays follow JAX's default."""
    placement = leaf.sharding if getattr(leaf, "committed", False) or isinstance(leaf, jax.ShapeDtypeStruct) else None
    dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
    return jax.ShapeDtypeStruct(leaf.shape, dtype, sharding=placement, weak_type=bool(getattr(leaf, "weak_type", False)))


def for_many_draws() -> dict[str, Any]:
    """Compiler options of a program whose work does not show in the size of its arguments."""
    return quick_to_compile(platform_in_force())


def _options_for(arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Those that the sum of a compilation and a run or two wants."""
    n = sum(np.size(leaf) for leaf in jax.tree.leaves(arguments))
    if n <= _FEW:
        return run_once(platform_in_force())
    return quick_to_compile(platform_in_force()) if n <= _SMALL else quick_to_run(platform_in_force())


def _key(static: tuple[Any, ...], arguments: tuple[Any, ...]) -> _Key | None:
    """None where an argument is traced, or where JAX is told to compile nothing."""
    leaves, tree = jax.tree.flatten(arguments)
    is_double = is_double_precision()
    kinds = tuple(_kind(leaf, is_double) for leaf in leaves)
    settings: Any = jax.config
    if None in kinds or settings.jax_disable_jit:
        return None
    in_force = tuple(getattr(settings, name) for name in _SETTINGS)
    return _Key(static, tree, kinds, (*in_force, settings.read("jax_disable_most_optimizations")))


def _device(key: _Key) -> jax.Device | None:
    """The one device on which an executable runs, None where there are several."""
    placed = [kind[3].device_set for kind in key.leaves if len(kind) > 1 and kind[3] is not None]
    devices = set().union(*placed) if placed else {device_in_force()}
    return devices.pop() if len(devices) == 1 else None


def _kind(leaf: Any, is_double: bool) -> tuple[Any, ...] | None:
    """Shape, type and place of an argument; None for a tracer."""
    if isinstance(leaf, np.ndarray | np.generic):
        return (leaf.shape, leaf.dtype if is_double else jax.dtypes.canonicalize_dtype(leaf.dtype), False, None)
    if isinstance(leaf, jax.core.Tracer):
        return None
    if isinstance(leaf, jax.Array):
        has_weak_type = getattr(leaf, "weak_type", False)  # random keys do not have the attribute
        return (leaf.shape, leaf.dtype, has_weak_type, leaf.sharding if leaf.committed else None)
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return (leaf.shape, leaf.dtype, leaf.weak_type, leaf.sharding)
    return (type(leaf),)
