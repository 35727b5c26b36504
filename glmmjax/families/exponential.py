"""Times to an event with a constant hazard, some of them right-censored."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.links import Link, Log
from glmmjax.families.tails import tangent_exp
from glmmjax.families.weibull import like_outcome, limits_of_times, times_in_support

__all__ = ["Exponential"]


class Exponential(Family):
    r"""Times y with mean :math:`\mu = \exp(\eta)` and event status :math:`\delta`.

    .. math:: \log p(y \mid \mu) = -\delta \log \mu - y / \mu

    Outcome: times > 0, all observed, or ``cbind(time, status)`` with status 1 for an event and 0 for a time that it exceeds. The hazard
    ratio of a covariate is exp(-beta).

    Parameters
    ----------
    link : ``"log"``, or the link object. Where y / mu > exp(50) the log density falls linearly in eta.

    References
    ----------
    Kalbfleisch and Prentice (2002), The Statistical Analysis of Failure Time Data, 2nd edition, chapter 2.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.Exponential()
    >>> f"{family.log_density((1.5, 0.0), jnp.log(2.0), jnp.array([])):.4f}"  # later than 1.5, mean 2
    '-0.7500'
    """

    name: ClassVar[str] = "exponential"
    links: ClassVar[tuple[type[Link], ...]] = (Log,)
    outcome_columns: ClassVar[tuple[int, ...]] = (1, 2)
    is_censored: ClassVar[bool] = True
    has_deviance: ClassVar[bool] = True
    support: ClassVar[str] = "times > 0 in one column, or cbind(time, status) with status 1 for an event and 0 for right censoring"

    @property
    def is_log_concave(self) -> bool:
        return True

    def log_density(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        time, status = y if isinstance(y, tuple) else (y, 1.0)
        return -status * eta - tangent_exp(jnp.log(time) - eta)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(eta)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return jnp.exp(2.0 * eta)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        """Uncensored times: every status is 1."""
        time = y[0] if isinstance(y, tuple) else y
        return like_outcome(y, jnp.exp(eta) * jax.random.exponential(key, time.shape, time.dtype))

    def initial_eta(self, y: Any) -> Array:
        return jnp.log(y[0] if isinstance(y, tuple) else y)

    def limits(self, y: Any) -> tuple[Any, Any]:
        return limits_of_times(y)

    def in_support(self, y: Any) -> Any:
        return times_in_support(y)
