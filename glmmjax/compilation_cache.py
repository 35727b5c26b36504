"""What is compiled is kept on disk: our programs by ``program_store``, all others by JAX's own cache."""

from __future__ import annotations

import os
from pathlib import Path

import jax

from glmmjax.arguments import FOLDER, Maybe, takes
from glmmjax.errors import ArgumentError
from glmmjax.estimation.xla.store import cache_folder, default_folder, store_in_force, use_store

__all__ = ["enable_compilation_cache", "program_store"]


@takes(path=Maybe(FOLDER, "to keep no programs"))
def program_store(path: str | os.PathLike[str] | None = "default") -> Path | None:
    """Choose the folder in which compiled programs are kept; it is in use from the next call on.

    A fit compiles for seconds when its kind of model is met for the first time. What was compiled is kept, up to 1 GB, and a later
    process of the same user loads it in a tenth of the time. The name of a file depends on everything that decides the program: the
    source of glmmjax, the versions of JAX, the processor or device, XLA's flags, the model, and the shapes of the data; no data are in it.

    Nothing is written while JAX's own cache (``enable_compilation_cache``) is in use, which then serves instead.

    A program is code. It is read only from a folder, and of an owner, that no other user can change; a damaged file is ignored.

    Parameters
    ----------
    path : of the folder, made when needed; ``"default"`` is ``glmmjax/programs`` in the user's cache folder; None keeps nothing. The
        environment variable ``GLMMJAX_PROGRAM_STORE`` says the same before Python starts: a path, or ``off``.

    Returns
    -------
    Path or None
        The folder, which may be deleted at any time; None where nothing is kept, as where the user has no home folder.

    Raises
    ------
    ArgumentError
        For a path that is no text and no path, that is a file, or that cannot be reached.

    Examples
    --------
    >>> gj.program_store("programs").name
    'programs'
    >>> gj.program_store(None)  # and nothing is kept
    """
    use_store(None if path is None else default_folder() if path == "default" else _folder(path))
    store = store_in_force()
    return store.folder if store is not None else None


def _folder(path: str | os.PathLike[str]) -> Path:
    """The path of a folder that is there or may be made."""
    try:
        folder = Path(path).expanduser().absolute()
        is_file = folder.exists() and not folder.is_dir()
    except (RuntimeError, OSError) as error:  # a user whom this machine does not have, a folder that may not be read, a name too long
        raise ArgumentError(f"program_store(path={str(path)!r}) cannot be reached: {error}. Give a folder of your own, or None.") from error
    if is_file:
        instead = str(folder.with_suffix(".programs"))
        raise ArgumentError(f"program_store(path={str(folder)!r}) is a file; give a folder, such as {instead!r}.")
    return folder


@takes(path=Maybe(FOLDER, "the cache folder of the user"))
def enable_compilation_cache(path: str | os.PathLike[str] | None = None) -> Path:
    """Keep on disk what JAX compiles beside our fits, such as your own functions of ``log_likelihood``; call it before they are compiled.

    Fits and their methods have ``program_store``, which needs no call and no tracing. This setting is JAX's own and holds for everything
    that the process compiles, until ``jax_compilation_cache_dir`` has another value.

    Parameters
    ----------
    path : folder of the cache, made if needed; ``glmmjax/jax`` in the user's cache folder when not given.

    Returns
    -------
    Path
        The folder. It may be deleted at any time.

    Raises
    ------
    ArgumentError
        Where the folder cannot be made.

    Examples
    --------
    >>> import jax
    >>> before = jax.config.jax_compilation_cache_dir
    >>> gj.enable_compilation_cache("compiled").name
    'compiled'
    >>> jax.config.update("jax_compilation_cache_dir", before)  # and no longer
    """
    folder = Path(path).expanduser() if path is not None else cache_folder() / "glmmjax" / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"path={str(folder)!r} cannot be made a folder ({error.strerror}); give another.") from None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder
