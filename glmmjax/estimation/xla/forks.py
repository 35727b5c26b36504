"""A process that was forked after JAX had run in its parent: JAX's threads are not in it, and a program would wait for ever."""

from __future__ import annotations

import os

from glmmjax.errors import ProcessError

__all__ = ["note_run", "refuse_fork"]

_has_run = False
_is_fork = False


def note_run() -> None:
    """Remember that this process has begun to run programs."""
    global _has_run
    _has_run = True


def refuse_fork() -> None:
    """Raise an error in such a process.

    Raises
    ------
    ProcessError
        Saying how to start processes instead.
    """
    if _is_fork:
        raise ProcessError(
            "This process was made by 'fork' after its parent had run JAX, and would wait for ever. Start processes by 'spawn': "
            "multiprocessing.get_context('spawn').Pool(), ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn')), or "
            "joblib's 'loky'. Or fork before the first fit."
        )


def _after_fork() -> None:
    global _is_fork
    _is_fork = _has_run


if hasattr(os, "register_at_fork"):  # systems that can fork
    os.register_at_fork(after_in_child=_after_fork)
