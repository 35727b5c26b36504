"""Compiling the programs of a first fit side by side: most of its time is compilation.

XLA compiles without Python's lock, and tracing needs it. So the calling thread traces one program after the other, from the shapes
of arrays that do not exist yet, and each is compiled in a thread of its own as soon as it is traced.
"""

from __future__ import annotations

import concurrent.futures
import functools
import time
from collections.abc import Callable, Iterable
from typing import Any

import jax

from glmmjax.estimation.xla.compiler_options import device_in_force
from glmmjax.estimation.xla.executables import load_together, name_of, write_together
from glmmjax.estimation.xla.interrupts import keep_interrupts
from glmmjax.estimation.xla.kept import call_after_release
from glmmjax.estimation.xla.news import logger, tell
from glmmjax.estimation.xla.program import shape_of
from glmmjax.estimation.xla.workers import Workers, is_double_precision

__all__ = ["like", "precompile"]

_THREADS = 2  # each compiler takes some 100 MB while it works


def precompile(traced: Callable[..., Iterable[Any]], static: Any, *arguments: Any) -> None:
    """Compile programs that are about to be called. A second call with the same arguments does nothing.

    Parameters
    ----------
    traced : gives the programs, ``jitted.trace(...)`` each, from ``static`` and the shapes of ``arguments``; the call of ``jitted``
        with such arguments then finds it compiled. ``n_programs`` of it is their number.
    static : hashable.
    arguments : trees of arrays, numpy's or JAX's.
    """
    leaves, tree = jax.tree.flatten(arguments)
    _compile(traced, static, tree, tuple(shape_of(leaf) for leaf in leaves), is_double_precision())


@functools.cache
def _compile(traced: Callable[..., Iterable[Any]], static: Any, tree: Any, shapes: tuple[Any, ...], is_double: bool) -> None:
    device = _device(shapes)
    name = name_of(traced, static, tree, shapes, is_double, str(device))  # another precision needs other programs
    with keep_interrupts() as check, Workers(_THREADS) as workers:
        if device is not None and load_together(name, device, workers):
            return
        begun, names = time.perf_counter(), []
        running: list[concurrent.futures.Future[Any]] = []
        tell(_describe(traced, running))
        for program in traced(static, *jax.tree.unflatten(tree, shapes)):
            check()
            names.append(program.name)
            running.append(workers.start(program.compile))
            tell(_describe(traced, running))
        for compiled in concurrent.futures.as_completed(running):
            check()
            compiled.result()
            tell(_describe(traced, running))
    logger.info("compiled %d programs in %.1f s", len(names), time.perf_counter() - begun)
    write_together(name, names)


def _describe(traced: Any, running: list[concurrent.futures.Future[Any]]) -> str:
    """How far the compiler is; ``traced.n_programs`` is the number of programs where it is known."""
    n, done = getattr(traced, "n_programs", None), sum(compiled.done() for compiled in running)
    return f"compiling {n or 'the'} programs, {done} done"


def _device(shapes: tuple[jax.ShapeDtypeStruct, ...]) -> jax.Device | None:
    """Where the programs will run, None where that is several devices."""
    devices: set[jax.Device] = set().union(*(shape.sharding.device_set for shape in shapes if shape.sharding is not None))
    return device_in_force() if not devices else devices.pop() if len(devices) == 1 else None


call_after_release(_compile.cache_clear)


def like(tree: Any, data: Any) -> Any:
    """``tree`` of a program's ``out_info`` as arguments of the next program, placed where ``data``, the first program's arguments, are."""
    placement = jax.tree.leaves(data)[0].sharding
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=placement, weak_type=leaf.weak_type), tree)
