"""Ctrl-C that is not lost while JAX traces.

Python raises KeyboardInterrupt in whatever the main thread runs next. After a collection of garbage, and that is a fifth of the time of
tracing, it is a callback of JAX's. What is raised there Python prints and forgets: the fit would run to its end.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

__all__ = ["keep_interrupts"]


@contextlib.contextmanager
def keep_interrupts() -> Iterator[Callable[[], None]]:
    """A context in which Ctrl-C is remembered as well as raised; it gives a check, which the end of the context makes too.

    Outside the main thread, which alone gets signals, and where somebody else handles Ctrl-C, nothing changes.

    Raises
    ------
    KeyboardInterrupt
        By the check, where one was raised and did not arrive.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: None
        return
    numbers: list[int] = []

    def note(number: int, frame: object) -> None:
        numbers.append(number)
        raise KeyboardInterrupt

    def check() -> None:
        if numbers:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    check()
