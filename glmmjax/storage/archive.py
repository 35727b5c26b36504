"""A file of the package: a zip of one JSON document and its arrays, which holds no Python and runs none when it is read.

This file does not know what the document says.
"""

from __future__ import annotations

import io
import json
import math
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from glmmjax import __version__
from glmmjax.errors import ArgumentError, GlmmError, StorageError

__all__ = ["FIT", "FORMAT_VERSION", "FileKind", "damaged", "read_archive", "replacing", "write_archive"]

FORMAT_VERSION = 1
_LONGEST_NAME = 255  # bytes, on all usual file systems
_LARGEST_FREE = 100_000_000  # bytes that any file may unpack to
_LARGEST_RATIO = 1100  # zlib reaches 1032 on zeros


class FileKind(NamedTuple):
    """What a file is, for its head and for messages.

    Attributes
    ----------
    format : what its document says that it is
    document : name of the document in the zip
    writer : function that writes such a file
    reader : function that reads it
    example : name of a file
    words : what it is, with the call that made it
    """

    format: str
    document: str
    writer: str
    reader: str
    example: str
    words: str


FIT = FileKind("glmmjax fit", "fit.json", "save", "load", "fit.glmm", "fit that was saved with fit.save(path)")


def write_archive(path: str | os.PathLike[str], document: Mapping[str, Any], arrays: list[np.ndarray], kind: FileKind = FIT) -> None:
    """Write the file; one that is there already is replaced at once, or not at all.

    Raises
    ------
    ArgumentError, StorageError
        When the folder is not there; when the file cannot be written.
    """
    target, call = _path(path, kind.writer), f"{kind.writer}({str(path)!r})"
    if target.is_dir():
        raise ArgumentError(f"{call}: this is a folder; name a file in it, such as {str(target / kind.example)!r}.")
    if not target.parent.is_dir():
        raise ArgumentError(f"{call}: there is no folder {str(target.parent)!r}; make it first.")
    head = {"format": kind.format, "format_version": FORMAT_VERSION, "glmmjax_version": __version__}
    with replacing(target, call) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(kind.document, json.dumps({**head, **document}, allow_nan=True, indent=1))
        for k, array in enumerate(arrays):
            with archive.open(_entry(k), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


@contextmanager
def replacing(target: Path, call: str) -> Iterator[IO[bytes]]:
    """A file that takes the place of ``target`` once all of it is written; before, ``target`` stays as it was. Errors begin with ``call``.

    Raises
    ------
    StorageError
        When it cannot be written.
    """
    try:
        number, name = tempfile.mkstemp(prefix=".glmmjax.", dir=target.parent)
    except OSError as error:
        why = error.strerror or error
        raise StorageError(f"{call}: nothing can be written there ({why}); give a path in another folder.") from None
    try:
        with os.fdopen(number, "wb") as file:
            yield file
        os.replace(name, target)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        why = error.strerror or error
        raise StorageError(f"{call}: the file cannot be written ({why}); make room, or save it elsewhere.") from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_archive(path: str | os.PathLike[str], kind: FileKind = FIT) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The document and the arrays of a file that ``write_archive`` has written.

    Raises
    ------
    ArgumentError
        When there is no such file.
    StorageError
        When it is no such file, is damaged, is larger than memory would bear, or a later version has written it.
    """
    source = _path(path, kind.reader)
    if not source.is_file():
        raise ArgumentError(f"{kind.reader}({str(source)!r}): there is no such file.")
    try:
        with zipfile.ZipFile(source) as archive:
            _check_sizes(archive)
            document = json.loads(archive.read(kind.document))
            _check_version(source, document, kind)
            arrays = [_array(archive.read(_entry(k))) for k in range(len(archive.namelist()) - 1)]
    except GlmmError:
        raise
    except Exception as error:  # zipfile, zlib, json and numpy have many ways to say that a byte is wrong
        raise damaged(path, kind, error) from None
    return document, arrays


def damaged(path: str | os.PathLike[str], kind: FileKind, error: Exception) -> StorageError:
    """The one error of a file that is not of this kind, or is damaged."""
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return StorageError(f"{kind.reader}({str(Path(path))!r}): the file is no {kind.words}, or is damaged: {reason}")


def _check_version(source: Path, document: Any, kind: FileKind) -> None:
    if not isinstance(document, dict) or document.get("format") != kind.format:
        raise ValueError(f"its {kind.document} does not say that it is one")
    version, writer = document.get("format_version"), document.get("glmmjax_version")
    if version != FORMAT_VERSION:
        raise StorageError(
            f"{kind.reader}({str(source)!r}): the file has format {version!r}, written by glmmjax {writer}; this is glmmjax {__version__}, "
            f"which reads format {FORMAT_VERSION}. Install glmmjax {writer} or later to read it."
        )


def _check_sizes(archive: zipfile.ZipFile) -> None:
    """Refuse what would unpack to far more than the file has: arrays of numbers are not compressed a thousandfold."""
    sizes = [(entry.file_size, entry.compress_size) for entry in archive.infolist()]
    unpacked, packed = (sum(column) for column in zip(*sizes, strict=True)) if sizes else (0, 0)
    if unpacked > max(_LARGEST_FREE, _LARGEST_RATIO * packed):
        raise ValueError(f"it would unpack to {unpacked:,} bytes from {packed:,}")


def _array(content: bytes) -> np.ndarray:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"an array of shape {shape} has {len(content) - stream.tell()} bytes")  # before numpy makes room for it
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def _entry(k: int) -> str:
    return f"array_{k}.npy"


def _path(path: Any, function: str) -> Path:
    found = Path(path)
    if len(found.name.encode(errors="replace")) > _LONGEST_NAME:
        raise ArgumentError(
            f"{function}(...): a file name of {len(found.name)} characters is too long; give one of at most {_LONGEST_NAME}."
        )
    return found
