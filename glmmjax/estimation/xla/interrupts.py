"""Ctrl-C that is not lost while JAX traces.

Python raises KeyboardInterrupt in whatever the main thread runs next. After a collection of garbage, and tracing has many, that is a
callback of JAX's. What is raised there Python prints and forgets: the fit would run to its end.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

__all__ = ["forget_interrupts", "keep_interrupts"]


_seen: list[int] = []  # signals since the outermost context began


@contextlib.contextmanager
def keep_interrupts() -> Iterator[Callable[[], None]]:
    """A context in which Ctrl-C is remembered as well as raised; it gives a check, which the end of the context makes too.

    One inside another is the same context. Outside the main thread, which alone gets signals, and where somebody else handles Ctrl-C,
    nothing changes.

    Raises
    ------
    KeyboardInterrupt
        By the check, where one was raised and did not arrive.
    """
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if is_main else None
    if handler is signal.default_int_handler:
        _seen.clear()
        signal.signal(signal.SIGINT, _note)
        try:
            yield _check
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        _check()
    elif handler is _note:
        yield _check
        _check()
    else:
        yield lambda: None


def forget_interrupts() -> None:
    """What was remembered has been answered: the end of the context raises nothing."""
    _seen.clear()


def _note(number: int, _: object) -> None:
    _seen.append(number)
    raise KeyboardInterrupt


def _check() -> None:
    if _seen:
        raise KeyboardInterrupt
