"""Positive outcomes with a heavy right tail: first passage times."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.links import Inverse, Link, Log, positive_inverse
from glmmjax.families.tails import held, tangent_exp

__all__ = ["InverseGaussian"]


class InverseGaussian(Family):
    r"""Positive outcomes with mean mu and dispersion d; the variance is :math:`d \mu^3`.

    .. math:: \log p(y \mid \mu) = -\tfrac{1}{2} (y / \mu - 1)^2 / (d y) - \tfrac{1}{2} \log(2 \pi d y^3)

    Outcome: numbers > 0. Extra parameter: ``dispersion``, its logarithm on the free scale.

    Parameters
    ----------
    link : ``"log"`` (default), ``"inverse"``, or the link object. With the inverse link an eta below 1e-10 is held there; with the
        log link y / mu above exp(30), exp(20) in single precision, is held linear in eta.

    References
    ----------
    Tweedie (1957), Annals of Mathematical Statistics 28, 362-377.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.InverseGaussian()
    >>> f"{family.log_density(1.5, jnp.log(2.0), jnp.log(jnp.array([0.5]))):.4f}"  # mean 2, dispersion 1/2
    '-1.2222'
    """

    name: ClassVar[str] = "inverse_gaussian"
    links: ClassVar[tuple[type[Link], ...]] = (Log, Inverse)
    phi_names: ClassVar[tuple[str, ...]] = ("dispersion",)
    has_deviance: ClassVar[bool] = True
    support: ClassVar[str] = "numbers > 0; try family='tweedie' where some are 0"

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        log_y = jnp.log(y)
        ratio = (
            tangent_exp(log_y - eta, 30.0 if jnp.finfo(jnp.result_type(eta)).bits > 32 else 20.0)
            if isinstance(self.link, Log)
            else y * positive_inverse(eta)
        )
        r = (ratio - 1.0) * jnp.exp(held(-0.5 * (phi[0] + log_y), 0.18))
        return -0.5 * r * r

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        return -0.5 * (phi[0] + 3.0 * jnp.log(y) + math.log(2 * math.pi))

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return self.link.inverse(eta)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return self.mean(eta, phi) ** 3 * jnp.exp(phi[0])

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        """Michael, Schucany and Haas (1976), their smaller root written without cancellation."""
        normal_key, root_key = jax.random.split(key)
        mu = self.mean(eta, phi)
        w = 0.5 * mu * jnp.exp(phi[0]) * jax.random.normal(normal_key, y.shape, y.dtype) ** 2
        ratio = 1.0 / (1.0 + w + jnp.sqrt(w * (2.0 + w)))
        is_smaller = jax.random.uniform(root_key, y.shape, y.dtype) * (1.0 + ratio) <= 1.0
        return mu * jnp.where(is_smaller, ratio, 1.0 / ratio)

    def initial_eta(self, y: Any) -> Array:
        return self.link.link(y)

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y) & (y > 0)
