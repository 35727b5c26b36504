"""The contract between an ascent and the data. An ``Evaluator`` knows where the clusters are and how they are evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from glmmjax.estimation.objective import Evaluated, FitSettings
from glmmjax.estimation.phases.first_order import Begun, FirstOrderState, moved
from glmmjax.estimation.phases.newton import NewtonState, restarted
from glmmjax.estimation.phases.phase import Phase
from glmmjax.estimation.sequence import NEWTON
from glmmjax.estimation.starting_values import Start
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.rule import Rule

__all__ = ["End", "Estimate", "Evaluator", "beginning_at"]


class Estimate(NamedTuple):
    """The result of one of many fits.

    Attributes
    ----------
    theta : (P,) the free vector
    code : () ``Code`` as an integer
    log_likelihood : () without the penalty
    hessian : (P, P) of the objective
    """

    theta: Any
    code: Any
    log_likelihood: Any
    hessian: Any


class End(NamedTuple):
    """Where an ascent ended.

    Attributes
    ----------
    begun : where it began
    first_order : last state of the first-order phase
    newton : last state of the Newton phase
    code : () ``Code`` as an integer
    """

    begun: Begun
    first_order: FirstOrderState
    newton: NewtonState
    code: Any

    @property
    def estimate(self) -> Estimate:
        """The numbers that matter once the ascent is over."""
        return Estimate(self.newton.theta, self.code, self.newton.at.log_likelihood, self.newton.hessian)

    @property
    def n_evaluations(self) -> tuple[Any, Any, Any]:
        """() each: evaluations with derivatives in EM, quasi-Newton and Newton steps."""
        return self.first_order.n_em, self.first_order.n_quasi_newton, self.newton.n_newton


def beginning_at(last: End, phase: Phase, modes: Any) -> Any:
    """The state of ``phase`` before its first evaluation, which takes place where an ascent ended; modes are searched from ``modes``."""
    if phase is NEWTON:
        state = restarted(last.newton)
        return state._replace(at=state.at._replace(modes=modes))
    return moved(last.begun.state, last.newton.theta, modes)


class Evaluator(Protocol):
    """A data set in the form that an ascent uses."""

    @property
    def settings(self) -> FitSettings:
        """What is maximised, and how."""

    @property
    def runs_whole_phases(self) -> bool:
        """Whether ``advance`` ends a phase in one call. Where it is traced, nobody can ask whether a phase is done."""

    def precompile(self, begin_with: tuple[Bucket, ...]) -> None:
        """Compile the programs of an ascent that begins with the blocks ``begin_with``."""

    def begin(self, program: Callable[..., Begun], *arguments: Any) -> Begun:
        """The start of an ascent: the result of the compiled ``program``, in the form that ``advance`` takes."""

    def advance(self, phase: Phase, start: Start, state: Any) -> tuple[Any, Any]:
        """One step or several from ``state``; the new state, and what follows a phase that ends there."""

    def with_rule(self, rule: Rule) -> Evaluator:
        """The same data by another rule, the search for modes beginning where this evaluator is; ``close`` of either closes both."""

    def by_rule(self, last: End, rule: Rule, phase: Phase) -> tuple[Evaluated, Any]:
        """The objective where an ascent of this evaluator ended, by another rule; its value is not finite where the rule has none.

        ``phase`` says whose compiled program is used: the objective is the same. The second result is what follows that phase there: of
        the second one the code of a fit that ends there.
        """

    def modes(self, last: End) -> tuple[np.ndarray, ...]:
        """Modes where an ascent of this evaluator ended, (S, q, B) for each bucket."""

    def close(self) -> None:
        """Release threads; ``modes`` still works."""
