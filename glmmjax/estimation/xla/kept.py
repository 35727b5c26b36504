"""Executables in memory: those least recently used are released before the process reaches a limit of the system.

An executable has an object file for each of its fused loops, and each file has three memory maps. A fit with its methods takes some 1,200
maps and 80 MB; Linux allows a process 65,530 maps and ends it without a word at the next one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import threading
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, NamedTuple

import jax

__all__ = ["Kept", "Use", "call_after_release", "keep", "limits", "n_kept", "release", "use"]

_SHARE = 0.5  # of a limit, at which programs are released
_URGENT = 0.85  # of the limit of maps, from which on every look releases programs
_EVERY = 8  # programs between two looks at the process
_MOST_DOUBLINGS = 3  # of that number where maps fill up: so many programs stay far below the limit
_FEWEST = 16  # programs that are never released: those of the fit that runs
_EARNED = 1.5  # seconds that a program has to run before it is compiled again to run faster, which takes one to five

_clock = itertools.count()
_lock = threading.Lock()
_all: list[Kept] = []
_callbacks: list[Callable[[], None]] = []
_next_look = [_EVERY]
_in_vain = [0]  # looks that found the process full again although programs had been released


class Use(NamedTuple):
    """What a process uses, or may use.

    Attributes
    ----------
    maps : memory maps
    memory : bytes in memory
    """

    maps: float
    memory: float


@dataclasses.dataclass(eq=False)
class Kept:
    """An executable in memory.

    Attributes
    ----------
    executable
    owner : the dict that holds it
    key : its key there
    used : when it was last called, as a number that grows
    faster : compiles the same program to run faster, and gives None where it cannot; None itself once that has been done
    seconds : for which it has run, as long as ``faster`` is there
    """

    executable: Any
    owner: dict[Any, Kept]
    key: Hashable
    used: int
    faster: Callable[[], Any] | None = None
    seconds: float = 0.0

    def __call__(self, *arguments: Any) -> Any:
        self.used = next(_clock)
        return self.executable(*arguments) if self.faster is None else self._timed(*arguments)

    def _timed(self, *arguments: Any) -> Any:
        """A call that counts; the next one is of the faster program where enough of them have been made."""
        begun = time.perf_counter()
        result = jax.block_until_ready(self.executable(*arguments))
        self.seconds += time.perf_counter() - begun
        if self.seconds > _EARNED:
            with _lock:
                faster, self.faster = self.faster, None
            if faster is not None:
                # the result is there: where the compiler fails, for want of memory, the program stays as it is
                with contextlib.suppress(jax.errors.JaxRuntimeError, MemoryError):
                    self.executable = faster() or self.executable
        return result


def keep(executable: Any, owner: dict[Any, Kept], key: Hashable, faster: Callable[[], Any] | None = None) -> Kept:
    """Hold an executable in ``owner`` under ``key``; the one that is there already where two threads have made it."""
    with _lock:
        kept = owner.get(key)
        if kept is None:
            kept = owner[key] = Kept(executable, owner, key, next(_clock), faster)
            _all.append(kept)
        must_look = len(_all) >= _next_look[0]
    if must_look:
        _look()
    return kept


def n_kept() -> int:
    """The number of executables in memory."""
    return len(_all)


def release(n: int) -> int:
    """Release the ``n`` executables least recently used; the number that there were. A call that is running keeps its own."""
    with _lock:
        _all.sort(key=lambda kept: kept.used)
        released, _all[:] = _all[:n], _all[n:]
        for kept in released:
            kept.owner.pop(kept.key, None)
    for callback in _callbacks:
        callback()
    return len(released)


def call_after_release(callback: Callable[[], None]) -> None:
    """Have ``callback`` called whenever executables were released, such as a memory of what has been compiled."""
    _callbacks.append(callback)


def use() -> Use:
    """What this process uses now; 0 where the system does not tell."""
    maps = memory = 0.0
    with contextlib.suppress(OSError, ValueError):
        maps = Path("/proc/self/maps").read_bytes().count(b"\n")
        memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Use(maps, memory)


def limits() -> Use:
    """What this process may use at most; infinite where the system does not tell."""
    return Use(_number("/proc/sys/vm/max_map_count"), min(_number("/sys/fs/cgroup/memory.max"), _physical_memory()))


def _look() -> None:
    """Release half of the executables where the process is half-way to a limit."""
    used, allowed = use(), limits()
    has_many_maps, is_full = used.maps > _SHARE * allowed.maps, used.memory > _SHARE * allowed.memory
    if (has_many_maps or is_full) and len(_all) > _FEWEST:
        release(max(1, min(len(_all) // 2, len(_all) - _FEWEST)))
    # where data, or programs of others, fill the process, releasing ours again and again would only compile them again
    is_urgent = used.maps > _URGENT * allowed.maps
    _in_vain[0] = _in_vain[0] + 1 if (has_many_maps or is_full) and not is_urgent else 0
    _next_look[0] = len(_all) + _EVERY * 2 ** min(_in_vain[0], _MOST_DOUBLINGS if has_many_maps else 16)


def _number(path: str) -> float:
    """The number in a file of the system; infinite where there is none."""
    try:
        return float(Path(path).read_text())
    except (OSError, ValueError):
        return float("inf")


def _physical_memory() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return float("inf")
