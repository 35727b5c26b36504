"""Binomial outcomes: 0/1, or successes out of trials."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import numpy as np
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.gamma_functions import log_factorial
from glmmjax.families.links import Cauchit, Cloglog, Link, Log, Logit, ProbabilityLink, Probit

__all__ = ["Binomial"]


class Binomial(Family):
    r"""Successes ``s`` among ``n = s + f`` trials with probability mu.

    .. math:: \log p(s \mid \mu) = \log\binom{n}{s} + s \log \mu + f \log(1 - \mu)

    Outcome: 0/1, boolean or two-level (one column), or ``cbind(successes, failures)``.

    Parameters
    ----------
    link : ``"logit"`` (default), ``"probit"``, ``"cloglog"``, ``"cauchit"``, ``"log"``, or the link object.

    References
    ----------
    McCullagh and Nelder (1989), Generalized Linear Models, 2nd edition, chapter 4.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.Binomial(link="probit")
    >>> f"{family.log_density((3.0, 5.0), 0.5, jnp.array([])):.4f}"  # 3 of 8, mean Phi(0.5)
    '-2.9610'
    """

    name: ClassVar[str] = "binomial"
    links: ClassVar[tuple[type[Link], ...]] = (Logit, Probit, Cloglog, Cauchit, Log)
    outcome_columns: ClassVar[tuple[int, ...]] = (1, 2)
    is_binary: ClassVar[bool] = True
    is_discrete: ClassVar[bool] = True
    has_trials: ClassVar[bool] = True
    has_deviance: ClassVar[bool] = True
    support: ClassVar[str] = (
        "0 or 1 in one column, or whole numbers >= 0 as cbind(successes, failures); "
        "write a proportion p of n trials as cbind(p*n, n - p*n), and try family='poisson' for unbounded counts"
    )

    link: ProbabilityLink

    @property
    def is_log_concave(self) -> bool:
        return not isinstance(self.link, Cauchit | Log)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        if not isinstance(y, tuple):
            return self.link.log_probability(y, 1.0 - y, eta)
        s, f = y
        return self.link.log_probability(s, f, eta)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        if not isinstance(y, tuple):
            return super().log_base(y, phi)
        s, f = y
        return log_factorial(s + f) - log_factorial(s) - log_factorial(f)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return self.link.inverse(eta)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        mu, nu = self.link.probabilities(eta)
        return mu * nu / (y[0] + y[1] if isinstance(y, tuple) else 1.0)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        if not isinstance(y, tuple):  # a Bernoulli draw is many times faster than a binomial one of one trial
            return jax.random.bernoulli(key, self.mean(eta, phi), y.shape).astype(y.dtype)
        n = y[0] + y[1]
        s = jax.random.binomial(key, n, self.mean(eta, phi), dtype=n.dtype)
        return s, n - s

    def initial_eta(self, y: Any) -> Array:
        s, n = (y[0], y[0] + y[1]) if isinstance(y, tuple) else (y, 1.0)
        return self.link.link((s + 0.5) / (n + 1.0))

    def runs_off(self, y: Any) -> tuple[Any, Any]:
        s, f = y if isinstance(y, tuple) else (y, 1.0 - y)
        return s == 0, (f == 0) & (not isinstance(self.link, Log))

    def in_support(self, y: Any) -> Any:
        if isinstance(y, tuple):
            s, f = y
            return np.isfinite(s + f) & (s >= 0) & (s == s.round()) & (f >= 0) & (f == f.round())
        return (y == 0) | (y == 1)
