"""Link functions g(mu) = eta, each with its inverse; probability links also give log mu and log(1 - mu) exactly in both tails.

A link knows no outcomes, no dispersion and no random effects. All functions are elementwise and follow the dtype of their input.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import ndtr, ndtri

from glmmjax.families.tails import capped_exp, growing_exp, log_cloglog, log_normal_cdf, log_sigmoid_pair, sigmoid_pair, softplus

__all__ = [
    "Cauchit",
    "Cloglog",
    "Identity",
    "Inverse",
    "Link",
    "Log",
    "Logit",
    "ProbabilityLink",
    "Probit",
    "Sqrt",
    "positive_inverse",
]

_SMALLEST_INVERSE = 1e-10


@dataclasses.dataclass(frozen=True)
class Link:
    """A monotone function g with g(mu) = eta; links are equal by type, so they hash as static arguments."""

    @property
    def name(self) -> str:
        """The text under which the link is known, such as ``"logit"``."""
        return type(self).__name__.lower()

    def link(self, mu: Array) -> Array:
        """eta = g(mu)."""
        raise TypeError(f"{type(self).__name__} defines no link()")

    def inverse(self, eta: Array) -> Array:
        """mu = g^-1(eta)."""
        raise TypeError(f"{type(self).__name__} defines no inverse()")


class ProbabilityLink(Link):
    """A link whose mean is a probability."""

    def log_probability(self, s: Array, f: Array, eta: Array) -> Array:
        """s log mu + f log(1 - mu): ``s`` successes and ``f`` failures, without the binomial coefficient."""
        log_mu, log_one_minus_mu = self.log_probabilities(eta)
        return s * log_mu + f * log_one_minus_mu

    def log_probabilities(self, eta: Array) -> tuple[Array, Array]:
        """(log mu, log(1 - mu)), exact where one of them is close to 0."""
        raise TypeError(f"{type(self).__name__} defines no log_probabilities()")

    def probabilities(self, eta: Array) -> tuple[Array, Array]:
        """(mu, 1 - mu), exact where one of them is close to 0."""
        return self.inverse(eta), self.inverse(-eta)  # right for a link that is symmetric around 1/2


@dataclasses.dataclass(frozen=True)
class Logit(ProbabilityLink):
    """eta = log(mu / (1 - mu))."""

    def link(self, mu):
        return jnp.log(mu) - jnp.log1p(-mu)

    def inverse(self, eta):
        return sigmoid_pair(eta)[0]

    def log_probabilities(self, eta):
        return log_sigmoid_pair(eta)

    def probabilities(self, eta):
        return sigmoid_pair(eta)

    def log_probability(self, s, f, eta):
        # one log1p and one product fewer than the general form: this is the inner loop of most fits
        return s * eta - (s + f) * softplus(eta)


@dataclasses.dataclass(frozen=True)
class Probit(ProbabilityLink):
    """eta = Phi^-1(mu), Phi the standard normal distribution function."""

    def link(self, mu):
        return ndtri(mu)

    def inverse(self, eta):
        return ndtr(eta)

    def log_probabilities(self, eta):
        return log_normal_cdf(eta), log_normal_cdf(-eta)


@dataclasses.dataclass(frozen=True)
class Cloglog(ProbabilityLink):
    """eta = log(-log(1 - mu))."""

    def link(self, mu):
        return jnp.log(-jnp.log1p(-mu))

    def inverse(self, eta):
        return -jnp.expm1(-capped_exp(eta))

    def log_probabilities(self, eta):
        return log_cloglog(eta), -growing_exp(eta)

    def probabilities(self, eta):
        return self.inverse(eta), jnp.exp(-capped_exp(eta))


@dataclasses.dataclass(frozen=True)
class Cauchit(ProbabilityLink):
    """eta = tan(pi (mu - 1/2)); mu = atan2(1, -eta) / pi keeps the small probability exact."""

    def link(self, mu):
        return -1.0 / jnp.tan(jnp.pi * mu)

    def inverse(self, eta):
        return jnp.arctan2(jnp.ones_like(eta), -eta) / jnp.pi

    def log_probabilities(self, eta):
        return jnp.log(self.inverse(eta)), jnp.log(self.inverse(-eta))


@dataclasses.dataclass(frozen=True)
class Log(ProbabilityLink):
    """eta = log(mu). As a probability link it needs eta < 0: the mean is held at exp(-1e-6) beyond that."""

    def link(self, mu):
        return jnp.log(mu)

    def inverse(self, eta):
        return jnp.exp(eta)

    def log_probabilities(self, eta):
        below = jnp.minimum(eta, -1e-6)
        return below, jnp.log(-jnp.expm1(below))

    def probabilities(self, eta):
        below = jnp.minimum(eta, -1e-6)
        return jnp.exp(below), -jnp.expm1(below)


@dataclasses.dataclass(frozen=True)
class Identity(Link):
    """eta = mu."""

    def link(self, mu):
        return mu

    def inverse(self, eta):
        return eta


@dataclasses.dataclass(frozen=True)
class Sqrt(Link):
    """eta = sqrt(mu)."""

    def link(self, mu):
        return jnp.sqrt(mu)

    def inverse(self, eta):
        return eta * eta


@dataclasses.dataclass(frozen=True)
class Inverse(Link):
    """eta = 1 / mu. For a positive mean it needs eta > 0: a smaller one is held at 1e-10."""

    def link(self, mu):
        return 1.0 / mu

    def inverse(self, eta):
        return 1.0 / positive_inverse(eta)


def positive_inverse(eta: Array) -> Array:
    """1 / mu under the inverse link."""
    return jnp.maximum(eta, _SMALLEST_INVERSE)
