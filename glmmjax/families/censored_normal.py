"""Normal outcomes; of some it is only known that they lie below, above or between limits."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.gaussian import normal_log_density
from glmmjax.families.links import Identity, Link
from glmmjax.families.special import log_normal_between
from glmmjax.families.tails import held, log_normal_cdf

__all__ = ["CensoredNormal"]

_OBSERVED, _LEFT, _RIGHT, _INTERVAL = range(4)


class CensoredNormal(Family):
    r"""Real outcomes with mean mu and standard deviation sd, left-, right- or interval-censored.

    .. math:: p(v, \mathrm{status} \mid \mu) = \begin{cases}
        \varphi(r) / \mathrm{sd} & 0: \text{observed} \\ \Phi(r) & 1: \text{true value below } v \\
        1 - \Phi(r) & 2: \text{true value above } v \\ \Phi(r_u) - \Phi(r) & 3: \text{true value between } v \text{ and } u \end{cases}
        \quad r = (v - \mu) / \mathrm{sd},\ r_u = (u - \mu) / \mathrm{sd}

    Outcome: ``cbind(value, status)``, or ``cbind(value, status, upper)``. ``upper`` counts for status 3 only, but must be a finite number
    in every row. Extra parameter: ``sd``, its logarithm on the free scale.

    Parameters
    ----------
    link : ``"identity"``, or the link object.

    References
    ----------
    Tobin (1958), Econometrica 26, 24-36; Amemiya (1984), Journal of Econometrics 24, 3-61.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.CensoredNormal()
    >>> f"{family.log_density((1.5, 1.0), 1.0, jnp.log(jnp.array([2.0]))):.4f}"  # below 1.5, mean 1, sd 2
    '-0.5130'
    """

    name: ClassVar[str] = "censored_normal"
    links: ClassVar[tuple[type[Link], ...]] = (Identity,)
    phi_names: ClassVar[tuple[str, ...]] = ("sd",)
    outcome_columns: ClassVar[tuple[int, ...]] = (2, 3)
    is_censored: ClassVar[bool] = True
    support: ClassVar[str] = (
        "cbind(value, status) with status 0 observed, 1 left-censored (the true value is below), 2 right-censored (above), or "
        "cbind(value, status, upper), which adds 3 for a true value between value and upper > value; all of them finite numbers. "
        "Without censoring take family='gaussian'"
    )

    @property
    def is_log_concave(self) -> bool:
        return True

    def log_density(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        value, status = y[:2]
        precision = jnp.exp(held(-phi[0]))
        r = (value - eta) * precision
        below = jnp.where(status == _RIGHT, -r, r)
        if len(y) == 2:
            log_mass = log_normal_cdf(below)
        else:
            is_interval = status == _INTERVAL
            upper = (y[2] - eta) * precision
            # an interval in the upper tail is mirrored into the lower one, where log probabilities are exact
            is_high = r + upper > 0
            high = jnp.where(is_interval, jnp.where(is_high, -r, upper), below)
            low = jnp.where(is_interval, jnp.where(is_high, -upper, r), below - 1.0)
            log_width = jnp.log(jnp.where(is_interval, y[2] - value, 1.0)) + jnp.where(is_interval, -phi[0], 0.0)
            log_mass = jnp.where(is_interval, log_normal_between(low, high, log_width), log_normal_cdf(high))
        return jnp.where(status == _OBSERVED, normal_log_density(value - eta, phi[0]), log_mass)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return eta

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        """Uncensored values: every status is 0."""
        value = eta + jnp.exp(phi[0]) * jax.random.normal(key, y[0].shape, y[0].dtype)
        return (value, jnp.zeros_like(value), *(value for _ in y[2:]))

    def initial_phi(self, deviation: Any = 1.0) -> tuple[Any, ...]:
        return (jnp.log(deviation),)

    def initial_eta(self, y: Any) -> Array:
        return y[0]

    def limits(self, y: Any) -> tuple[Any, Any]:
        value, status = y[:2]
        highest = np.select([status == _RIGHT, status == _INTERVAL], [np.inf, y[-1]], value)
        return np.where(status == _LEFT, -np.inf, value), highest

    def in_support(self, y: Any) -> Any:
        value, status = y[:2]
        known = (status == _OBSERVED) | (status == _LEFT) | (status == _RIGHT)
        if len(y) == 2:
            return np.isfinite(value) & known
        return np.isfinite(value) & np.isfinite(y[2]) & (known | ((status == _INTERVAL) & (y[2] > value)))
