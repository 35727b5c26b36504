"""One fit for each outcome of one design."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from glmmjax.design.outcomes import OutcomeBlock, OutcomeTable, checked_outcomes
from glmmjax.errors import RowsNotKeptError
from glmmjax.estimation.many.in_flight import Rows
from glmmjax.estimation.objective import fit_settings
from glmmjax.fitted import FittedModel, problem_of
from glmmjax.likelihood.clusters import Bucket
from glmmjax.many.arguments import ManyArguments
from glmmjax.many.data import OutcomeRows
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
        self._used = np.asarray(self.design.row_labels)
        first = next(blocks)
        self._blocks = itertools.chain([first], blocks)
        settings = fit_settings(problem_of(self.design, request.penalty), request.options)
        marks = row_marks(len(request.data))[self._used]
        self._data = OutcomeRows(settings, self.design, marks, _has_missing(first.chosen(self._used)))
        self.read = FitsRead([], [], [], [], {})
        self._kept: dict[int, OutcomeBlock] = {}
        self._aside: list[tuple[int, np.ndarray]] = []  # fits with missing outcomes, where others have begun without

    @property
    def n(self) -> int | None:
        return self._given.outcomes.n

    def batches(self) -> Iterator[FitsToRun]:
        yield FitsToRun(self._data.with_missing if self._data.has_missing else self._data.complete, self._read_all(), self.n)
        if self._aside:
            yield FitsToRun(self._data.with_missing, self._rows_aside(), len(self._aside))

    def release(self, fits: np.ndarray) -> None:
        for k in fits.tolist():
            self._kept.pop(k, None)

    def buckets(self, k: int) -> tuple[Bucket, ...] | None:
        values, _ = self._checked(self._block(k))
        return None if np.isnan(values).any() else self.design.with_outcome(values[0]).buckets

    def alone(self, k: int) -> FittedModel:
        buckets = self.buckets(k)
        if buckets is None:
            return fitted_of(self.request(k), self.design.recipe.namespace)
        # the design is at hand
        request = dataclasses.replace(self._given.request, progress=False)
        rows = self.design.clusters._replace(buckets=buckets)
        return maximised(dataclasses.replace(self.design, rows=rows), request, None)

    def request(self, k: int, **changes: Any) -> FitRequest:
        return self._given.of_fit(self.read.labels[k], self._block(k).column(0), progress=False, **changes)

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

    def _checked(self, block: OutcomeBlock) -> tuple[np.ndarray, dict[int, str]]:
        """(r, n) outcomes in the rows used, and what is wrong with some of them."""
        design = self.design
        return checked_outcomes(block.chosen(self._used), design.formula, design.family, design.levels)

    def _read_all(self) -> Iterator[Rows]:
        for block in self._blocks:
            first = len(self.read.labels)
            values, problems = self._checked(block)
            self._note(block, values, problems)
            usable = np.array([k not in problems for k in range(len(values))], bool)
            aside = usable & np.isnan(values).any(axis=1) & (not self._data.has_missing)
            self._aside += [(first + k, values[k]) for k in np.flatnonzero(aside).tolist()]
            chosen = np.flatnonzero(usable & ~aside)
            if len(chosen):
                yield self._data.rows(first + chosen, values[chosen])

    def _note(self, block: OutcomeBlock, values: np.ndarray, problems: dict[int, str]) -> None:
        first, counts = len(self.read.labels), self._data.counts(values)
        self.read.labels.extend(block.labels)
        self.read.rows.append(counts.rows)
        self.read.groups.append(counts.groups)
        self.read.checksums.append(counts.checksums)
        self.read.problems.update({first + k: text for k, text in problems.items()})
        if not isinstance(self._given.outcomes, OutcomeTable):
            self._kept.update({first + k: block.one(k) for k in range(len(values)) if k not in problems})

    def _rows_aside(self) -> Iterator[Rows]:
        size = max(1, _BLOCK_NUMBERS // max(1, len(self._used)))
        for first in range(0, len(self._aside), size):
            fits, values = zip(*self._aside[first : first + size], strict=True)
            yield self._data.rows_with_missing(np.array(fits), np.array(values))


def _has_missing(block: OutcomeBlock) -> bool:
    """Whether some outcomes are known in part of their rows."""
    missing = np.isnan(np.delete(block.values, list(block.columns), axis=0))
    return bool((missing.any(axis=1) & ~missing.all(axis=1)).any())
