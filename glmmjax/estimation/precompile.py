"""Compiling the program of the last phase while the first ones are compiled and run: half of a first fit's time is compilation.

XLA compiles on one core and without Python's lock, so a second thread costs the first little. The shapes are known before any
number is: abstract evaluation gives the state that the last phase will take up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from glmmjax.estimation.worker import is_double_precision

__all__ = ["precompile"]

_STARTED: set[Any] = set()


def precompile(program: Callable[..., Any], static: tuple[Any, ...], data: Any, arguments: Callable[[], Any]) -> Callable[[], None]:
    """Start compiling ``program(*static, *arguments())`` in a thread, unless a call like it has been there before.

    Parameters
    ----------
    program : a jitted function.
    static : its leading, hashable arguments.
    data : arrays whose shapes, with ``static``, decide the shapes of all others.
    arguments : gives its other arguments, arrays or ``jax.ShapeDtypeStruct`` (zeros in the call), such that the call has nothing to do;
        called only when there is something to compile.

    Returns
    -------
    ``wait``, to be called before the program is: a call that overtakes the thread would compile the program again.
    """
    is_double = is_double_precision()
    key = (program, static, is_double, tuple(leaf.shape for leaf in jax.tree.leaves(data)))
    if key in _STARTED:
        return lambda: None
    _STARTED.add(key)
    shapes = arguments()

    def run() -> None:
        with jax.enable_x64(is_double):
            program(*static, *jax.tree.map(_filled, shapes))

    thread = threading.Thread(target=run, name="glmmjax-precompile")
    thread.start()
    return thread.join


def _filled(leaf: Any) -> Any:
    return np.zeros(leaf.shape, leaf.dtype) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf
