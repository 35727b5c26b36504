"""Proportions strictly between 0 and 1."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.gamma_functions import log_factorial
from glmmjax.families.links import Cloglog, Link, Logit, ProbabilityLink, Probit
from glmmjax.families.tails import held

__all__ = ["Beta"]


class Beta(Family):
    r"""Proportions with mean mu and precision :math:`\kappa`; the variance is :math:`\mu (1 - \mu) / (1 + \kappa)`.

    .. math:: \log p(y \mid \mu) = (a - 1) \log y + (b - 1) \log(1 - y) - \log B(a, b), \quad a = \mu \kappa,\ b = (1 - \mu) \kappa

    Outcome: numbers between 0 and 1, neither of them included. Extra parameter: ``precision``, its logarithm on the free scale.

    Parameters
    ----------
    link : ``"logit"`` (default), ``"probit"``, ``"cloglog"``, or the link object.

    References
    ----------
    Ferrari and Cribari-Neto (2004), Journal of Applied Statistics 31, 799-815, equation (4).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.Beta(link="probit")
    >>> f"{family.log_density(0.3, 0.0, jnp.log(jnp.array([5.0]))):.4f}"  # y = 0.3, mean 1/2, precision 5
    '0.2677'
    """

    name: ClassVar[str] = "beta"
    links: ClassVar[tuple[type[Link], ...]] = (Logit, Probit, Cloglog)
    phi_names: ClassVar[tuple[str, ...]] = ("precision",)
    support: ClassVar[str] = (
        "numbers strictly between 0 and 1; try family='hurdle_beta' where some are 0, and 'binomial' or 'beta_binomial' with "
        "cbind(successes, failures) for counts out of trials"
    )

    link: ProbabilityLink

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        a = jnp.exp(held(phi[0])) * jnp.stack(self.link.probabilities(eta))  # and b
        # log Gamma(a) is log a! - log a, which stays finite where a underflows and log a does not
        norm = log_factorial(a) - jnp.stack(self.link.log_probabilities(eta))
        return a[0] * jnp.log(y) + a[1] * jnp.log1p(-y) - norm[0] - norm[1]

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        # 2 phi + log Gamma(precision), by the same rule
        return phi[0] + log_factorial(jnp.exp(held(phi[0]))) - jnp.log(y) - jnp.log1p(-y)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return self.link.inverse(eta)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        mu, nu = self.link.probabilities(eta)
        return mu * nu / (1.0 + jnp.exp(phi[0]))

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        a, b = (jnp.broadcast_to(jnp.exp(phi[0]) * p, y.shape).astype(y.dtype) for p in self.link.probabilities(eta))
        limits = jnp.finfo(y.dtype)
        return jnp.clip(jax.random.beta(key, a, b, dtype=y.dtype), limits.tiny, 1.0 - limits.epsneg)

    def initial_eta(self, y: Any) -> Array:
        return self.link.link(jnp.clip(y, 0.005, 0.995))

    def in_support(self, y: Any) -> Any:
        return (y > 0) & (y < 1)
