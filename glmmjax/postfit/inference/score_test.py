r"""Rao's score test for fixed effects that the model does not have, without a refit.

The model is extended by k coefficients of 0. U is their score and I the information of the extended model, both at the estimates:

.. math:: S = U' \big(I_{22} - I_{21} V I_{12}\big)^{-1} U \sim \chi^2_k,

V is the covariance of the parameters of the model (Rao 1948, Proceedings of the Cambridge Philosophical Society 44, 50-57). Score and
information are exact derivatives of the log-likelihood of the extended model.
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


def score_test(fitted: FittedModel, terms: Any, part: str = "fixed", env: Mapping[str, Any] | None = None) -> ScoreTest:
    """Test the terms together. The arguments are those of ``MixedModelResults.score_test``; ``env`` has the names of the caller."""
    kind = _kind(fitted, part)
    with jax.enable_x64(True):
        own = np.asarray(own_rows(fitted).X[list(fitted.design.formula.right_sides).index(kind)]).T
    added = read_added_columns(fitted.design, own, terms, fitted.request.data, kind, env or {})
    problem, theta, new = _extended(fitted, kind, len(added.names))
    score, information = _derivatives(fitted, problem, theta, kind, added.values)
    old = np.setdiff1d(np.arange(len(theta)), new)
    cross = information[np.ix_(new, old)]
    variance = information[np.ix_(new, new)] - cross @ theta_covariance(fitted) @ cross.T
    scale = np.sqrt(np.maximum(np.diagonal(variance), 0.0))
    scaled = variance / np.outer(scale, scale) if scale.all() else np.full(variance.shape, np.nan)
    if not np.isfinite(scaled).all() or np.linalg.eigvalsh(scaled)[0] < 1e-10:
        raise ArgumentError(
            f"terms: the information on {', '.join(added.names)} beside the parameters of the model is not positive, or the fit has no "
            "certificate of a maximum; test fewer terms, or refit with them and compare by anova."
        )
    step = np.linalg.solve(scaled, score[new] / scale)
    statistic, df = float(score[new] / scale @ step), len(new)
    return ScoreTest(added.names, score[new], scale**2, step / scale, statistic, df, chi_square_tail(statistic, df))


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


def _derivatives(fitted: FittedModel, problem: Problem, theta: np.ndarray, kind: str, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score and information of the extended model."""
    e, q = list(fitted.design.formula.right_sides).index(kind), problem.layout.covariance.q
    with jax.enable_x64(True):
        buckets = _with_columns(fitted, e, columns)
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
