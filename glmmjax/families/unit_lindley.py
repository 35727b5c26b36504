"""Proportions by the unit-Lindley distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.links import Link, Logit
from glmmjax.families.tails import sigmoid_pair, softplus, tangent_exp

__all__ = ["UnitLindley"]


class UnitLindley(Family):
    r"""Proportions with mean mu and no further parameter.

    .. math:: \log f(y \mid \mu) = 2 \log \theta - \log(1 + \theta) - 3 \log(1 - y) - \frac{\theta y}{1 - y},
              \qquad \theta = \frac{1 - \mu}{\mu}

    Outcome: 0 < y < 1. The mean is 1 / (1 + theta).

    Parameters
    ----------
    link : ``"logit"``, or the link object.

    References
    ----------
    Mazucheli, Menezes and Chakraborty (2019), Journal of Applied Statistics 46, 700-714.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.UnitLindley()
    >>> f"{family.log_density(0.3, 0.0, jnp.array([])):.4f}"  # mean 1/2
    '-0.0517'
    """

    name: ClassVar[str] = "unit_lindley"
    links: ClassVar[tuple[type[Link], ...]] = (Logit,)
    support: ClassVar[str] = "numbers with 0 < y < 1; for proportions of which some are 0 or 1 try family='ordered_beta'"

    @property
    def is_log_concave(self) -> bool:
        return True

    def log_density(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        odds = y / (1.0 - y)
        last = 0.75 * math.log(jnp.finfo(jnp.result_type(eta)).max)
        theta = tangent_exp(-eta, last)  # the tangent starts short of overflow, for y next to 1
        return -2.0 * eta - softplus(-eta) - 3.0 * jnp.log1p(-y) - theta * odds

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return sigmoid_pair(eta)[0]

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        # y / (1 - y) is an exponential time of rate theta, or, with probability mu, the sum of two
        for_times, for_number = jax.random.split(key)
        eta = jnp.broadcast_to(eta, y.shape)
        one, other = jax.random.exponential(for_times, (2, *y.shape), eta.dtype)
        is_sum = jax.random.uniform(for_number, y.shape, eta.dtype) < self.mean(eta, phi)
        draw = sigmoid_pair(jnp.log(one + jnp.where(is_sum, other, 0.0)) + eta)[0]
        info = jnp.finfo(draw.dtype)
        return jnp.clip(draw, info.tiny, 1.0 - info.epsneg).astype(y.dtype)

    def initial_eta(self, y: Any) -> Array:
        return jnp.log(y) - jnp.log1p(-y)

    def in_support(self, y: Any) -> Any:
        return (y > 0) & (y < 1)
