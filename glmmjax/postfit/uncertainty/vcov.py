"""Covariance matrix and standard errors of the estimates, from the exact Hessian at the maximum.

The covariance of theta is the inverse of the information (negative Hessian). At a singular D some directions of L have no first
derivative: they leave D where it is (a rotation inside L) or move it to second order only (the sign of a zero diagonal entry).
Estimation inside the set of singular D has no such directions, so they are left out, and the rest is inverted. So are parameters that have
run off to a limit of the family: the others have the covariance that they have in the simpler family.
"""

from __future__ import annotations

import numpy as np

from glmmjax.estimation.phases.newton import FLAT
from glmmjax.fitted import FittedModel
from glmmjax.postfit.uncertainty.random_covariance import moving_directions
from glmmjax.postfit.uncertainty.sandwich import meat, robust_kind
from glmmjax.postfit.uncertainty.scores import cluster_hessians, cluster_scores, cluster_weights_of

__all__ = ["covariance", "covariance_of_functions", "fixed_covariance", "inverses", "standard_errors", "theta_covariance"]


def covariance(fitted: FittedModel, robust: bool | str = False) -> np.ndarray:
    """(P, P) covariance of theta: the inverse of the information, or one that is robust to a wrong model within clusters.

    Parameters
    ----------
    robust : False for the inverse of the exact information; ``"CR0"`` (also True), ``"CR1"``, ``"CR2"`` or ``"CR3"`` for the sandwich with
        clusters as units, see ``sandwich``. A cluster's score and information count with its weight. The penalty of a penalised fit
        does not vary between samples: it is in the information, and in no cluster's score.

    Returns
    -------
    (P, P) array, NaN in the rows and columns of parameters without standard error.

    Raises
    ------
    ArgumentError
        For another ``robust``, and where that sandwich does not exist.
    RowsNotKeptError
        For a robust covariance of a streamed fit.
    """
    kind = robust_kind(robust)
    if kind is None:
        return theta_covariance(fitted)
    root, undefined = _covariance_root(fitted)
    counted = cluster_weights_of(fitted)
    is_counted = counted > 0
    scores = (counted[:, None] * cluster_scores(fitted) @ root)[is_counted]
    shares = None
    if kind in ("CR2", "CR3"):
        shares = (root.T @ (-counted[:, None, None] * cluster_hessians(fitted)) @ root)[is_counted]
    return _with_undefined(root @ meat(kind, scores, shares) @ root.T, undefined)


def covariance_of_functions(fitted: FittedModel, robust: bool | str = False) -> np.ndarray:
    """``covariance`` for functions of theta, which do not feel a parameter at a limit of the family: it has 0 there, and not NaN."""
    found = covariance(fitted, robust)
    at = list(fitted.convergence.limits)
    found[at], found[:, at] = 0.0, 0.0
    return found


def theta_covariance(fitted: FittedModel) -> np.ndarray:
    """(P, P) covariance of theta. NaN for an entry of theta whose information is not positive (a fit without certificate)."""
    root, undefined = _covariance_root(fitted)
    return _with_undefined(root @ root.T, undefined)


def fixed_covariance(fitted: FittedModel, robust: bool | str = False) -> np.ndarray:
    """(p, p) covariance of the fixed effects."""
    fixed = fitted.problem.layout.fixed
    return covariance(fitted, robust)[fixed, fixed]


def standard_errors(fitted: FittedModel, robust: bool | str = False) -> np.ndarray:
    """(P,) standard errors of theta."""
    return np.sqrt(np.diagonal(covariance(fitted, robust)))


def inverses(information: np.ndarray) -> np.ndarray:
    """Inverses of positive definite matrices (n, P, P), scaled first, because parameters may have very different units."""
    scale = 1.0 / np.sqrt(np.diagonal(information, axis1=1, axis2=2))
    outer = scale[:, :, None] * scale[:, None, :]
    return outer * np.linalg.inv(information * outer)


def _covariance_root(fitted: FittedModel) -> tuple[np.ndarray, np.ndarray]:
    """K (P, k) with ``K K'`` the covariance of theta, and which entries of theta (P,) have no standard error."""
    basis = _identified(fitted)
    root, is_defined = _inverse_root(basis.T @ fitted.information @ basis)
    undefined = (basis[:, ~is_defined] ** 2).sum(1) > 1e-6 * (basis**2).sum(1)
    undefined[list(fitted.convergence.limits)] = True
    # entries without a standard error hold nothing but rounding errors, on a huge scale
    return np.where(undefined[:, None], 0.0, basis @ root), undefined


def _with_undefined(full: np.ndarray, undefined: np.ndarray) -> np.ndarray:
    return np.where(undefined[:, None] | undefined, np.nan, full)


def _identified(fitted: FittedModel) -> np.ndarray:
    """(P, k) directions of theta with information: all of them, unless D is singular or the family at its limit."""
    layout = fitted.problem.layout
    is_ordinary = np.ones(layout.size, bool)
    is_ordinary[list(fitted.convergence.limits)] = False
    if not fitted.is_singular:
        return np.eye(layout.size)[:, is_ordinary]
    inside = moving_directions(fitted)
    basis = np.zeros((layout.size, layout.size - layout.covariance.n_free + inside.shape[1]))
    before, after = layout.random.start, layout.size - layout.random.stop
    basis[:before, :before] = np.eye(before)
    basis[layout.random, before : before + inside.shape[1]] = inside
    basis[layout.random.stop :, before + inside.shape[1] :] = np.eye(after)
    return basis[:, (basis[is_ordinary] ** 2).any(0)]


def _inverse_root(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A root of the inverse over the directions of positive information, and which coordinates lie in these directions alone."""
    size = len(information)
    if not np.isfinite(information).all():
        return np.full((size, size), np.nan), np.zeros(size, bool)
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diagonal(information)), 1e-300))
    values, vectors = np.linalg.eigh(information * scale[:, None] * scale)
    positive = values > 1e3 * FLAT  # the bound of the certificate
    return scale[:, None] * vectors[:, positive] / np.sqrt(values[positive]), (vectors[:, ~positive] ** 2).sum(1) < 1e-6
