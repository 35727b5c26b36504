"""Negative binomial counts, variance quadratic in the mean."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family, Limit
from glmmjax.families.gamma_functions import log_factorial, log_rising_exp
from glmmjax.families.links import Link, Log
from glmmjax.families.poisson import Poisson
from glmmjax.families.tails import held, softplus

__all__ = ["NegativeBinomial", "sample_poisson_gamma"]


def sample_poisson_gamma(key: Array, log_shape: Array, log_scale: Array, like: Array) -> Array:
    """Poisson draws whose rates are gamma draws, in the shape and dtype of ``like``."""
    for_rate, for_count = jax.random.split(key)
    shape = jnp.broadcast_to(jnp.exp(log_shape), like.shape)
    rate = jnp.exp(jax.random.loggamma(for_rate, shape, dtype=shape.dtype) + log_scale)
    return jax.random.poisson(for_count, rate).astype(like.dtype)


class NegativeBinomial(Family):
    r"""Counts with mean mu and variance :math:`\mu + \mu^2 / k` (NB2); the Poisson distribution as the size k grows.

    .. math:: \log p(y \mid \mu, k) = \log\frac{\Gamma(k + y)}{\Gamma(k)\, y!} + y \log\frac{\mu}{k + \mu} + k \log\frac{k}{k + \mu}

    Outcome: whole numbers >= 0. Extra parameter: ``size`` k, its logarithm on the free scale, held at exp(284), and exp(35) in single
    precision, where the counts are Poisson to every digit.

    Parameters
    ----------
    link : ``"log"``, or the link object.

    References
    ----------
    Lawless (1987), Canadian Journal of Statistics 15, 209-225.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.NegativeBinomial()
    >>> f"{family.log_density(3.0, jnp.log(4.0), jnp.log(jnp.array([2.0]))):.4f}"  # mean 4, size 2
    '-2.0273'
    """

    name: ClassVar[str] = "negative_binomial"
    links: ClassVar[tuple[type[Link], ...]] = (Log,)
    phi_names: ClassVar[tuple[str, ...]] = ("size",)
    is_discrete: ClassVar[bool] = True
    has_deviance: ClassVar[bool] = True
    support: ClassVar[str] = (
        "whole numbers >= 0; give the counts themselves and put exposure into offset (np.log(exposure)); "
        "for positive measurements take a continuous family"
    )

    @property
    def is_log_concave(self) -> bool:
        return True

    @property
    def phi_limits(self) -> tuple[Limit | None, ...]:
        return (Limit(1.0, math.inf, Poisson(self.link), "no overdispersion"),)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        log_size = held(phi[0])
        return y * eta - (jnp.exp(log_size) + y) * softplus(eta - log_size)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        log_size = held(phi[0])
        return log_rising_exp(log_size, y) - y * log_size - log_factorial(y)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(eta)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(eta) + jnp.exp(2.0 * eta - phi[0])

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        return sample_poisson_gamma(key, phi[0], eta - phi[0], y)

    def initial_eta(self, y: Any) -> Array:
        return jnp.log(y + 0.1)

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y) & (y >= 0) & (y == y.round())
