"""Proportions from 0 to 1, both ends included."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.beta import Beta
from glmmjax.families.links import Link, Logit
from glmmjax.families.tails import log_cloglog, sigmoid_pair, softplus

__all__ = ["OrderedBeta"]


class OrderedBeta(Family):
    r"""Proportions that are 0 or 1 with probabilities cut out of the scale of eta, and beta in between.

    .. math:: P(0) = 1 - \sigma(\eta - c_0), \qquad P(1) = \sigma(\eta - c_1), \qquad
        p(y) = \{\sigma(\eta - c_0) - \sigma(\eta - c_1)\}\, \mathrm{Beta}(y \mid \mu \kappa, (1 - \mu) \kappa), \quad \mu = \sigma(\eta)

    Outcome: numbers from 0 to 1. Extra parameters: ``precision`` :math:`\kappa` and the cutpoints ``cutpoint_0`` < ``cutpoint_1``,
    :math:`c_0 < c_1`; on the free scale the log precision, the first cutpoint and the logarithm of their distance.

    Parameters
    ----------
    link : ``"logit"``, the only one: :math:`\sigma(\eta) = 1 / (1 + e^{-\eta})`.

    References
    ----------
    Kubinec (2023), Political Analysis 31, 519-536, equation (5).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.OrderedBeta()
    >>> f"{family.log_density(1.0, 0.5, jnp.array([jnp.log(5.0), -1.0, jnp.log(2.0)])):.4f}"  # cutpoints -1 and 1
    '-0.9741'
    """

    name: ClassVar[str] = "ordered_beta"
    links: ClassVar[tuple[type[Link], ...]] = (Logit,)
    phi_names: ClassVar[tuple[str, ...]] = ("precision", "cutpoint_0", "cutpoint_1")
    support: ClassVar[str] = (
        "numbers from 0 to 1; try family='beta' where none is 0 or 1, and 'binomial' with cbind(successes, failures) for counts "
        "out of trials"
    )

    def natural(self, phi: Array) -> Array:
        return jnp.stack([jnp.exp(phi[0]), phi[1], phi[1] + _distance(phi)])

    def initial_phi(self, deviation: Any = 1.0) -> tuple[Any, ...]:
        del deviation
        return (1.0, -2.0, 1.4)  # cutpoints -2 and 2: an eighth at each end where eta is 0

    def log_density(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        distance = _distance(phi)
        over_first = eta - phi[1]
        over_second = over_first - distance
        is_between = (y > 0) & (y < 1)
        beta = Beta().log_density(jnp.where(is_between, y, 0.5), eta, phi)
        above = jnp.where(y == 0, -softplus(over_first), -softplus(-over_first))  # above the first cutpoint, or below it
        below = jnp.where(y == 1, -softplus(-over_second), -softplus(over_second))
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))
        between = above + below + log_cloglog(phi[2]) + beta
        return jnp.where(is_between, between, jnp.where(y == 0, above, below))

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        one, between = _parts(eta, phi)
        return one + between * sigmoid_pair(eta)[0]

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        one, between = _parts(eta, phi)
        beta = Beta()
        return one + between * (beta.variance(y, eta, phi) + beta.mean(eta, phi) ** 2) - self.mean(eta, phi) ** 2

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        of_part, of_beta = jax.random.split(key)
        u = jax.random.uniform(of_part, y.shape, y.dtype)
        one, between = _parts(eta, phi)
        return jnp.where(u < one, 1.0, jnp.where(u < one + between, Beta().sample(of_beta, y, eta, phi), 0.0)).astype(y.dtype)

    def initial_eta(self, y: Any) -> Array:
        return self.link.link(jnp.clip(y, 0.05, 0.95))

    def runs_off(self, y: Any) -> tuple[Any, Any]:
        return y == 0, y == 1

    def in_support(self, y: Any) -> Any:
        return (y >= 0) & (y <= 1)


def _distance(phi: Array) -> Array:
    return jnp.exp(jnp.minimum(phi[2], 50.0))  # at a larger distance no outcome is 1, and the cutpoint must not overflow


def _parts(eta: Array, phi: Array) -> tuple[Array, Array]:
    """Probabilities of 1, and of a number between 0 and 1."""
    over_first = eta - phi[1]
    one = sigmoid_pair(over_first - _distance(phi))[0]
    return one, sigmoid_pair(over_first)[0] - one
