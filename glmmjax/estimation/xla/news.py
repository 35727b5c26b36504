"""What takes the time while nothing moves yet, said to whoever follows a fit and to the logger ``glmmjax``."""

from __future__ import annotations

import contextlib
import contextvars
import logging
from collections.abc import Callable, Iterator

__all__ = ["logger", "tell", "told_to"]

logger = logging.getLogger("glmmjax")
logger.addHandler(logging.NullHandler())  # a library prints nothing by itself

_follower: contextvars.ContextVar[Callable[[str], None] | None] = contextvars.ContextVar("_follower", default=None)


@contextlib.contextmanager
def told_to(show: Callable[[str], None] | None) -> Iterator[None]:
    """Give ``show`` what is told in this thread meanwhile."""
    before = _follower.set(show)
    try:
        yield
    finally:
        _follower.reset(before)


def tell(text: str) -> None:
    """Say what is done now."""
    logger.info(text)
    show = _follower.get()
    if show is not None:
        show(text)
