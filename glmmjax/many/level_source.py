"""One fit for each level of a column. Data sets of different sizes are padded to a few shapes, which share their programs."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from glmmjax.design import Design, build_design
from glmmjax.design.columns.groups import number_clusters
from glmmjax.design.layout.grouping import BucketLayout, ladder, lay_out
from glmmjax.design.layout.row_table import RowTable, row_table
from glmmjax.estimation.many.fits import BatchData
from glmmjax.estimation.many.in_flight import Rows
from glmmjax.estimation.many.programs import VARYING
from glmmjax.estimation.objective import fit_settings
from glmmjax.estimation.search_columns import search_columns
from glmmjax.fitted import FittedModel, problem_of
from glmmjax.likelihood.clusters import Bucket, cluster_weights, clusters_of_rows, outcome_columns, to_rows
from glmmjax.many.arguments import ManyArguments
from glmmjax.many.source import FitsRead, FitsToRun, row_marks
from glmmjax.model import fitted_of
from glmmjax.request import FitRequest

__all__ = ["LevelSource"]

_STEPS = 2  # sizes an octave: few shapes, at the price of padding
_COMPILING = 22_000_000  # padded rows x nodes whose fits take as long as compiling the programs of one more shape
_BLOCK_ROWS = 500_000  # padded rows that are gathered at a time


class _Level(NamedTuple):
    """One data set: consecutive rows of the table."""

    first: int
    sizes: np.ndarray  # rows of each cluster
    weights: np.ndarray  # of each cluster


class LevelSource:
    """``FitSource`` of the levels of ``by=``. The columns of the model (levels, means, knots) come from the rows of all levels."""

    def __init__(self, given: ManyArguments, env: Mapping[str, Any]):
        self._given, request = given, given.request
        self.design = build_design(request, env, request.options)
        self._settings = fit_settings(problem_of(self.design, request.penalty), request.options)
        self._by = request.data[given.by].to_numpy()
        groups = number_clusters(request.data[given.by].iloc[np.asarray(self.design.row_labels)], given.by)
        self._labels, self._shapes = list(groups.labels), dict[int, tuple[int, int, int]]()
        buckets = self.design.clusters.buckets
        self._columns = search_columns(self._settings.problem, buckets)
        self._table, self._levels = _sorted_by_level(self.design, buckets, groups.codes, len(self._labels))
        self._searched = self._table
        if self._columns is not None:
            self._searched = _sorted_by_level(self.design, self._columns.buckets(buckets), groups.codes, len(self._labels))[0]
        counts = [np.array([value(level) for level in self._levels]) for value in (lambda one: one.sizes.sum(), lambda one: len(one.sizes))]
        self.read = FitsRead(self._labels, [counts[0]], [counts[1]], [self._checksums(groups.codes)], {})

    @property
    def n(self) -> int | None:
        return len(self._labels)

    def batches(self) -> Iterator[FitsToRun]:
        quadrature, q = self._given.request.rule.quadrature(self.design.covariance.q, self.design.n_upper), self.design.covariance.q
        for (width, count), fits in _classes(self._levels, quadrature.n_points**q):
            shape = _shape(width, count, self._given.request.options.max_block_rows)
            self._shapes.update(dict.fromkeys(fits.tolist(), shape))
            example = jax.tree.map(lambda leaf: leaf[0], self._buckets(self._searched, fits[:1], shape))
            data = BatchData(self._settings, (example,), VARYING, self._columns)
            yield FitsToRun(data, self._rows(data, fits, shape), len(fits))

    def release(self, fits: np.ndarray) -> None:
        del fits  # data stay in memory

    def buckets(self, k: int) -> tuple[Bucket, ...] | None:
        return jax.device_put((jax.tree.map(lambda leaf: leaf[0], self._buckets(self._table, np.array([k]), self._shapes[k])),))

    def alone(self, k: int) -> FittedModel:
        return fitted_of(self.request(k), self.design.recipe.namespace)

    def request(self, k: int, **changes: Any) -> FitRequest:
        request, chosen = self._given.request, np.flatnonzero(self._by == self._labels[k])
        parts = {name: getattr(request, name) for name in ("offset", "zi_offset", "row_weights")}
        own: dict[str, Any] = {name: value[chosen] for name, value in parts.items() if isinstance(value, np.ndarray)}
        if request.weights is not None and not isinstance(request.weights, str):
            own["weights"] = dict(zip(self.design.groups, np.asarray(cluster_weights(self.design.clusters)), strict=True))
        data = request.data.iloc[chosen].reset_index(drop=True)
        return dataclasses.replace(request, data=data, progress=False, **own, **changes)

    def _rows(self, data: BatchData, fits: np.ndarray, shape: tuple[int, int, int]) -> Iterator[Rows]:
        step = max(1, _BLOCK_ROWS // int(np.prod(shape)))
        for first in range(0, len(fits), step):
            chosen = fits[first : first + step]
            bucket = self._buckets(self._searched, chosen, shape)
            yield data.rows(chosen, [tuple(getattr(bucket, name) for name in VARYING)])

    def _checksums(self, level: np.ndarray) -> np.ndarray:
        """(R,) from the level of each row that the model uses."""
        columns = [to_rows(self.design.order, [np.asarray(y) for y in blocks]) for blocks in outcome_columns(self.design.clusters)]
        outcomes = sum((j + 1.0) * np.asarray(column) for j, column in enumerate(columns))
        marks = row_marks(len(self._by))[np.asarray(self.design.row_labels)]
        return np.bincount(level, marks * (outcomes + 0.5), len(self._labels))

    def _weights(self, k: int, layout: BucketLayout) -> np.ndarray:
        """(S, B) weights of the clusters of a fit."""
        return np.where(layout.is_cluster, self._levels[k].weights[layout.clusters], 0.0)

    def _buckets(self, table: RowTable, fits: np.ndarray, shape: tuple[int, int, int]) -> Bucket:
        """The bucket of every fit, on the first axis, from rows of ``table``."""
        s, w, b = shape
        layouts: list[BucketLayout] = [lay_out(self._levels[k].sizes, w, (s, b)) for k in fits]
        firsts = np.array([self._levels[k].first for k in fits])
        index = np.stack([layout.rows for layout in layouts]) + firsts[:, None, None, None]
        weights = [self._weights(k, layout) for k, layout in zip(fits, layouts, strict=True)]
        return table.bucket(index, np.stack([layout.is_row for layout in layouts]), np.stack(weights))


def _classes(levels: list[_Level], n_nodes: int) -> list[tuple[tuple[int, int], np.ndarray]]:
    """Kinds of data sets that are padded alike: (rows of a cluster, clusters), and the fits of each.

    The two kinds that cost the least padding together become one, as long as that is cheaper than compiling programs for both. A kind whose
    padding costs more than compiling has the shape of its largest data sets, and not one that other calls have compiled.
    """
    exact = [(int(level.sizes.max()), len(level.sizes)) for level in levels]
    largest = [(int(ladder(width, _STEPS)), int(ladder(count, _STEPS))) for width, count in exact]
    kinds = [(shape, [k for k, found in enumerate(largest) if found == shape]) for shape in sorted(set(largest))]
    while len(kinds) > 1:
        extra, i, j = min((_padding(kinds[i], kinds[j]), i, j) for i in range(len(kinds)) for j in range(i))
        if extra * n_nodes > _COMPILING:
            break
        (shape, fits), (other, more) = kinds[j], kinds.pop(i)
        kinds[j] = ((max(shape[0], other[0]), max(shape[1], other[1])), fits + more)
    least = [(max(exact[k][0] for k in fits), max(exact[k][1] for k in fits)) for _, fits in kinds]
    is_tight = [
        (math.prod(shape) - math.prod(own)) * len(fits) * n_nodes > _COMPILING for own, (shape, fits) in zip(least, kinds, strict=True)
    ]
    return [(own if tight else shape, np.sort(fits)) for own, tight, (shape, fits) in zip(least, is_tight, kinds, strict=True)]


def _padding(a: tuple[tuple[int, int], list[int]], b: tuple[tuple[int, int], list[int]]) -> int:
    """Rows that are added when the fits of two kinds are padded alike."""
    width, count = (max(sizes) for sizes in zip(a[0], b[0], strict=True))
    return sum(len(fits) * (width * count - shape[0] * shape[1]) for shape, fits in (a, b))


def _shape(width: int, count: int, max_block_rows: int) -> tuple[int, int, int]:
    """(blocks, rows of a cluster, clusters of a block) of one bucket for so many clusters."""
    lanes = min(count, max(1, max_block_rows // width))
    return -(-count // lanes), width, lanes


def _sorted_by_level(design: Design, buckets: tuple[Bucket, ...], level: np.ndarray, n_levels: int) -> tuple[RowTable, list[_Level]]:
    """The rows of ``buckets`` by level and cluster, and where each level is."""
    clusters, order = design.clusters._replace(buckets=buckets), design.order
    cluster = np.asarray(clusters_of_rows(clusters, order))
    sorted_rows = np.lexsort((cluster, level))
    table = row_table(clusters, order, sorted_rows)
    level, cluster, weights = level[sorted_rows], cluster[sorted_rows], np.asarray(cluster_weights(clusters))
    starts = np.flatnonzero((np.diff(level, prepend=-1) != 0) | (np.diff(cluster, prepend=-1) != 0))
    sizes, of_start = np.diff(starts, append=len(level)), level[starts]
    ends = np.searchsorted(of_start, np.arange(n_levels + 1))
    parts = [slice(*pair) for pair in itertools.pairwise(ends)]
    return table, [_Level(int(starts[part.start]), sizes[part], weights[cluster[starts[part]]]) for part in parts]
