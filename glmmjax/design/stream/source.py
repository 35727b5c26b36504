"""Rows that are read in pieces, several times over: a Parquet file, or DataFrames one after the other."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from glmmjax.arguments import FOLDER, Judged, Maybe, Whole, takes
from glmmjax.design.frames import as_pandas, from_other_library
from glmmjax.errors import ArgumentError, DesignError

__all__ = ["Stream", "columns_of", "read_frames", "stream"]

_CHUNK_ROWS = 100_000
_READ_BYTES = 1 << 20
_HOW = "the path of a Parquet file, a list of DataFrames, or a function without arguments that gives an iterator of DataFrames"


@dataclasses.dataclass(frozen=True)
class Stream:
    """Rows to be read in pieces: what ``stream`` returns and ``mixed_model`` takes as ``data``.

    Attributes
    ----------
    source : path of a Parquet file, DataFrames, or a function that gives them
    chunk_rows : rows in memory at a time
    folder : of the temporary file, None for Python's own
    """

    source: Any = dataclasses.field(repr=False)
    chunk_rows: int
    folder: str | None


@takes(source=Judged(_HOW), chunk_rows=Whole(1), folder=Maybe(FOLDER, "the folder of temporary files"))
def stream(source: Any, *, chunk_rows: int = _CHUNK_ROWS, folder: str | os.PathLike[str] | None = None) -> Stream:
    """Data that are larger than memory, for ``mixed_model(..., data=gj.stream(source))``.

    The rows of a cluster must follow one another. The source is read two times (three times for ``center``, ``standardize`` and
    ``C(number)``); meanwhile the columns of the model go to a temporary file, which the fit reads from then on: 8 bytes a row for
    each column of X and Z and three more. Memory holds a few chunks, and some 40 bytes a cluster for its label, size and modes.

    Parameters
    ----------
    source : path of a Parquet file (with the extra ``glmmjax[parquet]``), a list of DataFrames, or a function without arguments
        that gives a fresh iterator of DataFrames at every call. A cluster may go on in the next DataFrame.
    chunk_rows : rows in memory at a time.
    folder : where the temporary file goes, by default where Python puts temporary files. It must be on a disk and not in memory.

    Returns
    -------
    Stream
        For the argument ``data`` of ``mixed_model``. Nothing is read yet.

    Raises
    ------
    ArgumentError
        For another kind of source, a file that is not there, and for an iterator, which can be read only once.

    Examples
    --------
    >>> frame = gj.datasets.load_intro_binomial()
    >>> data = gj.stream([frame[:300], frame[300:]])  # in earnest a file, or a function that reads one piece after the other
    >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    >>> f"{fit.llf:.4f}"
    '-374.5197'
    """
    if folder is not None and not Path(folder).is_dir():
        raise ArgumentError(f"stream(folder={str(folder)!r}) must be a folder that exists.")
    if isinstance(source, str | os.PathLike):
        if not Path(source).is_file():
            raise ArgumentError(f"stream({str(source)!r}): there is no such file; the source is {_HOW}.")
        source = Path(source)
    elif from_other_library(source, "stream(...)") is not None or isinstance(source, pd.DataFrame):
        raise ArgumentError("stream(...) of a DataFrame, which is in memory already: pass data=frame.")
    elif isinstance(source, Iterator):
        raise ArgumentError(
            f"stream(...) of a {type(source).__name__}, which can be read only once, and the rows are read several times: pass a function "
            "that returns a fresh one, such as stream(lambda: (pd.read_csv(path) for path in paths))."
        )
    elif not callable(source) and not isinstance(source, Iterable):
        raise ArgumentError(f"stream(...) of a {type(source).__name__}; the source must be {_HOW}.")
    return Stream(source, chunk_rows, None if folder is None else str(folder))


def columns_of(source: Stream) -> pd.DataFrame:
    """A frame with the columns of the source and no rows."""
    if isinstance(source.source, Path):
        return _parquet_file(source.source).schema_arrow.empty_table().to_pandas(ignore_metadata=True)
    for frame in _frames(source.source):
        return frame.iloc[:0]
    raise DesignError("no rows to fit: the source of the stream gives no DataFrame.")


def read_frames(source: Stream, columns: list[str]) -> Iterator[pd.DataFrame]:
    """The named columns of all rows, at most ``chunk_rows`` of them a frame. Rows of a file are numbered from 0."""
    if isinstance(source.source, Path):
        n_read = 0
        for batch in _parquet_file(source.source).iter_batches(source.chunk_rows, columns=columns):
            yield batch.to_pandas(ignore_metadata=True).set_axis(pd.RangeIndex(n_read, n_read + batch.num_rows))
            n_read += batch.num_rows
        return
    for k, frame in enumerate(_frames(source.source)):
        missing = [name for name in columns if name not in frame.columns]
        if missing:
            raise DesignError(f"frame {k} of the stream has no column {missing[0]!r}, which the first one has.")
        for first in range(0, len(frame), source.chunk_rows):
            yield frame[columns].iloc[first : first + source.chunk_rows]


def _frames(source: Iterable[Any] | Callable[[], Iterable[Any]]) -> Iterator[pd.DataFrame]:
    given: Any = source() if callable(source) else source
    if hasattr(given, "columns") or not isinstance(given, Iterable):
        raise ArgumentError(f"the source of the stream gives a {type(given).__name__}, and must give an iterator of DataFrames.")
    for k, item in enumerate(given):
        frame = as_pandas(item, f"item {k} of the stream")
        if not isinstance(frame, pd.DataFrame):
            raise ArgumentError(f"the source of the stream gives a {type(frame).__name__} as its item {k}, and must give DataFrames.")
        yield frame


def _parquet_file(path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ArgumentError(f"stream({str(path)!r}) needs pyarrow to read Parquet: pip install 'glmmjax[parquet]'.") from None
    try:
        # by default pyarrow holds all that it has read of a file until the end
        return parquet.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES)
    except ValueError as error:  # pyarrow.ArrowInvalid
        raise ArgumentError(f"stream({str(path)!r}) is no Parquet file: {str(error).splitlines()[0]}") from None
