"""One data set on trial: the default fit, the same from every start, and what is known of it from outside; one row of the record."""

from __future__ import annotations

import json
import time
import traceback
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import glmmjax as gj
from benchmarks.stress.cases import Case, Natural, case
from benchmarks.stress.integral import Integral, integral
from benchmarks.stress.outside import is_pure, is_separable, without_effects
from benchmarks.stress.starts import starts
from glmmjax.errors import GlmmError

__all__ = ["COLUMNS", "row_of"]

Array = Any
Row = dict[str, Any]

COLUMNS = (
    *("seed", "index", "family", "structure", "shape", "m", "n", "sd", "corr", "intercept", "scale", "shift", "unit", "separable", "pure"),
    *(
        "status",
        "converged",
        "singular",
        "code",
        "n_agq",
        "method",
        "llf",
        "quadrature_error",
        "shift_of_rule",
        "has_nan",
        "has_nan_errors",
    ),
    *("seconds", "compiling", "best", "gap", "start", "best_code", "ends", "glm_llf", "largest", "largest_phi", "largest_gamma", "sd_hat"),
    *("true_llf", "true_error", "true_shift", "base_llf", "base_code", "base_converged", "starts", "trace"),
)
_OF_CASE = ("seed", "index", "family", "structure", "shape", "sd", "corr", "intercept", "scale", "shift", "unit")
_SAME = 1e-5  # log-likelihood by one rule: two ends that differ by less are one
_NEAR = 0.05  # standard errors, as well
_SETTLED = 0.01  # error of a rule from which on its maximum convicts nobody
_compiling = [0.0]


def _listen(event: str, duration_secs: float, **_: Any) -> None:
    if "backend_compile" in event:
        _compiling[0] += duration_secs


jax.monitoring.register_event_duration_secs_listener(_listen)


def row_of(seed: int, index: int) -> Row:
    """The record of one data set."""
    c = case(seed, index)
    row: Row = {name: getattr(c, name) for name in _OF_CASE}
    row |= {"m": c.data["id"].nunique(), "n": len(c.data), "separable": is_separable(c), "pure": is_pure(c), "status": "ok"}
    began, compiling = time.perf_counter(), _compiling[0]
    try:
        fit = _quiet(c)
    except GlmmError as error:
        return row | {"status": f"refused {_text(error)}"}
    except Exception as error:
        return row | {"status": f"exception {_text(error)}", "trace": traceback.format_exc()[-600:]}
    row |= {"seconds": time.perf_counter() - began, "compiling": _compiling[0] - compiling} | _record(c, fit)
    glm = without_effects(c)
    row["glm_llf"] = None if glm is None else glm[0]
    own = _integral(c, fit, with_gradient=True)
    row |= _against_starts(c, fit, own, None if glm is None else glm[1]) | _against_integral(fit, own) | _against_base(c)
    return row


def _quiet(c: Case, **changes: Any) -> gj.MixedModelResults:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return c.fit(**changes)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def _natural(fit: gj.MixedModelResults) -> Natural:
    return Natural(*(np.asarray(part, float) for part in fit.params[:4]))


def _record(c: Case, fit: gj.MixedModelResults) -> Row:
    """How the fit ended, and the size of its estimates on the predictor."""
    end, at = fit.convergence, _natural(fit)
    unit = c.unit if c.kind.unit == "identity" else 1.0
    slopes = at.beta[c.slope :] * np.array([c.scale, 1.0])
    values = np.concatenate([*(part.ravel() for part in at), [fit.llf]])
    largest = lambda part: float(np.abs(part).max(initial=0.0))  # noqa: E731
    return {
        "converged": fit.converged, "singular": fit.is_singular, "code": end.code.name, "n_agq": end.n_agq, "method": end.method,
        "llf": fit.llf, "quadrature_error": end.quadrature_error, "shift_of_rule": end.largest_shift,
        "has_nan": not np.isfinite(values).all(), "has_nan_errors": not np.isfinite(np.asarray(fit.bse_fe)).all(),
        "largest": largest(slopes) / unit, "largest_phi": largest(at.phi), "largest_gamma": largest(at.gamma),
        "sd_hat": float(np.linalg.norm(at.chol[0])) / unit,
    }  # fmt: skip


def _integral(c: Case, fit: gj.MixedModelResults, with_gradient: bool = False) -> Integral | None:
    if not np.isfinite(fit.llf):
        return None
    return integral(c, _natural(fit), np.asarray(fit.fitted_model.modes), with_gradient)


def _against_starts(c: Case, fit: gj.MixedModelResults, own: Integral | None, glm: Natural | None) -> Row:
    """The best known maximum. Every start is taken up by the coarse rule; each end of its own is then settled like the default's."""
    ends: dict[str, gj.MixedModelResults] = {}
    said: dict[str, Any] = {}
    rule = fit.fitted_model.request.rule.quadrature(c.q).n_points
    end = fit if np.isfinite(fit.fitted_model.theta).all() and np.isfinite(fit.llf) else None
    for name, given in starts(c, end, glm).items():
        found = _attempt(c, said, name, initial_values=given, n_agq=rule)
        if found is not None and not any(_is_same(found, other) for other in ends.values()):
            ends[name] = found
    best, gap, start, code = fit.llf if end else -np.inf, 0.0, "default", fit.convergence.code.name
    candidates = {name: found for name, found in ends.items() if end is None or not _is_same(found, fit)}
    for name, found in candidates.items():
        other = _attempt(c, said, f"{name}, settled", initial_values=_given(found))
        above = -np.inf if other is None else _above(c, other, fit, own)
        if other is not None and above > gap:
            best, gap, start, code = other.llf, above, name, other.convergence.code.name
    return {"best": best, "gap": gap, "start": start, "best_code": code, "ends": len(candidates), "starts": json.dumps(said)}


def _attempt(c: Case, said: dict[str, Any], name: str, **changes: Any) -> gj.MixedModelResults | None:
    """A fit with a finite end, or None; ``said`` takes what became of it."""
    try:
        found = _quiet(c, **changes)
    except Exception as error:
        said[name] = _text(error)
        return None
    said[name] = [round(found.llf, 6), found.convergence.code.name] if np.isfinite(found.llf) else [None, found.convergence.code.name]
    return found if np.isfinite(found.llf) and np.isfinite(found.fitted_model.theta).all() else None


def _given(fit: gj.MixedModelResults) -> dict[str, Array]:
    return {name: part for name, part in _natural(fit)._asdict().items() if part.size or name in ("beta", "chol")}


def _is_same(a: gj.MixedModelResults, b: gj.MixedModelResults) -> bool:
    """Whether two ends by one rule are one: in the log-likelihood, and in estimates by the standard errors of the second."""
    if a.fitted_model.quadrature == b.fitted_model.quadrature and abs(a.llf - b.llf) > _SAME:
        return False
    change, information = a.fitted_model.theta - b.fitted_model.theta, b.fitted_model.information
    distance = change @ information @ change
    return bool(np.isfinite(distance) and distance < _NEAR**2)


def _above(c: Case, other: gj.MixedModelResults, fit: gj.MixedModelResults, own: Integral | None) -> float:
    """By how much another end is higher: by the independent integral where there is one, else by its rule if that has settled."""
    if not np.isfinite(fit.llf):
        return np.inf
    its = None if own is None else _integral(c, other)
    if own is not None and its is not None:
        return its.value - own.value
    return other.llf - fit.llf if abs(other.convergence.quadrature_error) < _SETTLED else -np.inf


def _against_integral(fit: gj.MixedModelResults, own: Integral | None) -> Row:
    """The log-likelihood and the estimates against a rule from outside."""
    if own is None or own.gradient is None:
        return {}
    return {"true_llf": own.value, "true_error": own.error, "true_shift": _shift(fit, own.gradient)}


def _shift(fit: gj.MixedModelResults, gradient: Natural) -> float:
    """How far Newton's step by the gradient of the integral would move an estimate, in standard errors."""
    layout, theta, information = fit.fitted_model.problem.layout, fit.fitted_model.theta, fit.fitted_model.information
    free = theta[layout.random]
    with jax.enable_x64(True):
        slopes = [
            np.asarray(layout.covariance.factor(jnp.asarray(free + h)) - layout.covariance.factor(jnp.asarray(free - h))) / 2e-6
            for h in 1e-6 * np.eye(len(free))
        ]
    score = np.concatenate([gradient.beta, [(slope * gradient.chol).sum() for slope in slopes], gradient.phi, gradient.gamma])
    if not (np.isfinite(information).all() and np.isfinite(score).all()):
        return np.inf
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diagonal(information)), 1e-300))
    values, vectors = np.linalg.eigh(information * scale[:, None] * scale)
    root = vectors[:, values > 1e-8] / np.sqrt(values[values > 1e-8])
    errors = np.sqrt((root**2).sum(1))
    return float(np.max(np.abs(root @ (root.T @ (scale * score))) / np.where(errors > 0, errors, 1.0), initial=0.0))


def _against_base(c: Case) -> Row:
    """The same model on the standardised covariate."""
    if c.scale == 1.0 and c.shift == 0.0:
        return {}
    base = _attempt(c, {}, "base", data=c.data.assign(x=c.data["x0"]))
    if base is None:
        return {"base_code": "NOT_FINITE", "base_converged": False}
    return {"base_llf": base.llf, "base_code": base.convergence.code.name, "base_converged": base.converged}
