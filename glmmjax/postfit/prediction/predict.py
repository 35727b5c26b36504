"""Predictions of rows, old and new, at given random effects or averaged over them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.layout.grouping import ladder
from glmmjax.design.new_rows import NewRows
from glmmjax.errors import ArgumentError
from glmmjax.estimation.xla.program import as_program
from glmmjax.families.base import Family
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.model_rows import ModelRows, predictors_at
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.population import population_average
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior
from glmmjax.postfit.prediction.law_moments import check_population_mean
from glmmjax.postfit.prediction.quantities import interval_link, values_at
from glmmjax.postfit.prediction.rows import in_all_rows, read_rows
from glmmjax.postfit.prediction.subjects import modes_of, targets_for
from glmmjax.postfit.prediction.targets import Targets

__all__ = [
    "KINDS",
    "SCALES",
    "IntervalSettings",
    "Predictions",
    "Request",
    "average_of",
    "check_zero_part",
    "in_chunks",
    "predict",
    "request_of",
    "rows_of",
    "values_of",
]

KINDS = ("mean_subject", "subject_specific", "marginal", "zero_part", "zero_part_subject_specific")
SCALES = ("response", "link", "probability")
_CHUNK = 4096  # number of rows that are worked on together
_STEPS = 8  # sizes of arrays between two powers of two


class Request(NamedTuple):
    """What to predict. Static.

    Attributes
    ----------
    effects : random effects: "none" (b = 0), "subject" (those of the cluster), "population" (averaged over)
    quantity : name of the quantity, see ``quantities``
    on_link : whether the quantity is reported on the scale of its intervals
    law : of the random effects that are averaged over
    """

    effects: str
    quantity: str
    on_link: bool
    law: Prior = STANDARD_NORMAL


@dataclasses.dataclass(frozen=True)
class IntervalSettings:
    """How intervals around predictions are made; the fields are those of ``MixedModelResults.predict``."""

    level: float = 0.95
    interval_for: str = "mean"
    robust: bool | str = False
    seed: int = 0
    n_draws: int = 1000


class Predictions(NamedTuple):
    """Predictions of the rows of new data, NaN in a row with a missing value in a column that is needed.

    Attributes
    ----------
    values : (O, all rows); O is the number of levels for probabilities of levels, else 1
    labels : (all rows,) pandas Index
    """

    values: np.ndarray
    labels: Any


def predict(
    fitted: FittedModel, newdata: Any = None, newdata2: Any = None, kind: str = "mean_subject", scale: str = "response"
) -> Predictions:
    """Predictions at the estimates; see ``MixedModelResults.predict``.

    Raises
    ------
    ArgumentError
        For a ``kind`` or ``scale`` that is not of this model, and clusters without outcomes.
    DesignError, FormulaError, OutcomeError, RowsNotKeptError
        As ``read_new_rows`` and streamed fits raise them.
    """
    request = request_of(fitted, kind, scale)
    rows, targets = rows_of(fitted, request, newdata, newdata2)
    return Predictions(in_all_rows(values_of(fitted, request, rows, targets), rows.is_complete), rows.labels)


def values_of(fitted: FittedModel, request: Request, rows: NewRows, targets: Targets | None) -> np.ndarray:
    """(O, n) predictions of complete rows, subject-specific ones at the conditional modes."""
    u = None if targets is None else modes_of(fitted, targets)[targets.codes].T
    with jax.enable_x64(True):
        (chunks, u_chunks), n = in_chunks(rows, u)
        wide = padding_of(fitted)
        values = _values(fitted.problem.family, request, wide.params(fitted.params), wide.rows(chunks), u_chunks)
        return np.asarray(values).reshape(len(values), -1)[:, :n]


def request_of(fitted: FittedModel, kind: str, scale: str) -> Request:
    """The arguments ``kind`` and ``scale``, checked."""
    family = fitted.problem.family
    of_zero = kind.startswith("zero_part")
    if of_zero:
        check_zero_part(fitted, kind)
    if scale == "probability" and (of_zero or not family.is_ordinal):
        raise ArgumentError(
            f"scale='probability' with kind={kind!r} gives one column for each level of an ordinal outcome, and the family is "
            f"{family.name}; choose scale='response', which is a probability for 0/1 outcomes and zero parts, or 'link'."
        )
    effects = {"mean_subject": "none", "zero_part": "none", "marginal": "population"}.get(kind, "subject")
    if effects == "subject" and not fitted.design.random_names:
        effects = "none"
    if scale == "probability":
        return Request(effects, "probabilities", False, fitted.problem.prior)
    if effects == "population":
        check_population_mean(fitted)
        return Request(effects, "mean", scale == "link", fitted.problem.prior)
    on_link = scale == "link"
    quantity = ("zero_predictor" if on_link else "zero") if of_zero else ("predictor" if on_link else "mean")
    return Request(effects, quantity, False)


def check_zero_part(fitted: FittedModel, kind: str) -> None:
    """Refuse a probability of a structural zero where there is none.

    Raises
    ------
    ArgumentError
    """
    family = fitted.problem.family
    if not family.has_zero_part:
        raise ArgumentError(
            f"kind={kind!r} is the probability of a structural zero, and the {family.name} family has no zero part; "
            "fit one such as family='zero_inflated_poisson' with zi_fixed='~ 1'."
        )


def rows_of(
    fitted: FittedModel, request: Request, newdata: Any, newdata2: Any, with_outcome: bool = False
) -> tuple[NewRows, Targets | None]:
    """Rows to predict, with their clusters where a prediction needs those, and with outcomes."""
    if request.effects == "subject":
        targets = targets_for(fitted, newdata, newdata2, with_outcome)
        return targets.rows, targets
    return read_rows(fitted, newdata, newdata2, with_outcome), None


def in_chunks(rows: NewRows, u: np.ndarray | None = None, width: int = _CHUNK) -> tuple[tuple[ModelRows, Any], int]:
    """Rows, and random effects (q, n), as arrays (S, ..., R) of ladder sizes, R at most ``width``, and n; padding repeats the last row."""
    n = rows.offset.shape[-1]
    width = min(int(ladder(max(n, 1), _STEPS)), width)
    n_chunks = int(ladder(-(-max(n, 1) // width), _STEPS))
    index = np.minimum(np.arange(n_chunks * width), max(n - 1, 0))

    def cut(leaf: np.ndarray) -> np.ndarray:
        leaf = leaf if n else np.zeros((*leaf.shape[:-1], 1))
        return np.moveaxis(leaf[..., index].reshape(*leaf.shape[:-1], n_chunks, width), -2, 0)

    model = ModelRows(*jax.tree.map(cut, (rows.X, rows.Z, rows.offset)))
    return (model, None if u is None else cut(u)), n


def average_of(family: Family, request: Request, params: Params, rows: ModelRows, u: Array | None = None) -> Array:
    """(O, n) the quantity at b = L u (0 for None), or averaged over the population."""
    at = functools.partial(values_at, family, request.quantity, params)
    return population_average(at, params, rows, request.law) if request.effects == "population" else at(predictors_at(params, rows, u))


@as_program((0, 1))
def _values(family: Family, request: Request, params: Params, rows: ModelRows, u: Array | None) -> Array:
    """(O, S, R)"""

    def of_chunk(chunk: tuple[ModelRows, Array | None]) -> Array:
        values = average_of(family, request, params, *chunk)
        return interval_link(family, request.quantity).link(values) if request.on_link else values

    return jnp.moveaxis(jax.lax.map(of_chunk, (rows, u)), 0, 1)
