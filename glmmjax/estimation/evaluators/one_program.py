"""Small data: a phase with its evaluations is one loop inside one compiled program. The same evaluator works inside a larger program."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from glmmjax.estimation.evaluators.evaluator import End, beginning_at
from glmmjax.estimation.objective import Evaluated, FitSettings, Integral
from glmmjax.estimation.phases.first_order import Begun
from glmmjax.estimation.phases.phase import Phase, run_phase
from glmmjax.estimation.starting_values import Start
from glmmjax.estimation.xla.precompile import precompile
from glmmjax.estimation.xla.programs import Programs
from glmmjax.estimation.xla.workers import Workers
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.rule import Rule

__all__ = ["ALL_STEPS", "SOME_STEPS", "OneProgram"]

ALL_STEPS = np.int32(1_000_000)  # steps of a phase in one call, when nothing has to be shown in between
SOME_STEPS = np.int32(25)  # more than most phases take; after so many a program that has run for long may be compiled to run faster


@dataclasses.dataclass(frozen=True)
class OneProgram:
    """``Evaluator`` of blocks in one place. Its defaults are for traced code; calls from Python set ``run`` and ``max_steps``.

    Attributes
    ----------
    settings : what is maximised, and how.
    integral : the data and the rule.
    run : ``run_phase``, plain or compiled.
    max_steps : steps in one call of ``run``; None for all of a phase, without a count of them.
    workers : run compiled programs in a thread of their own; None runs them in the thread of the caller.
    runs_whole_phases : see ``Evaluator``.
    compiled : the programs to compile side by side before the first call; ``run`` is one of them.
    """

    settings: FitSettings
    integral: Integral
    run: Callable[..., Any] = run_phase
    max_steps: Any = None
    workers: Workers | None = None
    runs_whole_phases: bool = True
    compiled: Programs | None = None

    def precompile(self, begin_with: tuple[Bucket, ...]) -> None:
        """Compile the programs, which begin with all blocks."""
        del begin_with
        if self.compiled is not None:
            precompile(self.compiled.traced, self.settings, self.integral)

    def begin(self, program: Callable[..., Begun], *arguments: Any) -> Begun:
        return self._call(program, *arguments)

    def advance(self, phase: Phase, start: Start, state: Any) -> tuple[Any, Any]:
        return self._call(self.run, phase, self.settings, start, state, self.integral, self.max_steps)

    def with_rule(self, rule: Rule) -> OneProgram:
        return dataclasses.replace(self, integral=self.integral._replace(rule=rule))

    def by_rule(self, last: End, rule: Rule, phase: Phase) -> tuple[Evaluated, Any]:
        """The first evaluation of a phase that begins where the ascent ended: nothing new is compiled."""
        there = beginning_at(last, phase, last.newton.at.modes)
        integral = self.integral._replace(rule=rule)
        state, follows = self._call(self.run, phase, self.settings, last.begun.start, there, integral, np.int32(1))
        return state.at, follows

    def modes(self, last: End) -> tuple[np.ndarray, ...]:
        return tuple(np.asarray(modes) for modes in last.newton.at.modes)

    def close(self) -> None:
        if self.workers is not None:
            self.workers.close()

    def _call(self, program: Callable[..., Any], *arguments: Any) -> Any:
        return program(*arguments) if self.workers is None else self.workers.call(program, *arguments)
