"""Poisson counts."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.gamma_functions import log_factorial
from glmmjax.families.links import Identity, Link, Log, Sqrt
from glmmjax.families.tails import growing_exp

__all__ = ["Poisson"]

_SMALLEST_MEAN = 1e-10


class Poisson(Family):
    r"""Counts with mean mu.

    .. math:: \log p(y \mid \mu) = y \log \mu - \mu - \log y!

    Outcome: whole numbers >= 0.

    Parameters
    ----------
    link : ``"log"`` (default), ``"sqrt"``, ``"identity"``, or the link object. With the identity link a mean below
        1e-10 is held there, so that the density of a positive count is a wall and not an error.

    References
    ----------
    McCullagh and Nelder (1989), Generalized Linear Models, 2nd edition, chapter 6.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.Poisson(link="sqrt")
    >>> f"{family.log_density(3.0, 2.0, jnp.array([])):.4f}"  # mean 4
    '-1.6329'
    """

    name: ClassVar[str] = "poisson"
    links: ClassVar[tuple[type[Link], ...]] = (Log, Sqrt, Identity)
    is_discrete: ClassVar[bool] = True
    has_deviance: ClassVar[bool] = True
    support: ClassVar[str] = (
        "whole numbers >= 0; give the counts themselves and put exposure into offset (np.log(exposure)); "
        "for positive measurements take a continuous family"
    )

    @property
    def is_log_concave(self) -> bool:
        return isinstance(self.link, Log)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        if isinstance(self.link, Log):
            log_mu, mu = eta, growing_exp(eta)
        else:
            mu = self.mean(eta, phi)
            log_mu = jnp.log(mu)
        return y * log_mu - mu

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        return -log_factorial(y)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        if isinstance(self.link, Log):
            return jnp.exp(eta)
        return jnp.maximum(self.link.inverse(eta), _SMALLEST_MEAN)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return self.mean(eta, phi)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        return jax.random.poisson(key, jnp.broadcast_to(self.mean(eta, phi), y.shape)).astype(y.dtype)

    def initial_eta(self, y: Any) -> Array:
        return self.link.link(y + 0.1)

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y) & (y >= 0) & (y == y.round())
