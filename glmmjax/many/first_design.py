"""The design of many fits, made with the first outcome that can be fitted in the place of all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from glmmjax.design import Design, build_design
from glmmjax.design.outcome_checks import checked_outcomes
from glmmjax.design.outcomes import OutcomeBlock, filled
from glmmjax.errors import ArgumentError, OutcomeError
from glmmjax.many.arguments import ManyArguments

__all__ = ["design_of_first"]

_MOST_TRIED = 20  # outcomes that look right, and that the rows of the model show to be wrong


def design_of_first(given: ManyArguments, blocks: Iterator[OutcomeBlock], env: Mapping[str, Any]) -> tuple[Design, Iterator[OutcomeBlock]]:
    """The design, and all blocks.

    Raises
    ------
    ArgumentError
        Where there are no outcomes.
    OutcomeError
        Where none of the first block can be fitted.
    """
    block = next(blocks, None)
    if block is None:
        raise ArgumentError("outcomes has no column: its iterator gave nothing.")
    _, problems = checked_outcomes(block, given.request.formula, given.request.resolved_family)
    wrong: Any = next(iter(problems.values()), "")
    for k in [k for k in range(len(block.labels)) if k not in problems][:_MOST_TRIED]:
        request = given.of_fit(given.outcome, filled(block.outcome(k)))
        try:
            return build_design(request, env, request.options), itertools.chain([block], blocks)
        except OutcomeError as error:
            wrong = error
    raise OutcomeError(f"none of the outcomes can be fitted; the first: {wrong}")
