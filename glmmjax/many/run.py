"""One call of ``fit_many``: the design, the batch, the fits that are made once more by themselves, and the record."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from glmmjax.design.outcomes import OutcomeBlock, OutcomeTable, checked_outcomes, names_of_fits
from glmmjax.errors import ConvergenceWarning, GlmmError, RowsNotKeptError, warn_caller
from glmmjax.estimation.evaluators.cores import n_cores
from glmmjax.estimation.many.batch import RuleOfBatch
from glmmjax.estimation.many.ends import Ends, empty_ends, in_order, is_certified
from glmmjax.estimation.many.in_flight import Rows
from glmmjax.estimation.objective import fit_settings
from glmmjax.estimation.xla.interrupts import forget_interrupts
from glmmjax.estimation.xla.workers import Workers
from glmmjax.fitted import problem_of
from glmmjax.fitted_many import FittedMany
from glmmjax.likelihood.params import Params
from glmmjax.many.arguments import ManyArguments
from glmmjax.many.data import OutcomeRows
from glmmjax.many.first_design import design_of_first
from glmmjax.many.record import Alone, Found, is_doubtful, reach_of
from glmmjax.model import fit_of, fitted_of, maximised
from glmmjax.progress import ManyProgress, Watch
from glmmjax.results import MixedModelResults

__all__ = ["fitted_many"]

_BLOCK_NUMBERS = 2_000_000  # outcomes that are read at a time
_NOT_REACHED = "not fitted: the user has stopped before."


def fitted_many(given: ManyArguments, env: Mapping[str, Any]) -> FittedMany:
    """Fit, and warn of fits without certificate."""
    with jax.enable_x64(True):
        run = _Run(given, env)
        with Watch(given.request.progress) as watch:
            try:
                run.fit(watch)
            except KeyboardInterrupt:
                run.is_interrupted = True
                forget_interrupts()
        record = run.record()
    lost = int((~record.converged).sum())
    if lost:
        stopped = " The user has stopped before all were fitted." if run.is_interrupted else ""
        text = f"{lost:,} of {len(record.code):,} fits carry no certificate of a maximum; summary() of the result counts why.{stopped}"
        warn_caller(text, ConvergenceWarning)
    return record


class _Asked(NamedTuple):
    """Outcomes that were read, in their order."""

    labels: list[Any]
    rows: list[np.ndarray]  # of some fits each: rows with an outcome
    groups: list[np.ndarray]  # clusters with such a row
    problems: dict[int, str]  # of outcomes that no fit is made of
    blocks: dict[int, OutcomeBlock]  # outcomes that nobody keeps, as long as their fit may need them once more


class _Run:
    """The state of a call, so that one that is interrupted can tell what is done."""

    def __init__(self, given: ManyArguments, env: Mapping[str, Any]):
        self._begun, self.is_interrupted, self._given = time.perf_counter(), False, given
        request = given.request
        blocks = given.outcomes.blocks(max(1, _BLOCK_NUMBERS // max(1, len(request.data))))
        self._design, self._blocks = design_of_first(given, blocks, env)
        self._problem = problem_of(self._design, request.penalty)
        self._rule = RuleOfBatch(request.rule.quadrature(self._design.covariance.q), request.rule.is_exact)
        self._reach, self._used = reach_of(self._problem, self._design), np.asarray(self._design.row_labels)
        first = next(self._blocks)
        self._blocks = itertools.chain([first], self._blocks)
        self._data = OutcomeRows(fit_settings(self._problem, request.options), self._design, _has_missing(first.chosen(self._used)))
        self._asked = _Asked([], [], [], {}, {})
        self._ends: list[Ends] = []
        self._left: list[tuple[int, np.ndarray]] = []  # fits with missing outcomes
        self._alone: dict[int, Alone | GlmmError] = {}

    def fit(self, watch: Watch) -> None:
        """Everything that takes time."""
        options, n = self._given.request.options, self._given.outcomes.n
        for ends in self._data.run(self._read_all(), options, self._rule, n):
            self._note(ends, watch)
        if self._left:
            for ends in self._data.with_missing.run(self._incomplete(), options, self._rule, len(self._left)):
                self._note(ends, watch)
        self._fit_alone(watch)

    def record(self) -> FittedMany:
        """The record of what is done."""
        labels, rows, groups, problems, _ = self._asked
        n, layout = len(labels), self._problem.layout
        left = np.setdiff1d(np.arange(n), np.concatenate([np.zeros(0, int), *(ends.fits for ends in self._ends)]))
        ends = in_order([*self._ends, empty_ends(layout.size, left)], layout.size)
        found = Found.of(self._problem, ends, self._rule.quadrature.n_points)
        found.judge_rule(self._given.request.options.quadrature_limit, self._rule.is_exact and self._rule.quadrature.n_points == 1)
        for k in left:
            found.refuse(k, problems.get(int(k), _NOT_REACHED))
        for k, alone in self._alone.items():
            if isinstance(alone, GlmmError):
                found.refuse(k, str(alone))
            else:
                found.put(k, alone)
        counts = [np.concatenate([np.zeros(0, int), *parts]) for parts in (rows, groups)]
        fields = {name: value for name, value in vars(found).items() if name != "problem"}
        return FittedMany(
            labels=names_of_fits(labels),
            design=self._design,
            problem=self._problem,
            request=self._given.request,
            nobs=counts[0],
            n_groups=counts[1],
            seconds=time.perf_counter() - self._begun,
            is_interrupted=self.is_interrupted,
            open_fit=_Opener(self._given, self._design.recipe.namespace, labels),
            **fields,
        )

    def _read_all(self) -> Iterator[Rows]:
        """The fits as they are read. Those with missing outcomes are put aside where others have begun without."""
        for block in self._blocks:
            first = len(self._asked.labels)
            values, problems = self._read(block)
            usable = np.array([k not in problems for k in range(len(values))], bool)
            has_missing = np.isnan(values).any(axis=1)
            aside = usable & has_missing & (not self._data.has_missing)
            self._left += [(first + k, values[k]) for k in np.flatnonzero(aside).tolist()]
            chosen = np.flatnonzero(usable & ~aside)
            if len(chosen):
                yield self._data.rows(first + chosen, values[chosen])

    def _read(self, block: OutcomeBlock) -> tuple[np.ndarray, dict[int, str]]:
        """(r, n) outcomes in the rows used, and what is wrong with some of them."""
        asked, design, first = self._asked, self._design, len(self._asked.labels)
        values, problems = checked_outcomes(block.chosen(self._used), design.formula, design.family, design.levels)
        counts = self._data.counts(values)
        asked.labels.extend(block.labels)
        asked.rows.append(counts.rows)
        asked.groups.append(counts.groups)
        asked.problems.update({first + k: text for k, text in problems.items()})
        if not isinstance(self._given.outcomes, OutcomeTable):
            asked.blocks.update({first + k: block.one(k) for k in range(len(values)) if k not in problems})
        return values, problems

    def _incomplete(self) -> Iterator[Rows]:
        """The fits with missing outcomes."""
        size = max(1, _BLOCK_NUMBERS // max(1, len(self._used)))
        for first in range(0, len(self._left), size):
            fits, values = zip(*self._left[first : first + size], strict=True)
            yield self._data.rows_with_missing(np.array(fits), np.array(values))

    def _note(self, ends: Ends, watch: Watch) -> None:
        """Keep the ends of some fits; those in doubt are not final."""
        ends = ends._replace(is_final=ends.is_final & ~is_doubtful(self._problem, ends, self._reach))
        self._ends.append(ends)
        for k in ends.fits[ends.is_final]:
            self._asked.blocks.pop(int(k), None)
        self._tell(watch)

    def _tell(self, watch: Watch) -> None:
        codes = np.concatenate([np.zeros(0, int), *(ends.code[ends.is_final] for ends in self._ends)])
        alone = [not isinstance(one, GlmmError) and one.convergence.has_converged for one in self._alone.values()]
        n_certified = int(is_certified(codes).sum()) + sum(alone)
        n_done = len(codes) + len(alone) + len(self._asked.problems)
        watch.report(ManyProgress(n_done, self._given.outcomes.n, n_certified, n_done - n_certified, time.perf_counter() - self._begun))

    def _fit_alone(self, watch: Watch) -> None:
        """Once more, as ``mixed_model`` does it, the fits with whose end it would not be content."""
        open_ends = np.concatenate([np.zeros(0, int), *(ends.fits[~ends.is_final] for ends in self._ends)])
        with warnings.catch_warnings(), Workers(n_cores()) as workers:
            warnings.simplefilter("ignore")  # of the design, which were given once
            running = {workers.start(self._one_alone, int(k)): int(k) for k in np.sort(open_ends)}
            for done in concurrent.futures.as_completed(running):
                self._alone[running[done]] = done.result()
                self._tell(watch)

    def _one_alone(self, k: int) -> Alone | GlmmError:
        """A fit by itself, or the error that it ends in."""
        outcomes, asked, design = self._given.outcomes, self._asked, self._design
        block = outcomes.one(k) if isinstance(outcomes, OutcomeTable) else asked.blocks[k]
        values = checked_outcomes(block.chosen(self._used), design.formula, design.family, design.levels).values[0]
        try:
            if np.isnan(values).any():
                request = self._given.of_fit(asked.labels[k], block.column(0), progress=False)
                fitted = fitted_of(request, design.recipe.namespace)
            else:  # the design is at hand
                request = dataclasses.replace(self._given.request, progress=False)
                fitted = maximised(dataclasses.replace(design, rows=design.with_outcome(values)), request, None)
        except GlmmError as error:
            return error
        return Alone(fitted.theta, fitted.information, fitted.log_likelihood, fitted.convergence)


def _has_missing(block: OutcomeBlock) -> bool:
    """Whether some outcomes are known in part of their rows."""
    missing = np.isnan(np.delete(block.values, list(block.columns), axis=0))
    return bool((missing.any(axis=1) & ~missing.all(axis=1)).any())


class _Opener:
    """Makes the ordinary fit with a number: ``FittedMany.open_fit``."""

    def __init__(self, given: ManyArguments, namespace: Mapping[str, Any], labels: list[Any]):
        self._given, self._namespace, self._labels = given, namespace, labels

    def __call__(self, k: int, initial: Params | None) -> MixedModelResults:
        outcomes, label = self._given.outcomes, self._labels[k]
        if not isinstance(outcomes, OutcomeTable):
            raise RowsNotKeptError(
                f"the outcome {label!r} came from an iterator and was not kept; fit it with mixed_model, or pass outcomes as a table."
            )
        request = self._given.of_fit(label, outcomes.one(k).column(0), initial_values=initial, progress=False)
        return fit_of(request, self._namespace)
