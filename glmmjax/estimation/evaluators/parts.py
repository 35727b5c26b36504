"""Large data: the log-likelihood of parts of the blocks is evaluated and added up, and every step is decided from the sum."""

from __future__ import annotations

import abc
import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from glmmjax.estimation.evaluators.evaluator import End, beginning_at
from glmmjax.estimation.objective import Evaluated, FitSettings, Integral
from glmmjax.estimation.phases.first_order import Begun
from glmmjax.estimation.phases.phase import Phase
from glmmjax.estimation.sequence import FIRST_ORDER
from glmmjax.estimation.starting_values import Start
from glmmjax.estimation.xla.precompile import precompile
from glmmjax.estimation.xla.programs import Programs
from glmmjax.estimation.xla.workers import Workers
from glmmjax.likelihood.block_sums import Span
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.rule import Rule

__all__ = ["Found", "Part", "Parts", "total"]

Found = tuple[Evaluated, Any]  # the log-likelihood, with its Hessian (P, P) or with None


class Part(NamedTuple):
    """One part of the blocks.

    Attributes
    ----------
    modes : where the search for modes begins, for all blocks; JAX or NumPy arrays
    spans : blocks to visit, one entry for each bucket
    """

    modes: Any
    spans: tuple[Span, ...]


class Parts(abc.ABC):
    """``Evaluator`` of parts of the blocks. A subclass finds the blocks in ``_visit`` and gives their modes in ``modes``.

    Parameters
    ----------
    settings : what is maximised, and how.
    rule : the rule of the ascent.
    run : the compiled programs.
    kept : modes at which the first search begins, in the form of the subclass.
    n_threads : number of threads that evaluate side by side.
    """

    settings: FitSettings
    runs_whole_phases = False

    def __init__(self, settings: FitSettings, rule: Rule, run: Programs, kept: Any, n_threads: int):
        self.settings, self._rule, self._run = settings, rule, run
        self._kept = self._found = kept
        self._workers = Workers(n_threads)

    @abc.abstractmethod
    def modes(self, last: End | None = None) -> tuple[np.ndarray, ...]:
        """The modes kept, (S, q, B) for each bucket."""

    @abc.abstractmethod
    def _example(self) -> tuple[tuple[Bucket, ...], Part]:
        """Arrays in the shapes and places that the programs are compiled for."""

    @abc.abstractmethod
    def _visit(self, program: Callable[..., Found], theta: np.ndarray, rule: Rule) -> tuple[Found, Any]:
        """The total of ``program`` over all parts, and the modes found, in the form of ``_kept``."""

    def precompile(self, begin_with: tuple[Bucket, ...]) -> None:
        buckets, part = self._example()
        precompile(self._run.traced_in_parts, self.settings, begin_with, Integral(buckets, self._rule), part)

    def begin(self, program: Callable[..., Begun], *arguments: Any) -> Begun:
        """As the contract says, without modes: those stay with the parts."""
        start, state = self._workers.call(program, *arguments)
        return Begun(start, state._replace(at=state.at._replace(modes=())))

    def advance(self, phase: Phase, start: Start, state: Any) -> tuple[Any, Any]:
        """One step. Where it moves, the next search for modes begins at those found."""
        found = self._evaluate(self._program(phase), np.asarray(state.theta) + np.asarray(state.proposal), self._rule)
        state, follows, info = self._workers.call(self._run.step, phase, self.settings, start, state, found)
        if info.is_accepted:
            self.keep()
        return state, follows

    def with_rule(self, rule: Rule) -> Parts:
        other = copy.copy(self)
        other._rule = rule
        return other

    def by_rule(self, last: End, rule: Rule, phase: Phase) -> tuple[Evaluated, Any]:
        if type(rule) is not type(self._rule):  # compiled before the threads ask for it, each for its own
            buckets, part = self._example()
            precompile(self._run.traced_hessian, self.settings, Integral(buckets, rule), part)
        found = self._evaluate(self._program(phase), last.newton.theta, rule)
        there = beginning_at(last, phase, ())
        state, follows, _ = self._workers.call(self._run.step, phase, self.settings, last.begun.start, there, found)
        return state.at, follows

    def evaluate(self, theta: Any, rule: Rule) -> Evaluated:
        """The log-likelihood at ``theta`` (P,), numpy, without modes and without penalty; the search for modes begins at those kept."""
        return self._evaluate(self._run.evaluate, theta, rule)[0]

    def evaluate_with_hessian(self, theta: Any, rule: Rule) -> Found:
        """The same with the Hessian (P, P), not yet symmetrised."""
        return self._evaluate(self._run.evaluate_with_hessian, theta, rule)

    def keep(self) -> None:
        """Let the next search begin at the modes found last."""
        self._kept = self._found

    def close(self) -> None:
        self._found = self._kept
        self._workers.close()

    def _program(self, phase: Phase) -> Callable[..., Found]:
        return self._run.evaluate if phase is FIRST_ORDER else self._run.evaluate_with_hessian

    def _evaluate(self, program: Callable[..., Found], theta: Any, rule: Rule) -> Found:
        self._found = self._kept  # free the modes that were not kept before others come
        found, self._found = self._visit(program, np.asarray(theta), rule)
        return found

    def _side_by_side(
        self, program: Callable[..., Found], theta: np.ndarray, buckets: tuple[Bucket, ...], rule: Rule, parts: list[Part]
    ) -> list[Found]:
        """Results of ``program`` on every one of ``parts``, one thread each."""
        problem = self.settings.problem
        running = [self._workers.start(program, problem, theta, buckets, rule, part.modes, part.spans) for part in parts]
        return [result.result() for result in running]


def total(found: list[Found]) -> Found:
    """The log-likelihood of all parts together, numpy, without modes."""
    parts = [jax.tree.map(np.asarray, (at._replace(modes=()), hessian)) for at, hessian in found]
    at, hessian = jax.tree.map(lambda *leaves: np.asarray(sum(leaves)), *parts)
    return at._replace(mode_error=np.max([at.mode_error for at, _ in parts])), hessian
