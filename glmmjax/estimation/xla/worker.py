"""Compiled programs in a thread of their own, so that Ctrl-C reaches Python at once and never leaves one running unattended.

An interpreter that ends under a running XLA program crashes; one that ends while a thread waits for the program joins the thread
first. The calling thread only waits, and can be interrupted.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

__all__ = ["is_double_precision", "worker"]


@contextmanager
def worker() -> Iterator[Callable[..., Any]]:
    """A function ``call(program, *arguments)`` that gives the program's finished result, under the caller's precision."""
    is_double = is_double_precision()
    pool = concurrent.futures.ThreadPoolExecutor(1, "glmmjax")

    def run(program: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        with jax.enable_x64(is_double):
            return jax.block_until_ready(program(*arguments))

    try:
        yield lambda program, *arguments: pool.submit(run, program, arguments).result()
    finally:
        pool.shutdown(wait=False)


def is_double_precision() -> bool:
    """Whether float64 is in force; the setting belongs to a thread, and a new thread has to be told."""
    return jax.dtypes.canonicalize_dtype(np.float64) == np.float64
