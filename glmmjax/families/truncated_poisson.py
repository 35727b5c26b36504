"""Poisson counts without zeros."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.gamma_functions import log_factorial
from glmmjax.families.links import Link, Log
from glmmjax.families.tails import growing_exp, log_cloglog

__all__ = ["TruncatedPoisson"]


class TruncatedPoisson(Family):
    r"""Poisson counts of which zeros are never seen; mu is the mean BEFORE the truncation.

    .. math:: \log p(y \mid \mu) = y \log \mu - \mu - \log y! - \log(1 - e^{-\mu}), \qquad y \ge 1

    The mean is :math:`\mu / (1 - e^{-\mu})`. Outcome: whole numbers >= 1.

    Parameters
    ----------
    link : ``"log"``, or the link object.

    References
    ----------
    Cohen (1960), Biometrics 16, 203-211.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.TruncatedPoisson()
    >>> f"{family.log_density(3.0, jnp.log(4.0), jnp.array([])):.4f}"  # mu 4
    '-1.6144'
    """

    name: ClassVar[str] = "truncated_poisson"
    links: ClassVar[tuple[type[Link], ...]] = (Log,)
    is_discrete: ClassVar[bool] = True
    lowest: ClassVar[float] = 1.0
    support: ClassVar[str] = "whole numbers >= 1; for counts with zeros try family='poisson' or family='hurdle_poisson'"

    @property
    def is_log_concave(self) -> bool:
        return True

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return y * eta - growing_exp(eta) - log_cloglog(eta)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        return -log_factorial(y)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(eta - log_cloglog(eta))

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        mean = self.mean(eta, phi)
        return mean * (1.0 + jnp.exp(eta) - mean)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        # a Poisson process has at least one event in time mu: draw the time of the first, then the number of those after it
        for_first, for_rest = jax.random.split(key)
        mu = jnp.broadcast_to(jnp.exp(eta), y.shape)
        first = -jnp.log1p(jax.random.uniform(for_first, y.shape, mu.dtype) * jnp.expm1(-mu))
        return 1.0 + jax.random.poisson(for_rest, jnp.maximum(mu - first, 0.0)).astype(y.dtype)

    def initial_eta(self, y: Any) -> Array:
        return jnp.log(y - 0.5)

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y) & (y >= 1) & (y == y.round())
