"""Negative binomial counts without zeros."""

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
from glmmjax.families.negative_binomial import sample_poisson_gamma
from glmmjax.families.special import log1m_exp
from glmmjax.families.tails import held, log_cloglog, softplus
from glmmjax.families.truncated_poisson import TruncatedPoisson

__all__ = ["TruncatedNegativeBinomial"]

_FAR = -18.0


class TruncatedNegativeBinomial(Family):
    r"""Negative binomial counts of which zeros are never seen; mu is the mean BEFORE the truncation.

    .. math:: \log p(y \mid \mu, k) = \log p_{NB}(y \mid \mu, k) - \log(1 - p_0), \qquad
              p_0 = \left(\frac{k}{k + \mu}\right)^k, \quad y \ge 1

    The mean is :math:`\mu / (1 - p_0)`. Outcome: whole numbers >= 1. Extra parameter: ``size`` k, its logarithm on the free scale.

    Parameters
    ----------
    link : ``"log"``, or the link object.

    References
    ----------
    Sampford (1955), Biometrika 42, 58-69.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.TruncatedNegativeBinomial()
    >>> f"{family.log_density(3.0, jnp.log(4.0), jnp.log(jnp.array([2.0]))):.4f}"  # mu 4, size 2
    '-1.9095'
    """

    name: ClassVar[str] = "truncated_negative_binomial"
    links: ClassVar[tuple[type[Link], ...]] = (Log,)
    phi_names: ClassVar[tuple[str, ...]] = ("size",)
    is_discrete: ClassVar[bool] = True
    lowest: ClassVar[float] = 1.0
    support: ClassVar[str] = "whole numbers >= 1; for counts with zeros try family='negative_binomial' or family='hurdle_negative_binomial'"

    @property
    def phi_limits(self) -> tuple[Limit | None, ...]:
        return (Limit(1.0, math.inf, TruncatedPoisson(self.link), "no overdispersion"),)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        log_size = held(phi[0])
        growth = softplus(eta - log_size)
        return y * eta - (jnp.exp(log_size) + y) * growth - _log_seen(eta, log_size)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        log_size = held(phi[0])
        return log_rising_exp(log_size, y) - y * log_size - log_factorial(y)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(eta - _log_seen(eta, phi[0]))

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        mean = self.mean(eta, phi)
        return mean * (1.0 + jnp.exp(eta) + jnp.exp(eta - phi[0]) - mean)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        # counts come in logarithmic clusters, at events of a Poisson process over a time size * log(1 + mu / size); there is at least one:
        # the first cluster is drawn by Kemp's method (1981), and the rest is negative binomial in the time left
        keys = jax.random.split(key, 4)
        eta = jnp.broadcast_to(eta, y.shape)
        growth = softplus(eta - phi[0])
        time = jnp.exp(phi[0]) * growth
        u, v, w = (jax.random.uniform(k, y.shape, growth.dtype, minval=jnp.finfo(growth.dtype).tiny) for k in keys[:3])
        left = 1.0 + jnp.log1p(u * jnp.expm1(-time)) / jnp.maximum(time, jnp.finfo(time.dtype).tiny)
        first = 1.0 + jnp.floor(jnp.log(v) / log1m_exp(w * growth))
        log_left = phi[0] + jnp.log(jnp.maximum(left, jnp.finfo(left.dtype).tiny))
        return first.astype(y.dtype) + sample_poisson_gamma(keys[3], log_left, eta - phi[0], y)

    def initial_eta(self, y: Any) -> Array:
        return jnp.log(y - 0.5)

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y) & (y >= 1) & (y == y.round())


def _log_seen(eta: Array, log_size: Array) -> Array:
    """log(1 - p_0) from the logarithm of -log p_0; its far tail is taken from the series, because softplus underflows there."""
    x = eta - log_size
    is_far = x < _FAR
    far = jnp.where(is_far, x, _FAR)
    log_growth = jnp.where(is_far, far - 0.5 * jnp.exp(far), jnp.log(softplus(jnp.where(is_far, _FAR, x))))
    return log_cloglog(log_size + log_growth)
