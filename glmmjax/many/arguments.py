"""The arguments of ``fit_many``, checked once: a model without its outcome, and what differs between its fits."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from glmmjax.arguments import Judged, Kind, Maybe, OneOf, Text
from glmmjax.design import ModelArguments
from glmmjax.design.columns.groups import offset_values
from glmmjax.design.columns.table import as_frame, column_of, describe_unknown, with_columns
from glmmjax.design.outcomes import NO_OUTCOMES, Outcomes, read_outcomes
from glmmjax.design.own_numbers import OwnNumbers, has_own, own_offsets
from glmmjax.errors import ArgumentError
from glmmjax.request import FIT, FitRequest
from glmmjax.values import shown

__all__ = ["MANY", "ManyArguments", "check_moderated", "many_arguments"]

_OF_ONE_FIT = ("initial_values", "devices", "correction", "random_effects_law")  # arguments of mixed_model alone

MANY: dict[str, Kind] = {
    **{name: kind for name, kind in FIT.items() if name not in _OF_ONE_FIT},
    "weights": Judged("None, the name of a column, one number for each cluster, or a table of such columns, one for each fit"),
    "offset": Judged("None, the name of a column, one number for each row, or a table of such columns, one for each fit"),
    "outcomes": Judged("None, or a DataFrame or matrix with a column for each fit"),
    "by": Maybe(Text("the name of a column whose levels have a fit each")),
    "moderate": Maybe(OneOf({"phi": "extra parameters, by a prior over the fits"})),
}


@dataclasses.dataclass(frozen=True)
class ManyArguments:
    """What ``fit_many`` was asked for.

    Attributes
    ----------
    request : the model of every fit; its formula names the outcome ``outcome``, and its data have numbered rows and no such column
    outcomes : what differs
    outcome : name of the outcome, of which no column has the name
    by : the column whose levels have a fit each; None where outcomes differ
    offset : offsets of which each fit has its own, None where there are none
    weights : weights likewise, as they were given
    is_moderated : whether extra parameters are reported with a prior over the fits
    """

    request: FitRequest
    outcomes: Outcomes
    outcome: str = ""
    by: str | None = None
    offset: OwnNumbers | None = None
    weights: Any = None
    is_moderated: bool = False

    def of_fit(self, label: Any, outcome: tuple[Any, ...], **changes: Any) -> FitRequest:
        """The request of one fit with the columns of its outcome, under its own name where that can stand in a formula."""
        data, text = self.request.data, str(label)
        names, left = _outcome_names(text, len(outcome))
        if not text.isidentifier() or data.columns.isin(names).any():
            names, left = _outcome_names(self.outcome, len(outcome))
        data = with_columns(data, dict(zip(names, outcome, strict=True)))
        return dataclasses.replace(self.request, **{"fixed": f"{left} {self.right_side}", "data": data, **changes})

    @property
    def right_side(self) -> str:
        """The formula from the tilde on."""
        return self.request.fixed[self.request.fixed.index("~") :]


def many_arguments(request: FitRequest, outcomes: Any, by: str | None) -> ManyArguments:
    """The arguments, checked as far as that is possible without reading outcomes.

    Raises
    ------
    ArgumentError, FormulaError
        Naming the argument, what it may be, and what to try.
    """
    if request.is_streamed:
        raise ArgumentError("data is a stream, and many fits need a table in memory: a DataFrame, or a dict of columns.")
    if (outcomes is None) == (by is None):
        raise ArgumentError("give either outcomes=, a column for each fit, or by=, the column of data whose levels have a fit each.")
    data = as_frame(request.data)
    if by is not None and request.formula.lower_group is not None:
        raise ArgumentError(
            f"by={by!r} is for one level of random effects, and {request.formula.text} has two; fit each level of {by!r} with mixed_model."
        )
    if by is not None:
        return _by_level(request, data, by)
    _check_no_outcome(request.fixed)
    found = read_outcomes(outcomes, data)
    name = "outcome"
    while name in request.fixed or data.columns.isin(_outcome_names(name, found.n_columns or 1)[0]).any():
        name += "_"
    own: dict[str, Any] = {}
    if has_own(request.offset):
        own["offset"], request = own_offsets(request.offset, data, found.n), dataclasses.replace(request, offset=None)
    if has_own(request.weights):
        own["weights"], request = request.weights, dataclasses.replace(request, weights=None)
    left = _outcome_names(name, found.n_columns or 1)[1]
    request = dataclasses.replace(_with_numbered_rows(request, data), fixed=f"{left} {request.fixed.strip()}")
    request.check()
    _check_not_crossed(request)
    _check_columns(request, found.n_columns)
    return ManyArguments(request, found, name, **own)


def check_moderated(given: ModelArguments, moderate: str | None) -> bool:
    """Whether extra parameters are moderated.

    Raises
    ------
    ArgumentError
        For a family without any.
    """
    family = given.resolved_family
    if moderate is not None and (not family.phi_names or family.is_ordinal):
        raise ArgumentError(
            f"moderate={moderate!r} shrinks the extra parameter of a family, and family={family.name!r} has none"
            f"{' but thresholds' if family.is_ordinal else ''} in this model; leave moderate out."
        )
    return moderate is not None


def _outcome_names(name: str, n_columns: int) -> tuple[tuple[str, ...], str]:
    """Names of the columns of an outcome, and the left side of a formula."""
    if n_columns == 1:
        return (name,), name
    names = tuple(f"{name}_{j + 1}" for j in range(n_columns))
    return names, f"cbind({', '.join(names)})"


def _check_not_crossed(request: FitRequest) -> None:
    if request.formula.factors:
        raise ArgumentError(
            f"{request.formula.text} has crossed factors, {', '.join(request.formula.factors)}, which fit_many does not take; keep one, "
            "or fit each outcome by mixed_model."
        )


def _check_no_outcome(fixed: str) -> None:
    left, tilde, right = (part.strip() for part in fixed.partition("~"))
    if not tilde:
        raise ArgumentError(f"fixed={fixed!r} has no ~: write the right side of a formula, such as {'~ ' + (left or '1')!r}.")
    if left:
        raise ArgumentError(
            f"fixed={fixed!r} names an outcome, and outcomes= gives them: write the right side only, {'~ ' + (right or '1')!r}."
        )


def _by_level(request: FitRequest, data: Any, by: str) -> ManyArguments:
    if by not in data.columns:
        raise ArgumentError(describe_unknown(by, data, f"by={by!r}"))
    column_of(data, by)
    if data[by].isna().all():
        raise ArgumentError(f"by={by!r} has no level: the column is missing in each of the {len(data)} rows.")
    for argument in ("offset", "weights"):
        if has_own(getattr(request, argument)):
            raise ArgumentError(
                f"{argument}={shown(getattr(request, argument))} has a column for each fit, and by={by!r} takes fits from the rows of "
                "data; give the name of a column of data."
            )
    request = _with_numbered_rows(request, data)
    request.check()
    _check_not_crossed(request)
    return ManyArguments(dataclasses.replace(request, **request.spelled_out(by)), NO_OUTCOMES, by=by)


def _with_numbered_rows(request: FitRequest, data: Any) -> FitRequest:
    """The request for data whose rows are numbered; an offset that is a Series is matched first, and so are row weights."""
    given = {name: getattr(request, name) for name in ("offset", "zi_offset", "row_weights")}
    offsets = {name: _by_position(name, value, data) for name, value in given.items()}
    return dataclasses.replace(request, data=data.reset_index(drop=True), **offsets)


def _by_position(name: str, offset: Any, data: Any) -> Any:
    """An offset for data whose rows are numbered."""
    return offset if offset is None or isinstance(offset, str) else np.asarray(offset_values(offset, data, name), float)


def _check_columns(given: ModelArguments, n_columns: int | None) -> None:
    family = given.resolved_family
    if n_columns is not None and n_columns not in family.outcome_columns:
        ways = {1: "a table", 2: "a tuple of two tables, such as (successes, failures)", 3: "a tuple of three tables"}
        raise ArgumentError(
            f"family={family.name!r} takes outcomes in {' or '.join(map(str, family.outcome_columns))} column(s), and outcomes have "
            f"{n_columns}: give {' or '.join(ways[n] for n in family.outcome_columns)}, with a column for each fit."
        )
