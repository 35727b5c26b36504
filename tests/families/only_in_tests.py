"""Two families that the package does not have, each in the form in which a new family is added to it; one is that of CONTRIBUTING.md."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.links import Identity, Link
from glmmjax.families.tails import softplus
from tests.families.cases.row import Row, counts
from tests.recipes import skeleton

__all__ = ["ROWS", "Geometric", "Logistic"]


Geometric = skeleton("glmmjax/families/geometric.py", "Geometric")


class Logistic(Family):
    r"""Real outcomes with mean mu and scale s; the variance is :math:`\pi^2 s^2 / 3`.

    .. math:: \log p(y \mid \mu) = -r - 2 \log(1 + e^{-r}) - \log s, \qquad r = (y - \mu) / s

    Parameters
    ----------
    link : ``"identity"``, or the link object.

    Extra parameter: ``scale``, its logarithm on the free scale.
    """

    name: ClassVar[str] = "logistic"
    links: ClassVar[tuple[type[Link], ...]] = (Identity,)
    phi_names: ClassVar[tuple[str, ...]] = ("scale",)
    has_deviance: ClassVar[bool] = True
    support: ClassVar[str] = "finite numbers"

    @property
    def is_log_concave(self) -> bool:
        return True

    def log_density(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        r = (y - eta) * jnp.exp(-phi[0])
        return -r - 2.0 * softplus(-r) - phi[0]

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return eta

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return math.pi**2 / 3.0 * jnp.exp(2.0 * phi[0]) + jnp.zeros_like(eta)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        return eta + jnp.exp(phi[0]) * jax.random.logistic(key, y.shape, y.dtype)

    def initial_eta(self, y: Any) -> Array:
        return y

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y)


ROWS = [
    Row(
        family=Geometric(),
        reference=lambda y, eta, phi: scipy.stats.nbinom.logpmf(y, 1.0, 1.0 / (1.0 + np.exp(eta))),
        y=(0.0, 1.0, 2.0, 4.0, 30.0),
        atoms=counts(),
        bad=(-1.0, 0.5),
        beta=(0.8, 0.4),
    ),
    Row(
        family=Logistic(),
        reference=lambda y, eta, phi: scipy.stats.logistic.logpdf(y, eta, phi[0]),
        y=(-3.0, -0.5, 0.0, 1.7, 8.0),
        phi=(-0.4,),
        interval=(-math.inf, math.inf),
        bad=(math.nan,),
    ),
]
