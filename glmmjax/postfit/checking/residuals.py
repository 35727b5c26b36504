r"""Residuals of the rows fitted: raw, Pearson and deviance residuals.

.. math:: r = y - \mu, \qquad r_P = \frac{y - \mu}{\sqrt{\mathrm{Var}(y)}}, \qquad
          r_D = \mathrm{sign}(y - \mu) \sqrt{2 \{\log p(y \mid \mu = y) - \log p(y \mid \mu)\}}

Extra parameters are at their estimates. ``quantile_residuals`` has residuals with one distribution for every family.
Source: McCullagh and Nelder (1989), Generalized Linear Models, section 2.4.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.estimation.xla.program import as_program
from glmmjax.families.base import Family
from glmmjax.families.registry import FAMILIES
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.model_rows import ModelRows, phi_of_rows, predictors_at
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.population import population_average
from glmmjax.likelihood.prior import Prior
from glmmjax.postfit.prediction.law_moments import check_population_mean
from glmmjax.postfit.prediction.predict import in_chunks
from glmmjax.postfit.prediction.subjects import modes_of, targets_for

__all__ = ["residuals"]

RESIDUALS = ("raw", "pearson", "deviance")
RESIDUALS_AT = ("subject_specific", "mean_subject", "marginal")


def residuals(fitted: FittedModel, kind: str = "raw", at: str = "subject_specific") -> np.ndarray:
    """(n,) residuals in the caller's row order; see ``MixedModelResults.resid``.

    Raises
    ------
    ArgumentError
        For outcomes that may be censored, a family without a variance (``"pearson"``), and a family that is
        no exponential dispersion model (``"deviance"``).
    RowsNotKeptError
        For a streamed fit.
    """
    family = fitted.problem.family
    _check(fitted, kind)
    if at == "marginal":
        check_population_mean(fitted, moment=2 if kind == "pearson" else 1)
    targets = targets_for(fitted)
    rows = targets.rows
    u = modes_of(fitted, targets)[targets.codes].T if at == "subject_specific" else None
    with jax.enable_x64(True):
        wide = padding_of(fitted)
        (model, u_chunks), n = in_chunks(rows, u)
        (outcome, _), _ = in_chunks(rows._replace(X=(), Z=(), offset=np.stack(rows.outcome)))
        y = tuple(outcome.offset[:, k] for k in range(outcome.offset.shape[1]))
        chunks = (wide.rows(model), u_chunks, y if len(y) > 1 else y[0])
        law = fitted.problem.prior if at == "marginal" else None
        found = _residuals(family, kind, law, wide.params(fitted.params), chunks)
        return np.asarray(found).ravel()[:n]


@as_program((0, 1, 2))
def _residuals(family: Family, kind: str, prior: Prior | None, params: Params, chunks: tuple[ModelRows, Array | None, Any]) -> Array:
    """(S, R) residuals of chunks of rows, marginal ones over the law ``prior``. A chunk has rows, their random effects u, and outcomes."""

    def of_chunk(chunk: tuple[ModelRows, Array | None, Any]) -> Array:
        rows, u, y = chunk
        phi = phi_of_rows(params, rows.offset.shape[-1])
        seen = family.response(y)

        def moments(eta: Array) -> tuple[Array, Array, Array]:
            mean = family.mean(eta[0], phi, *eta[1:])
            return mean, mean * mean, family.variance(y, eta[0], phi, *eta[1:]) if kind == "pearson" else mean

        if prior is not None:
            mean, second, variance = population_average(moments, params, rows, prior)
            variance = variance + second - mean * mean
        else:
            mean, _, variance = moments(predictors_at(params, rows, u))
        if kind == "raw":
            return seen - mean
        if kind == "pearson":
            return (seen - mean) / jnp.sqrt(variance)
        return jnp.sign(seen - mean) * jnp.sqrt(family.deviance(y, mean, phi, *predictors_at(params, rows)[1:]))

    return jax.lax.map(of_chunk, chunks)


def _check(fitted: FittedModel, kind: str) -> None:
    family, n_columns = fitted.problem.family, len(fitted.design.formula.outcome_columns)
    if n_columns > 1 and not family.has_trials:
        raise ArgumentError(
            f"resid: the outcome {fitted.design.outcome_name} of the {family.name} family may be censored, and has no residual then; "
            "take quantile residuals."
        )
    if kind == "deviance" and not family.has_deviance:
        names = ", ".join(known.name for known in FAMILIES.values() if known.has_deviance)
        raise ArgumentError(
            f"kind='deviance' compares with a density that is largest where the mean is the outcome, and that of the {family.name} family "
            f"is not; it is for {names}. Take kind='pearson', or quantile residuals."
        )
