"""The extra parameters of a family on their natural scale, with standard errors by the delta method."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.estimation.family_limits import limit_parts
from glmmjax.fitted import FittedModel
from glmmjax.postfit.uncertainty.vcov import theta_covariance

__all__ = ["natural_phi"]


def natural_phi(fitted: FittedModel, covariance: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(n_phi,) estimates and standard errors, from the ``covariance`` (P, P) of theta or, without it, the inverse of its information.

    An extra parameter at a limit of the family has its value there, and NaN.
    """
    layout, family = fitted.problem.layout, fitted.problem.family
    if not layout.n_phi:
        return np.zeros(0), np.zeros(0)
    with jax.enable_x64(True):
        phi = jnp.asarray(fitted.params.phi)
        estimate, slope = np.array(family.natural(phi)), np.asarray(jax.jacfwd(family.natural)(phi))
    for where, limit in limit_parts(fitted.problem):
        if where.start in fitted.convergence.limits and layout.extra.start <= where.start < layout.extra.stop:
            estimate[where.start - layout.extra.start] = limit.value
    own = (theta_covariance(fitted) if covariance is None else covariance)[layout.extra, layout.extra]
    return estimate, np.sqrt(np.einsum("ij,jk,ik->i", slope, own, slope))
