"""Normal outcomes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.links import Identity, Inverse, Link, Log, Sqrt
from glmmjax.families.tails import held, tangent_exp

__all__ = ["Gaussian", "normal_log_density"]


class Gaussian(Family):
    r"""Real outcomes with mean mu and standard deviation sd.

    .. math:: \log p(y \mid \mu) = -\tfrac{1}{2} (y - \mu)^2 / \mathrm{sd}^2 - \log \mathrm{sd} - \tfrac{1}{2} \log 2\pi

    Outcome: any finite number. Extra parameter: ``sd``, its logarithm on the free scale, held at -142, and -17 in
    single precision, where a residual is divided by it.

    Parameters
    ----------
    link : ``"identity"`` (default), ``"log"``, ``"inverse"``, ``"sqrt"``, or the link object. With the inverse link an eta below 1e-10 is
        held there. With the log link a mean above exp(50), exp(20) in single precision, is linear in eta. Outcomes may be negative whatever
        the link; their means are positive with every link but the identity.

    References
    ----------
    Laird and Ware (1982), Biometrics 38, 963-974.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.Gaussian()
    >>> f"{family.log_density(1.5, 1.0, jnp.log(jnp.array([2.0]))):.4f}"  # mean 1, sd 2
    '-1.6433'
    """

    name: ClassVar[str] = "gaussian"
    links: ClassVar[tuple[type[Link], ...]] = (Identity, Log, Inverse, Sqrt)
    phi_names: ClassVar[tuple[str, ...]] = ("sd",)
    has_deviance: ClassVar[bool] = True
    support: ClassVar[str] = "finite numbers; try family='lognormal' or 'gamma' for positive ones that are skewed, 'student_t' for outliers"

    @property
    def is_log_concave(self) -> bool:
        return isinstance(self.link, Identity)

    def log_density(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        # with the log link, beyond a mean of exp(50), exp(20) in single precision, a tangent: the square of the mean must not overflow
        last = 50.0 if jnp.finfo(jnp.result_type(eta)).bits > 32 else 20.0
        mean = tangent_exp(eta, last) if isinstance(self.link, Log) else self.link.inverse(eta)
        return normal_log_density(y - mean, phi[0])

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return self.link.inverse(eta)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(2.0 * phi[0]) + jnp.zeros_like(eta)

    def deviance(self, y: Any, mean: Array, phi: Array, *others: Array) -> Array:
        return ((y - mean) * jnp.exp(-phi[0])) ** 2  # no link but the identity has a mean that equals a negative outcome

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        return self.mean(eta, phi) + jnp.exp(phi[0]) * jax.random.normal(key, y.shape, y.dtype)

    def initial_phi(self, deviation: Any = 1.0) -> tuple[Any, ...]:
        return (jnp.log(deviation),)

    def runs_off(self, y: Any) -> tuple[Any, Any]:
        return (y <= 0) & isinstance(self.link, Log), np.zeros(np.shape(y), bool)  # no mean is below 0

    def initial_eta(self, y: Any) -> Array:
        # a negative outcome is a small mean and noise of about its size
        return y if isinstance(self.link, Identity) else self.link.link(jnp.where(y == 0, 0.1, jnp.abs(y)))

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y)


def normal_log_density(residual: Array, log_sd: Array) -> Array:
    """Log density of a normal ``residual`` with mean 0."""
    r = residual * jnp.exp(held(-log_sd, 0.2))  # whose square must not overflow for large residuals either
    return -0.5 * r * r - log_sd - 0.5 * math.log(2 * math.pi)
