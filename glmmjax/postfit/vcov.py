"""Covariance matrix and standard errors of the estimates, from the exact Hessian at the maximum.

The covariance of theta is the inverse of the information (negative Hessian). At a singular D some directions of L have no first
derivative: they leave D where it is (a rotation inside L) or move it to second order only (the sign of a zero diagonal entry).
Estimation inside the set of singular D has no such directions, so they are left out, and the rest is inverted.
"""

from __future__ import annotations

import numpy as np

from glmmjax.estimation.newton import FLAT
from glmmjax.fitted import FittedModel
from glmmjax.postfit.random_covariance import moving_directions

__all__ = ["fixed_covariance", "standard_errors", "theta_covariance"]


def theta_covariance(fitted: FittedModel) -> np.ndarray:
    """(P, P) covariance of theta. NaN for an entry of theta whose information is not positive (a fit without certificate)."""
    basis = _identified(fitted)
    information = basis.T @ fitted.information @ basis
    covariance, is_defined = _inverse(information)
    undefined = (basis[:, ~is_defined] ** 2).sum(1) > 1e-6 * (basis**2).sum(1)
    full = basis @ covariance @ basis.T
    return np.where(undefined[:, None] | undefined, np.nan, full)


def fixed_covariance(fitted: FittedModel) -> np.ndarray:
    """(p, p) covariance of the fixed effects."""
    fixed = fitted.problem.layout.fixed
    return theta_covariance(fitted)[fixed, fixed]


def standard_errors(fitted: FittedModel) -> np.ndarray:
    """(P,) standard errors of theta."""
    return np.sqrt(np.diagonal(theta_covariance(fitted)))


def _identified(fitted: FittedModel) -> np.ndarray:
    """(P, k) directions of theta with information: all of them, unless D is singular."""
    layout = fitted.problem.layout
    if not fitted.is_singular:
        return np.eye(layout.size)
    inside = moving_directions(fitted)
    basis = np.zeros((layout.size, layout.size - layout.covariance.n_free + inside.shape[1]))
    before, after = layout.random.start, layout.size - layout.random.stop
    basis[:before, :before] = np.eye(before)
    basis[layout.random, before : before + inside.shape[1]] = inside
    basis[layout.random.stop :, before + inside.shape[1] :] = np.eye(after)
    return basis


def _inverse(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse over the directions of positive information, and which coordinates have no part in any other direction."""
    size = len(information)
    if not np.isfinite(information).all():
        return np.full((size, size), np.nan), np.zeros(size, bool)
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diagonal(information)), 1e-300))
    values, vectors = np.linalg.eigh(information * scale[:, None] * scale)
    positive = values > 1e3 * FLAT  # as the certificate has it
    kept = scale[:, None] * vectors[:, positive]
    return kept / values[positive] @ kept.T, (vectors[:, ~positive] ** 2).sum(1) < 1e-6
