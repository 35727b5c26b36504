"""How often 95% intervals contain the truth: data sets simulated from known parameters, all fitted in one batched call from the truth.

Simulation is numpy's, not the package's: random effects and outcomes of a hundred clusters of six to eight rows, the same covariates in
every data set.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.table import Table
from glmmjax.design.new_rows import read_new_rows
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.refits import Refits, refit_all, with_outcomes
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.clusters import from_rows
from glmmjax.likelihood.population import population_mean
from glmmjax.postfit.inference.confidence import confidence_intervals
from glmmjax.postfit.population.marginal_coefs import marginal_coefficients, marginal_coefs
from glmmjax.postfit.prediction.predict import IntervalSettings
from glmmjax.postfit.prediction.prediction_intervals import predict_with_intervals
from glmmjax.postfit.prediction.rows import model_rows, own_rows
from glmmjax.postfit.refitting.bootstrap import origin_of

__all__ = ["STUDIES", "Coverage", "Study", "coverage", "print_coverage"]

_CLUSTERS = 100
_NORMAL = 1.959963984540054
_NEW = pd.DataFrame({"treated": [0, 1, 0, 1], "time": [0.0, 0.0, 3.5, 3.5]})  # rows that predictions are made for


@dataclasses.dataclass(frozen=True)
class Study:
    """``y ~ treated * time`` with a random intercept."""

    label: str
    family: str
    beta: tuple[float, ...]  # Intercept, treated, time, treated:time
    deviation: float  # of the random intercept
    inverse: Callable[[np.ndarray], np.ndarray]
    draw: Callable[[np.random.Generator, np.ndarray], np.ndarray]  # outcomes given their means


class Coverage(NamedTuple):
    """Share of intervals that contain the truth; several intervals of a data set are averaged before their error is taken."""

    share: float
    error: float  # Monte Carlo standard error
    n_intervals: int  # of a data set


def _logistic(eta: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-eta))


STUDIES = (
    Study(
        "binary, sd 1.2",
        "binomial",
        (-0.8, 0.6, 0.15, 0.1),
        1.2,
        _logistic,
        lambda rng, mean: (rng.random(mean.shape) < mean).astype(float),
    ),
    Study("counts, sd 0.6", "poisson", (0.4, 0.5, 0.05, -0.05), 0.6, np.exp, lambda rng, mean: rng.poisson(mean).astype(float)),
)


def print_coverage(n: int = 500) -> None:
    """A line a kind of interval, a column a study."""
    found = []
    for study in STUDIES:
        begun = time.perf_counter()
        found.append(coverage(study, n))
        print(f"{study.label}: {n} data sets in {time.perf_counter() - begun:.0f} s", flush=True)
    table = Table(f"coverage of 95% intervals, % (Monte Carlo error), {n} data sets", "", *(study.label for study in STUDIES), width=18)
    for label in found[0]:
        table.row(label, *(f"{100 * by[label].share:.1f} ({100 * by[label].error:.1f})" for by in found))


def coverage(study: Study, n: int = 500, seed: int = 11) -> dict[str, Coverage]:
    """Coverage by kind of interval, over ``n`` simulated data sets."""
    rng = np.random.default_rng(seed)
    data = _covariates(rng)
    b, y = _outcomes(study, data, n, rng)
    base = gj.mixed_model("y ~ treated * time", "~ 1 | id", data=data.assign(y=y[0]), family=study.family).fitted_model
    with jax.enable_x64(True):
        truth = jnp.array([*study.beta, study.deviation])
        targets = {name: np.asarray(value) for name, value in _population_targets(base, truth).items()}
    refits = _fit_all(base, truth, y)
    hits: dict[str, list[np.ndarray]] = {}
    for r in np.flatnonzero(refits.converged).tolist():
        fitted = _fitted(base, refits, r, y[r])
        for label, inside in _hits(study, fitted, targets, b[r]).items():
            hits.setdefault(label, []).append(inside)
    found = {label: _summed(np.array(inside)) for label, inside in hits.items()}
    return {"refits with a certificate": _summed(refits.converged[:, None].astype(float)), **found}


def _covariates(rng: np.random.Generator) -> pd.DataFrame:
    sizes = rng.integers(6, 9, _CLUSTERS)
    cluster = np.repeat(np.arange(_CLUSTERS), sizes)
    visit = np.concatenate([np.arange(size) for size in sizes]).astype(float)
    return pd.DataFrame({"id": cluster, "treated": cluster % 2, "time": visit})


def _outcomes(study: Study, data: pd.DataFrame, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random intercepts (n, m) and outcomes (n, rows)."""
    b = study.deviation * rng.normal(size=(n, _CLUSTERS))
    mean = study.inverse(_columns(data) @ np.array(study.beta) + b[:, data["id"]])
    return b, study.draw(rng, mean)


def _columns(data: pd.DataFrame) -> np.ndarray:
    return np.column_stack([np.ones(len(data)), data["treated"], data["time"], data["treated"] * data["time"]])


def _population_targets(base: FittedModel, truth: Any) -> dict[str, Any]:
    """Marginal coefficients and marginal means of the new rows, at the true parameters."""
    rows = read_new_rows(base.design, _NEW)
    params = base.problem.layout.params(truth)
    return {
        "coefficients": marginal_coefficients(base.problem, truth, own_rows(base)),
        "means": population_mean(params, model_rows(rows), base.problem.family),
    }


def _fit_all(base: FittedModel, truth: Any, y: np.ndarray) -> Refits:
    """Every data set, one batched call."""
    with jax.enable_x64(True):
        origin = origin_of(base)._replace(theta=np.asarray(truth))
        return refit_all(origin, with_outcomes(len(y), lambda r: from_rows(base.design.order, y[r])))


def _fitted(base: FittedModel, refits: Refits, r: int, y: np.ndarray) -> FittedModel:
    """The record of one refit, as its own fit would have left it."""
    with jax.enable_x64(True):
        clusters = base.design.with_outcome(y)
        params = jax.tree.map(np.asarray, base.problem.layout.params(jnp.asarray(refits.theta[r])))
    return dataclasses.replace(
        base,
        design=dataclasses.replace(base.design, rows=clusters),
        theta=refits.theta[r],
        params=params,
        information=refits.information[r],
        log_likelihood=float(refits.log_likelihood[r]),
        objective=float(refits.log_likelihood[r]),
        modes=np.zeros_like(base.modes),
        is_singular=Code(refits.code[r]) is Code.CONVERGED_ON_BOUNDARY,
    )


def _hits(study: Study, fitted: FittedModel, targets: dict[str, np.ndarray], b: np.ndarray) -> dict[str, np.ndarray]:
    """Which intervals of one data set contain the truth."""
    beta = np.array(study.beta)
    wald = confidence_intervals(fitted, "fixed")
    found = {f"beta, {name}": np.array([hit]) for name, hit in zip(wald.labels, _inside(wald, beta), strict=True)}
    found["sd of the random intercept"] = _inside(confidence_intervals(fitted, "random"), np.array([study.deviation]))
    marginal = marginal_coefs(fitted)
    reach = _NORMAL * np.sqrt(np.diagonal(marginal.covariance))
    hit = np.abs(marginal.estimate - targets["coefficients"]) <= reach
    found |= {f"marginal coefficient, {name}": hit[k : k + 1] for k, name in enumerate(marginal.names)}
    interval = functools.partial(predict_with_intervals, fitted, IntervalSettings())
    found["new rows, mean at b = 0"] = _inside(interval(_NEW), study.inverse(_columns(_NEW) @ beta))
    found["new rows, marginal mean"] = _inside(interval(_NEW, kind="marginal"), targets["means"])
    own = pd.DataFrame({"id": np.arange(_CLUSTERS), "treated": np.arange(_CLUSTERS) % 2, "time": 8.0})
    truth = study.inverse(_columns(own) @ beta + b)
    found["new row of each cluster, its own mean"] = _inside(interval(own, kind="subject_specific"), truth)
    return found


def _inside(interval: Any, truth: np.ndarray) -> np.ndarray:
    return ((interval.lower <= truth) & (truth <= interval.upper)).reshape(-1).astype(float)


def _summed(inside: np.ndarray) -> Coverage:
    """From (data sets, intervals)."""
    by_data_set = inside.mean(axis=1)
    return Coverage(float(by_data_set.mean()), float(by_data_set.std() / np.sqrt(len(inside))), inside.shape[1])
