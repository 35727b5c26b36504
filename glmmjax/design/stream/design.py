"""The design of a stream: as ``design``, but for the arrays, which go to files block by block."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.arguments import ModelArguments, family_of, parts_of
from glmmjax.design.columns.groups import Groups, as_numbers, check_any_weight, column_weights, number_clusters
from glmmjax.design.columns.outcome import Outcome, check_outcome_columns, check_varies, fixed_levels, read_part_of_outcome
from glmmjax.design.columns.predictor import Predictor, PredictorOf, predictor_of
from glmmjax.design.columns.predictors import random_reach, structure_of
from glmmjax.design.columns.recipe import Recipe
from glmmjax.design.design import Design, expressions_of, group_problem
from glmmjax.design.formula.matrices import evaluate, formula_namespace, names_used
from glmmjax.design.formula.rank import check_rank
from glmmjax.design.formula.split import FormulaParts, RightSide
from glmmjax.design.layout.block_files import BlockFiles, BlockWriter, Rows, Widths, lay_out_clusters
from glmmjax.design.stream.scan import OTHER_ROWS, Survey, Used, complete_frames, find_used, survey, with_levels
from glmmjax.design.stream.source import Stream
from glmmjax.errors import ArgumentError, DesignError, DesignWarning, FormulaError, RowsNotKeptError
from glmmjax.families import Family
from glmmjax.likelihood.clusters import Bucket
from glmmjax.options import Options

__all__ = ["StreamedClusters", "streamed_design"]


class StreamedClusters(NamedTuple):
    """In the place of ``ClusterData`` in the design of a stream."""

    slots: np.ndarray  # (m,) where cluster i stands in the buckets laid end to end
    outcome_digest: bytes  # of the outcome columns in the order of the rows
    weights_digest: bytes  # of each row's cluster weight

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Always an error: the rows are gone."""
        raise RowsNotKeptError(
            "the fit is of a stream, whose rows are not kept, and this result needs them. Fit a DataFrame of the clusters that you "
            "need it for, from these estimates: mixed_model(..., data=frame, initial_values=fit.params)."
        )


class _Model(NamedTuple):
    """What is evaluated on every chunk."""

    parts: FormulaParts
    family: Family
    used: Used
    found: Survey
    namespace: Mapping[str, Any]
    predictor: PredictorOf
    structure: str | None  # the argument ``covariance``


class _Chunk(NamedTuple):
    """A chunk of whole clusters, as numbers."""

    outcome: Outcome
    predictor: Predictor
    sizes: np.ndarray  # (m,) rows of each cluster
    weights: np.ndarray  # (m,) cluster weights
    levels: list[Any] | None  # of a two-level outcome


class _Totals:
    """What is known of the rows once all chunks have been seen."""

    def __init__(self) -> None:
        self.triangle = np.zeros((0, 0))  # R of a QR decomposition of X: its columns have the inner products of X's
        self.smallest, self.largest = np.inf, -np.inf  # of the outcome
        self.reach: Any = 0.0
        self.n_clusters = 0
        self.outcome, self.weights = hashlib.blake2b(), hashlib.blake2b()

    def add(self, chunk: _Chunk) -> None:
        y, x = chunk.outcome.columns, chunk.predictor.fixed.values
        self.triangle = np.asarray(np.linalg.qr(np.concatenate([self.triangle.reshape(-1, x.shape[1]), x]), mode="r"))
        self.smallest, self.largest = min(self.smallest, y[0].min()), max(self.largest, y[0].max())
        self.reach = np.maximum(self.reach, random_reach({"main": chunk.predictor}))
        self.n_clusters += len(chunk.sizes)
        self.outcome.update(np.column_stack(y).tobytes())
        self.weights.update(np.repeat(chunk.weights, chunk.sizes).tobytes())


@contextmanager
def streamed_design(given: ModelArguments, env: Any, options: Options) -> Iterator[tuple[Design, BlockFiles]]:
    """``build_design`` for a stream; the files are there until the context ends."""
    family, parts = family_of(given), parts_of(given)
    data, weights, offset = given.data, given.weights, given.offset
    if len(parts.right_sides) > 1 or family.is_ordinal:
        raise ArgumentError(
            f"family={family.name!r} of a stream: zero parts, predictors of the dispersion and ordinal outcomes need data in memory; "
            "pass a DataFrame, or take a family with one linear predictor."
        )
    check_outcome_columns(parts, family)
    namespace = formula_namespace(env)
    used = find_used(data, parts, expressions_of(parts), namespace, weights, offset)
    namespace = names_used(expressions_of(parts), namespace, used.variables)
    found = survey(data, used)
    problem = group_problem(parts, len(found.labels), found.n_rows)
    if problem:
        warnings.warn(problem, DesignWarning, stacklevel=5)
    right = RightSide(parts.fixed, parts.offsets, parts.bars)
    all_rows = lambda: (with_levels(frame, used, found.levels) for frame in complete_frames(data, used))  # noqa: E731
    model = _Model(parts, family, used, found, namespace, predictor_of(right, all_rows, namespace, parts.text), given.covariance)
    layout = lay_out_clusters(found.sizes, options.max_block_rows, data.chunk_rows)
    with tempfile.TemporaryDirectory(prefix="glmmjax-", dir=data.folder, ignore_cleanup_errors=True) as folder:
        last, totals, files = _write(model, data, layout, Path(folder))
        yield _design(model, last, totals, layout), files


def _write(model: _Model, data: Stream, layout: Widths, folder: Path) -> tuple[_Chunk, _Totals, BlockFiles]:
    """Build all chunks and write their blocks; the last chunk stands for what all have in common."""
    totals, writer, chunk = _Totals(), None, None
    for frame in _whole_clusters(complete_frames(data, model.used), model.used.group, data.chunk_rows):
        chunk = _chunk(model, frame)
        if writer is None:
            _check_rows_stand_alone(model, frame, chunk)
            fixed, random = chunk.predictor.fixed.names, chunk.predictor.random.names
            writer = BlockWriter(folder, layout, (len(chunk.outcome.columns), len(fixed), len(random)))
        expected = model.found.sizes[totals.n_clusters : totals.n_clusters + len(chunk.sizes)]
        if not np.array_equal(chunk.sizes, expected):
            raise DesignError(OTHER_ROWS)
        writer.add(_rows(chunk))
        totals.add(chunk)
    if chunk is None or writer is None or totals.n_clusters != len(model.found.sizes):
        raise DesignError(OTHER_ROWS)
    check_varies(chunk.outcome, totals.smallest, totals.largest, model.parts, model.family)
    check_rank(totals.triangle, chunk.predictor.fixed.names)
    files = writer.finish()
    check_any_weight(files.total_weight > 0)
    return chunk, totals, files


def _chunk(model: _Model, frame: pd.DataFrame) -> _Chunk:
    """Numbers of the rows of whole clusters."""
    parts, used = model.parts, model.used
    table, labels = with_levels(frame, used, model.found.levels), frame.index
    values = tuple(evaluate(column, table, model.namespace, parts.text) for column in parts.outcome_columns)
    levels = fixed_levels(values, parts)
    outcome = read_part_of_outcome(values, parts, model.family, labels, levels)
    added = None if used.offset is None else as_numbers(frame[used.offset], "offset")
    predictor = model.predictor(table, labels, added)
    groups = Groups(np.arange(len(frame)), labels) if used.group is None else number_clusters(frame[used.group], used.group)
    weights = np.ones(len(groups.labels)) if used.weights is None else column_weights(frame[used.weights], groups, used.weights)
    return _Chunk(outcome, predictor, np.bincount(groups.codes), weights, levels)


def _rows(chunk: _Chunk) -> Rows:
    predictor = chunk.predictor
    columns = [*chunk.outcome.columns, *predictor.fixed.values.T, *predictor.random.values.T, predictor.offset]
    return Rows(np.stack(columns), chunk.sizes, chunk.weights)


def _whole_clusters(frames: Iterator[pd.DataFrame], group: str | None, chunk_rows: int) -> Iterator[pd.DataFrame]:
    """The same rows in frames of about ``chunk_rows``, cut between clusters."""
    held: list[pd.DataFrame] = []
    for frame in frames:
        held.append(frame)
        if sum(map(len, held)) < chunk_rows:
            continue
        joined = pd.concat(held)
        last = len(joined)  # where the rows begin that may go on in the next frame
        if group is not None:
            codes = number_clusters(joined[group], group).codes
            last = int(np.searchsorted(codes, codes[-1]))
        if last:
            yield joined.iloc[:last]
        held = [joined.iloc[last:]]
    if sum(map(len, held)):
        yield pd.concat(held)


def _check_rows_stand_alone(model: _Model, frame: pd.DataFrame, chunk: _Chunk) -> None:
    """Refuse formulas in which the value of a row depends on others: each half of the rows must give what both give together."""
    middle = len(frame) // 2
    if not middle:
        return
    halves = [_rows(_chunk(model, half)).columns for half in (frame.iloc[:middle], frame.iloc[middle:])]
    if not np.allclose(np.concatenate(halves, axis=1), _rows(chunk).columns, rtol=1e-9, atol=1e-12):
        raise FormulaError(
            f"{model.parts.text}: a row's value depends on other rows (a mean, a rank, a lag), and a stream is read in pieces: compute "
            "that column beforehand, or use center(x) and standardize(x), which read all rows first."
        )


def _design(model: _Model, last: _Chunk, totals: _Totals, layout: Widths) -> Design:
    """The record of the design, with no arrays of rows."""
    found, predictor = model.found, last.predictor
    clusters: Any = StreamedClusters(layout.slots, totals.outcome.digest(), totals.weights.digest())
    offsets = {} if model.used.offset is None else {"main": model.used.offset}
    return Design(
        clusters=clusters,
        covariance=structure_of(model.parts, {"main": predictor}, model.structure),
        outcome_name=model.parts.outcome,
        success_level=last.outcome.success_level,
        fixed_names=predictor.fixed.names,
        random_names=predictor.random.names,
        zi_fixed_names=(),
        dispersion_names=(),
        family=model.family,
        levels=(),
        group_name=model.parts.group,
        groups=found.labels,
        cluster_sizes=found.sizes,
        row_labels=pd.RangeIndex(found.n_rows),
        order=None,
        n_dropped=found.n_dropped,
        random_reach=totals.reach,
        formula=model.parts,
        recipe=Recipe({"main": model.predictor}, model.namespace, model.used.variables, found.levels, last.levels, offsets),
    )
