"""Means of rows, and of groups of rows, over the population of clusters or at random effects of 0, with their derivatives in theta.

Intervals, contrasts and effects start from these means (``grouped_values``) and are plain linear algebra.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.columns.table import as_frame
from glmmjax.design.new_rows import NewRows, read_new_rows
from glmmjax.design.reference_grid import RowGroups, as_lists, fitted_frame, groups_of_rows, one_group, reference_grid, varying
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.model_rows import ModelRows, predictors_at
from glmmjax.likelihood.population import population_mean, population_probabilities
from glmmjax.postfit.prediction.law_moments import check_population_mean
from glmmjax.postfit.prediction.predict import check_zero_part, in_chunks
from glmmjax.postfit.prediction.quantities import interval_link, values_at
from glmmjax.postfit.prediction.rows import in_all_rows, read_own_rows, row_counts
from glmmjax.postfit.uncertainty.delta_method import propagated_variances, with_jacobian
from glmmjax.postfit.uncertainty.link_intervals import limits
from glmmjax.postfit.uncertainty.vcov import covariance

__all__ = [
    "MEAN_KINDS",
    "Means",
    "Values",
    "data_of",
    "grouped_values",
    "marginal_means",
    "quantity_of",
    "row_values",
    "standard_errors_of",
]

MEAN_KINDS = ("mean_subject", "marginal", "zero_part")
_FEWEST_ROWS = 64  # smaller tables are filled up to this number, so that they share one compiled program


class Values(NamedTuple):
    """A quantity for G rows or groups; O is the number of levels of an ordinal outcome, else 1.

    Attributes
    ----------
    values : (O, G) on the scale of the quantity
    jacobian : (O, G, P) derivatives in theta
    """

    values: np.ndarray
    jacobian: np.ndarray


class Means(NamedTuple):
    """Means with their intervals, (O, G) each. NaN in a row with a missing value in a column that is needed.

    Attributes
    ----------
    estimate : means on the response scale, or probabilities of levels
    error : standard errors by the delta method
    lower : lower limits
    upper : upper limits
    labels : (G,) pandas Index of rows or groups
    counts : (G,) numbers of rows in the groups; None for single rows
    kind : "mean_subject", "marginal" or "zero_part"
    levels : (O,) levels of an ordinal outcome, else ()
    """

    estimate: np.ndarray
    error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    labels: Any
    counts: np.ndarray | None
    kind: str
    levels: tuple[Any, ...]


def marginal_means(fitted: FittedModel, newdata: Any, by: Any, *, average: bool, kind: str, robust: bool | str, level: float) -> Means:
    """Means of rows or groups of rows; the arguments are those of ``MixedModelResults.marginal_means``."""
    found, groups = grouped_values(fitted, newdata, by, average, kind)
    error = standard_errors_of(found, covariance(fitted, robust))
    ends = limits(interval_link(fitted.problem.family, quantity_of(fitted, kind)), found.values, error, level)
    counts = None if groups.codes is None else np.bincount(groups.codes, minlength=len(groups.labels))
    return Means(found.values, error, *ends, groups.labels, counts, kind, () if kind == "zero_part" else fitted.design.levels)


class Averaged(NamedTuple):
    """The rows or groups that the values of ``grouped_values`` belong to.

    Attributes
    ----------
    codes : (n,) group of each row; None for single rows
    labels : (G,) pandas Index of rows or groups
    """

    codes: np.ndarray | None
    labels: Any


def grouped_values(fitted: FittedModel, newdata: Any, by: Any, average: bool, kind: str, within: Any = None) -> tuple[Values, Averaged]:
    """Means of the rows, averaged over groups where ``by``, ``within`` or ``average`` asks for it.

    Raises
    ------
    ArgumentError
        For ``by`` with ``average``, no rows, missing values in rows to be averaged, and a family without a mean.
    """
    if by is not None and average:
        raise ArgumentError(f"by={by!r} averages over the rows of each group and average=True over all rows; give one of the two.")
    rows, groups = _rows_and_groups(fitted, newdata, by, average, within)
    found = row_values(fitted, rows, kind, quantity_of(fitted, kind))
    if np.isnan(found.values).any():
        raise ArgumentError(f"the {fitted.problem.family.name} family has no mean at these estimates, so there is nothing to average.")
    if groups is None:
        return Values(*(in_all_rows(leaf, rows.is_complete, axis=1) for leaf in found)), Averaged(None, rows.labels)
    if not rows.is_complete.all():
        raise ArgumentError(
            f"newdata has missing values in {int((~rows.is_complete).sum())} of {len(rows.is_complete)} rows, and an average over the "
            "others would be one of other groups; fill them in, or leave these rows out first."
        )
    counts = row_counts(fitted) if newdata is None else np.ones(len(groups.codes))
    return Values(*(_averaged(leaf, groups.codes, counts) for leaf in found)), Averaged(groups.codes, groups.labels)


def _rows_and_groups(fitted: FittedModel, newdata: Any, by: Any, average: bool, within: Any) -> tuple[NewRows, RowGroups | None]:
    """Rows as the model takes them, and their groups. A dict stands for a grid. Its rows are groups, unless ``by`` is given.

    ``within`` names further columns that make groups.
    """
    if newdata is None and by is None and within is None:
        rows = read_own_rows(fitted)
        return rows, one_group(len(rows.labels)) if average else None
    data = fitted.request.data if newdata is None else newdata
    if isinstance(newdata, Mapping):
        values = as_lists(newdata)
        data = reference_grid(fitted.design, data_of(fitted), values)
        by = (varying(values) or None) if by is None and not average else by
    elif newdata is None:
        data = fitted_frame(fitted.design, data_of(fitted, needed=True))
    rows = read_new_rows(fitted.design, data)
    if not len(rows.labels):
        raise ArgumentError("newdata has no rows.")
    if average:
        return rows, one_group(len(rows.labels))
    names = by if within is None else list(dict.fromkeys([*_listed(by), *_listed(within)]))
    return rows, None if names is None else groups_of_rows(as_frame(data), names, in_order=newdata is None)


def _listed(names: Any) -> list[str]:
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def data_of(fitted: FittedModel, needed: bool = False) -> Any:
    """The data that were fitted, None where they are not kept.

    Raises
    ------
    ArgumentError
        Where they are ``needed`` and not kept.
    """
    data = None if fitted.design.is_streamed else fitted.request.data
    if data is None and needed:
        raise ArgumentError("newdata=None stands for the rows fitted, which this fit does not keep as a table; give newdata.")
    return data


def quantity_of(fitted: FittedModel, kind: str) -> str:
    """Name in ``quantities`` of what ``kind`` asks for; for an ordinal outcome the probabilities of the levels take the place of the mean.

    Raises
    ------
    ArgumentError
        For ``kind="zero_part"`` of a family without a zero part.
    """
    if kind == "zero_part":
        check_zero_part(fitted, kind)
        return "zero"
    return "probabilities" if fitted.problem.family.is_ordinal else "mean"


def row_values(fitted: FittedModel, rows: NewRows, kind: str, quantity: str) -> Values:
    """A quantity of the complete rows with its exact derivatives."""
    if kind == "marginal" and quantity == "mean":
        check_population_mean(fitted)
    with jax.enable_x64(True):
        n = rows.offset.shape[-1]
        (chunks, _), _ = in_chunks(_at_least(_FEWEST_ROWS, rows))
        wide = padding_of(fitted)
        found = _row_values(wide.problem, kind, quantity, wide.vector(fitted.theta), wide.rows(chunks))
        values, jacobian = np.asarray(found[0]), wide.cut(found[1])
    n_values, size = len(values), fitted.problem.layout.size
    return Values(values.reshape(n_values, -1)[:, :n], jacobian.reshape(n_values, -1, size)[:, :n])


def _at_least(n: int, rows: NewRows) -> NewRows:
    """The complete rows, the last of them repeated until there are n."""
    missing = max(0, n - rows.offset.shape[-1])
    wider = [np.pad(leaf, ((0, 0), (0, missing)), mode="edge") for leaf in (*rows.X, *rows.Z, rows.offset)]
    return rows._replace(X=tuple(wider[: len(rows.X)]), Z=tuple(wider[len(rows.X) : -1]), offset=wider[-1])


@as_program((0, 1, 2))
def _row_values(problem: Problem, kind: str, quantity: str, theta: Array, rows: ModelRows) -> tuple[Array, Array]:
    """(O, S, R) and (O, S, R, P)."""
    of_chunk = lambda chunk: with_jacobian(lambda theta: _values(problem, kind, quantity, theta, chunk), theta)  # noqa: E731
    found, jacobian = jax.lax.map(of_chunk, rows)
    return jnp.moveaxis(found, 0, 1), jnp.moveaxis(jacobian, 0, 1)


def _values(problem: Problem, kind: str, quantity: str, theta: Array, rows: ModelRows) -> Array:
    """(O, n)"""
    params, family = problem.layout.params(theta), problem.family
    if kind != "marginal":
        return values_at(family, quantity, params, predictors_at(params, rows))
    if quantity == "probabilities":
        return population_probabilities(params, rows, family, problem.prior)
    return population_mean(params, rows, family, problem.prior)[None]


def standard_errors_of(found: Values, theta_covariance: np.ndarray) -> np.ndarray:
    """(O, G) standard errors by the delta method."""
    flat = found.jacobian.reshape(-1, found.jacobian.shape[-1])
    is_missing = np.isnan(found.values)
    errors = np.sqrt(propagated_variances(np.nan_to_num(flat), theta_covariance)).reshape(found.values.shape)
    return np.where(is_missing, np.nan, errors)


def _averaged(leaf: np.ndarray, codes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(O, G, ...) means over the groups of (O, n, ...), each row as often as ``counts`` (n,) say."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(codes.max() + 1))
    sums = np.bincount(codes, counts).reshape(1, -1, *[1] * (leaf.ndim - 2))
    return np.add.reduceat((leaf * counts.reshape(1, -1, *[1] * (leaf.ndim - 2)))[:, order], starts, axis=1) / sums
