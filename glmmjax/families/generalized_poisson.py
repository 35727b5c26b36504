"""Generalized Poisson counts."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family, Limit
from glmmjax.families.gamma_functions import log_factorial
from glmmjax.families.links import Link, Log
from glmmjax.families.poisson import Poisson
from glmmjax.families.tails import growing_exp, sigmoid_pair, softplus

__all__ = ["GeneralizedPoisson"]


class GeneralizedPoisson(Family):
    r"""Counts with mean mu and variance :math:`\mu d`, d > 1, with a longer tail than the negative binomial.

    .. math:: \log p(y \mid \theta, \lambda) = \log \theta + (y - 1) \log(\theta + \lambda y) - \theta - \lambda y - \log y!,
              \qquad \theta = \mu (1 - \lambda), \quad d = (1 - \lambda)^{-2}

    Outcome: whole numbers >= 0. Extra parameter: ``dispersion`` d, the variance divided by the mean; the free scale is the logit of lambda,
    which is :math:`\log(\sqrt{d} - 1)`. The square root of d is what glmmTMB's genpois calls phi. Less variance than Poisson (lambda < 0)
    is left out: the sum of the density is then not 1; ``ConwayMaxwellPoisson`` has it.

    Parameters
    ----------
    link : ``"log"``, or the link object.

    References
    ----------
    Consul and Jain (1973), Technometrics 15, 791-799.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.GeneralizedPoisson()
    >>> f"{family.log_density(3.0, jnp.log(4.0), jnp.log(jnp.array([0.5]))):.4f}"  # mean 4, dispersion 2.25
    '-1.8790'
    """

    name: ClassVar[str] = "generalized_poisson"
    links: ClassVar[tuple[type[Link], ...]] = (Log,)
    phi_names: ClassVar[tuple[str, ...]] = ("dispersion",)
    is_discrete: ClassVar[bool] = True
    support: ClassVar[str] = (
        "whole numbers >= 0; give the counts themselves and put exposure into offset (np.log(exposure)); "
        "for less variance than Poisson try family='conway_maxwell_poisson'"
    )

    @property
    def phi_limits(self) -> tuple[Limit | None, ...]:
        return (Limit(-1.0, 1.0, Poisson(self.link), "no overdispersion"),)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        # theta + lambda y = (mu + x y) (1 - lambda) with x = lambda / (1 - lambda) = exp(phi)
        logit = phi[0]
        rate, log_growth = sigmoid_pair(logit)[0], softplus(logit)
        grown = jnp.maximum(y - 1.0, 0.0) * softplus(logit + jnp.log(jnp.maximum(y, 1.0)) - eta)
        return y * eta + grown - growing_exp(eta - log_growth) - y * (log_growth + rate)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        return -log_factorial(y)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(eta)

    def natural(self, phi: Array) -> Array:
        return (1.0 + jnp.exp(phi)) ** 2

    def initial_phi(self, deviation: Any = 1.0) -> tuple[Any, ...]:
        del deviation
        return (-1.0,)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(eta) * self.natural(phi)[0]

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        # the total progeny of Poisson(theta) ancestors who have Poisson(lambda) children each
        rate, complement = sigmoid_pair(phi[0])

        def next_generation(state):
            key, parents, total = state
            key, now = jax.random.split(key)
            children = jax.random.poisson(now, rate * parents).astype(total.dtype)
            return key, children, total + children

        key, now = jax.random.split(key)
        ancestors = jax.random.poisson(now, jnp.broadcast_to(jnp.exp(eta) * complement, y.shape)).astype(y.dtype)
        return jax.lax.while_loop(lambda state: jnp.any(state[1] > 0), next_generation, (key, ancestors, ancestors))[2]

    def initial_eta(self, y: Any) -> Array:
        return jnp.log(y + 0.1)

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y) & (y >= 0) & (y == y.round())
