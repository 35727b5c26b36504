"""Successes out of trials whose probability varies by a beta distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family, Limit
from glmmjax.families.binomial import Binomial
from glmmjax.families.gamma_functions import log_factorial, log_rising_exp
from glmmjax.families.links import Cloglog, Link, Logit, ProbabilityLink, Probit
from glmmjax.families.tails import sigmoid_pair

__all__ = ["BetaBinomial"]


class BetaBinomial(Family):
    r"""Successes ``s`` among ``n = s + f`` trials whose common probability is Beta(a, b) with mean mu; binomial as the precision grows.

    .. math:: \log p(s \mid \mu, \kappa) = \log\binom{n}{s} + \log\frac{B(a + s, b + f)}{B(a, b)},
              \qquad a = \mu \kappa, \quad b = (1 - \mu) \kappa

    Outcome: ``cbind(successes, failures)``. Extra parameter: ``precision`` kappa, its logarithm on the free scale; the variance of s / n is
    :math:`\mu (1 - \mu) (\kappa + n) / (n (\kappa + 1))`.

    Parameters
    ----------
    link : ``"logit"`` (default), ``"probit"``, ``"cloglog"``, or the link object.

    References
    ----------
    Skellam (1948), Journal of the Royal Statistical Society B 10, 257-261.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.BetaBinomial()
    >>> f"{family.log_density((3.0, 5.0), 0.0, jnp.log(jnp.array([4.0]))):.4f}"  # 3 of 8, mean 1/2, precision 4
    '-1.9279'
    """

    name: ClassVar[str] = "beta_binomial"
    links: ClassVar[tuple[type[Link], ...]] = (Logit, Probit, Cloglog)
    phi_names: ClassVar[tuple[str, ...]] = ("precision",)
    outcome_columns: ClassVar[tuple[int, ...]] = (2,)
    is_discrete: ClassVar[bool] = True
    has_trials: ClassVar[bool] = True
    support: ClassVar[str] = (
        "whole numbers >= 0 as cbind(successes, failures); "
        "for 0/1 outcomes take family='binomial', because a single trial says nothing about the precision"
    )

    link: ProbabilityLink

    @property
    def phi_limits(self) -> tuple[Limit | None, ...]:
        return (Limit(1.0, math.inf, Binomial(self.link), "no overdispersion"),)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        rising = log_rising_exp(jnp.stack(self.link.log_probabilities(eta)) + phi[0], jnp.stack(jnp.broadcast_arrays(*y)))
        return rising[0] + rising[1]

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        s, f = y
        return log_factorial(s + f) - log_factorial(s) - log_factorial(f) - log_rising_exp(phi[0], s + f)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return self.link.inverse(eta)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        n, precision = y[0] + y[1], jnp.exp(phi[0])
        mu, nu = self.link.probabilities(eta)
        return mu * nu * (precision + n) / (n * (precision + 1.0))

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        n = y[0] + y[1]
        for_a, for_b, for_s = jax.random.split(key, 3)
        log_mu, log_one_minus_mu = self.link.log_probabilities(jnp.broadcast_to(eta, n.shape))
        # logarithms, because both gamma draws may underflow where the precision is small
        log_a = jax.random.loggamma(for_a, jnp.exp(log_mu + phi[0]), dtype=log_mu.dtype)
        log_b = jax.random.loggamma(for_b, jnp.exp(log_one_minus_mu + phi[0]), dtype=log_mu.dtype)
        s = jax.random.binomial(for_s, n, sigmoid_pair(log_a - log_b)[0], dtype=n.dtype)
        return s, n - s

    def initial_eta(self, y: Any) -> Array:
        s, f = y
        return self.link.link((s + 0.5) / (s + f + 1.0))

    def runs_off(self, y: Any) -> tuple[Any, Any]:
        return y[0] == 0, y[1] == 0

    def in_support(self, y: Any) -> Any:
        s, f = y
        return np.isfinite(s) & np.isfinite(f) & (s >= 0) & (s == s.round()) & (f >= 0) & (f == f.round())
