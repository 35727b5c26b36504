"""Executables read from the store and written to it, by names that tell all programs apart."""

from __future__ import annotations

import functools
import hashlib
import pickle
import weakref
from collections.abc import Iterable
from typing import Any

import jax
from jax.experimental.serialize_executable import deserialize_and_load, serialize

from glmmjax.estimation.xla.kept import Kept, call_after_release
from glmmjax.estimation.xla.store import store_in_force
from glmmjax.estimation.xla.surroundings import surroundings
from glmmjax.estimation.xla.tokens import NotStorable, token
from glmmjax.estimation.xla.workers import Workers

__all__ = ["executable_in_memory", "hold", "load_together", "name_of", "read_executable", "write_executable", "write_together"]

_EVENT = "/glmmjax/program_loaded"

_read_ahead: dict[str, Any] = {}  # of the calls that will take them
_held: weakref.WeakValueDictionary[str, Kept] = weakref.WeakValueDictionary()  # those that a program holds
call_after_release(_read_ahead.clear)


def name_of(*decisive: Any) -> str | None:
    """The file name of what these values decide; None where there is no store or a value cannot be named."""
    if store_in_force() is None:
        return None
    try:
        text = f"{surroundings()}\n{token(decisive)}"
    except NotStorable:
        return None
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest() + ".program"


def read_executable(name: str | None, device: jax.Device | None) -> Any:
    """The executable of this name for one device, None where there is none that can be used."""
    store = store_in_force()
    payload = store.read(name) if store is not None and name is not None else None
    if payload is None or device is None:
        return None
    try:
        _register_kernels()
        serialized, arguments, result = pickle.loads(payload)
        executable = deserialize_and_load(serialized, arguments, result, device.client, [device])
    except Exception:  # whatever another release of JAX makes of it: the compiler gives the program
        return None
    jax.monitoring.record_event(_EVENT)
    return executable


def executable_in_memory(name: str | None) -> Any:
    """The executable of this name that an equal program holds, or that ``load_together`` has read."""
    if name is None:
        return None
    kept = _held.get(name)
    return kept.executable if kept is not None else _read_ahead.pop(name, None)


def hold(name: str | None, kept: Kept) -> None:
    """Remember which executable has this name, for as long as it is in memory."""
    if name is not None:
        _held[name] = kept


def load_together(name: str | None, device: jax.Device, workers: Workers) -> bool:
    """Read the executables that were written together under this name, side by side; whether all are here."""
    store = store_in_force()
    listed = store.read(name) if store is not None and name is not None else None
    if listed is None:
        return False
    names = [each for each in listed.decode().split() if each not in _held and each not in _read_ahead]
    for each, running in [(each, workers.start(read_executable, each, device)) for each in names]:
        executable = running.result()
        if executable is None:
            return False
        _read_ahead[each] = executable
    return True


def write_together(name: str | None, names: Iterable[str | None]) -> None:
    """Remember that a call needs all of these programs."""
    store, listed = store_in_force(), list(names)
    if store is not None and name is not None and None not in listed:
        store.write(name, " ".join(filter(None, listed)).encode)


def write_executable(name: str | None, executable: Any) -> None:
    """Keep an executable under this name; not where JAX's own cache is in use, since what came from there cannot be serialised again."""
    store = store_in_force()
    settings: Any = jax.config
    if store is not None and name is not None and not settings.jax_compilation_cache_dir:
        store.write(name, lambda: pickle.dumps(serialize(executable)))


@functools.cache
def _register_kernels() -> None:
    """JAX registers its LAPACK kernels when it first lowers a call of one, and a loaded program that calls one before ends the process."""
    try:
        import numpy as np
        from jaxlib.lapack import prepare_lapack_call

        prepare_lapack_call("potrf_ffi", np.dtype(np.float64))
    except (ImportError, AttributeError, TypeError):
        import jax.numpy as jnp

        jax.jit(jnp.linalg.cholesky).lower(jax.ShapeDtypeStruct((1, 1), jnp.float32))
