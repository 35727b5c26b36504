"""The folder in which compiled programs outlive the process.

Executables are code, and so is the pickle around them. So a file is read only from a folder, and of an owner, that no other user can
change. A file that is damaged, cut off, or not ours is as good as none.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import hashlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["ProgramStore", "cache_folder", "default_folder", "store_in_force", "use_store"]

VARIABLE = "GLMMJAX_PROGRAM_STORE"
LIMIT = 1_000_000_000  # bytes; the files least recently used go first
_MAGIC = b"glmmjax program 1\n"
_DIGEST = 32  # bytes
_HEAD = len(_MAGIC) + _DIGEST
_SUFFIX = ".program"

_chosen: list[ProgramStore | None] = []


class ProgramStore:
    """Executables in a folder.

    Parameters
    ----------
    folder : made when something is first written.
    limit : bytes in all.
    """

    def __init__(self, folder: Path, limit: int = LIMIT):
        self.folder, self.limit = folder, limit

    def read(self, name: str) -> bytes | None:
        """What was written under this name, None where nothing was that can be trusted."""
        path = self.folder / name
        try:
            if not _is_ours(self.folder.stat()):
                return None
            with path.open("rb") as file:
                if not _is_ours(os.fstat(file.fileno())):
                    return None
                content = file.read()
        except OSError:
            return None
        payload = content[_HEAD:]
        if content[:_HEAD] != _head(payload):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the files least recently used go first
        return payload

    def write(self, name: str, payload: Callable[[], bytes]) -> None:
        """Keep the bytes that ``payload`` gives; a thread of its own makes and writes them. What cannot be kept is not."""
        _writer().submit(self._write, name, payload)

    def _write(self, name: str, payload: Callable[[], bytes]) -> None:
        with contextlib.suppress(Exception):  # a full disk, or a program that cannot be serialised, costs the next process time and no more
            content = payload()
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(self.folder.stat()):
                return
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as part:
                part.write(_head(content) + content)
            os.replace(part.name, self.folder / name)
            self._make_room()

    def _make_room(self) -> None:
        """Delete the files least recently used until the others fit; and what a process that was killed has left."""
        files = sorted(self._files(), key=lambda file: file[1].st_mtime)
        size = sum(found.st_size for _, found in files)
        for path, found in files:
            is_left_over = path.suffix == ".part" and found.st_mtime < time.time() - 3600
            if size > self.limit or is_left_over:
                with contextlib.suppress(OSError):
                    path.unlink()
                    size -= found.st_size

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self.folder.iterdir():
            if path.suffix in (_SUFFIX, ".part"):
                with contextlib.suppress(OSError):
                    yield path, path.stat()


def _head(payload: bytes) -> bytes:
    """The first bytes of a file: a file that was cut off or changed has others."""
    return _MAGIC + hashlib.blake2b(payload, digest_size=_DIGEST).digest()


def use_store(folder: Path | None) -> None:
    """Keep executables in ``folder`` from now on; None keeps none."""
    _chosen[:] = [None if folder is None else ProgramStore(folder)]


def store_in_force() -> ProgramStore | None:
    """The store that was chosen, else that of the environment variable, else the one in the user's cache folder."""
    if not _chosen:
        with contextlib.suppress(RuntimeError):  # the variable names a user that this machine does not have
            use_store(_folder_named(os.environ.get(VARIABLE, "")))
        if not _chosen:
            use_store(None)
    return _chosen[0]


def _folder_named(given: str) -> Path | None:
    """The folder that the environment variable asks for."""
    if given.lower() in ("off", "0", "none"):
        return None
    return Path(given).expanduser() if given else default_folder()


def default_folder() -> Path | None:
    """Where programs are kept when nothing else is said; None where the user has no home, as in some containers."""
    try:
        return cache_folder() / "glmmjax" / "programs"
    except RuntimeError:
        return None


def cache_folder() -> Path:
    """The folder in which this platform keeps caches of a user."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _is_ours(found: os.stat_result) -> bool:
    """Whether no other user can have written there."""
    if not hasattr(os, "geteuid"):  # Windows, where the folder is in the user's profile
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@functools.cache
def _writer() -> concurrent.futures.ThreadPoolExecutor:
    """One thread, which the end of the process waits for."""
    return concurrent.futures.ThreadPoolExecutor(1, "glmmjax-store")
