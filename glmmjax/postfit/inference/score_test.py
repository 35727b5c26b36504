r"""Rao's score test for fixed effects that the model does not have, without a refit.

The model is extended by k coefficients of 0. U is their score and I the information of the extended model, both at the estimates:

.. math:: S = U' \big(I_{22} - I_{21} V I_{12}\big)^{-1} U \sim \chi^2_k,

V is the covariance of the parameters of the model (Rao 1948, Proceedings of the Cambridge Philosophical Society 44, 50-57). Score and
information are exact derivatives of the log-likelihood of the extended model.

The robust test takes the variance of U from the clusters, whose scores in the new coefficients lose what the other parameters explain:

.. math:: S = U' \Big(\sum_i e_i e_i'\Big)^{-1} U, \quad e_i = s_{i2} - I_{21} V s_{i1}

(Boos 1992, The American Statistician 46, 327-333).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax import Array

from glmmjax.design.added_terms import read_added_columns
from glmmjax.errors import ArgumentError
from glmmjax.estimation.evaluators.choice import is_small
from glmmjax.estimation.objective import Problem, evaluate_with_hessian
from glmmjax.estimation.padding import padding
from glmmjax.estimation.xla.compiler_options import platform_in_force, quick_to_run, run_once
from glmmjax.estimation.xla.program import Program
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.block_sums import Modes, start_modes
from glmmjax.likelihood.clusters import Bucket, from_rows
from glmmjax.likelihood.params import Theta
from glmmjax.likelihood.rule import Rule
from glmmjax.postfit.prediction.rows import own_rows
from glmmjax.postfit.refitting.bootstrap import check_not_corrected
from glmmjax.postfit.uncertainty.p_values import chi_square_tail
from glmmjax.postfit.uncertainty.sandwich import meat, robust_kind
from glmmjax.postfit.uncertainty.scores import cluster_scores_at, cluster_weights_of
from glmmjax.postfit.uncertainty.vcov import theta_covariance

__all__ = ["ScoreTest", "score_test"]

_PARTS = {"fixed": "main", "zero": "zero", "dispersion": "dispersion"}
_SIZES = {"main": "p", "zero": "p_zi", "dispersion": "p_disp"}


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreTest:
    """A joint test of k columns that the model does not have.

    Attributes
    ----------
    names : (k,) names of the columns
    scores : (k,) derivatives of the log-likelihood in the new coefficients
    variances : (k,) variances of the scores
    one_step : (k,) coefficients after one Newton step; a refit gives nearly the same
    statistic : chi-square statistic S
    df : its degrees of freedom, k
    p_value : from the chi-square distribution
    """

    names: tuple[str, ...]
    scores: np.ndarray
    variances: np.ndarray
    one_step: np.ndarray
    statistic: float
    df: int
    p_value: float


def score_test(
    fitted: FittedModel, terms: Any, part: str = "fixed", env: Mapping[str, Any] | None = None, robust: bool | str = False
) -> ScoreTest:
    """Test the terms together. The arguments are those of ``MixedModelResults.score_test``; ``env`` has the names of the caller."""
    kind = _kind(fitted, part)
    with jax.enable_x64(True):
        own = np.asarray(own_rows(fitted).X[list(fitted.design.formula.right_sides).index(kind)]).T
    added = read_added_columns(fitted.design, own, terms, fitted.request.data, kind, env or {})
    problem, theta, new = _extended(fitted, kind, len(added.names))
    buckets = _with_columns(fitted, list(fitted.design.formula.right_sides).index(kind), added.values)
    score, information = _derivatives(fitted, problem, theta, buckets)
    old = np.setdiff1d(np.arange(len(theta)), new)
    explained = information[np.ix_(new, old)] @ theta_covariance(fitted)
    by_information = information[np.ix_(new, new)] - explained @ information[np.ix_(old, new)]
    variance = by_information
    if robust:
        scores = _cluster_scores(fitted, problem, theta, buckets)
        variance = _robust_variance(robust, scores[:, new] - scores[:, old] @ explained.T)
    one_step = _solved(by_information, score[new], added.names)
    statistic, df = float(score[new] @ _solved(variance, score[new], added.names)), len(new)
    return ScoreTest(added.names, score[new], np.diagonal(variance), one_step, statistic, df, chi_square_tail(statistic, df))


def _solved(variance: np.ndarray, score: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """``variance^-1 score`` (k,), scaled first.

    Raises
    ------
    ArgumentError
        For a variance that is not positive.
    """
    scale = np.sqrt(np.maximum(np.diagonal(variance), 0.0))
    scaled = variance / np.outer(scale, scale) if scale.all() else np.full(variance.shape, np.nan)
    if not np.isfinite(scaled).all() or np.linalg.eigvalsh(scaled)[0] < 1e-10:
        raise ArgumentError(
            f"terms: the information on {', '.join(names)} beside the parameters of the model is not positive, or the fit has no "
            "certificate of a maximum; test fewer terms, or refit with them and compare by anova."
        )
    return np.linalg.solve(scaled, score / scale) / scale


def _kind(fitted: FittedModel, part: str) -> str:
    """The predictor that ``part`` stands for."""
    check_not_corrected(fitted, "score_test")
    present = fitted.design.formula.right_sides
    if _PARTS.get(part) not in present:
        allowed = ", ".join(repr(name) for name, kind in _PARTS.items() if kind in present)
        raise ArgumentError(f"part={part!r} is no predictor of this model; choose one of {allowed}.")
    if fitted.problem.penalty is not None:
        raise ArgumentError(
            "score_test needs a maximum of the log-likelihood, and the estimates of a penalised fit are none. Refit with "
            "fit.update(penalized=False), or add the terms and look at the penalised estimates."
        )
    return _PARTS[part]


def _extended(fitted: FittedModel, kind: str, k: int) -> tuple[Problem, np.ndarray, np.ndarray]:
    """The extended problem, its theta with zeros for the new coefficients, and the places of these in theta."""
    layout = fitted.problem.layout
    wider: Theta = dataclasses.replace(layout, **{_SIZES[kind]: getattr(layout, _SIZES[kind]) + k})
    first = {"main": layout.fixed.stop, "zero": layout.zero.stop, "dispersion": layout.dispersion.stop}[kind]
    theta = np.insert(fitted.theta, first, np.zeros(k))
    return Problem(fitted.problem.family, wider, prior=fitted.problem.prior), theta, np.arange(first, first + k)


def _robust_variance(robust: bool | str, scores: np.ndarray) -> np.ndarray:
    """(k, k) variance of a sum of independent scores (m, k).

    Raises
    ------
    ArgumentError
        For ``"CR2"`` and ``"CR3"``, which correct covariances of estimates.
    """
    kind = robust_kind(robust)
    if kind not in ("CR0", "CR1"):
        raise ArgumentError(
            f"robust={robust!r} corrects the covariance of estimates, and score_test has none of the new coefficients; take 'CR0' or "
            "'CR1', or refit with the terms and take wald_test."
        )
    return meat(kind, scores, None)


def _cluster_scores(fitted: FittedModel, problem: Problem, theta: np.ndarray, buckets: tuple[Bucket, ...]) -> np.ndarray:
    """(m, P) weighted scores of the clusters in the extended model."""
    wide = padding(problem, buckets, fitted.n_agq)
    clusters = fitted.design.clusters._replace(buckets=buckets)
    return cluster_weights_of(fitted)[:, None] * cluster_scores_at(fitted.quadrature, theta, clusters, wide)


def _derivatives(fitted: FittedModel, problem: Problem, theta: np.ndarray, buckets: tuple[Bucket, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Score and information of the extended model."""
    q = problem.layout.covariance.q
    with jax.enable_x64(True):
        wide = padding(problem, buckets, fitted.n_agq)
        run = _program(is_small(problem, buckets, fitted.n_agq), platform_in_force())
        rule, modes = fitted.quadrature.padded(q, problem.prior), start_modes(buckets, q)
        found = run(wide.problem, wide.vector(theta), wide.buckets(buckets), rule, modes)
        return wide.cut(found[0]), -wide.cut_matrix(found[1])


def _with_columns(fitted: FittedModel, e: int, columns: np.ndarray) -> tuple[Bucket, ...]:
    """The buckets with more fixed-effects columns in predictor ``e``."""
    design, wider = fitted.design, []
    for bucket, new in zip(design.clusters.buckets, from_rows(design.order, columns.T), strict=True):
        X: Any = tuple(np.concatenate([np.asarray(x), new], axis=1) if k == e else x for k, x in enumerate(bucket.X))
        wider.append(bucket._replace(X=X))
    return tuple(wider)


@functools.cache
def _program(small: bool, platform: str) -> Any:
    """``_score_and_hessian``, compiled quickly for small data and to run quickly for large data."""
    return Program(_score_and_hessian, (0,), functools.partial(run_once if small else quick_to_run, platform))


def _score_and_hessian(problem: Problem, theta: Array, buckets: tuple[Bucket, ...], rule: Rule, modes: Modes) -> tuple[Array, Array]:
    at, hessian = evaluate_with_hessian(problem, theta, buckets, rule, modes)
    return at.gradient, hessian
