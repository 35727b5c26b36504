"""What takes the time while nothing moves yet, said to whoever follows a fit and to the logger ``glmmjax``."""

from __future__ import annotations

import contextlib
import contextvars
import logging
from collections.abc import Callable, Iterator

__all__ = ["logger", "tell", "tell_count", "told_to"]

logger = logging.getLogger("glmmjax")
logger.addHandler(logging.NullHandler())  # a library prints nothing by itself

_follower: contextvars.ContextVar[Callable[[str], None] | None] = contextvars.ContextVar("_follower", default=None)


_counter: contextvars.ContextVar[Callable[[int, int], None] | None] = contextvars.ContextVar("_counter", default=None)


@contextlib.contextmanager
def told_to(show: Callable[[str], None] | None, count: Callable[[int, int], None] | None = None) -> Iterator[None]:
    """Give ``show`` what is told in this thread meanwhile, and ``count`` how many refits are done, and of how many."""
    before, counted_before = _follower.set(show), _counter.set(count)
    try:
        yield
    finally:
        _follower.reset(before)
        _counter.reset(counted_before)


def tell(text: str) -> None:
    """Say what is done now."""
    logger.info(text)
    show = _follower.get()
    if show is not None:
        show(text)


def tell_count(n_done: int, n: int) -> None:
    """Say how many of ``n`` refits are done."""
    count = _counter.get()
    if count is not None:
        count(n_done, n)
