r"""Proper scoring rules of predictive distributions of discrete outcomes.

A row has the predictive probabilities p_k, their cumulative sums P_k, and the outcome y. All scores are larger for better predictions:

.. math::
    \text{logarithmic } \log p_y, \quad \text{quadratic (Brier) } 2 p_y - \sum_k p_k^2, \quad
    \text{spherical } p_y \Big/ \sqrt{\textstyle\sum_k p_k^2}, \quad \text{CRPS } -\sum_k (P_k - 1[y \le k])^2

An outcome that may be censored has the logarithmic score alone, the logarithm of its density or of the probability of what is known of it.
A CRPS that ends at the limit of a censored row, and goes on in the others, is not proper: it rewards a distribution that is too short.

Source: Gneiting and Raftery (2007), JASA 102, 359-378, also for the signs; Czado, Gneiting and Held (2009), Biometrics 65, 1254-1261;
Rindt, Hu, Steinsaltz and Sejdinovic (2022), PMLR 151, 1190-1205, for censored outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.columns.table import show_label
from glmmjax.design.new_rows import NewRows, read_new_rows
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.conditional import Conditional, node_of
from glmmjax.likelihood.model_rows import ModelRows, mean_at, phi_of_rows, predictors_at
from glmmjax.likelihood.params import Params
from glmmjax.postfit.checking.continuous_scores import LOST, Range, crps, range_of
from glmmjax.postfit.prediction.discrete import Discrete, discrete_outcome, highest_outcomes, log_masses
from glmmjax.postfit.prediction.rows import in_all_rows, model_rows, read_own_rows
from glmmjax.postfit.prediction.subjects import modes_of, posterior_rule, subjects_for, targets_for

__all__ = ["TAIL", "CountSums", "Scores", "scoring_rules", "sums_over_counts"]

SCORES = {"plug_in": "at the conditional modes of random effects", "integrated": "over them"}
_PANELS = (64, 512)  # of the integrals of a continuous outcome; the finer ones where the coarse miss some probability
TAIL = 1e-7  # probability that may lie beyond the largest count in the sums


class Scores(NamedTuple):
    """Scores of rows, larger for better predictions; NaN in rows with a missing value.

    Attributes
    ----------
    columns : (n_rows,) each, by name: ``logarithmic``, ``quadratic`` (Brier), ``spherical``, ``crps`` (continuous ranked probability
        score); the first and the last of a continuous outcome, the first of one that may be censored
    labels : (n_rows,) pandas Index
    """

    columns: dict[str, np.ndarray]
    labels: Any


class CountSums(NamedTuple):
    """Sums over the counts below ``k`` of each row's predictive distribution.

    Attributes
    ----------
    k : ()
    total : (n,) probability
    squares : (n,) of probabilities
    distance : (n,) squared, of the distribution functions
    log_at_outcome : (n,) log probability of the outcome
    """

    k: Array
    total: Array
    squares: Array
    distance: Array
    log_at_outcome: Array


class _Scored(NamedTuple):
    """Rows to score, and points of the random effects of their clusters."""

    rows: ModelRows
    codes: Any  # (n,) cluster of each row
    nodes: tuple[Any, Any]  # (K, q, m) in coordinates u, and weights (K, m)
    outcome: Any  # (n,), or the columns of one that may be censored
    highest: Any  # (n,) largest value that each outcome can have


def scoring_rules(
    fitted: FittedModel, newdata: Any = None, newdata2: Any = None, kind: str = "plug_in", max_count: int = 100_000
) -> Scores:
    """Scores of every row; see ``MixedModelResults.scoring_rules``, which documents the arguments.

    Raises
    ------
    ArgumentError
        For a distribution that reaches beyond ``max_count``.
    DesignError, FormulaError, OutcomeError, RowsNotKeptError
        As ``read_new_rows`` and streamed fits raise them.
    """
    rows, codes, nodes = _rows_and_nodes(fitted, newdata, newdata2, kind)
    if not fitted.problem.family.is_discrete:
        return _continuous(fitted, rows, codes, nodes)
    discrete = discrete_outcome(fitted, "scoring_rules")
    outcome = rows.outcome
    with jax.enable_x64(True):
        highest = np.asarray(highest_outcomes(fitted, outcome))
        wide = padding_of(fitted)
        scored = _Scored(wide.rows(model_rows(rows)), codes, nodes, outcome[0], highest)
        found = _sums(wide.problem, discrete, wide.vector(fitted.theta), scored, np.float64(max_count))
        sums = jax.tree.map(np.asarray, found)
    kept = rows.labels[rows.is_complete]
    _check_reach(sums, kept, int(max_count))
    p = np.exp(sums.log_at_outcome)
    names = ("logarithmic", "quadratic", "spherical", "crps")
    columns = (sums.log_at_outcome, 2.0 * p - sums.squares, p / np.sqrt(sums.squares), -sums.distance)
    return Scores({name: in_all_rows(column, rows.is_complete) for name, column in zip(names, columns, strict=True)}, rows.labels)


def _continuous(fitted: FittedModel, rows: NewRows, codes: np.ndarray, nodes: tuple[Any, Any]) -> Scores:
    """Scores of a continuous outcome.

    Raises
    ------
    ArgumentError
        For a density that the quadrature does not integrate to 1.
    """
    family = fitted.problem.family
    with jax.enable_x64(True):
        wide = padding_of(fitted)
        scored = _Scored(wide.rows(model_rows(rows)), codes, nodes, rows.outcome[0], np.zeros(0))
        if len(rows.outcome) > 1:  # of values that may be censored
            known = np.asarray(_log_scores(wide.problem, wide.vector(fitted.theta), scored._replace(outcome=rows.outcome)))
            return Scores({"logarithmic": in_all_rows(known, rows.is_complete)}, rows.labels)
        for n_panels in _PANELS:
            found = _integrals(wide.problem, range_of(family), n_panels, wide.vector(fitted.theta), scored)
            at_outcome, crps, total = map(np.asarray, found)
            is_whole = np.abs(1.0 - total) <= LOST
            if is_whole.all():
                break
    if not is_whole.all():
        row = int(np.argmin(is_whole))
        raise ArgumentError(
            f"scoring_rules: the {family.name} density of row {show_label(rows.labels[rows.is_complete][row])} integrates to "
            f"{total[row]:.6g} ({int((~is_whole).sum())} such rows), and must to 1; a Custom density has its constants, and outcomes of "
            "whole numbers need a discrete family."
        )
    columns = {"logarithmic": at_outcome, "crps": crps}
    return Scores({name: in_all_rows(column, rows.is_complete) for name, column in columns.items()}, rows.labels)


@as_program((0, 1, 2))
def _integrals(problem: Problem, within: Range, n_panels: int, theta: Array, scored: _Scored) -> tuple[Array, Array, Array]:
    """(n,) log density of the outcomes, their scores, and the probability that was integrated."""
    params, y = problem.layout.params(theta), scored.outcome
    log_density = lambda x: _log_predictive(problem, params, scored, x)  # noqa: E731
    mean = _averaged(params, scored, lambda eta: mean_at(problem.family, params, eta), lambda total, one, w: total + w * one, 0.0)
    found = crps(log_density, y, mean, within, n_panels)
    return log_density(y), found.score, found.total


@as_program(0)
def _log_scores(problem: Problem, theta: Array, scored: _Scored) -> Array:
    """(n,) logarithms of the density of the outcomes, or of the probability of what is known of them."""
    return _log_predictive(problem, problem.layout.params(theta), scored, scored.outcome)


def _log_predictive(problem: Problem, params: Params, scored: _Scored, x: Any) -> Array:
    """(n,) logarithms of the predictive density at the outcomes x, averaged over the nodes."""
    phi = phi_of_rows(params, len(scored.codes))
    of_row = lambda eta: problem.family.log_density(x, eta[0], phi, *eta[1:])  # noqa: E731
    return _averaged(params, scored, of_row, lambda total, one, w: jnp.logaddexp(total, jnp.log(w) + one), -jnp.inf)


def _averaged(
    params: Params, scored: _Scored, of_row: Callable[[Array], Array], join: Callable[[Array, Array, Array], Array], start: float
) -> Array:
    """(n,) what rows have at their predictors, joined over the nodes of their clusters."""
    rows, codes, nodes = scored.rows, scored.codes, scored.nodes

    def add(total: Array, node: tuple[Array, Array]) -> tuple[Array, None]:
        u, weight = node
        return join(total, of_row(predictors_at(params, rows, u[:, codes])), weight[codes]), None

    return jax.lax.scan(add, jnp.full(len(codes), start, nodes[1].dtype), nodes)[0]


def _rows_and_nodes(fitted: FittedModel, newdata: Any, newdata2: Any, kind: str) -> tuple[NewRows, np.ndarray, tuple[Any, Any]]:
    """Rows with an outcome, the cluster of each, and points of the random effects: (K, q, m) in coordinates u, weights (K, m)."""
    nodes: tuple[Any, Any]
    if kind == "plug_in":
        targets = targets_for(fitted, newdata, newdata2)
        at, codes, modes = targets.rows, targets.codes, modes_of(fitted, targets)
        nodes = modes.T[None], np.ones((1, len(modes)))
    else:
        subjects = subjects_for(fitted, newdata, newdata2)
        at, codes = subjects.rows, subjects.codes
        nodes = _all_nodes(subjects.given, posterior_rule(fitted).nodes)
    data, name = (newdata, "newdata") if newdata2 is None else (newdata2, "newdata2")
    rows = read_own_rows(fitted) if newdata is None else read_new_rows(fitted.design, data, name, with_outcome=True)
    numbers = np.zeros(len(at.is_complete), int)
    numbers[at.is_complete] = codes
    kept = rows.is_complete & at.is_complete
    return rows, numbers[kept], nodes


def _all_nodes(given: Conditional, z: np.ndarray) -> tuple[Array, Array]:
    with jax.enable_x64(True):
        return jax.vmap(lambda one: node_of(given, one))(jnp.asarray(z)), given.weights


def _check_reach(sums: CountSums, labels: Any, max_count: int) -> None:
    """Refuse sums that do not reach the end of a distribution."""
    short = np.flatnonzero(~(np.abs(1.0 - sums.total) <= TAIL))
    if len(short):
        row = short[np.argmin(sums.total[short])]
        raise ArgumentError(
            f"max_count={max_count}: the counts up to it have a probability of {sums.total[row]:.6g} only in row {show_label(labels[row])} "
            f"({len(short)} such rows); pass a larger max_count, or see the mean predicted there."
        )


@as_program((0, 1))
def _sums(problem: Problem, discrete: Discrete, theta: Array, scored: _Scored, max_count: Array) -> CountSums:
    """Sums over all counts."""
    params = problem.layout.params(theta)
    rows, codes, (points, weights), y, highest = scored

    def predictive(k: Array) -> Array:
        """(n,) log probabilities of ``k``, averaged over the nodes."""

        def add(total: Array, node: tuple[Array, Array]) -> tuple[Array, None]:
            u, weight = node
            eta = predictors_at(params, rows, u[:, codes])
            return jnp.logaddexp(total, weight[codes] + log_masses(problem.family, discrete, params, eta, k, highest)), None

        return jax.lax.scan(add, jnp.full_like(y, -jnp.inf), (points, jnp.log(weights)))[0]

    return sums_over_counts(predictive, y, max_count)


def sums_over_counts(predictive: Callable[[Array], Array], y: Array, max_count: Array) -> CountSums:
    """Sums over all counts, until the distribution of each row is used up.

    Parameters
    ----------
    predictive : (n,) log probabilities of a count, a number or (n,).
    y : (n,) outcomes.
    """

    def is_left(sums: CountSums) -> Array:
        return (sums.k <= max_count) & (jnp.abs(1.0 - sums.total) > TAIL).any()

    def step(sums: CountSums) -> CountSums:
        p = jnp.exp(predictive(sums.k))
        total = sums.total + p
        distance = sums.distance + (total - (y <= sums.k)) ** 2
        return CountSums(sums.k + 1.0, total, sums.squares + p * p, distance, sums.log_at_outcome)

    zero = jnp.zeros_like(y)
    found = jax.lax.while_loop(is_left, step, CountSums(jnp.zeros((), y.dtype), zero, zero, zero, predictive(y)))
    # Beyond the last count the distribution function is 1, so each count below the outcome adds 1.
    return found._replace(distance=found.distance + jnp.maximum(y - found.k, 0.0))
