"""Rows of new data with the columns of a fitted model, made with the levels, means and knots of the rows fitted."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.columns.factors import numbers_in
from glmmjax.design.columns.groups import Groups, NestedGroups, as_numbers, nested_groups, number_clusters
from glmmjax.design.columns.outcome import Outcome, read_part_of_outcome
from glmmjax.design.columns.predictors import without_intercept
from glmmjax.design.columns.table import as_frame, column_of, describe_unknown, plain_types, show_label, with_categories
from glmmjax.design.design import Design
from glmmjax.design.formula.matrices import evaluate
from glmmjax.design.formula.tokens import names_in
from glmmjax.design.layout.grouping import group_rows
from glmmjax.design.layout.packing import Columns, cluster_data, frame_of
from glmmjax.design.levels import check_one_level
from glmmjax.errors import ArgumentError, DesignError, OutcomeError
from glmmjax.likelihood.clusters import ClusterData
from glmmjax.options import Options

__all__ = ["NewRows", "cluster_rows", "read_new_rows"]


class NewRows(NamedTuple):
    """Rows without a missing value in a column that is needed, in the order of the new data. ``E`` predictors.

    Attributes
    ----------
    X : per predictor (p_e, n), fixed-effects columns
    Z : per predictor (q_e, n), random-effects columns
    offset : (E, n) offsets, on the scale of the linear predictors
    outcome : (n,) for each outcome column; () when it was not asked for
    groups : clusters in order of first appearance; None when they were not asked for, and in a model without random effects
    lower : the clusters inside them, of a model with two levels
    factors : (n,) for each crossed factor: the level of each row; levels that the fit does not know have numbers beyond its own
    is_complete : (all rows,) bool: which rows of the new data these are
    labels : (all rows,) labels of the rows of the new data
    """

    X: tuple[np.ndarray, ...]
    Z: tuple[np.ndarray, ...]
    offset: np.ndarray
    outcome: tuple[np.ndarray, ...]
    groups: Groups | None
    is_complete: np.ndarray
    labels: pd.Index
    lower: NestedGroups | None = None
    factors: tuple[np.ndarray, ...] = ()


def read_new_rows(
    design: Design, data: Any, argument: str = "newdata", *, with_outcome: bool = False, with_groups: bool = False
) -> NewRows:
    """The columns of a fitted model for the rows of ``data``, which were passed as ``argument``.

    Raises
    ------
    ArgumentError, FormulaError, DesignError
        For data that are no table, lack a column, or have a level that the rows fitted do not have; for offsets that were given as numbers.
    OutcomeError
        With ``with_outcome``: for an outcome that the family cannot have produced.
    """
    parts, recipe, data = design.formula, design.recipe, as_frame(data, argument)
    text = f"{argument} with {parts.text}"
    expressions = [e for e in parts.expressions if with_outcome or e not in parts.outcome_columns]
    used = {name.text for expression in expressions for name in names_in(expression)}
    columns = {name: _column(data, name, argument, text) for name in recipe.columns if name in used}
    offsets = {kind: _offset(data, name, argument, kind) for kind, name in recipe.offsets.items()}
    groups = _column(data, parts.group, argument, text) if with_groups and parts.group is not None else None
    inside = None if groups is None or parts.lower_group is None else _column(data, parts.lower_group, argument, text)
    of_factors = {name: _column(data, name, argument, text) for names in parts.factors.values() for name in names if with_groups}
    extra = [values for values in (*offsets.values(), groups, inside, *of_factors.values()) if values is not None]
    is_complete = ~np.logical_or.reduce([np.zeros(len(data), bool), *(np.asarray(pd.isna(c)) for c in (*columns.values(), *extra))])
    frame = _frame(columns, is_complete, recipe.levels, data.index, argument)
    labels = data.index[is_complete]
    added = {kind: as_numbers(values, f"the offset of {argument}")[is_complete] for kind, values in offsets.items()}
    found = {kind: function(frame, labels, added.get(kind)) for kind, function in recipe.predictors.items()}
    if design.family.is_ordinal:
        found["main"] = without_intercept(found["main"], parts)
    outcome = _outcome(design, frame, labels) if with_outcome else Outcome((), None)
    clusters = None if groups is None else number_clusters(pd.Series(groups)[is_complete], parts.group)
    return NewRows(
        X=tuple(np.ascontiguousarray(predictor.fixed.values.T) for predictor in found.values()),
        Z=tuple(np.ascontiguousarray(predictor.random.values.T) for predictor in found.values()),
        offset=np.stack([predictor.offset for predictor in found.values()]),
        outcome=outcome.columns,
        groups=clusters,
        is_complete=is_complete,
        labels=data.index,
        factors=tuple(numbers_in(factor, of_factors, is_complete) for factor in design.factors if with_groups),
        lower=None if clusters is None or inside is None else nested_groups(clusters, pd.Series(inside)[is_complete], parts.lower_group),
    )


def cluster_rows(rows: NewRows, options: Options, design: Design) -> ClusterData:
    """Rows with outcomes and groups, as the likelihood takes them. Every cluster has weight 1; the order is that of ``rows.groups``."""
    check_one_level(design, "conditioning on other rows")
    if rows.groups is None:
        raise ValueError("the rows were read without their clusters")
    layout = group_rows(rows.groups.codes, len(rows.groups.labels), options.max_block_rows)
    columns = Columns(list(rows.outcome), list(rows.X), list(rows.Z), [rows.offset])
    # nodes are placed as in the fit; the rows of a stream, and so their frame, are gone
    of_fit = None if design.is_streamed else design.clusters.buckets[0].frame
    frame = frame_of(columns.Z, rows.offset.shape[1], design.covariance.basis_sizes) if of_fit is None else np.asarray(of_fit[0])
    return cluster_data(layout, columns, (np.ones(len(rows.groups.labels)), None), frame)


def _column(data: pd.DataFrame, name: str, argument: str, text: str) -> Any:
    if name not in data.columns:
        raise DesignError(describe_unknown(name, data, text).replace("and data have", f"and {argument} has"))
    return column_of(data, name)


def _offset(data: pd.DataFrame, name: str | None, argument: str, kind: str) -> Any:
    keyword = {"main": "offset", "zero": "zi_offset"}[kind]
    if name is None:
        raise ArgumentError(
            f"{argument}: the fit has {keyword}= as an array of numbers, which {argument} cannot have. Fit it with the name of a column, "
            f"{keyword}='column', and give {argument} that column."
        )
    return _column(data, name, argument, f"{argument} with {keyword}={name!r}")


def _frame(columns: dict[str, Any], kept: np.ndarray, levels: Any, index: pd.Index, argument: str) -> pd.DataFrame:
    """Complete rows in plain types, with the levels of the rows fitted."""
    chosen = {name: pd.Series(column)[kept].reset_index(drop=True) for name, column in columns.items()}
    plain = plain_types(pd.DataFrame({name: column for name, column in chosen.items() if name not in levels}))
    for name, column in chosen.items():
        if name in levels:
            _check_levels(name, column, levels[name], index[kept], argument)
        elif not len(column):  # of any type, where all values are missing
            plain[name] = np.zeros(0)
        elif plain[name].dtype.kind not in "biuf":
            raise DesignError(
                f"{argument}: {name!r} has values such as {show_label(column.iloc[0])}, and the rows fitted have numbers; turn text into "
                f"numbers with pd.to_numeric()."
            )
    full = {name: with_categories(column.array, levels[name]) if name in levels else plain[name] for name, column in chosen.items()}
    return pd.DataFrame(full, index=pd.RangeIndex(int(kept.sum())))


def _check_levels(name: str, column: pd.Series, levels: pd.Index, labels: pd.Index, argument: str) -> None:
    new = np.flatnonzero(~np.asarray(column.isin(levels)))
    if len(new):
        raise DesignError(
            f"{argument}: {name!r} is {show_label(column.iloc[new[0]])} in row {show_label(labels[new[0]])}, a level that the rows fitted "
            f"do not have; its levels are {', '.join(show_label(level) for level in levels)}."
        )


def _outcome(design: Design, frame: pd.DataFrame, labels: pd.Index) -> Outcome:
    """The outcome in the coding of the fit."""
    parts, recipe = design.formula, design.recipe
    values = tuple(evaluate(column, frame, recipe.namespace, parts.text) for column in parts.outcome_columns)
    if not design.levels:
        return read_part_of_outcome(values, parts, design.family, labels, recipe.outcome_levels)
    codes = pd.Index(design.levels).get_indexer(pd.Index(np.asarray(values[0])))
    if (codes < 0).any():
        unknown = show_label(np.asarray(values[0])[codes < 0][0])
        raise OutcomeError(
            f"{parts.outcome!r} is {unknown} in row {show_label(labels[np.flatnonzero(codes < 0)[0]])}, and the levels fitted are "
            f"{', '.join(map(show_label, design.levels))}."
        )
    return Outcome((codes.astype(np.float64),), None, design.levels)
