"""The ascent to a maximum: one function that drives the phases over any evaluator, from Python or inside a compiled program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glmmjax.estimation.convergence import Code
from glmmjax.estimation.evaluators.evaluator import End, Evaluator
from glmmjax.estimation.phases.first_order import Begun, prepared
from glmmjax.estimation.phases.newton import restarted
from glmmjax.estimation.phases.phase import Phase
from glmmjax.estimation.sequence import FIRST_ORDER, NEWTON
from glmmjax.estimation.starting_values import Start

__all__ = ["Report", "ascend", "ascend_again"]

Report = Callable[[Phase, Any], None]  # of a phase and its state


def ascend(evaluator: Evaluator, begun: Begun, report: Report | None = None) -> End:
    """Run both phases; the second begins where the first ends.

    Parameters
    ----------
    report : called whenever the evaluator comes back: after every step or after a phase.
    """
    start, begun = begun.start, prepared(evaluator.settings.options, begun)
    first, state = _to_the_end(evaluator, FIRST_ORDER, start, begun.state, report)
    newton, code = _to_the_end(evaluator, NEWTON, start, state, report)
    return End(begun, first, newton, code)


def ascend_again(evaluator: Evaluator, last: End, step: Any = None, report: Report | None = None) -> End:
    """The second phase alone, ``step`` (P,) from where an ascent by another rule ended: the maxima of two rules are close to each other."""
    newton, code = _to_the_end(evaluator, NEWTON, last.begun.start, restarted(last.newton, step), report)
    return last._replace(newton=newton, code=code)


def _to_the_end(evaluator: Evaluator, phase: Phase, start: Start, state: Any, report: Report | None) -> tuple[Any, Any]:
    """The last state of a phase, and what follows."""
    if evaluator.runs_whole_phases:
        return evaluator.advance(phase, start, state)
    follows: Any = Code.NOT_FINITE  # where the first phase has found no finite value, the second phase ends before its first step
    while not state.is_done:
        state, follows = evaluator.advance(phase, start, state)
        if report is not None:
            report(phase, state)
    return state, follows
