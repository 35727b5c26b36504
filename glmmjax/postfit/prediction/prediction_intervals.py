r"""Intervals around predictions: confidence intervals of a mean, and prediction intervals of a new outcome.

The interval of a quantity h(theta, b) is formed on a scale without bounds, and transformed back. For a subject with outcomes y, the
variance of h is, to first order,

.. math:: \mathrm{Var}(h \mid y) \approx \mathrm{Var}(h \mid y, \hat\theta) + J V J', \quad
          J = \partial E(h \mid y, \theta) / \partial \theta \text{ at } \hat\theta,

the law of total variance with theta normal around its estimate (Kass and Steffey 1989, JASA 84, 717-726). Both terms are computed by
quadrature on the adaptive nodes, and J includes the movement of nodes and weights. With b = 0, and for means of the population, the
first term is 0, and the second is the delta method. ``prediction_draws`` makes the intervals of outcomes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.new_rows import NewRows
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program
from glmmjax.families.base import Family
from glmmjax.families.links import Link
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.clusters import padded_rows
from glmmjax.likelihood.conditional import Conditional, block_conditional, conditional_means, node_of
from glmmjax.likelihood.model_rows import ModelRows, predictors_at, random_columns
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.quadrature import moment_rule
from glmmjax.likelihood.rule import Rule
from glmmjax.postfit.prediction.jit_by_work import sized
from glmmjax.postfit.prediction.predict import IntervalSettings, Request, average_of, in_chunks, request_of, rows_of, values_of
from glmmjax.postfit.prediction.prediction_draws import flat_quantiles, subject_quantiles
from glmmjax.postfit.prediction.quantities import interval_link, n_values, values_at
from glmmjax.postfit.prediction.row_blocks import BlockRows, rows_by_bucket
from glmmjax.postfit.prediction.rows import in_all_rows
from glmmjax.postfit.prediction.subjects import posterior_points
from glmmjax.postfit.prediction.targets import Targets
from glmmjax.postfit.uncertainty.delta_method import with_jacobian
from glmmjax.postfit.uncertainty.link_intervals import normal_quantile
from glmmjax.postfit.uncertainty.vcov import covariance_of_functions

__all__ = [
    "IntervalPredictions",
    "Moments",
    "flat_moments",
    "has_trials",
    "known_covariance",
    "moments_of_blocks",
    "predict_with_intervals",
    "subject_moments",
]


class IntervalPredictions(NamedTuple):
    """Predictions of the rows of new data with intervals, NaN in a row with a missing value in a column that is needed.

    Attributes
    ----------
    values : (O, all rows) the predictions; O is the number of levels for probabilities of levels, else 1
    std_errors : (O, all rows) on the scale of the predictions
    lower : (O, all rows) lower limits
    upper : (O, all rows) upper limits
    labels : (all rows,) pandas Index
    """

    values: np.ndarray
    std_errors: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    labels: Any


class Moments(NamedTuple):
    """Mean and variance of a quantity on the scale of its intervals, (O, n) each.

    Attributes
    ----------
    mean : posterior mean for a subject with outcomes, else the value at the estimates
    variance : variance given the outcomes plus that of the estimates
    """

    mean: np.ndarray
    variance: np.ndarray


def predict_with_intervals(
    fitted: FittedModel,
    settings: IntervalSettings,
    newdata: Any = None,
    newdata2: Any = None,
    kind: str = "mean_subject",
    scale: str = "response",
) -> IntervalPredictions:
    """Predictions with intervals; see ``MixedModelResults.predict``, which documents the arguments.

    Raises
    ------
    ArgumentError
        As ``predict``; for an outcome on another scale than its own, and for estimates without a covariance, which are named.
    DesignError, FormulaError, OutcomeError, RowsNotKeptError
        As ``read_new_rows`` and streamed fits raise them.
    """
    request = request_of(fitted, kind, scale)
    of_outcome = settings.interval_for == "outcome"
    if of_outcome and (request.quantity != "mean" or request.on_link):
        raise ArgumentError(
            f"interval_for='outcome' is on the scale of the outcome, and kind={kind!r} with scale={scale!r} is not; take scale='response' "
            "with kind='mean_subject', 'subject_specific' or 'marginal', or interval_for='mean'."
        )
    known = known_covariance(fitted, settings.robust, with_random=request.effects != "none")
    rows, targets = rows_of(fitted, request, newdata, newdata2, with_outcome=of_outcome and has_trials(fitted))
    values = values_of(fitted, request, rows, targets)
    if of_outcome:
        found = (
            flat_quantiles(fitted, request, rows, known, settings)
            if targets is None
            else subject_quantiles(fitted, targets, known, settings)
        )
        parts = [leaf[None] for leaf in (found.deviation, found.lower, found.upper)]
    else:
        moments = flat_moments(fitted, request, rows, known) if targets is None else subject_moments(fitted, request, targets, known)
        parts = list(_transformed(fitted.problem.family, request, moments, settings.level))
    values, errors, lower, upper = (in_all_rows(part, rows.is_complete) for part in (values, *parts))
    return IntervalPredictions(values, errors, lower, upper, rows.labels)


def flat_moments(fitted: FittedModel, request: Request, rows: NewRows, known: np.ndarray) -> Moments:
    """Moments by the delta method, at b = 0 or averaged over the population."""
    with jax.enable_x64(True):
        (chunks, _), n = in_chunks(rows)
        wide = padding_of(fitted)
        program = _flat_moments(n * len(fitted.theta) * (1 if request.effects == "none" else 200))
        found = program(wide.problem, request, wide.vector(fitted.theta), wide.matrix(known), wide.rows(chunks))
    return Moments(*(np.asarray(leaf).reshape(leaf.shape[0], -1)[:, :n] for leaf in found))


def subject_moments(fitted: FittedModel, request: Request, targets: Targets, known: np.ndarray) -> Moments:
    """Moments by quadrature over the random effects of every subject given its outcomes, and by the delta method for theta."""
    points = posterior_points(fitted)
    total = Moments(*np.zeros((2, n_values(fitted.problem.family, request.quantity), len(targets.codes))))
    with jax.enable_x64(True):
        wide = padding_of(fitted)
        arrays = wide.vector(fitted.theta), wide.matrix(known)
        for block in rows_by_bucket(fitted, targets):
            work = (padded_rows([block.arrays.bucket]) + block.numbers.size) * points ** fitted.params.chol.shape[0] * len(fitted.theta)
            found = _subject_moments(work)(wide.problem, points, request, *arrays, block.arrays)
            for leaf, into in zip(found, total, strict=True):
                block.put(leaf, into)
    return total


def _flat(problem: Problem, request: Request, theta: Array, covariance: Array, rows: ModelRows) -> tuple[Array, Array]:
    """(O, S, R) each."""

    def of_chunk(chunk: ModelRows) -> tuple[Array, Array]:
        def mean(theta: Array) -> Array:
            values = average_of(problem.family, request, problem.layout.params(theta), chunk)
            return interval_link(problem.family, request.quantity).link(values)

        found, jacobian = with_jacobian(mean, theta)
        return found, _quadratic(jacobian, covariance)

    found = jax.lax.map(of_chunk, rows)
    return jnp.moveaxis(found[0], 0, 1), jnp.moveaxis(found[1], 0, 1)


def moments_of_blocks(
    problem: Problem, n_points: int, request: Request, theta: Array, covariance: Array, blocks: BlockRows
) -> tuple[Array, Array]:
    """(S, O, R) each: means and variances of rows to predict."""
    rule = moment_rule(n_points, problem.layout.covariance.q, problem.prior)

    def of_block(block: BlockRows) -> tuple[Array, Array]:
        def moments(theta: Array) -> tuple[Array, tuple[Array, Array]]:
            params = problem.layout.params(theta)
            _, given = block_conditional(params, block.bucket, block.start, problem.family, rule, problem.prior)
            return _expectations(problem, request, params, block, given, rule)

        jacobian, (mean, variance) = jax.jacfwd(moments, has_aux=True)(theta)
        return mean, variance + _quadratic(jacobian, covariance)

    return jax.lax.map(of_block, blocks)


_flat_moments, _subject_moments = sized(_flat, (0, 1)), sized(moments_of_blocks, (0, 1, 2))


def _expectations(
    problem: Problem, request: Request, params: Params, block: BlockRows, given: Conditional, rule: Rule
) -> tuple[Array, tuple[Array, Array]]:
    """Posterior mean (O, R) of the quantity on the scale of its intervals, and again with the posterior variance."""
    link, slopes = interval_link(problem.family, request.quantity), random_columns(params, block.rows)
    fixed = predictors_at(params, block.rows)

    def at(u: Array) -> Array:
        return link.link(values_at(problem.family, request.quantity, params, fixed + (slopes * u[:, block.clusters]).sum(1)))

    centre = jax.lax.stop_gradient(at(conditional_means(given, rule)))  # moments around a centre lose no digits

    def add(sums: tuple[Array, Array], node: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        z, weight = node
        away, weight = at(node_of(given, z)) - centre, weight[block.clusters]
        return (sums[0] + weight * away, sums[1] + weight * away * away), None

    zero = jnp.zeros_like(centre)
    (first, second), _ = jax.lax.scan(add, (zero, zero), (jnp.asarray(rule.nodes, zero.dtype), given.weights))
    return centre + first, (centre + first, jnp.maximum(second - first * first, 0.0))


def _quadratic(jacobian: Array, covariance: Array) -> Array:
    """(O, R) variances J V J' of a Jacobian (O, R, P)."""
    return jnp.maximum(((jacobian @ covariance) * jacobian).sum(-1), 0.0)


def _transformed(family: Family, request: Request, moments: Moments, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(O, n) standard errors, lower and upper limits on the scale that is reported."""
    link = interval_link(family, request.quantity)
    mean, deviation = moments.mean, np.sqrt(moments.variance)
    half = normal_quantile(level) * deviation
    if request.on_link:
        return deviation, mean - half, mean + half
    with jax.enable_x64(True):
        change, lower, upper = map(np.asarray, _from_link(link, mean, deviation, half))
    return np.abs(change), lower, upper


@as_program(0)
def _from_link(link: Link, mean: Array, deviation: Array, half: Array) -> tuple[Array, Array, Array]:
    _, change = jax.jvp(link.inverse, (mean,), (deviation,))
    return change, link.inverse(mean - half), link.inverse(mean + half)


def known_covariance(fitted: FittedModel, robust: bool | str, with_random: bool = True) -> np.ndarray:
    """(P, P) covariance of theta.

    Raises
    ------
    ArgumentError
        Where an estimate has no covariance; the message names it. Entries of D are checked only ``with_random``.
    """
    found, layout = covariance_of_functions(fitted, robust), fitted.problem.layout
    is_lost = np.isnan(np.diagonal(found))
    if not with_random:
        is_lost[layout.random] = False
    if is_lost.any():
        design, random = fitted.design, ["an entry of D"] * layout.covariance.n_free
        others = {"zero part": design.zi_fixed_names, "dispersion": design.dispersion_names}
        last = [f"{name} of the {part}" for part, names in others.items() for name in names]
        names = [*design.fixed_names, *random, *fitted.problem.family.phi_names, *last]
        lost = dict.fromkeys(name for name, without in zip(names, is_lost, strict=True) if without)
        raise ArgumentError(
            f"interval: the estimates of {', '.join(lost)} have no standard error, because the Hessian is not negative definite there "
            f"({fitted.convergence.message}). Refit with another start or without n_agq, or ask for predictions alone, interval=None."
        )
    return np.nan_to_num(found)


def has_trials(fitted: FittedModel) -> bool:
    """Whether the outcome is a number of successes, so that its share needs a number of trials."""
    return len(fitted.design.formula.outcome_columns) == 2 and fitted.problem.family.has_trials
