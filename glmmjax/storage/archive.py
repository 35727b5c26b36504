"""The file of a saved fit: a zip of one JSON document and its arrays, which holds no code and runs none when it is read.

This file does not know what the document says.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from glmmjax import __version__
from glmmjax.errors import ArgumentError, GlmmError

__all__ = ["FORMAT_VERSION", "read_archive", "write_archive"]

FORMAT_VERSION = 1
_FORMAT = "glmmjax fit"
_DOCUMENT = "fit.json"


def write_archive(path: str | os.PathLike[str], document: Mapping[str, Any], arrays: list[np.ndarray]) -> None:
    """Write the file; one that is there already is replaced at once, or not at all.

    Raises
    ------
    ArgumentError
        When the folder is not there.
    """
    target = _path(path, "save")
    if not target.parent.is_dir():
        raise ArgumentError(f"save({str(target)!r}): there is no folder {str(target.parent)!r}; make it first.")
    head = {"format": _FORMAT, "format_version": FORMAT_VERSION, "glmmjax_version": __version__}
    number, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(number, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_DOCUMENT, json.dumps({**head, **document}, allow_nan=True, indent=1))
            for k, array in enumerate(arrays):
                with archive.open(_entry(k), "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The document and the arrays of a file that ``write_archive`` has written.

    Raises
    ------
    ArgumentError
        When there is no such file, it is no saved fit, or a later version has written it.
    """
    source = _path(path, "load")
    if not source.is_file():
        raise ArgumentError(f"load({str(source)!r}): there is no such file.")
    try:
        with zipfile.ZipFile(source) as archive:
            document = json.loads(archive.read(_DOCUMENT))
            _check_version(source, document)
            arrays = [_array(archive.read(_entry(k))) for k in range(len(archive.namelist()) - 1)]
    except GlmmError:
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArgumentError(
            f"load({str(source)!r}): the file is no fit that was saved with fit.save(path), or is damaged: {reason}"
        ) from None
    return document, arrays


def _check_version(source: Path, document: Any) -> None:
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ValueError(f"its {_DOCUMENT} does not say that it is one")
    version, writer = document.get("format_version"), document.get("glmmjax_version")
    if version != FORMAT_VERSION:
        raise ArgumentError(
            f"load({str(source)!r}): the file has format {version!r}, written by glmmjax {writer}; this is glmmjax {__version__}, which "
            f"reads format {FORMAT_VERSION}. Install glmmjax {writer} or later to read it."
        )


def _array(content: bytes) -> np.ndarray:
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def _entry(k: int) -> str:
    return f"array_{k}.npy"


def _path(path: Any, function: str) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ArgumentError(f"{function}({path!r}) must be given the path of a file, as text or pathlib.Path.")
    return Path(path)
