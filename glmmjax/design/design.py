"""From formulas and a DataFrame to arrays: ``make_design`` checks, splits, builds and groups; ``Design`` is what comes out."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from glmmjax.design.arguments import ModelArguments, family_of, parts_of
from glmmjax.design.columns.groups import Groups, as_numbers, cluster_weights, number_clusters, offset_values, weights_column
from glmmjax.design.columns.outcome import check_outcome_columns, levels_used, read_outcome
from glmmjax.design.columns.predictors import build_predictors, names_of, predictor_functions, random_reach, structure_of
from glmmjax.design.columns.recipe import Recipe
from glmmjax.design.columns.table import Table, as_frame, column_of, complete_rows, describe_unknown, find_columns, plain_types
from glmmjax.design.formula.matrices import caller_namespace, evaluate, formula_namespace, names_used
from glmmjax.design.formula.split import FormulaParts
from glmmjax.design.layout.grouping import group_rows
from glmmjax.design.layout.new_values import with_new_offset, with_new_outcome, with_new_weights
from glmmjax.design.layout.packing import cluster_data, columns_of, row_order
from glmmjax.errors import ArgumentError, DesignWarning, FormulaError
from glmmjax.families import Family, resolve_family
from glmmjax.likelihood.clusters import ClusterData
from glmmjax.likelihood.covariance import Structure
from glmmjax.options import Options

__all__ = ["Design", "build_design", "expressions_of", "group_problem", "make_design"]

_ARGUMENT = "argument "  # with it, no column can be taken for a variable of a formula


@dataclasses.dataclass(frozen=True)
class Design:
    """Arrays of a model with the labels that belong to them. ``clusters`` is the pytree for the pure layer."""

    clusters: ClusterData  # of a stream, a ``StreamedClusters``
    covariance: Structure  # of D
    outcome_name: str  # left side of the formula as written
    family: Family  # as given, with what only the data show: the number of levels, a predictor for the dispersion
    success_level: Any  # level counted as 1 of a two-level or boolean outcome, else None
    levels: tuple[Any, ...]  # of an ordinal outcome, in order; else ()
    fixed_names: tuple[str, ...]  # (p,) columns of X, patsy's names
    random_names: tuple[str, ...]  # (q,) columns of Z
    zi_fixed_names: tuple[str, ...]  # (p_zi,), () without a zero part
    dispersion_names: tuple[str, ...]  # (p_disp,), () where the extra parameters are constants
    group_name: str | None  # cluster variable, None for random=None
    groups: Any  # (m,) pandas Index: cluster labels, in order of first appearance
    cluster_sizes: Any  # (m,) numpy int, rows of each cluster
    row_labels: Any  # (n,) pandas Index: the caller's labels of the rows used, in the caller's order
    order: Any  # ``RowOrder``: where each row used stands in ``clusters``; None for a stream
    n_dropped: int  # rows dropped for missing values
    random_reach: Any  # (q,) numpy: largest absolute value of each random-effects column
    formula: FormulaParts  # the formulas in pieces of plain text
    recipe: Recipe  # what makes the same columns of other rows

    def with_offset(self, values: Any, part: str = "main") -> ClusterData:
        """The clusters with ``values`` as offset, in the place of the one that formula and arguments gave, which is not added.

        Works inside ``jit``, ``grad`` and ``vmap``; derivatives of ``log_likelihood`` in ``values`` are exact.

        Parameters
        ----------
        values : (n,) one number for each row of ``row_labels``, on the scale of the linear predictor; a NumPy or JAX array, traced or not,
            such as the output of a network.
        part : the linear predictor that it is added to, ``"main"``, ``"zero"`` or ``"dispersion"``.

        Returns
        -------
        ``ClusterData`` for ``log_likelihood``, ``cluster_log_likelihoods`` and ``fit_params``.

        Raises
        ------
        ArgumentError
            For another shape or type, or a part that the model does not have.
        RowsNotKeptError
            For a stream.
        """
        parts = list(self.formula.right_sides)
        if part not in parts:
            raise ArgumentError(f"with_offset(part={part!r}) is no part of the model {self.formula.text}; choose from {', '.join(parts)}.")
        return with_new_offset(self.clusters, self.order, parts.index(part), values)

    def with_outcome(self, values: Any) -> ClusterData:
        """The clusters with other outcomes, which works inside ``jit`` and ``vmap``. Derivatives in ``values`` are 0.

        Parameters
        ----------
        values : (n,) one number for each row of ``row_labels``, or a tuple of such arrays for an outcome in several columns, in the form
            that the family works with: 0 and 1 for two levels, 0, 1, ... for ordered levels. They are not checked against its support.

        Returns
        -------
        ``ClusterData`` for ``log_likelihood``, ``cluster_log_likelihoods`` and ``fit_params``.

        Raises
        ------
        ArgumentError
            For another shape, type or number of columns.
        RowsNotKeptError
            For a stream.
        """
        return with_new_outcome(self.clusters, self.order, values)

    def with_weights(self, values: Any) -> ClusterData:
        """The clusters with other weights. Works inside ``jit``, ``grad`` and ``vmap``.

        Parameters
        ----------
        values : (m,) one number >= 0 for each cluster, in the order of ``groups``. Traced or not, only their shape is checked.

        Returns
        -------
        ``ClusterData`` for ``log_likelihood`` and ``fit_params``; ``cluster_log_likelihoods`` does not weigh.

        Raises
        ------
        ArgumentError
            For another shape or type.
        RowsNotKeptError
            For a stream.
        """
        return with_new_weights(self.clusters, values)

    def __getstate__(self) -> dict[str, Any]:
        """For pickling: numpy arrays, because JAX reads its own back in 32 bits wherever 64 are not switched on."""
        clusters = jax.tree.map(np.asarray, self.clusters) if isinstance(self.clusters, ClusterData) else self.clusters
        return {**vars(self), "clusters": clusters}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if isinstance(self.clusters, ClusterData):
            with jax.enable_x64(True):
                vars(self)["clusters"] = jax.device_put(self.clusters)


class _Rows(NamedTuple):
    """The rows used, with every column that the model needs."""

    table: Table
    frame: pd.DataFrame  # variables of the formulas, in plain types
    namespace: Mapping[str, Any]  # what other names in the formulas mean


def make_design(
    fixed: str,
    random: str | None = None,
    *,
    data: Any,
    family: str | Family,
    weights: Any = None,
    offset: Any = None,
    zi_fixed: str | None = None,
    zi_random: str | None = None,
    zi_offset: Any = None,
    dispersion: str | None = None,
    covariance: str | None = None,
    options: Options | None = None,
) -> Design:
    """Arrays of a mixed model, for the pure layer.

    Parameters
    ----------
    fixed : ``"y ~ sex * time"``, with ``cbind(a, b)`` for an outcome in two columns, ``offset(np.log(t))`` among the terms,
        and random effects as ``+ (time | id)`` unless ``random`` gives them. Names are columns, else variables of the caller.
    random : ``"~ time | id"``, ``"~ time || id"`` for independent effects, or None.
    data : DataFrame, or a dict of columns. Rows with a missing value in a used column are dropped and counted.
    family : text such as ``"binomial"``, or a family object.
    weights : one for each cluster: an array in order of first appearance in the rows used, a Series or dict by cluster label,
        or the name of a column that is constant in each cluster.
    offset : column name, or an array with one value for each row of ``data``; added to those of the formula.
    zi_fixed, zi_random, zi_offset : the zero part, as in ``mixed_model``.
    dispersion : predictor of the extra parameter, as in ``mixed_model``. ``design.family`` then takes it.
    covariance : structure of D, as in ``mixed_model``.
    options : ``max_block_rows`` bounds the blocks.

    Raises
    ------
    ArgumentError, FormulaError, OutcomeError, DesignError
        For an argument, formula, outcome or data that give no model; each text says what to try.

    Warns
    -----
    DesignWarning
        When no cluster has two rows, or there is one cluster only.
    """
    family = resolve_family(family)
    given = ModelArguments(fixed, random, data, family, weights, offset, zi_fixed, zi_random, zi_offset, dispersion, covariance)
    return build_design(given, caller_namespace(), options)


def build_design(given: ModelArguments, env: Any, options: Options | None = None) -> Design:
    """``make_design`` for callers that have captured their user's names: ``env = caller_namespace()`` in the public function."""
    family, parts = family_of(given), parts_of(given)
    check_outcome_columns(parts, family)
    rows = _read_rows(parts, given, formula_namespace(env))
    labels, weights = rows.table.labels, given.weights
    values = tuple(evaluate(column, rows.frame, rows.namespace, parts.text) for column in parts.outcome_columns)
    outcome = read_outcome(values, parts, family, labels)
    family.check(outcome.columns if len(outcome.columns) > 1 else outcome.columns[0])
    family = family.with_levels(len(outcome.levels)) if family.is_ordinal else family
    added = {kind: as_numbers(rows.table.frame[_ARGUMENT + name], name) for kind, name, _ in _offsets(given)}
    functions = predictor_functions(parts, rows.frame, rows.namespace)
    predictors = build_predictors(parts, family, functions, rows.frame, labels, added)
    recipe = Recipe.of(rows.frame, functions, rows.namespace, levels_used(values), _offset_columns(given))
    groups = _groups(parts, rows.table)
    problem = group_problem(parts, len(groups.labels), len(groups.codes))
    if problem:
        warnings.warn(problem, DesignWarning, stacklevel=3)
    weight = cluster_weights(weights, groups, rows.table.frame[weights] if isinstance(weights, str) else None)
    layout = group_rows(groups.codes, len(groups.labels), (options or Options()).max_block_rows)
    names, structure, reach = names_of(predictors), structure_of(parts, predictors, given.covariance), random_reach(predictors)
    n_dropped, columns, success_level, levels = (
        rows.table.n_dropped,
        columns_of(outcome, predictors),
        outcome.success_level,
        outcome.levels,
    )
    del rows, values, added, outcome, predictors  # see cluster_data
    return Design(
        clusters=cluster_data(layout, columns, weight),
        covariance=structure,
        outcome_name=parts.outcome,
        family=family,
        success_level=success_level,
        levels=levels,
        **names,
        group_name=parts.group,
        groups=groups.labels,
        cluster_sizes=np.bincount(groups.codes, minlength=len(groups.labels)),
        row_labels=labels,
        order=row_order(layout),
        n_dropped=n_dropped,
        random_reach=reach,
        formula=parts,
        recipe=recipe,
    )


def expressions_of(parts: FormulaParts) -> tuple[str, ...]:
    """Every text of the formulas that names columns, but the cluster variable."""
    sides = parts.right_sides.values()
    return (*parts.outcome_columns, *(text for side in sides for text in (side.fixed, *side.offsets, *(bar.terms for bar in side.bars))))


def _offsets(given: ModelArguments) -> list[tuple[str, str, Any]]:
    """(predictor, argument, value) of the offsets that arguments give."""
    offsets = (("main", "offset", given.offset), ("zero", "zi_offset", given.zi_offset))
    return [offset for offset in offsets if offset[2] is not None]


def _offset_columns(given: ModelArguments) -> dict[str, str | None]:
    """Column that each offset argument names, by predictor; None for one given as numbers."""
    return {kind: value if isinstance(value, str) else None for kind, _, value in _offsets(given)}


def _read_rows(parts: FormulaParts, given: ModelArguments, namespace: Mapping[str, Any]) -> _Rows:
    """Rows without a missing value in any column that the formulas or an argument names."""
    data, expressions = as_frame(given.data), expressions_of(parts)
    variables = find_columns(expressions, data, namespace, parts.text)
    columns = dict(variables)
    if parts.group is not None:
        if parts.group not in data.columns:
            raise FormulaError(describe_unknown(parts.group, data, f"{parts.text} as cluster variable"))
        columns[parts.group] = column_of(data, parts.group)
    columns.update(weights_column(given.weights, data))
    columns.update({_ARGUMENT + name: offset_values(value, data, name) for _, name, value in _offsets(given)})
    table = complete_rows(columns, data.index)
    return _Rows(table, plain_types(table.frame[list(variables)]), names_used(expressions, namespace, data.columns))


def _groups(parts: FormulaParts, table: Table) -> Groups:
    """Clusters of the rows; without random effects every row is one, under its own label."""
    if parts.group is None:
        return Groups(np.arange(len(table.labels)), table.labels)
    return number_clusters(table.frame[parts.group], parts.group)


def group_problem(parts: FormulaParts, n_groups: int, n_rows: int) -> str | None:
    """Why the cluster variable is probably not the one that was meant."""
    if parts.group is None:
        return None
    if n_groups == n_rows:
        return (
            f"nothing repeats: the cluster variable {parts.group!r} has a different value in each of the {n_rows} rows. "
            "If it numbers the rows, name the column that identifies the clusters instead."
        )
    if n_groups == 1:
        return f"the cluster variable {parts.group!r} has one value only, and one cluster says nothing on the variance between clusters."
    return None
