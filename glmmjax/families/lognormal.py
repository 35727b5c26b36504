"""Positive outcomes whose logarithm is normal."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.gaussian import normal_log_density
from glmmjax.families.links import Identity, Link, Log

__all__ = ["Lognormal"]


class Lognormal(Family):
    r"""Positive outcomes y with log y normal around eta; the mean of y is :math:`\exp(\eta + \mathrm{sd}^2 / 2)`.

    .. math:: \log p(y \mid \eta) = -\tfrac{1}{2} (\log y - \eta)^2 / \mathrm{sd}^2 - \log \mathrm{sd} - \tfrac{1}{2} \log 2\pi - \log y

    Outcome: numbers > 0. Extra parameter: ``sd`` of log y, its logarithm on the free scale. The density is that of y, so that its
    log-likelihood compares with those of other families for y, and differs from a Gaussian fit of log y by the sum of log y.

    Parameters
    ----------
    link : ``"identity"``, or the link object; it acts on the mean of log y.

    References
    ----------
    Aitchison and Brown (1957), The Lognormal Distribution, Cambridge University Press.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.Lognormal()
    >>> f"{family.log_density(1.5, 0.5, jnp.log(jnp.array([2.0]))):.4f}"  # sd of log y 2
    '-2.0187'
    """

    name: ClassVar[str] = "lognormal"
    links: ClassVar[tuple[type[Link], ...]] = (Identity,)
    phi_names: ClassVar[tuple[str, ...]] = ("sd",)
    support: ClassVar[str] = "numbers > 0, themselves and not their logarithms; try family='hurdle_lognormal' where some are 0"

    @property
    def is_log_concave(self) -> bool:
        return True

    @property
    def mean_link(self) -> Link:
        return Log()  # the mean is exp(eta) times a constant

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return normal_log_density(jnp.log(y) - eta, phi[0])

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        return -jnp.log(y)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(eta + 0.5 * jnp.exp(2.0 * phi[0]))

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return self.mean(eta, phi) ** 2 * jnp.expm1(jnp.exp(2.0 * phi[0]))

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        return jnp.exp(eta + jnp.exp(phi[0]) * jax.random.normal(key, y.shape, y.dtype))

    def initial_eta(self, y: Any) -> Array:
        return jnp.log(y)

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y) & (y > 0)
