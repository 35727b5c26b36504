"""One call of ``fit_many``: the batch, the fits that are made once more by themselves, and the record."""

from __future__ import annotations

import concurrent.futures
import time
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from glmmjax.design.outcomes import names_of_fits
from glmmjax.errors import ConvergenceWarning, GlmmError, warn_caller
from glmmjax.estimation.evaluators.cores import n_cores
from glmmjax.estimation.many.batch import RuleOfBatch
from glmmjax.estimation.many.ends import Ends, empty_ends, in_order, is_certified
from glmmjax.estimation.maximise import maximise
from glmmjax.estimation.separation import by_one_column
from glmmjax.estimation.xla.interrupts import forget_interrupts
from glmmjax.estimation.xla.workers import Workers
from glmmjax.fitted import problem_of
from glmmjax.fitted_many import FittedMany
from glmmjax.likelihood.params import Params
from glmmjax.many.arguments import ManyArguments
from glmmjax.many.level_source import LevelSource
from glmmjax.many.outcome_source import OutcomeSource
from glmmjax.many.record import Alone, Found, alone_of, ends_of, is_doubtful, reach_of
from glmmjax.many.source import FitSource
from glmmjax.model import fit_of
from glmmjax.progress import Watch
from glmmjax.progress_records import ManyProgress
from glmmjax.results import MixedModelResults

__all__ = ["fitted_many"]

_NOT_REACHED = "not fitted: the user has stopped before."


def fitted_many(given: ManyArguments, env: Mapping[str, Any]) -> FittedMany:
    """Fit, and warn of fits without certificate."""
    with jax.enable_x64(True):
        run = _Run(OutcomeSource(given, env) if given.by is None else LevelSource(given, env), given)
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


class _Run:
    """The state of a call, so that one that is interrupted can tell what is done."""

    def __init__(self, source: FitSource, given: ManyArguments):
        self._begun, self.is_interrupted, self._source, self._request = time.perf_counter(), False, source, given.request
        self._is_moderated, request = given.is_moderated, given.request
        self._problem = problem_of(source.design, request.penalty)
        self._rule = RuleOfBatch(request.rule.quadrature(source.design.covariance.q, source.design.n_upper), request.rule.is_exact)
        self._reach = reach_of(self._problem, source.design)
        self._ends: list[Ends] = []
        self._alone: dict[int, Alone | GlmmError] = {}

    def fit(self, watch: Watch) -> None:
        """Everything that takes time."""
        for data, rows, n in self._source.batches():
            for ends in data.run(rows, self._request.options, self._rule, n):
                self._note(ends, watch)
        self._fit_alone(watch)

    def record(self) -> FittedMany:
        """The record of what is done."""
        source, layout = self._source, self._problem.layout
        labels, rows, groups, checksums, problems = source.read
        left = np.setdiff1d(np.arange(len(labels)), np.concatenate([np.zeros(0, int), *(ends.fits for ends in self._ends)]))
        ends = in_order([*self._ends, empty_ends(layout.size, left)], layout.size)
        found = Found.of(self._problem, ends)
        found.judge_rule(self._request.options.quadrature_limit, self._rule.is_exact and self._rule.quadrature.n_points == 1)
        for k in left:
            found.refuse(k, problems.get(int(k), _NOT_REACHED))
        for k, alone in self._alone.items():
            if isinstance(alone, GlmmError):
                found.refuse(k, str(alone))
            else:
                found.put(k, alone)
        counts = [np.concatenate([np.zeros(0, int), *parts]) for parts in (rows, groups, checksums)]
        fields = {name: value for name, value in vars(found).items() if name != "problem"}
        return FittedMany(
            labels=names_of_fits(labels),
            design=source.design,
            problem=self._problem,
            request=self._request,
            nobs=counts[0],
            n_groups=counts[1],
            checksums=counts[2],
            seconds=time.perf_counter() - self._begun,
            is_interrupted=self.is_interrupted,
            is_moderated=self._is_moderated,
            open_fit=_Opener(source),
            **fields,
        )

    def _note(self, ends: Ends, watch: Watch) -> None:
        """Keep the ends of some fits; those in doubt are not final."""
        ends = ends._replace(is_final=ends.is_final & ~is_doubtful(self._problem, ends, self._reach))
        self._ends.append(ends)
        self._source.release(ends.fits[ends.is_final])
        self._tell(watch)

    def _tell(self, watch: Watch) -> None:
        codes = np.concatenate([np.zeros(0, int), *(ends.code[ends.is_final] for ends in self._ends)])
        alone = [not isinstance(one, GlmmError) and one.convergence.has_converged for one in self._alone.values()]
        n_certified = int(is_certified(codes).sum()) + sum(alone)
        n_done = len(codes) + len(alone) + len(self._source.read.problems)
        watch.report(ManyProgress(n_done, self._source.n, n_certified, n_done - n_certified, time.perf_counter() - self._begun))

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
        buckets, problem = self._source.buckets(k), self._problem
        if buckets is not None and (problem.penalty is not None or by_one_column(problem.family, buckets) is None):
            quadrature, is_exact = self._rule
            found = alone_of(problem, maximise(problem, self._request.options, buckets, quadrature, is_exact=is_exact))
            if found.convergence.has_converged and not is_doubtful(problem, ends_of(k, found), self._reach)[0]:
                return found
        try:
            fitted = self._source.alone(k)  # which can tell what is wrong
        except GlmmError as error:
            return error
        return Alone(fitted.theta, fitted.information, fitted.log_likelihood, fitted.convergence)


class _Opener:
    """Makes the ordinary fit with a number: ``FittedMany.open_fit``."""

    def __init__(self, source: FitSource):
        self._source = source

    def __call__(self, k: int, initial: Params | None) -> MixedModelResults:
        return fit_of(self._source.request(k, initial_values=initial), self._source.design.recipe.namespace)
