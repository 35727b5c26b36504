"""Times to an event with a monotone hazard, some of them right-censored."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.gamma_functions import log_gamma
from glmmjax.families.links import Link, Log
from glmmjax.families.tails import held, tangent_exp

__all__ = ["Weibull", "like_outcome", "times_in_support"]


class Weibull(Family):
    r"""Times y with scale :math:`\exp(\eta)` and shape k, in accelerated failure time form; event status :math:`\delta`.

    .. math:: \log p(y \mid \eta) = \delta (\log k + t - \log y) - e^t, \quad t = k (\log y - \eta)

    Outcome: times > 0, all observed, or ``cbind(time, status)`` with status 1 for an event and 0 for a time that it exceeds. Extra
    parameter: ``shape``, its logarithm on the free scale. The mean is :math:`\exp(\eta)\, \Gamma(1 + 1/k)`, and the hazard ratio of a
    covariate is exp(-k beta).

    Parameters
    ----------
    link : ``"log"``, or the link object; it acts on the scale. Where t > 50 the log density falls linearly in t.

    References
    ----------
    Kalbfleisch and Prentice (2002), The Statistical Analysis of Failure Time Data, 2nd edition, chapter 2.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.Weibull()
    >>> f"{family.log_density((1.5, 0.0), jnp.log(2.0), jnp.log(jnp.array([3.0]))):.4f}"  # later than 1.5, scale 2, shape 3
    '-0.4219'
    """

    name: ClassVar[str] = "weibull"
    links: ClassVar[tuple[type[Link], ...]] = (Log,)
    phi_names: ClassVar[tuple[str, ...]] = ("shape",)
    outcome_columns: ClassVar[tuple[int, ...]] = (1, 2)
    is_censored: ClassVar[bool] = True
    support: ClassVar[str] = "times > 0 in one column, or cbind(time, status) with status 1 for an event and 0 for right censoring"

    @property
    def is_log_concave(self) -> bool:
        return True

    def log_density(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        time, status = y if isinstance(y, tuple) else (y, 1.0)
        log_y = jnp.log(time)
        t = jnp.exp(held(phi[0], 0.2)) * (log_y - eta)
        return status * (phi[0] + t - log_y) - tangent_exp(t)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(eta + log_gamma(1.0 + jnp.exp(-phi[0])))

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        k = jnp.exp(-phi[0])
        return jnp.exp(2.0 * eta) * (jnp.exp(log_gamma(1.0 + 2.0 * k)) - jnp.exp(2.0 * log_gamma(1.0 + k)))

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        """Uncensored times: every status is 1."""
        time = y[0] if isinstance(y, tuple) else y
        log_draw = jnp.log(jax.random.exponential(key, time.shape, time.dtype))
        return like_outcome(y, jnp.exp(eta + jnp.exp(-phi[0]) * log_draw))

    def initial_eta(self, y: Any) -> Array:
        return jnp.log(y[0] if isinstance(y, tuple) else y)

    def limits(self, y: Any) -> tuple[Any, Any]:
        return limits_of_times(y)

    def in_support(self, y: Any) -> Any:
        return times_in_support(y)


def like_outcome(y: Any, time: Array) -> Any:
    """Observed times in the form of the outcome ``y``; draws that rounding has made 0 or infinite are moved inside."""
    limits = jnp.finfo(time.dtype)
    time = jnp.clip(time, limits.tiny, limits.max)
    return (time, jnp.ones_like(time)) if isinstance(y, tuple) else time


def limits_of_times(y: Any) -> tuple[Any, Any]:
    """The smallest and the largest value that each time can have had; the largest is infinite where the status is 0."""
    if isinstance(y, tuple):
        time, status = y
        return time, np.where(status == 0, np.inf, time)
    return y, y


def times_in_support(y: Any) -> Any:
    """Whether times are positive and finite, and status 0 or 1."""
    if isinstance(y, tuple):
        time, status = y
        return np.isfinite(time) & (time > 0) & ((status == 0) | (status == 1))
    return np.isfinite(y) & (y > 0)
