"""One fit for each outcome of one design."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from glmmjax.design.outcome_checks import checked_outcomes
from glmmjax.design.outcomes import OutcomeBlock, OutcomeTable
from glmmjax.design.own_numbers import own_weights, problems_of_offsets, problems_of_weights
from glmmjax.errors import RowsNotKeptError
from glmmjax.estimation.many.in_flight import Rows
from glmmjax.estimation.objective import fit_settings
from glmmjax.fitted import FittedModel, problem_of
from glmmjax.likelihood.clusters import Bucket, to_rows
from glmmjax.many.arguments import ManyArguments
from glmmjax.many.data import FitValues, OutcomeRows
from glmmjax.many.first_design import design_of_first
from glmmjax.many.source import FitsRead, FitsToRun, row_marks
from glmmjax.model import fitted_of, maximised
from glmmjax.request import FitRequest

__all__ = ["OutcomeSource"]

_BLOCK_NUMBERS = 2_000_000  # outcomes that are read at a time


class OutcomeSource:
    """``FitSource`` of the outcomes of ``fit_many``. Those of an iterator are kept as long as their fits may need a second look."""

    def __init__(self, given: ManyArguments, env: Mapping[str, Any]):
        self._given, request = given, given.request
        blocks = given.outcomes.blocks(max(1, _BLOCK_NUMBERS // max(1, len(request.data))))
        self.design, blocks = design_of_first(given, blocks, env)
        self._used, self._offset = np.asarray(self.design.row_labels), given.offset
        self._weights = None if given.weights is None else own_weights(given.weights, self.design.groups, given.outcomes.n)
        first = next(blocks)
        self._blocks = itertools.chain([first], blocks)
        settings = fit_settings(problem_of(self.design, request.penalty), request.options)
        marks = row_marks(len(request.data))[self._used]
        values, _ = self._checked(first, 0)
        self._data = OutcomeRows(settings, self.design, marks, values, _has_missing(values))
        self.read = FitsRead([], [], [], [], {})
        self._kept: dict[int, OutcomeBlock] = {}
        self._aside: list[tuple[np.ndarray, FitValues]] = []  # fits with missing outcomes, where others have begun without

    @property
    def n(self) -> int | None:
        return self._given.outcomes.n

    def batches(self) -> Iterator[FitsToRun]:
        yield FitsToRun(self._data.with_missing if self._data.has_missing else self._data.complete, self._read_all(), self.n)
        if self._aside:
            yield FitsToRun(self._data.with_missing, self._rows_aside(), sum(len(fits) for fits, _ in self._aside))

    def release(self, fits: np.ndarray) -> None:
        for k in fits.tolist():
            self._kept.pop(k, None)

    def buckets(self, k: int) -> tuple[Bucket, ...] | None:
        values, _ = self._checked(self._block(k), k)
        if not values.known.all():
            return None
        design = dataclasses.replace(self.design, rows=self.design.with_outcome(tuple(values.y[:, 0])))
        if values.offset is not None:
            design = dataclasses.replace(design, rows=design.with_offset(self._main_offset + values.offset[0]))
        return (design.clusters if values.weights is None else design.with_weights(values.weights[0])).buckets

    def alone(self, k: int) -> FittedModel:
        buckets = self.buckets(k)
        if buckets is None:
            return fitted_of(self.request(k), self.design.recipe.namespace)
        # the design is at hand
        request = dataclasses.replace(self._given.request, progress=False)
        rows = self.design.clusters._replace(buckets=buckets)
        return maximised(dataclasses.replace(self.design, rows=rows), request, None)

    def request(self, k: int, **changes: Any) -> FitRequest:
        label = self.read.labels[k]
        if self._offset is not None:
            changes["offset"] = self._offset.of(k, [label])[0]
        if self._weights is not None:
            changes["weights"] = dict(zip(self.design.groups, self._weights.of(k, [label])[0], strict=True))
        return self._given.of_fit(label, self._block(k).outcome(0), progress=False, **changes)

    @functools.cached_property
    def _main_offset(self) -> np.ndarray:
        """(n,) offset of the main predictor that all fits have."""
        design = self.design
        return np.asarray(to_rows(design.order, [np.asarray(bucket.offset)[:, 0] for bucket in design.clusters.buckets]))

    def _block(self, k: int) -> OutcomeBlock:
        outcomes = self._given.outcomes
        if isinstance(outcomes, OutcomeTable):
            return outcomes.one(k)
        if k not in self._kept:
            raise RowsNotKeptError(
                f"the outcome {self.read.labels[k]!r} came from an iterator and was not kept; fit it with mixed_model, or pass outcomes "
                "as a table."
            )
        return self._kept[k]

    def _checked(self, block: OutcomeBlock, first: int) -> tuple[FitValues, dict[int, str]]:
        """What consecutive fits have of their own in the rows used, and what is wrong with some of them."""
        design, labels = self.design, block.labels
        y, problems = checked_outcomes(block.chosen(self._used), design.formula, design.family, design.levels)
        offset = None if self._offset is None else self._offset.of(first, labels)[:, self._used]
        weights = None if self._weights is None else self._weights.of(first, labels)
        if offset is not None:
            y = np.where(np.isnan(offset), np.nan, y)
            problems = problems_of_offsets(offset, labels, self._used) | problems
            for k in np.flatnonzero(np.isnan(offset).all(axis=1)).tolist():
                problems.setdefault(k, f"offset is missing for the outcome {labels[k]!r} in every row.")
        if weights is not None:
            problems = problems_of_weights(weights, design.groups) | problems
        return FitValues(y, offset, weights), problems

    def _read_all(self) -> Iterator[Rows]:
        for block in self._blocks:
            first = len(self.read.labels)
            values, problems = self._checked(block, first)
            self._note(block, values, problems)
            usable = np.array([k not in problems for k in range(len(block.labels))], bool)
            aside = usable & ~values.known.all(axis=1) & (not self._data.has_missing)
            if aside.any():
                self._aside.append((first + np.flatnonzero(aside), values.at(aside)))
            chosen = np.flatnonzero(usable & ~aside)
            if len(chosen):
                yield self._data.rows(first + chosen, values.at(chosen))

    def _note(self, block: OutcomeBlock, values: FitValues, problems: dict[int, str]) -> None:
        first, counts = len(self.read.labels), self._data.counts(values)
        self.read.labels.extend(block.labels)
        self.read.rows.append(counts.rows)
        self.read.groups.append(counts.groups)
        self.read.checksums.append(counts.checksums)
        self.read.problems.update({first + k: text for k, text in problems.items()})
        if not isinstance(self._given.outcomes, OutcomeTable):
            self._kept.update({first + k: block.one(k) for k in range(len(block.labels)) if k not in problems})

    def _rows_aside(self) -> Iterator[Rows]:
        fits, (first, *others) = np.concatenate([fits for fits, _ in self._aside]), [values for _, values in self._aside]
        values, size = first.joined(others), max(1, _BLOCK_NUMBERS // max(1, len(self._used)))
        for chosen in np.split(np.arange(len(fits)), range(size, len(fits), size)):
            yield self._data.rows_with_missing(fits[chosen], values.at(chosen))


def _has_missing(values: FitValues) -> bool:
    """Whether some fits have a part of their rows."""
    known = values.known
    return bool((known.any(axis=1) & ~known.all(axis=1)).any())
