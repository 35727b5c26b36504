"""Negative binomial counts, variance proportional to the mean."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family, Limit
from glmmjax.families.gamma_functions import log_factorial, log_rising_exp
from glmmjax.families.links import Link, Log
from glmmjax.families.negative_binomial import sample_poisson_gamma
from glmmjax.families.poisson import Poisson
from glmmjax.families.tails import softplus, tangent_exp

__all__ = ["NegativeBinomial1"]


class NegativeBinomial1(Family):
    r"""Counts with mean mu and variance :math:`\mu (1 + \alpha)` (NB1); the Poisson distribution as alpha goes to 0.

    .. math:: \log p(y \mid \mu, \alpha) = \log\frac{\Gamma(\mu / \alpha + y)}{\Gamma(\mu / \alpha)\, y!} + y \log\frac{\alpha}{1 + \alpha}
              - \frac{\mu}{\alpha} \log(1 + \alpha)

    Outcome: whole numbers >= 0. Extra parameter: ``dispersion`` alpha, its logarithm on the free scale.

    Parameters
    ----------
    link : ``"log"``, or the link object.

    References
    ----------
    Cameron and Trivedi (1986), Journal of Applied Econometrics 1, 29-53.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.NegativeBinomial1()
    >>> f"{family.log_density(3.0, jnp.log(4.0), jnp.log(jnp.array([2.0]))):.4f}"  # mean 4, variance 12
    '-2.0273'
    """

    name: ClassVar[str] = "negative_binomial1"
    links: ClassVar[tuple[type[Link], ...]] = (Log,)
    phi_names: ClassVar[tuple[str, ...]] = ("dispersion",)
    is_discrete: ClassVar[bool] = True
    support: ClassVar[str] = (
        "whole numbers >= 0; give the counts themselves and put exposure into offset (np.log(exposure)); "
        "for positive measurements take a continuous family"
    )

    @property
    def phi_limits(self) -> tuple[Limit | None, ...]:
        return (Limit(-1.0, 0.0, Poisson(self.link), "no overdispersion"),)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        log_alpha = jnp.maximum(phi[0], math.log(jnp.finfo(phi.dtype).eps))
        log_rate = jnp.log(softplus(log_alpha)) - log_alpha  # of log(1 + alpha) / alpha, which is 1 for a small alpha
        rising = log_rising_exp(eta - phi[0], y) + y * (phi[0] - softplus(phi[0]))
        return rising - tangent_exp(eta + log_rate, 0.75 * math.log(jnp.finfo(phi.dtype).max))

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        return -log_factorial(y)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(eta)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(eta) * (1.0 + jnp.exp(phi[0]))

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        return sample_poisson_gamma(key, eta - phi[0], phi[0], y)

    def initial_eta(self, y: Any) -> Array:
        return jnp.log(y + 0.1)

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y) & (y >= 0) & (y == y.round())
