"""Covariances of the estimates of many fits, and their parameters as they are reported.

Fits with a D of full rank and no parameter at a limit are done at once. The others are few; each is done as a fit by itself is.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted_many import FittedMany
from glmmjax.postfit.many.moderation import PhiPrior, moderated
from glmmjax.postfit.uncertainty.parameters import Reported, errors_of, estimates, reported
from glmmjax.postfit.uncertainty.vcov import inverses, theta_covariance

__all__ = ["ReportedMany", "covariances", "random_covariances", "reported_many"]


class ReportedMany(NamedTuple):
    """The N parameters of R fits on the scales that are reported.

    Attributes
    ----------
    parameters : what they are
    estimates : (R, N)
    errors : (R, N) standard errors, NaN where there are none
    priors : of the extra parameters, where these are moderated; () where they are not
    """

    parameters: Reported
    estimates: np.ndarray
    errors: np.ndarray
    priors: tuple[PhiPrior, ...] = ()


def covariances(many: FittedMany) -> np.ndarray:
    """(R, P, P) covariances of theta; NaN in the rows and columns of parameters without standard error, and of fits without estimates."""
    found = np.full(many.information.shape, np.nan)
    plain = many.is_plain & np.isfinite(many.information).all(axis=(1, 2))
    found[plain] = inverses(many.information[plain])
    for k in np.flatnonzero(~plain & np.isfinite(many.theta).all(axis=1)).tolist():
        found[k] = theta_covariance(many.one(k))
    return found


def reported_many(many: FittedMany, found: np.ndarray) -> ReportedMany:
    """The parameters as ``fit.tidy(effects="all")`` has them; ``found`` are the ``covariances``."""
    known = np.flatnonzero(np.isfinite(many.theta).all(axis=1))
    parameters = reported(many.one(int(known[0]) if len(known) else 0))
    values, errors = (np.full((len(many.theta), len(parameters.kinds)), np.nan) for _ in range(2))
    plain = np.flatnonzero(many.is_plain)
    with jax.enable_x64(True):
        values[plain], variances = map(np.asarray, _reported(parameters, many.theta[plain], found[plain]))
    errors[plain] = np.sqrt(variances)
    for k in np.setdiff1d(known, plain):
        one = many.one(int(k))
        values[k], errors[k] = estimates(one, parameters), errors_of(one, parameters, found[k])
    if not many.is_moderated:
        return ReportedMany(parameters, values, errors)
    where = np.array(parameters.kinds) == "phi"
    values[:, where], errors[:, where], priors = moderated(many, found, parameters.is_own, (values[:, where], errors[:, where]))
    return ReportedMany(parameters, values, errors, priors)


def random_covariances(many: FittedMany) -> np.ndarray:
    """(R, q, q) covariance matrices D of the random effects."""
    with jax.enable_x64(True):
        return np.asarray(_random_covariances(many.problem.layout.covariance, many.theta[:, many.problem.layout.random]))


@as_program(0)
def _random_covariances(structure: object, free: Array) -> Array:
    roots = jax.vmap(structure.factor)(free)  # type: ignore[attr-defined]
    return roots @ jnp.swapaxes(roots, -1, -2)


@as_program(0)
def _reported(parameters: Reported, theta: Array, covariance: Array) -> tuple[Array, Array]:
    """(n, N) parameters at free vectors (n, P) of full rank, and their variances by the delta method."""

    def one(theta: Array, covariance: Array) -> tuple[Array, Array]:
        slope = jax.jacfwd(lambda t: _values(parameters, t))(theta)
        return _values(parameters, theta), ((slope @ covariance) * slope).sum(1)

    return jax.vmap(one)(theta, covariance)


def _values(parameters: Reported, theta: Array) -> Array:
    """(N,) in the order of ``Reported``."""
    problem = parameters.problem
    params = problem.layout.params(theta)
    deviations = jnp.sqrt((params.chol**2).sum(1))
    rows, columns = (np.array([pair[k] for pair in parameters.pairs], int) for k in (0, 1))
    correlations = (params.chol[rows] * params.chol[columns]).sum(1) / (deviations[rows] * deviations[columns])
    phi = problem.family.natural(params.phi) if problem.layout.n_phi else params.phi
    return jnp.concatenate([params.beta, deviations, correlations, phi, params.gamma, params.delta])
