r"""Extra parameters of many fits, shrunken towards their mean: an empirical-Bayes prior over the fits.

On the free scale, such as the log size of negative-binomial counts, the estimate of fit k is :math:`t_k` with the sampling variance
:math:`v_k`, the inverse of its information. The prior of the true values is :math:`N(m, s^2)`, so that marginally
:math:`t_k \sim N(m, s^2 + v_k)`. Its moments solve

.. math:: m = \frac{\sum_k w_k t_k}{\sum_k w_k}, \qquad \sum_k w_k (t_k - m)^2 = R - 1, \qquad w_k = \frac{1}{s^2 + v_k},

with :math:`s^2 = 0` where the left side is smaller than the right one at 0. The moderated value weighs by precision:

.. math:: \tilde t_k = \frac{t_k / v_k + m / s^2}{1 / v_k + 1 / s^2}, \qquad \operatorname{var} = \frac{1}{1 / v_k + 1 / s^2} .

Source: Paule and Mandel (1982), Journal of Research of the National Bureau of Standards 87, 377-385, for the moments; the prior over genes
is that of Smyth (2004), Statistical Applications in Genetics and Molecular Biology 3, article 3, and, normal on the log scale of a
dispersion, of Love, Huber and Anders (2014), Genome Biology 15, article 550.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.estimation.xla.program import as_program
from glmmjax.families.base import Family
from glmmjax.fitted_many import FittedMany

__all__ = ["Moderated", "PhiPrior", "moderated", "normal_prior", "shrunken"]

_HALVINGS = 200


class PhiPrior(NamedTuple):
    """A normal prior of one extra parameter, on its free scale.

    Attributes
    ----------
    name : of the parameter
    mean : of the prior; NaN where fewer than two fits tell of it
    sd : standard deviation
    n_fits : fits that it was estimated from, and that are moderated
    """

    name: str
    mean: float
    sd: float
    n_fits: int


class Moderated(NamedTuple):
    """Extra parameters of R fits on their natural scale, after moderation.

    Attributes
    ----------
    estimates : (R, n_phi); of fits without certificate or standard error as they were
    errors : (R, n_phi) posterior standard deviations, by the delta method
    priors : one for each parameter that has a free entry of its own
    """

    estimates: np.ndarray
    errors: np.ndarray
    priors: tuple[PhiPrior, ...]


def moderated(many: FittedMany, covariances: np.ndarray, is_own: tuple[bool, ...], unmoderated: tuple[np.ndarray, np.ndarray]) -> Moderated:
    """The extra parameters, each with a prior of its own.

    Parameters
    ----------
    covariances : (R, P, P) of theta.
    is_own : (n_phi,) whether a parameter depends on its own free entry only; one that does not stays as it is.
    unmoderated : (R, n_phi) estimates and standard errors on the natural scale.
    """
    where, priors = many.problem.layout.extra, []
    estimates, errors = (part.copy() for part in unmoderated)
    for j, name in enumerate(many.problem.family.phi_names):
        column = where.start + j
        values, variances = many.theta[:, column], covariances[:, column, column]
        used = many.converged & ~many.limits[:, column] & np.isfinite(variances) & (variances > 0)
        if not is_own[j]:
            continue
        if used.sum() < 2:
            priors.append(PhiPrior(name, np.nan, np.nan, int(used.sum())))
            continue
        mean, variance = normal_prior(values[used], variances[used])
        free = many.theta[used][:, where].copy()
        free[:, j], left = shrunken(values[used], variances[used], mean, variance)
        with jax.enable_x64(True):
            natural, slope = map(np.asarray, _natural(many.problem.family, free))
        estimates[used, j], errors[used, j] = natural[:, j], np.abs(slope[:, j, j]) * np.sqrt(left)
        priors.append(PhiPrior(name, mean, float(np.sqrt(variance)), int(used.sum())))
    return Moderated(estimates, errors, tuple(priors))


def normal_prior(values: np.ndarray, variances: np.ndarray) -> tuple[float, float]:
    """Mean and variance of the prior of true values, from estimates (R,) and their sampling variances (R,)."""

    def moments(variance: float) -> tuple[float, float]:
        weights = 1.0 / (variance + variances)
        mean = float((weights * values).sum() / weights.sum())
        return mean, float((weights * (values - mean) ** 2).sum()) - (len(values) - 1)

    low, high = 0.0, float(values.var(ddof=1))  # at which the excess is 0 at most
    if moments(low)[1] <= 0.0:
        return moments(low)[0], 0.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if moments(middle)[1] > 0.0 else (low, middle)
    return moments(high)[0], high


def shrunken(values: np.ndarray, variances: np.ndarray, mean: float, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """(R,) moderated values, and their variances."""
    share = variance / (variance + variances)  # of an estimate in its moderated value
    return mean + share * (values - mean), share * variances


@as_program(0)
def _natural(family: Family, free: Array) -> tuple[Array, Array]:
    """(n, n_phi) natural values and (n, n_phi, n_phi) derivatives at free ones."""
    return jax.vmap(lambda phi: jnp.asarray(family.natural(phi)))(free), jax.vmap(jax.jacfwd(family.natural))(free)
