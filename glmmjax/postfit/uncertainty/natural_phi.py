"""The extra parameters of a family on their natural scale, with standard errors by the delta method."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.fitted import FittedModel
from glmmjax.postfit.uncertainty.vcov import theta_covariance

__all__ = ["natural_phi"]


def natural_phi(fitted: FittedModel, covariance: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(n_phi,) estimates and standard errors, from the ``covariance`` (P, P) of theta or, without it, the inverse of its information."""
    layout, family = fitted.problem.layout, fitted.problem.family
    if not layout.n_phi:
        return np.zeros(0), np.zeros(0)
    with jax.enable_x64(True):
        phi = jnp.asarray(fitted.params.phi)
        estimate, slope = np.asarray(family.natural(phi)), np.asarray(jax.jacfwd(family.natural)(phi))
    own = (theta_covariance(fitted) if covariance is None else covariance)[layout.extra, layout.extra]
    # one without a variance leaves the others theirs
    is_unknown = (slope[:, np.isnan(np.diagonal(own))] != 0.0).any(1)
    return estimate, np.where(is_unknown, np.nan, np.sqrt(np.einsum("ij,jk,ik->i", slope, np.nan_to_num(own), slope)))
