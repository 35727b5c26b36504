"""``DynamicPredictor``: an exported program of dynamic predictions, called with arrays of model-matrix rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export

from glmmjax.arguments import SEED, Judged, takes
from glmmjax.design.columns.groups import Groups
from glmmjax.design.layout.grouping import group_rows
from glmmjax.design.layout.packing import Columns, cluster_data
from glmmjax.design.layout.plain_blocks import BlockSizes, has_lanes, plain_tuple, with_longer_clusters
from glmmjax.design.new_rows import NewRows
from glmmjax.errors import ArgumentError
from glmmjax.estimation.xla.compiler_options import quick_to_compile
from glmmjax.likelihood.clusters import ClusterData, Place, places_of_clusters
from glmmjax.postfit.prediction.row_blocks import NumberedRows, rows_of_bucket
from glmmjax.postfit.uncertainty.parameter_draws import normal_draws
from glmmjax.values import NOT_NUMBERS, shape_of, shown

__all__ = ["MOST_ROWS_OF_OUTCOMES", "DynamicPredictor", "DynamicRecord", "SubjectPredictions", "SubjectRows"]

MOST_ROWS_OF_OUTCOMES = 1024  # future rows beside one block of subjects
_ROWS = "a SubjectRows, such as fit.predictor_rows gives, or a dict with its fields"


class SubjectRows(NamedTuple):
    """Rows of subjects in the columns of a model, n of them.

    Attributes
    ----------
    subject : (n,) whole numbers that tell subjects apart
    columns : (n, C) model-matrix columns, in the order of ``predictor.record.columns``
    offset : (n, E) offsets of the linear predictors (main part, zero part, dispersion), on their scales; None for 0
    outcome : (n, K) outcome columns as the family takes them, K = 1 but for cbind(...); not read of future rows, but for
        intervals of a share of successes, whose trials they hold
    """

    subject: Any
    columns: Any
    offset: Any = None
    outcome: Any = None


class SubjectPredictions(NamedTuple):
    """Predictions of n future rows, in their order; NaN in a row with NaN.

    Attributes
    ----------
    mean : (n,) means of the outcome at the conditional mode of the subject's random effects
    lower : (n,) lower limits of the intervals
    upper : (n,) upper limits
    """

    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class DynamicRecord(NamedTuple):
    """What a predictor says of itself.

    Attributes
    ----------
    family : of the outcome, with its link
    formula : of the fit, as written
    outcome : name of the outcome, in whose units predictions are
    columns : (C,) names of the model-matrix columns with the part of the model that they belong to; the coding of a factor is in its name
    n_fixed : number of fixed-effects columns of each linear predictor
    n_random : number of random-effects columns of each
    levels : levels of each factor in the formula, the first of which is the reference of the usual coding
    n_outcomes : number K of outcome columns
    level : of the intervals
    interval_for : "mean" or "outcome"
    n_draws : behind intervals of outcomes
    takes_trials : whether future rows need their outcome columns
    max_block_rows : padded rows of a block of subjects
    """

    family: str
    formula: str
    outcome: str
    columns: tuple[str, ...]
    n_fixed: tuple[int, ...]
    n_random: tuple[int, ...]
    levels: Mapping[str, list[str]]
    n_outcomes: int
    level: float
    interval_for: str
    n_draws: int
    takes_trials: bool
    max_block_rows: int

    @property
    def sizes(self) -> BlockSizes:
        """Numbers of columns."""
        return BlockSizes(self.n_fixed, self.n_random, self.n_outcomes)


class DynamicPredictor:
    """Predictions of future rows of subjects after their histories, by an exported program; ``gj.load_predictor`` makes it.

    Attributes
    ----------
    record : ``DynamicRecord``: names of columns, family, levels, settings
    program : the ``jax.export.Exported`` that it calls
    """

    def __init__(self, program: bytes, covariance: np.ndarray, frame: np.ndarray, record: DynamicRecord):
        self.record = record
        self._covariance, self._frame = covariance, frame
        self.program = export.deserialize(bytearray(program))
        self._call = jax.jit(self.program.call, compiler_options=quick_to_compile("cpu"))

    def __repr__(self) -> str:
        record = self.record
        return f"<DynamicPredictor: {record.family}, {record.formula}; {100 * record.level:g} % intervals of the {record.interval_for}>"

    @takes(history=Judged(_ROWS), future=Judged(_ROWS), seed=SEED)
    def __call__(self, history: Any, future: Any, seed: int = 0) -> SubjectPredictions:
        """Predictions of the future rows, given the histories alone.

        Parameters
        ----------
        history : ``SubjectRows``, or a dict with its fields: rows with outcomes of every subject of ``future``, of any number of subjects.
        future : ``SubjectRows``, or a dict with its fields: the rows to predict.
        seed : of the draws behind intervals of an outcome; the same seed gives the same intervals.

        Returns
        -------
        SubjectPredictions

        Raises
        ------
        ArgumentError
            For arrays of other shapes, values that are no finite numbers, and a subject without history.

        Examples
        --------
        >>> data = gj.datasets.load_intro_binomial()
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
        >>> fit.export_predictor("visits.glmmpred")
        >>> predictor = gj.load_predictor("visits.glmmpred")
        >>> predictor.record.columns
        ('fixed: Intercept', 'fixed: sex[T.female]', 'fixed: time', 'fixed: sex[T.female]:time', 'random: Intercept')
        >>> history = {"subject": [1, 1], "columns": [[1, 0, 0, 0, 1], [1, 0, 2, 0, 1]], "outcome": [[0], [1]]}
        >>> future = {"subject": [1], "columns": [[1, 0, 8, 0, 1]]}
        >>> predictor(history, future).mean.round(2)
        array([0.77])
        """
        before, codes = self._read("history", history, with_outcome=True)
        after, wanted = self._read("future", future, with_outcome=self.record.takes_trials)
        subjects, first, codes = np.unique(codes, return_index=True, return_inverse=True)
        order = np.argsort(np.argsort(first))  # subjects are numbered as they appear
        place = np.minimum(np.searchsorted(subjects, wanted), max(len(subjects) - 1, 0))
        lost = wanted if not len(subjects) else wanted[subjects[place] != wanted]
        if len(lost):
            raise ArgumentError(f"future has subject {lost[0]:g}, which has no row in history; give it one, with its outcome.")
        found = np.full((3, len(after.is_complete)), np.nan)
        if len(wanted):
            with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
                found[:, after.is_complete] = self._predicted(self._clusters(before, order[codes]), after, order[place], seed)
        return SubjectPredictions(*found)

    def _read(self, argument: str, given: Any, with_outcome: bool) -> tuple[NewRows, np.ndarray]:
        """The complete rows, and the subject of each of them."""
        record, fields = self.record, SubjectRows._fields
        if isinstance(given, Mapping) and set(given) <= set(fields) and {"subject", "columns"} <= set(given):
            given = SubjectRows(**given)
        if not isinstance(given, SubjectRows):
            raise ArgumentError(f"{argument}={shown(given)} must be {_ROWS}: {', '.join(fields)}.")
        subject = _numbers(f"{argument}.subject", given.subject, (None,))
        n, sizes = len(subject), (*record.n_fixed, *record.n_random)
        columns = _numbers(f"{argument}.columns", given.columns, (n, sum(sizes)))
        n_predictors = len(record.n_fixed)
        offset = np.zeros((n, n_predictors)) if given.offset is None else _numbers(f"{argument}.offset", given.offset, (n, n_predictors))
        if with_outcome and given.outcome is None:
            raise ArgumentError(f"{argument}.outcome=None, and the outcome of each row is needed: {record.outcome}.")
        outcome = _numbers(f"{argument}.outcome", given.outcome, (n, record.n_outcomes)) if with_outcome else np.zeros((n, 0))
        values = np.concatenate([columns, offset, outcome], axis=1)
        is_complete = ~np.isnan(values).any(axis=1)
        if np.isinf(values).any() or (argument == "history" and not is_complete.all()) or not np.isfinite(subject).all():
            raise ArgumentError(f"{argument} has values that are no finite numbers; leave out such rows.")
        parts = np.split(columns[is_complete].T, np.cumsum(sizes)[:-1])
        x, z = (tuple(np.ascontiguousarray(part) for part in parts[cut]) for cut in (slice(n_predictors), slice(n_predictors, None)))
        rows = NewRows(x, z, offset[is_complete].T, tuple(outcome[is_complete].T), None, is_complete, np.arange(n))
        return rows, subject[is_complete]

    def _clusters(self, history: NewRows, codes: np.ndarray) -> ClusterData:
        groups = Groups(codes, np.unique(codes))
        layout = group_rows(groups.codes, len(groups.labels), self.record.max_block_rows)
        if has_lanes(layout):
            raise ArgumentError(
                "history has subjects with very different numbers of rows, thousands in all, which this program does not take together; "
                "call the predictor for those with long histories, and for the others."
            )
        layout = with_longer_clusters(layout, _rounded_up)  # histories that grow run one program
        columns = Columns(list(history.outcome), list(history.X), list(history.Z), [history.offset])
        return cluster_data(layout, columns, (np.ones(len(groups.labels)), None), self._frame)

    def _predicted(self, clusters: ClusterData, future: NewRows, codes: np.ndarray, seed: int) -> np.ndarray:
        """(3, n)"""
        found, k, record = np.zeros((3, len(codes))), 0, self.record
        moves = normal_draws(self._covariance, record.n_draws, np.random.default_rng(seed)) if record.interval_for == "outcome" else None
        places = Place(*(leaf[codes] for leaf in places_of_clusters(clusters)))
        for b, bucket in enumerate(clusters.buckets):
            members = np.flatnonzero(places.bucket == b)
            if not len(members):
                continue
            block = rows_of_bucket(future, bucket, (), members, Place(*(leaf[members] for leaf in places)))
            if moves is None:  # the numbers that are drawn depend on that of rows, and so would intervals of outcomes
                block = _with_more_rows(block)
            if block.numbers.shape[1] > MOST_ROWS_OF_OUTCOMES:
                raise ArgumentError(
                    f"future has {block.numbers.shape[1]:,} rows of subjects that are worked on together, and {MOST_ROWS_OF_OUTCOMES:,} "
                    "are allowed; call the predictor for fewer subjects or rows."
                )
            rows = (*block.arrays.rows, block.arrays.clusters, block.arrays.outcome if record.takes_trials else ())
            draws = () if moves is None else (moves, np.array([seed, k]))
            block.put(self._call(plain_tuple(bucket), tuple(rows), draws), found)
            k += 1
        return found


def _with_more_rows(block: NumberedRows) -> NumberedRows:
    """The same rows to predict with padding up to 8, 16, 32, ..."""
    arrays, n = block.arrays, block.numbers.shape[1]

    def longer(leaf: np.ndarray) -> np.ndarray:
        return np.pad(leaf, (*((0, 0),) * (leaf.ndim - 1), (0, _rounded_up(n) - n)), "edge")

    rows, clusters, outcome = jax.tree.map(longer, (arrays.rows, arrays.clusters, arrays.outcome))
    numbers = np.pad(block.numbers, ((0, 0), (0, _rounded_up(n) - n)), constant_values=-1)
    return NumberedRows(arrays._replace(rows=rows, clusters=clusters, outcome=outcome), numbers)


def _rounded_up(n: int) -> int:
    return max(8, 1 << (n - 1).bit_length())


def _numbers(what: str, values: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    try:
        found = np.asarray(values, np.float64)
    except NOT_NUMBERS:
        raise ArgumentError(f"{what}={shown(values)} must be numbers in an array or in lists.") from None
    if found.ndim != len(shape) or any(size is not None and size != own for size, own in zip(shape, found.shape, strict=True)):
        wanted = ", ".join("rows" if size is None else str(size) for size in shape)
        raise ArgumentError(f"{what} has shape {shape_of(values)}; this predictor needs ({wanted}{',' if len(shape) == 1 else ''}).")
    return found
