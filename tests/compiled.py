"""The programs that JAX compiles during a test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax

__all__ = ["compiled"]


@contextlib.contextmanager
def compiled() -> Iterator[list[dict[str, Any]]]:
    """What is said of every program that is compiled inside, as it comes."""
    found: list[dict[str, Any]] = []

    def listen(event: str, duration_secs: float, **about: Any) -> None:
        if duration_secs >= 0 and event.endswith("backend_compile_duration"):
            found.append(about)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)
