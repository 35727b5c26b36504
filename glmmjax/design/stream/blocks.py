"""From a stream to blocks of clusters in files. One reading finds what only all rows show; another writes the arrays chunk by chunk."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.arguments import ModelArguments
from glmmjax.design.columns.groups import Groups, as_numbers, check_any_weight, column_weights, number_clusters
from glmmjax.design.columns.outcome import Outcome, check_outcome_columns, check_varies, fixed_levels, read_part_of_outcome
from glmmjax.design.columns.predictor import Predictor, PredictorOf, predictor_of
from glmmjax.design.columns.predictors import random_reach
from glmmjax.design.formula.matrices import evaluate, names_used
from glmmjax.design.formula.rank import check_rank
from glmmjax.design.formula.split import FormulaParts
from glmmjax.design.layout.block_files import BlockFiles, BlockWriter, ClusteredRows, Widths, lay_out_clusters
from glmmjax.design.stream.scan import OTHER_ROWS, Scan, Used, complete_frames, find_used, scan_rows, with_levels
from glmmjax.design.stream.source import Stream
from glmmjax.errors import ArgumentError, DesignError, FormulaError
from glmmjax.families import Family
from glmmjax.options import Options

__all__ = ["Chunk", "StreamModel", "Totals", "scan_stream", "written_blocks"]


class StreamModel(NamedTuple):
    """A model of a stream after the first reading. It is evaluated on every chunk.

    Attributes
    ----------
    formula : the formulas in pieces
    family : of the outcome
    used : columns of the stream that the model uses
    scan : what the first reading has found
    namespace : the other names in the formula, with their values
    predictor : makes the columns of the predictor from rows
    """

    formula: FormulaParts
    family: Family
    used: Used
    scan: Scan
    namespace: Mapping[str, Any]
    predictor: PredictorOf


class Chunk(NamedTuple):
    """A chunk of whole clusters, as numbers.

    Attributes
    ----------
    outcome : outcome columns as the family takes them
    predictor : columns of the linear predictor
    sizes : (m,) rows of each cluster
    weights : (m,) cluster weights
    levels : failure and success of a two-level outcome, else None
    """

    outcome: Outcome
    predictor: Predictor
    sizes: np.ndarray
    weights: np.ndarray
    levels: list[Any] | None


class Totals:
    """Totals over the rows of all chunks."""

    def __init__(self) -> None:
        self.triangle = np.zeros((0, 0))  # R of a QR decomposition of X; its columns have the inner products of those of X
        self.smallest, self.largest = np.inf, -np.inf  # of the outcome
        self.reach: Any = 0.0
        self.n_clusters = 0
        self.outcome, self.weights = hashlib.blake2b(), hashlib.blake2b()

    def add(self, chunk: Chunk) -> None:
        y, x = chunk.outcome.columns, chunk.predictor.fixed.values
        self.triangle = np.asarray(np.linalg.qr(np.concatenate([self.triangle.reshape(-1, x.shape[1]), x]), mode="r"))
        self.smallest, self.largest = min(self.smallest, y[0].min()), max(self.largest, y[0].max())
        self.reach = np.maximum(self.reach, random_reach({"main": chunk.predictor}))
        self.n_clusters += len(chunk.sizes)
        self.outcome.update(np.column_stack(y).tobytes())
        self.weights.update(np.repeat(chunk.weights, chunk.sizes).tobytes())


def scan_stream(given: ModelArguments, namespace: Mapping[str, Any]) -> StreamModel:
    """Read the stream once, and again where a term needs all rows; ``namespace`` is what names mean that are no columns.

    Raises
    ------
    ArgumentError, FormulaError, OutcomeError, DesignError
        For a model that needs its rows in memory, and as ``build_design`` does.
    """
    formula, family, data = given.formula, given.resolved_family, given.data
    if len(formula.right_sides) > 1 or family.is_ordinal:
        raise ArgumentError(
            f"family={family.name!r} of a stream: zero parts, predictors of the dispersion and ordinal outcomes need data in memory; "
            "pass a DataFrame, or take a family with one linear predictor."
        )
    check_outcome_columns(formula, family)
    used = find_used(data, formula, namespace, given.weights, given.offset)
    namespace = names_used(formula.expressions, namespace, used.variables)
    found = scan_rows(data, used)
    all_rows = lambda: (with_levels(frame, used, found.levels) for frame in complete_frames(data, used))  # noqa: E731
    predictor = predictor_of(formula.right_sides["main"], all_rows, namespace, formula.text)
    return StreamModel(formula, family, used, found, namespace, predictor)


@contextmanager
def written_blocks(data: Stream, model: StreamModel, options: Options) -> Iterator[tuple[Chunk, Totals, BlockFiles]]:
    """The last chunk, the totals of all, and the files of the blocks, which are there until the context ends."""
    layout = lay_out_clusters(model.scan.sizes, options.max_block_rows, data.chunk_rows)
    with tempfile.TemporaryDirectory(prefix="glmmjax-", dir=data.folder, ignore_cleanup_errors=True) as folder:
        yield _write(model, data, layout, Path(folder))


def _write(model: StreamModel, data: Stream, layout: Widths, folder: Path) -> tuple[Chunk, Totals, BlockFiles]:
    """Build all chunks and write their blocks; the last chunk stands for what all have in common."""
    totals, writer, chunk = Totals(), None, None
    for frame in _whole_clusters(complete_frames(data, model.used), model.used.group, data.chunk_rows):
        chunk = _chunk(model, frame)
        if writer is None:
            _check_rows_stand_alone(model, frame, chunk)
            fixed, random = chunk.predictor.fixed.names, chunk.predictor.random.names
            writer = BlockWriter(folder, layout, (len(chunk.outcome.columns), len(fixed), len(random)))
        expected = model.scan.sizes[totals.n_clusters : totals.n_clusters + len(chunk.sizes)]
        if not np.array_equal(chunk.sizes, expected):
            raise DesignError(OTHER_ROWS)
        writer.add(_rows(chunk))
        totals.add(chunk)
    if chunk is None or writer is None or totals.n_clusters != len(model.scan.sizes):
        raise DesignError(OTHER_ROWS)
    check_varies(chunk.outcome, totals.smallest, totals.largest, model.formula, model.family)
    check_rank(totals.triangle, chunk.predictor.fixed.names)
    check_rank(np.diag(totals.reach), chunk.predictor.random.names, "the random effects")  # a column of zeros
    files = writer.finish()
    check_any_weight(files.total_weight > 0)
    return chunk, totals, files


def _chunk(model: StreamModel, frame: pd.DataFrame) -> Chunk:
    """Numbers of the rows of whole clusters."""
    formula, used = model.formula, model.used
    table, labels = with_levels(frame, used, model.scan.levels), frame.index
    values = tuple(evaluate(column, table, model.namespace, formula.text) for column in formula.outcome_columns)
    levels = fixed_levels(values, formula)
    outcome = read_part_of_outcome(values, formula, model.family, labels, levels)
    added = None if used.offset is None else as_numbers(frame[used.offset], "offset")
    predictor = model.predictor(table, labels, added)
    groups = Groups(np.arange(len(frame)), labels) if used.group is None else number_clusters(frame[used.group], used.group)
    weights = np.ones(len(groups.labels)) if used.weights is None else column_weights(frame[used.weights], groups, used.weights)
    return Chunk(outcome, predictor, np.bincount(groups.codes), weights, levels)


def _rows(chunk: Chunk) -> ClusteredRows:
    predictor = chunk.predictor
    columns = [*chunk.outcome.columns, *predictor.fixed.values.T, *predictor.random.values.T, predictor.offset]
    return ClusteredRows(np.stack(columns), chunk.sizes, chunk.weights)


def _whole_clusters(frames: Iterator[pd.DataFrame], group: str | None, chunk_rows: int) -> Iterator[pd.DataFrame]:
    """The same rows in frames of about ``chunk_rows``, cut between clusters."""
    held: list[pd.DataFrame] = []
    for frame in frames:
        held.append(frame)
        if sum(map(len, held)) < chunk_rows:
            continue
        joined = pd.concat(held)
        last = len(joined)  # first row of the last cluster, which may go on in the next frame
        if group is not None:
            codes = number_clusters(joined[group], group).codes
            last = int(np.searchsorted(codes, codes[-1]))
        if last:
            yield joined.iloc[:last]
        held = [joined.iloc[last:]]
    if sum(map(len, held)):
        yield pd.concat(held)


def _check_rows_stand_alone(model: StreamModel, frame: pd.DataFrame, chunk: Chunk) -> None:
    """Refuse formulas in which the value of a row depends on others: each half of the rows must give what both give together."""
    middle = len(frame) // 2
    if not middle:
        return
    halves = [_rows(_chunk(model, half)).columns for half in (frame.iloc[:middle], frame.iloc[middle:])]
    if not np.allclose(np.concatenate(halves, axis=1), _rows(chunk).columns, rtol=1e-9, atol=1e-12):
        raise FormulaError(
            f"{model.formula.text}: a row's value depends on other rows (a mean, a rank, a lag), and a stream is read in pieces: compute "
            "that column beforehand, or use center(x) and standardize(x), which read all rows first."
        )
