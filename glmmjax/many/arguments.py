"""The arguments of ``fit_many``, checked once: a model without its outcome, and what differs between its fits."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from glmmjax.arguments import Judged, Kind
from glmmjax.design import ModelArguments
from glmmjax.design.columns.groups import offset_values
from glmmjax.design.columns.table import as_frame
from glmmjax.design.outcomes import Outcomes, read_outcomes
from glmmjax.errors import ArgumentError
from glmmjax.request import FIT, FitRequest

__all__ = ["MANY", "ManyArguments", "many_arguments"]

MANY: dict[str, Kind] = {
    **{name: kind for name, kind in FIT.items() if name not in ("initial_values", "devices")},
    "outcomes": Judged("a DataFrame or matrix with a column for each fit"),
}


@dataclasses.dataclass(frozen=True)
class ManyArguments:
    """What ``fit_many`` was asked for.

    Attributes
    ----------
    request : the model of every fit; its formula names the outcome ``outcome``, and its data have numbered rows and no such column
    outcomes : what differs
    outcome : name of the outcome, which is that of no column
    """

    request: FitRequest
    outcomes: Outcomes
    outcome: str

    def of_fit(self, label: Any, values: Any, **changes: Any) -> FitRequest:
        """The request of one fit with its outcome, under its own name where that can stand in a formula."""
        data, text = self.request.data, str(label)
        name = text if text.isidentifier() and text not in data.columns else self.outcome
        data = data.assign(**{name: values})
        return dataclasses.replace(self.request, fixed=f"{name} {self.right_side}", data=data, **changes)

    @property
    def right_side(self) -> str:
        """The formula from the tilde on."""
        return self.request.fixed[len(self.outcome) :].strip()


def many_arguments(request: FitRequest, outcomes: Any) -> ManyArguments:
    """The arguments, checked as far as that is possible without reading outcomes.

    Raises
    ------
    ArgumentError, FormulaError
        Naming the argument, what it may be, and what to try.
    """
    if request.is_streamed:
        raise ArgumentError("data is a stream, and many fits need a table in memory: a DataFrame, or a dict of columns.")
    data = as_frame(request.data)
    if not request.fixed.lstrip().startswith("~"):
        raise ArgumentError(
            f"fixed={request.fixed!r} names an outcome, and outcomes= gives them: write the right side only, "
            f"{'~' + request.fixed.partition('~')[2]!r}."
        )
    found = read_outcomes(outcomes, data)
    name = "outcome"
    while name in data.columns or name in request.fixed:
        name += "_"
    plain = data.reset_index(drop=True)
    given = {key: getattr(request, key) for key in ("offset", "zi_offset")}
    offsets = {key: _by_position(key, value, data) for key, value in given.items()}
    request = dataclasses.replace(request, fixed=f"{name} {request.fixed.strip()}", data=plain, **offsets)
    request.check()
    _check_one_column(request)
    return ManyArguments(request, found, name)


def _by_position(name: str, offset: Any, data: Any) -> Any:
    """An offset for data whose rows are numbered."""
    return offset if offset is None or isinstance(offset, str) else np.asarray(offset_values(offset, data, name), float)


def _check_one_column(given: ModelArguments) -> None:
    family = given.resolved_family
    if 1 not in family.outcome_columns:
        raise ArgumentError(
            f"family={family.name!r} takes outcomes in {family.outcome_columns[0]} columns, and outcomes have one for each fit; "
            "fit such models one by one, with mixed_model."
        )
