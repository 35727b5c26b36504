"""Compiling the programs of a first fit side by side: most of its time is compilation.

XLA compiles without Python's lock, and tracing needs it. So the calling thread traces one program after the other, from the shapes
of arrays that do not exist yet, and each is compiled in a thread of its own as soon as it is traced.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable
from typing import Any

import jax

from glmmjax.estimation.xla.worker import is_double_precision

__all__ = ["like", "precompile"]

_COMPILED: set[Any] = set()
_THREADS = 2  # each compiler takes some 100 MB while it works


def precompile(static: Any, data: Any, traced: Callable[[], Iterable[Any]]) -> None:
    """Compile programs that are about to be called, unless a call like this has been there before.

    Parameters
    ----------
    static : hashable; decides with the arrays in ``data`` which programs these are.
    traced : gives them, ``jitted.trace(...)`` each; the call of ``jitted`` with such arguments then finds it compiled.
    """
    is_double = is_double_precision()
    key = (static, is_double, tuple((leaf.shape, _placement(leaf)) for leaf in jax.tree.leaves(data)))
    if key in _COMPILED:
        return

    def compile_lowered(lowered: Any) -> None:
        with jax.enable_x64(is_double):
            lowered.compile()

    pool = concurrent.futures.ThreadPoolExecutor(_THREADS, "glmmjax-precompile")
    try:
        for running in [pool.submit(compile_lowered, program.lower()) for program in traced()]:
            running.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    _COMPILED.add(key)


def like(tree: Any, data: Any) -> Any:
    """``tree`` of a program's ``out_info`` as arguments of the next: where ``data``, arguments of the first, have put the results."""
    placement = _placement(jax.tree.leaves(data)[0])
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=placement, weak_type=leaf.weak_type), tree)


def _placement(leaf: Any) -> Any:
    """The sharding of an array that was put on a device by name, None for one that follows JAX's default."""
    return leaf.sharding if getattr(leaf, "committed", False) else None
