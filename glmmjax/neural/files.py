"""The files of a trained network: its weights beside the mixed model, as numbers and text."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.errors import ArgumentError, StorageError
from glmmjax.neural.columns import NetworkColumns
from glmmjax.progress_records import TrainingProgress
from glmmjax.storage.archive import FileKind, damaged, read_archive, write_archive
from glmmjax.storage.values import decode, encode

__all__ = ["MODEL_FILE", "SavedNetwork", "folder_for", "read_network", "write_network"]

MODEL_FILE = "mixed_model.glmmjax"
_NETWORK_FILE = "network.glmmjax"
_NETWORK = FileKind(
    "glmmjax network", "network.json", "save", "load_neural", _NETWORK_FILE, "network that was saved with NeuralFit.save(folder)"
)


class SavedNetwork(NamedTuple):
    """What a folder has beside the mixed model.

    Attributes
    ----------
    network : pytree of NumPy arrays
    columns : names of the columns with the output of the network
    history : a record of every epoch
    """

    network: Any
    columns: NetworkColumns
    history: tuple[TrainingProgress, ...]


def folder_for(folder: str | os.PathLike[str]) -> Path:
    """The folder, made where there is none.

    Raises
    ------
    StorageError
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise StorageError(f"save({str(place)!r}): the folder cannot be made ({why}); give another one.") from None
    return place


def write_network(place: Path, saved: SavedNetwork) -> None:
    """Write the network beside the file of the mixed model, which is there already; it names that file by its digest.

    Raises
    ------
    StorageError
    """
    arrays: list[np.ndarray] = []
    leaves = [(path, *_plain(leaf)) for path, leaf in _paths(saved.network)]
    document = {
        "leaves": [[path, dtype, encode(array, arrays, "the network")] for path, dtype, array in leaves],
        "columns": encode(tuple(saved.columns), arrays, "the columns"),
        "history": [list(record) for record in saved.history],
        "mixed_model": _digest(place / MODEL_FILE),
    }
    write_archive(place / _NETWORK_FILE, document, arrays, _NETWORK)


def read_network(place: Path, like: Any) -> SavedNetwork:
    """What ``write_network`` has written, in the structure of ``like``.

    Raises
    ------
    StorageError
        For files that are damaged, or do not belong together.
    ArgumentError
        For files that are not there, and for ``like`` of another structure.
    """
    path = place / _NETWORK_FILE
    document, arrays = read_archive(path, _NETWORK)
    try:
        leaves = [(where, _restored(decode(found, arrays), dtype)) for where, dtype, found in document["leaves"]]
        names, kept = decode(document["columns"], arrays)
        columns = NetworkColumns(tuple(map(str, names)), None if kept is None else np.asarray(kept))
        history = tuple(TrainingProgress(*record) for record in document["history"])
        digest = document["mixed_model"]
    except Exception as error:  # a damaged document can fail anywhere
        raise damaged(path, _NETWORK, error) from None
    if not (place / MODEL_FILE).is_file():
        raise ArgumentError(f"load_neural({str(place)!r}): the folder has no {MODEL_FILE}, which save writes beside the network.")
    if digest != _digest(place / MODEL_FILE):
        raise StorageError(
            f"load_neural({str(place)!r}): {MODEL_FILE} is not the file that was saved with this network. "
            "Save the fit again, or restore the file."
        )
    return SavedNetwork(_filled(place, like, leaves), columns, history)


def _filled(place: Path, like: Any, leaves: list[tuple[str, np.ndarray]]) -> Any:
    """``like`` with the arrays of the file in the place of its own."""
    wanted = [(path, np.shape(leaf), str(getattr(leaf, "dtype", np.asarray(leaf).dtype))) for path, leaf in _paths(like)]
    found = [(path, leaf.shape, str(leaf.dtype)) for path, leaf in leaves]
    wrong = [(there, here) for there, here in zip(found, wanted, strict=False) if there[:2] != here[:2]]
    if wrong or len(found) != len(wanted):
        there, here = wrong[0] if wrong else (f"{len(found)} arrays", f"{len(wanted)} arrays")
        raise ArgumentError(
            f"load_neural({str(place)!r}): init_params must have the structure of the network in the file, which has {there}, "
            f"and they have {here}; pass the init_params of the fit."
        )
    return jax.tree.unflatten(jax.tree.structure(like), [leaf for _, leaf in leaves])


def _paths(network: Any) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(network)[0]]


def _plain(leaf: Any) -> tuple[str, np.ndarray]:
    """The name of its dtype, and an array that NumPy's files can hold: of bfloat16 the bits."""
    array = np.asarray(leaf)
    return str(array.dtype), array if array.dtype.kind == "f" else array.view(f"u{array.dtype.itemsize}")


def _restored(array: np.ndarray, dtype: str) -> np.ndarray:
    wanted = jnp.dtype(dtype)
    if not jnp.issubdtype(wanted, jnp.floating) or wanted.itemsize != array.dtype.itemsize:
        raise ValueError(f"an array of the network has dtype {dtype!r}")
    return array.view(wanted)


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes()).hexdigest()
