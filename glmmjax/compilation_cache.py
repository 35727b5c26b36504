"""JAX's on-disk compilation cache: a fit of a shape seen before, in any process, compiles nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jax

__all__ = ["enable_compilation_cache"]


def enable_compilation_cache(path: str | os.PathLike[str] | None = None) -> Path:
    """Keep compiled programs on disk, for this process and later ones; call it before the first fit.

    The setting is JAX's own and holds for everything that the process compiles, until ``jax_compilation_cache_dir`` has another value.

    Parameters
    ----------
    path : folder of the cache, made if needed; ``glmmjax`` in the user's cache folder when not given.

    Returns
    -------
    Path
        The folder. It may be deleted at any time.

    Raises
    ------
    OSError
        Where the folder cannot be made.

    Examples
    --------
    >>> import jax
    >>> before = jax.config.jax_compilation_cache_dir
    >>> gj.enable_compilation_cache("compiled").name
    'compiled'
    >>> jax.config.update("jax_compilation_cache_dir", before)  # and no longer
    """
    folder = Path(path).expanduser() if path is not None else _user_cache() / "glmmjax"
    folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


def _user_cache() -> Path:
    """The folder in which this platform keeps caches of a user."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
