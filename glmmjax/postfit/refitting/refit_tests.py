"""Wald statistics of many refits of one model."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from glmmjax.estimation.convergence import Code
from glmmjax.estimation.factors import root_of
from glmmjax.estimation.refits import Refits
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.covariance import lower_factor
from glmmjax.likelihood.params import Params
from glmmjax.postfit.uncertainty.vcov import inverses, theta_covariance

__all__ = ["own_end", "wald_statistics"]


def wald_statistics(fitted: FittedModel, refits: Refits, contrast: np.ndarray) -> np.ndarray:
    r"""(R,) :math:`(L\hat\beta)' (L V L')^{-1} (L\hat\beta)` of the fixed effects in every refit; NaN where one has no certificate.

    Parameters
    ----------
    contrast : (k, p) the matrix L.
    """
    fixed = fitted.problem.layout.fixed
    found = np.full(len(refits.code), np.nan)
    of_beta = _fixed_covariances(fitted, refits)
    left = refits.theta[:, fixed] @ contrast.T
    of_left = contrast @ of_beta @ contrast.T
    known = refits.converged & np.isfinite(of_left).all(axis=(1, 2)) & np.isfinite(left).all(axis=1)
    if not known.any():
        return found
    errors = np.sqrt(np.diagonal(of_left[known], axis1=1, axis2=2))
    scaled, unit = left[known] / errors, of_left[known] / (errors[:, :, None] * errors[:, None, :])
    found[known] = (scaled * np.linalg.solve(unit, scaled[..., None])[..., 0]).sum(axis=1)
    return found


def own_end(fitted: FittedModel) -> Refits:
    """The fit itself as a refit. Refits are maxima by their rule, whether or not a finer one agrees, and so is the fit."""
    code = fitted.convergence.code
    if code is Code.QUADRATURE_NOT_SETTLED:
        code = Code.CONVERGED_ON_BOUNDARY if fitted.is_singular else Code.CONVERGED
    return Refits(fitted.theta[None], np.array([int(code)]), np.array([fitted.log_likelihood]), fitted.information[None])


def _fixed_covariances(fitted: FittedModel, refits: Refits) -> np.ndarray:
    """(R, p, p) covariances of the fixed effects. Refits inside are done at once; each of the few others as a fit by itself is."""
    fixed = fitted.problem.layout.fixed
    found = np.full((len(refits.code), fixed.stop, fixed.stop), np.nan)
    plain = (refits.code == Code.CONVERGED) & np.isfinite(refits.information).all(axis=(1, 2))
    if plain.any():
        found[plain] = inverses(refits.information[plain])[:, fixed, fixed]
    for k in np.flatnonzero(refits.converged & ~plain):
        found[k] = theta_covariance(_as_fit(fitted, refits, int(k)))[fixed, fixed]
    return found


def _as_fit(fitted: FittedModel, refits: Refits, k: int) -> FittedModel:
    """A refit as far as its covariance goes."""
    layout, theta, code = fitted.problem.layout, refits.theta[k], Code(int(refits.code[k]))
    chol = lower_factor(root_of(fitted.design.covariance, theta[layout.random]))[0]
    parts: Any = (theta[layout.fixed], chol, theta[layout.extra], theta[layout.zero], theta[layout.dispersion])
    convergence = dataclasses.replace(fitted.convergence, code=code, limits=())
    changes: dict[str, Any] = {"theta": theta, "params": Params(*parts), "information": refits.information[k], "convergence": convergence}
    return dataclasses.replace(fitted, is_singular=code is Code.CONVERGED_ON_BOUNDARY, **changes)
