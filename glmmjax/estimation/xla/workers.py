"""Compiled programs in threads of their own, so that Ctrl-C reaches Python at once and leaves no program running unattended.

An interpreter that ends under a running XLA program crashes; one that ends while a thread waits for the program joins the thread
first. The calling thread only waits, and can be interrupted.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from glmmjax.estimation.xla.compiler_options import default_device
from glmmjax.estimation.xla.forks import refuse_fork

__all__ = ["Workers", "is_double_precision"]


class Workers:
    """``n`` threads that work under the precision and on the device of the thread that made them; a context manager that closes them."""

    def __init__(self, n: int = 1):
        refuse_fork()
        self._is_double, self._device = is_double_precision(), default_device()
        self._pool = concurrent.futures.ThreadPoolExecutor(n, "glmmjax")

    def start(self, program: Callable[..., Any], *arguments: Any) -> concurrent.futures.Future[Any]:
        """The future of the program's finished result."""
        return self._pool.submit(self._run, program, arguments)

    def call(self, program: Callable[..., Any], *arguments: Any) -> Any:
        """The program's finished result."""
        return self.start(program, *arguments).result()

    def close(self) -> None:
        """Let the threads end; programs that have not begun never run."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, program: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        with jax.enable_x64(self._is_double), jax.default_device(self._device):
            return jax.block_until_ready(program(*arguments))


def is_double_precision() -> bool:
    """Whether float64 is in force; the setting belongs to a thread, and a new thread has to be told."""
    return jax.dtypes.canonicalize_dtype(np.float64) == np.float64
