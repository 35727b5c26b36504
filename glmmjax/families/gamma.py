"""Positive outcomes with a constant coefficient of variation."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.gamma_functions import log_gamma_excess_exp
from glmmjax.families.links import Inverse, Link, Log, positive_inverse
from glmmjax.families.tails import held, tangent_exp

__all__ = ["Gamma"]


class Gamma(Family):
    r"""Positive outcomes with mean mu and shape k; the variance is :math:`\mu^2 / k`.

    .. math:: \log p(y \mid \mu) = k \log(k y / \mu) - k y / \mu - \log y - \log \Gamma(k)

    Outcome: numbers > 0. Extra parameter: ``shape``, its logarithm on the free scale.

    Parameters
    ----------
    link : ``"log"`` (default), ``"inverse"``, or the link object. With the inverse link an eta below 1e-10 is held there. With the log link
        the density falls linearly in eta where the mean is below exp(-50) y.

    References
    ----------
    McCullagh and Nelder (1989), Generalized Linear Models, 2nd edition, chapter 8.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.Gamma(link="inverse")
    >>> f"{family.log_density(1.5, 0.5, jnp.log(jnp.array([3.0]))):.4f}"  # mean 2, shape 3
    '-0.9158'
    """

    name: ClassVar[str] = "gamma"
    links: ClassVar[tuple[type[Link], ...]] = (Log, Inverse)
    phi_names: ClassVar[tuple[str, ...]] = ("shape",)
    has_deviance: ClassVar[bool] = True
    support: ClassVar[str] = "numbers > 0; try family='tweedie' or 'hurdle_gamma' where some are 0, 'gaussian' where some are negative"

    @property
    def is_log_concave(self) -> bool:
        return isinstance(self.link, Log)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        shape, log_y = jnp.exp(held(phi[0], 0.3)), jnp.log(y)
        if isinstance(self.link, Log):
            log_ratio = log_y - eta
            ratio = tangent_exp(log_ratio)
        else:
            ratio = y * positive_inverse(eta)
            log_ratio = jnp.log(ratio)
        return shape * (log_ratio - ratio + 1.0)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        # k log k - log Gamma(k) loses digits for large shapes
        return -log_gamma_excess_exp(phi[0]) - jnp.log(y)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return self.link.inverse(eta)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return self.mean(eta, phi) ** 2 * jnp.exp(-phi[0])

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        shape = jnp.broadcast_to(jnp.exp(phi[0]), y.shape).astype(y.dtype)
        log_draw = jax.random.loggamma(key, shape, dtype=y.dtype) - phi[0]  # draws of a small shape underflow
        return jnp.maximum(self.mean(eta, phi) * jnp.exp(log_draw), jnp.finfo(y.dtype).tiny)

    def initial_eta(self, y: Any) -> Array:
        return self.link.link(y)

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y) & (y > 0)
