"""Rows to predict, their clusters, and the random effects of these clusters given outcomes.

Outcomes come from one of three places: a history that was passed (dynamic prediction), the rows fitted, or the rows to predict.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.columns.groups import Groups
from glmmjax.design.columns.table import as_frame, show_label
from glmmjax.design.formula.tokens import names_in
from glmmjax.design.levels import check_one_level
from glmmjax.design.new_rows import NewRows, cluster_rows, read_new_rows
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.block_sums import Modes
from glmmjax.likelihood.clusters import Bucket, ClusterData, from_clusters, to_clusters
from glmmjax.likelihood.conditional import Conditional, conditional
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.posterior import posterior
from glmmjax.likelihood.quadrature import moment_rule
from glmmjax.likelihood.rows import integrand
from glmmjax.likelihood.rule import Rule
from glmmjax.postfit.prediction.rows import read_own_rows, read_rows
from glmmjax.postfit.prediction.targets import Source, Targets
from glmmjax.postfit.prediction.targets_of_levels import crossed_targets, nested_targets

__all__ = [
    "Subjects",
    "blocks_of_modes",
    "modes_of",
    "posterior_points",
    "posterior_rule",
    "subjects_for",
    "targets_for",
]

_LARGE_FIT = 50_000  # rows; a smaller fit conditions on all clusters, because that reuses its arrays and compiled programs


class Subjects(NamedTuple):
    """Rows to predict, and the random effects of their ``m`` clusters given outcomes.

    Attributes
    ----------
    rows : rows to predict
    codes : (n,) number of each row's cluster in ``given``
    given : (..., m) nodes and weights of ``posterior_rule(fitted)`` in coordinates u, b = L u with L = fitted.params.chol
    labels : (m,) pandas Index
    """

    rows: NewRows
    codes: np.ndarray
    given: Conditional
    labels: Any


def subjects_for(fitted: FittedModel, newdata: Any = None, newdata2: Any = None) -> Subjects:
    """Rows to predict with the distribution of their random effects given outcomes.

    Parameters
    ----------
    newdata : rows to predict; None for the rows fitted. A cluster whose label the fit knows is taken for that cluster, and conditioned on
        the rows fitted, not on those of ``newdata``. Another cluster is conditioned on its rows of ``newdata`` that have an outcome.
    newdata2 : rows to predict in place of those of ``newdata``. ``newdata`` is then a history, and the random effects of all clusters,
        known to the fit or not, are conditioned on it alone.

    Raises
    ------
    ArgumentError
        For a cluster without outcomes, named in the message.
    DesignError, FormulaError, OutcomeError, RowsNotKeptError
        As ``read_new_rows`` and streamed fits raise them.
    """
    targets = targets_for(fitted, newdata, newdata2)
    if not targets.sources:
        n = len(targets.labels)
        given = Conditional(*(jnp.asarray(leaf) for leaf in (np.zeros((0, n)), np.zeros((0, 0, n)), np.ones((1, n)))))
        return Subjects(targets.rows, targets.codes, given, targets.labels)
    with jax.enable_x64(True):
        found = [_given(fitted, source) for source in targets.sources]
        leaves = [_selected(targets, [np.asarray(leaf) for leaf in parts]) for parts in zip(*found, strict=True)]
        return Subjects(targets.rows, targets.codes, Conditional(*(jnp.asarray(leaf) for leaf in leaves)), targets.labels)


def targets_for(fitted: FittedModel, newdata: Any = None, newdata2: Any = None, with_outcome: bool = False) -> Targets:
    """``subjects_for`` without the distributions, which some predictions need only block by block.

    ``with_outcome`` reads the outcomes of the rows to predict too, for instance for their numbers of trials.
    """
    with jax.enable_x64(True):  # the arrays of new clusters are made in the widest type in force
        return _targets(fitted, newdata, newdata2, with_outcome)


def _targets(fitted: FittedModel, newdata: Any, newdata2: Any, with_outcome: bool) -> Targets:
    design = fitted.design
    if newdata is None and newdata2 is not None:
        raise ArgumentError(
            "newdata2 holds the rows to predict after a history, and newdata=None is no history; pass the history as newdata."
        )
    if design.factors:
        return crossed_targets(fitted, newdata, newdata2, with_outcome)
    if design.group_name is None:
        rows = read_rows(fitted, newdata, newdata2, with_outcome)
        n = int(rows.is_complete.sum())
        return Targets(rows, np.arange(n), rows.labels[rows.is_complete], (), np.zeros(n, int), np.arange(n))
    if design.lower is not None:
        return nested_targets(fitted, newdata, newdata2, with_outcome)
    if newdata is None:
        rows = read_own_rows(fitted)
        codes, labels = _groups(rows)
        return Targets(rows, codes, labels, (Source(fitted.design.rows, fitted.modes),), np.zeros(len(labels), int), np.arange(len(labels)))
    if newdata2 is None:
        return _own_or_new(fitted, newdata, with_outcome)
    history = read_new_rows(design, newdata, "newdata", with_outcome=True, with_groups=True)
    rows = read_new_rows(design, newdata2, "newdata2", with_outcome=with_outcome, with_groups=True)
    numbers = _groups(history).labels.get_indexer(_groups(rows).labels)
    if (numbers < 0).any():
        lost = _groups(rows).labels[np.flatnonzero(numbers < 0)]
        raise ArgumentError(
            f"newdata2 has {_named(design, lost)} without a complete row in newdata, the history on which random effects are conditioned. "
            "Add rows with outcomes to newdata, or predict without random effects, kind='mean_subject' or kind='marginal'."
        )
    source = Source(cluster_rows(history, fitted.options, design), None) if len(numbers) else Source(design.rows, fitted.modes)
    return Targets(rows, _groups(rows).codes, _groups(rows).labels, (source,), np.zeros(len(numbers), int), numbers)


def posterior_points(fitted: FittedModel) -> int:
    """Points per dimension for moments: those of the fit, but at least 7, or 3 for q > 2, because one point has no variance."""
    return max(fitted.n_agq, 7 if fitted.params.chol.shape[0] <= 2 else 3)


def posterior_rule(fitted: FittedModel) -> Rule:
    """The rule of ``Subjects.given``."""
    return moment_rule(posterior_points(fitted), fitted.params.chol.shape[0], fitted.problem.prior)


def modes_of(fitted: FittedModel, targets: Targets) -> np.ndarray:
    """(m, q) conditional modes of the targets' clusters in coordinates u, b = L u."""
    if not targets.sources:
        return np.zeros((len(targets.labels), 0))
    return _selected(targets, [_source_modes(fitted, source).T for source in targets.sources]).T


def blocks_of_modes(modes: np.ndarray, clusters: ClusterData) -> Modes:
    """One (S, q, B) array a bucket of (m, q) modes."""
    return tuple(from_clusters(clusters, modes.T))


def _own_or_new(fitted: FittedModel, newdata: Any, with_outcome: bool) -> Targets:
    """Targets that take clusters of the fit from its rows, and others from their own outcomes."""
    design = fitted.design
    rows = read_new_rows(design, newdata, with_outcome=with_outcome, with_groups=True)
    known = design.groups.get_indexer(_groups(rows).labels)
    sources, source_of, number_of = [], np.zeros(len(known), int), np.array(known)
    if (known >= 0).any() or not len(known):
        source, number_of[known >= 0] = _chosen_source(fitted, known[known >= 0])
        sources.append(source)
    if (known < 0).any():
        history = _own_history(fitted, newdata, rows, known < 0)
        number_of[known < 0] = _groups(history).labels.get_indexer(_groups(rows).labels[np.flatnonzero(known < 0)])
        source_of[known < 0] = len(sources)
        sources.append(Source(cluster_rows(history, fitted.options, fitted.design), None))
    return Targets(rows, _groups(rows).codes, _groups(rows).labels, tuple(sources), source_of, number_of)


def _own_history(fitted: FittedModel, newdata: Any, rows: NewRows, is_new: np.ndarray) -> NewRows:
    """The rows with an outcome of clusters that the fit does not know."""
    design, data = fitted.design, as_frame(newdata)
    advice = (
        "Predict without random effects, kind='mean_subject' or kind='marginal', or give outcomes: in newdata, or as a history in newdata "
        "with the rows to predict in newdata2."
    )
    new = _groups(rows).labels[np.flatnonzero(is_new)]
    wanted = {name.text for column in design.formula.outcome_columns for name in names_in(column)}
    lacking = [name for name in design.recipe.columns if name in wanted and name not in data.columns]
    if lacking:
        raise ArgumentError(f"newdata has {_named(design, new)} that the fit does not know, and no outcome column {lacking[0]!r}. {advice}")
    is_used = np.zeros(len(rows.is_complete), bool)
    is_used[np.flatnonzero(rows.is_complete)] = is_new[_groups(rows).codes]
    history = read_new_rows(design, data[is_used], with_outcome=True, with_groups=True)
    lost = _groups(history).labels.get_indexer(new) < 0
    if lost.any():
        raise ArgumentError(
            f"newdata has {_named(design, new[np.flatnonzero(lost)])} that the fit does not know, without an outcome. {advice}"
        )
    return history


def _groups(rows: NewRows) -> Groups:
    if rows.groups is None:
        raise ValueError("the rows were read without their clusters")
    return rows.groups


def _named(design: Any, labels: Any) -> str:
    """Labels of clusters, as messages show them."""
    shown = ", ".join(show_label(label) for label in labels[:3]) + (", ..." if len(labels) > 3 else "")
    return f"cluster {design.group_name} = {shown}" if len(labels) == 1 else f"{len(labels)} clusters ({design.group_name} = {shown})"


def _chosen_source(fitted: FittedModel, chosen: np.ndarray) -> tuple[Source, np.ndarray]:
    """The clusters of the fit with these numbers, or all its clusters, and the numbers of the chosen ones among them."""
    design = fitted.design
    if design.is_streamed or len(design.row_labels) < _LARGE_FIT or 4 * len(chosen) > len(design.groups):
        return Source(fitted.design.rows, fitted.modes), chosen
    own, place = read_own_rows(fitted), np.full(len(design.groups), -1)
    place[chosen] = np.arange(len(chosen))
    kept = place[_groups(own).codes] >= 0
    groups = Groups(place[_groups(own).codes[kept]], design.groups[chosen])
    x, z, offset, outcome = jax.tree.map(lambda leaf: leaf[..., kept], (own.X, own.Z, own.offset, own.outcome))
    rows = NewRows(x, z, offset, outcome, groups, np.ones(int(kept.sum()), bool), own.labels[kept])
    return Source(cluster_rows(rows, fitted.options, fitted.design), fitted.modes[chosen]), np.arange(len(chosen))


def _selected(targets: Targets, by_source: list[np.ndarray]) -> np.ndarray:
    """(..., m) values of the targets' clusters, from one (..., m_s) array a source."""
    starts = np.cumsum([0, *(leaf.shape[-1] for leaf in by_source)])
    joined = by_source[0] if len(by_source) == 1 else np.concatenate(by_source, axis=-1)
    return joined[..., starts[targets.source_of] + targets.number_of]


def _given(fitted: FittedModel, source: Source) -> Conditional:
    check_one_level(fitted.design, "the distribution of random effects given outcomes")
    start = None if source.modes is None else blocks_of_modes(source.modes, source.clusters)
    wide = padding_of(fitted)
    return _conditional(wide.problem, posterior_points(fitted), wide.params(fitted.params), wide.clusters(source.clusters), start)


def _source_modes(fitted: FittedModel, source: Source) -> np.ndarray:
    """(m, q) conditional modes of the clusters of a source in coordinates u."""
    if source.modes is not None:
        return source.modes
    with jax.enable_x64(True):
        wide = padding_of(fitted)
        params = wide.params(fitted.params)
        found = [np.asarray(_modes(wide.problem, params, bucket)) for bucket in wide.buckets(source.clusters.buckets)]
    return to_clusters(source.clusters, found).T


@as_program((0, 1))
def _conditional(problem: Problem, n_points: int, params: Params, clusters: ClusterData, start: Modes | None) -> Conditional:
    rule = moment_rule(n_points, params.chol.shape[0], problem.prior)
    return conditional(params, clusters, problem.family, rule, start, problem.prior)


@as_program(0)
def _modes(problem: Problem, params: Params, bucket: Bucket) -> Array:
    """(S, q, B) modes of the clusters of a bucket."""

    def of_block(block: Bucket) -> Array:
        start = jnp.zeros((q, block.shape[-1]), params.beta.dtype)
        return posterior(integrand(params, block, problem.family, problem.prior), start).mode

    q = params.chol.shape[0]
    return jax.lax.map(of_block, bucket)
