"""The one builder of ``Design``: from a table in memory, from a stream, and from what a saved fit keeps of a stream."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from glmmjax.arguments import InstanceOf, Maybe, OneOf, takes
from glmmjax.design.arguments import MODEL, ModelArguments
from glmmjax.design.columns.factors import number_factors
from glmmjax.design.columns.groups import (
    Groups,
    as_numbers,
    check_row_weights,
    cluster_weights,
    nested_groups,
    number_clusters,
    offset_values,
    weights_column,
)
from glmmjax.design.columns.outcome import check_outcome_columns, levels_used, read_outcome
from glmmjax.design.columns.predictor import predictor_from
from glmmjax.design.columns.predictors import build_predictors, n_upper_effects, names_of, predictor_functions, random_reach, structure_of
from glmmjax.design.columns.recipe import Recipe
from glmmjax.design.columns.table import Table, as_frame, column_of, complete_rows, describe_unknown, find_columns, levels_of, plain_types
from glmmjax.design.design import Design
from glmmjax.design.formula.matrices import caller_namespace, evaluate, formula_namespace, names_used
from glmmjax.design.formula.split import FormulaParts
from glmmjax.design.formula.tokens import names_in
from glmmjax.design.kept import KeptOfStream, RowLabels
from glmmjax.design.layout.block_files import BlockFiles, StreamedRows
from glmmjax.design.layout.crossing import cross_rows, crossed_factors
from glmmjax.design.layout.grouping import group_rows
from glmmjax.design.layout.nesting import LowerLevel, nest_rows
from glmmjax.design.layout.packing import Columns, cluster_data, columns_of, frame_of, row_order
from glmmjax.design.stream.blocks import StreamModel, scan_stream, written_blocks
from glmmjax.errors import ArgumentError, DesignError, DesignWarning, FormulaError, warn_caller
from glmmjax.families import Family
from glmmjax.likelihood.clusters import ClusterData
from glmmjax.likelihood.levels import Levels
from glmmjax.likelihood.structure import Structure
from glmmjax.options import Options

__all__ = ["build_design", "make_design", "stored_design", "streamed_design"]

_ARGUMENT = "argument "  # a prefix, so that the column of an argument is never taken for a variable of a formula
_ROW_WEIGHTS = _ARGUMENT + "row_weights"


class _ModelColumns(NamedTuple):
    """The columns of a model whose rows have been seen: fields of ``Design``."""

    family: Family
    covariance: Structure
    fixed_names: tuple[str, ...]
    random_names: tuple[str, ...]
    zi_fixed_names: tuple[str, ...]
    dispersion_names: tuple[str, ...]
    success_level: Any
    levels: tuple[Any, ...]
    random_reach: np.ndarray
    recipe: Recipe
    n_upper: int


class _UsedRows(NamedTuple):
    """The rows used, with every column that the model needs."""

    table: Table
    frame: pd.DataFrame  # variables of the formulas, in plain types
    namespace: Mapping[str, Any]  # the other names in the formulas, with their values


@takes(
    **MODEL,
    options=Maybe(InstanceOf(Options, "a glmmjax.Options, such as Options(max_block_rows=512)")),
    dtype=OneOf("float64", "float32", {None: "the precision in force"}),
)
def make_design(
    fixed: str,
    random: str | None = None,
    *,
    data: Any,
    family: str | Family,
    weights: Any = None,
    row_weights: Any = None,
    offset: Any = None,
    zi_fixed: str | None = None,
    zi_random: str | None = None,
    zi_offset: Any = None,
    dispersion: str | None = None,
    covariance: str | None = None,
    options: Options | None = None,
    dtype: str | None = None,
) -> Design:
    """Arrays of a mixed model, for the pure layer.

    Parameters
    ----------
    fixed : ``"y ~ sex * time"``, with ``cbind(a, b)`` for an outcome in two columns, ``offset(np.log(t))`` among the terms,
        and random effects as ``+ (time | id)`` unless ``random`` gives them. Names are columns, else variables of the caller.
    random : ``"~ time | id"``, ``"~ time || id"`` for independent effects, ``"~ 1 | school/class"`` for two levels, or None.
    data : DataFrame, or a dict of columns. Rows with a missing value in a used column are dropped and counted.
    family : text such as ``"binomial"``, or a family object.
    weights : one for each cluster: an array in order of first appearance in the rows used, a Series or dict by cluster label,
        or the name of a column that is constant in each cluster.
    row_weights : column name, or one number >= 0 for each row of ``data``: how often a row was seen (frequencies). The log density of
        a row counts that often; a row of weight 2 is the same as two such rows.
    offset : column name, or an array with one value for each row of ``data``; added to those of the formula.
    zi_fixed, zi_random, zi_offset : the zero part, as in ``mixed_model``.
    dispersion : predictor of the extra parameter, as in ``mixed_model``. ``design.family`` then takes it.
    covariance : structure of D, as in ``mixed_model``.
    options : ``max_block_rows`` bounds the blocks.
    dtype : of the arrays, ``"float64"`` or ``"float32"``, wherever the design is made; by default the precision in force, which is float32
        outside ``jax.enable_x64(True)``. Pure functions run in the dtype of the design where the precision in force allows it.

    Returns
    -------
    Design
        ``design.clusters`` is the pytree of arrays, ``design.family`` the family that belongs to it; column names and labels are beside
        them.

    Raises
    ------
    ArgumentError, FormulaError, OutcomeError, DesignError
        For an argument, formula, outcome or data that give no model; each text says what to try.

    Warns
    -----
    DesignWarning
        When no cluster has two rows, or there is one cluster only.

    Examples
    --------
    >>> data = gj.datasets.load_intro_binomial()
    >>> design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    >>> design.fixed_names
    ('Intercept', 'sex[T.female]', 'time', 'sex[T.female]:time')
    >>> len(design.groups), len(design.row_labels)
    (100, 800)
    """
    given = ModelArguments(
        fixed, random, data, family, weights, row_weights, offset, zi_fixed, zi_random, zi_offset, dispersion, covariance
    )
    env = caller_namespace()
    with nullcontext() if dtype is None else jax.enable_x64(dtype == "float64"):
        return build_design(given, env, options)


def build_design(given: ModelArguments, env: Any, options: Options | None = None) -> Design:
    """The design of a table in memory; ``env`` gives the meaning of names in the formulas that are no columns."""
    formula, family = given.formula, given.resolved_family
    check_outcome_columns(formula, family)
    used = _used_rows(given, formula_namespace(env))
    columns, arrays = _columns(given, used)
    if formula.factors:
        return _crossed_design(given, used.table, columns, arrays)
    table, weights = used.table, given.weights
    groups = (
        number_clusters(table.frame[formula.group], formula.group) if formula.group else Groups(np.arange(len(table.labels)), table.labels)
    )
    n_groups = len(groups.labels)
    _warn_of_clusters(formula, n_groups, len(groups.codes))
    weight = cluster_weights(weights, groups, table.frame[weights] if isinstance(weights, str) else None)
    most_rows = (options or Options()).max_block_rows
    if formula.lower_group is None:
        layout, lower, levels = group_rows(groups.codes, n_groups, most_rows), None, None
    else:
        inside = nested_groups(groups, table.frame[formula.lower_group], formula.lower_group, is_fitted=True)
        layout, lanes = nest_rows(inside.codes, inside.upper_of, most_rows)
        levels = Levels(columns.n_upper)
        lower = LowerLevel(inside.labels, inside.upper_of, np.bincount(inside.codes), lanes, inside.codes)
    row_weights = None if given.row_weights is None else table.frame[_ROW_WEIGHTS].to_numpy()
    labels = RowLabels(groups.labels, np.bincount(groups.codes, minlength=n_groups), table.labels, table.n_dropped)
    del used, table, groups  # frees memory: see cluster_data
    frame = frame_of(arrays.Z, arrays.offset[0].shape[1], columns.covariance.basis_sizes, row_weights)
    clusters = cluster_data(layout, arrays, (weight, row_weights), frame, levels)
    design = _design(formula, columns, labels, clusters, row_order(layout))
    return dataclasses.replace(design, lower=lower, row_weights=row_weights)


def _crossed_design(given: ModelArguments, table: Table, columns: _ModelColumns, arrays: Columns) -> Design:
    """The design of crossed factors: all rows in one block."""
    if given.weights is not None:
        raise DesignError("weights= is for clusters, and crossed factors have none; leave weights out.")
    if given.row_weights is not None:
        raise DesignError("row_weights= is for one factor or nested ones, and this model has crossed factors; repeat the rows of data.")
    factors = number_factors(given.formula.factors, table.frame)
    sizes = [sum(name.endswith(f" | {factor.name}") for name in columns.random_names) for factor in factors]
    n, levels = len(table.labels), crossed_factors(factors, sizes)
    frame = frame_of(arrays.Z, n, columns.covariance.basis_sizes)
    layout, labels = cross_rows(n), RowLabels(table.labels, np.ones(n, int), table.labels, table.n_dropped)
    clusters = cluster_data(layout, arrays, (np.ones(n), None), frame, levels)
    return dataclasses.replace(_design(given.formula, columns, labels, clusters, row_order(layout)), factors=factors)


def streamed_design(given: ModelArguments, env: Any, options: Options) -> AbstractContextManager[tuple[Design, BlockFiles]]:
    """The design of a stream, and its rows in files that exist until the context ends."""
    if given.row_weights is not None:
        raise ArgumentError(
            "row_weights is for data in memory, and data are a stream; weight clusters by weights='column', or repeat rows."
        )
    if given.formula.lower_group is not None or given.formula.factors:
        raise FormulaError(
            f"{given.formula.text} has several grouping factors, which a stream cannot have: its rows are read one cluster after the "
            f"other. Fit a DataFrame, or keep one factor, | {given.formula.bars[0].group}."
        )
    model = scan_stream(given, formula_namespace(env))
    _warn_of_clusters(given.formula, len(model.scan.labels), model.scan.n_rows)
    return _written_design(given, model, options)


def stored_design(given: ModelArguments, env: Any, kept: KeptOfStream) -> Design:
    """The design of a stream without its rows, from the arguments of its fit and what was kept."""
    formula, namespace = given.formula, formula_namespace(env)
    for name in (name for expression in formula.expressions for name in names_in(expression)):
        if name.text not in namespace and (name.is_called or name.text not in kept.columns):
            raise FormulaError(describe_unknown(name.text, pd.DataFrame(columns=list(kept.columns)), formula.text))
    namespace = names_used(formula.expressions, namespace, kept.columns)
    predictor = predictor_from(formula.right_sides["main"], namespace, formula.text, kept.learned)
    columns = _ModelColumns(
        family=given.resolved_family,
        covariance=kept.covariance,
        fixed_names=kept.fixed_names,
        random_names=kept.random_names,
        zi_fixed_names=(),
        dispersion_names=(),
        success_level=kept.success_level,
        levels=(),
        random_reach=kept.random_reach,
        recipe=Recipe({"main": predictor}, namespace, kept.columns, kept.levels, kept.outcome_levels, kept.offsets),
        n_upper=0,
    )
    return _design(formula, columns, kept.labels, kept.rows, None)


def _design(formula: FormulaParts, columns: _ModelColumns, labels: RowLabels, rows: ClusterData | StreamedRows, order: Any) -> Design:
    return Design(rows=rows, order=order, formula=formula, **columns._asdict(), **labels._asdict())


@contextmanager
def _written_design(given: ModelArguments, model: StreamModel, options: Options) -> Iterator[tuple[Design, BlockFiles]]:
    with written_blocks(given.data, model, options) as (last, totals, files):
        found = model.scan
        recipe = Recipe({"main": model.predictor}, model.namespace, model.used.variables, found.levels, last.levels, given.offset_columns)
        columns = _ModelColumns(
            family=model.family,
            covariance=structure_of(model.formula, {"main": last.predictor}, given.covariance),
            **names_of({"main": last.predictor}),
            success_level=last.outcome.success_level,
            levels=(),
            random_reach=totals.reach,
            recipe=recipe,
            n_upper=0,
        )
        labels = RowLabels(found.labels, found.sizes, pd.RangeIndex(found.n_rows), found.n_dropped)
        files = files.within(columns.covariance.basis_sizes)
        rows = files.kept(totals.outcome.digest(), totals.weights.digest())
        yield _design(model.formula, columns, labels, rows, None), files


def _used_rows(given: ModelArguments, namespace: Mapping[str, Any]) -> _UsedRows:
    """Rows without a missing value in any column that the formulas or an argument names."""
    formula, data = given.formula, as_frame(given.data)
    variables = find_columns(formula.expressions, data, namespace, formula.text)
    columns = dict(variables)
    for group in formula.cluster_columns:
        if group not in data.columns:
            raise FormulaError(describe_unknown(group, data, f"{formula.text} as cluster variable"))
        columns[group] = column_of(data, group)
    columns.update(weights_column(given.weights, data))
    columns.update({_ARGUMENT + name: offset_values(value, data, name) for _, name, value in given.offsets})
    if given.row_weights is not None:
        columns[_ROW_WEIGHTS] = check_row_weights(offset_values(given.row_weights, data, "row_weights"), data.index)
    table = complete_rows(columns, data.index)
    return _UsedRows(table, plain_types(table.frame[list(variables)]), names_used(formula.expressions, namespace, data.columns))


def _columns(given: ModelArguments, used: _UsedRows) -> tuple[_ModelColumns, Columns]:
    """The columns of the model and their values in the rows used."""
    formula, family, labels = given.formula, given.resolved_family, used.table.labels
    values = tuple(evaluate(column, used.frame, used.namespace, formula.text) for column in formula.outcome_columns)
    outcome = read_outcome(values, formula, family, labels)
    family.check(outcome.columns if len(outcome.columns) > 1 else outcome.columns[0])
    family = family.with_levels(len(outcome.levels)) if family.is_ordinal else family
    added = {kind: as_numbers(used.table.frame[_ARGUMENT + name], name) for kind, name, _ in given.offsets}
    functions = predictor_functions(formula, used.frame, used.namespace)
    predictors = build_predictors(formula, family, functions, used.frame, labels, added)
    found = _ModelColumns(
        family=family,
        covariance=structure_of(formula, predictors, given.covariance),
        **names_of(predictors),
        success_level=outcome.success_level,
        levels=outcome.levels,
        random_reach=random_reach(predictors),
        n_upper=n_upper_effects(formula, predictors),
        recipe=Recipe(functions, used.namespace, tuple(used.frame), levels_of(used.frame), levels_used(values), given.offset_columns),
    )
    return found, columns_of(outcome, predictors)


def _warn_of_clusters(formula: FormulaParts, n_groups: int, n_rows: int) -> None:
    """Warn where the cluster variable is probably not the one that was meant."""
    if formula.group is None:
        return
    if n_groups == n_rows:
        text = (
            f"nothing repeats: the cluster variable {formula.group!r} has a different value in each of the {n_rows} rows. "
            "If it numbers the rows, name the column that identifies the clusters instead."
        )
        warn_caller(text, DesignWarning)
    elif n_groups == 1:
        text = f"the cluster variable {formula.group!r} has one value only, and one cluster says nothing on the variance between clusters."
        warn_caller(text, DesignWarning)
