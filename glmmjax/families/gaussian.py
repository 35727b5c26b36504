"""Normal outcomes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family, resolve_link
from glmmjax.families.links import Identity, Link
from glmmjax.families.tails import held

__all__ = ["Gaussian", "normal_log_density"]


@dataclasses.dataclass(frozen=True)
class Gaussian(Family):
    r"""Real outcomes with mean mu and standard deviation sd.

    .. math:: \log p(y \mid \mu) = -\tfrac{1}{2} (y - \mu)^2 / \mathrm{sd}^2 - \log \mathrm{sd} - \tfrac{1}{2} \log 2\pi

    Parameters
    ----------
    link : ``"identity"``, or the link object.

    Extra parameter: ``sd``, its logarithm on the free scale. Outcome: any finite number.
    """

    name: ClassVar[str] = "gaussian"
    links: ClassVar[tuple[type[Link], ...]] = (Identity,)
    phi_names: ClassVar[tuple[str, ...]] = ("sd",)
    has_deviance: ClassVar[bool] = True
    support: ClassVar[str] = "finite numbers; try family='lognormal' or 'gamma' for positive ones that are skewed, 'student_t' for outliers"

    link: Link = dataclasses.field(default_factory=Identity)

    def __init__(self, link: str | Link = "identity"):
        object.__setattr__(self, "link", resolve_link(link, self.links, self.name))

    @property
    def is_log_concave(self) -> bool:
        return True

    def log_density(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return normal_log_density(y - eta, phi[0])

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        del phi
        return eta

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(2.0 * phi[0]) + jnp.zeros_like(eta)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        return eta + jnp.exp(phi[0]) * jax.random.normal(key, y.shape, y.dtype)

    def initial_eta(self, y: Any) -> Array:
        return y

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y)


def normal_log_density(residual: Array, log_sd: Array) -> Array:
    """Log density of a normal ``residual`` with mean 0."""
    r = residual * jnp.exp(held(-log_sd))
    return -0.5 * r * r - log_sd - 0.5 * math.log(2 * math.pi)
