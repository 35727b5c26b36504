"""Link functions g(mu) = eta, each with its inverse; probability links also give log mu and log(1 - mu) exactly in both tails.

What a link does not know: outcomes, dispersion, random effects. All functions are elementwise and follow the dtype of
their input.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import log_ndtr, ndtr, ndtri

__all__ = ["Cauchit", "Cloglog", "Identity", "Link", "Log", "Logit", "ProbabilityLink", "Probit", "Sqrt"]


# atanh(s) / s as a polynomial in s^2 for s^2 in [0, 1/9], interpolated at Chebyshev points: relative error 5e-17 before rounding
_ATANH = (
    1.0, 0.33333333333341475, 0.1999999999759837, 0.14285714560004723, 0.11111095238191619, 0.09091434891648453,
    0.07681762004233728, 0.06796329789092816, 0.049371457187780694, 0.0889687913928958,
)  # fmt: skip


def _tail(x: Array) -> tuple[Array, Array]:
    """``e = exp(-|x|)`` and ``1 / ((1 + e)(2 + e))``: one exp and one division serve log1p(e) and 1 / (1 + e)."""
    e = jnp.exp(-jnp.abs(x))
    return e, 1.0 / ((1.0 + e) * (2.0 + e))


def _log1p_tail(x: Array) -> Array:
    """log(1 + exp(-|x|)) as 2 atanh(e / (2 + e)): plain arithmetic, which CPUs do eight rows at a time and their log1p is not."""
    e, inverse = _tail(x)
    s = e * ((1.0 + e) * inverse)
    square, series = s * s, jnp.full_like(s, _ATANH[-1])
    for coefficient in _ATANH[-2::-1]:
        series = series * square + coefficient
    return 2.0 * s * series


@jax.custom_jvp
def sigmoid_pair(x: Array) -> tuple[Array, Array]:
    """(sigmoid(x), sigmoid(-x)) from one exp and one division, both exact in both tails to any order of derivative."""
    e, inverse = _tail(x)
    larger = (2.0 + e) * inverse
    smaller = e * larger
    return jnp.where(x >= 0, larger, smaller), jnp.where(x >= 0, smaller, larger)


@sigmoid_pair.defjvp
def _sigmoid_pair_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    up, down = sigmoid_pair(x)
    change = up * down * dx
    return (up, down), (change, -change)


@jax.custom_jvp
def softplus(x: Array) -> Array:
    """log(1 + exp(x)); its derivative is written out because |x| has none at 0, where a fit without an intercept starts."""
    return jnp.maximum(x, 0.0) + _log1p_tail(x)


@softplus.defjvp
def _softplus_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return softplus(x), sigmoid_pair(x)[0] * dx


@jax.custom_jvp
def log_sigmoid_pair(x: Array) -> tuple[Array, Array]:
    """(log sigmoid(x), log sigmoid(-x)) from one exp and one division, both exact in both tails."""
    tail = _log1p_tail(x)
    return jnp.minimum(x, 0.0) - tail, jnp.minimum(-x, 0.0) - tail


@log_sigmoid_pair.defjvp
def _log_sigmoid_pair_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    up, down = sigmoid_pair(x)
    return log_sigmoid_pair(x), (down * dx, -up * dx)


@jax.custom_jvp
def log_cloglog(x: Array) -> Array:
    """log(1 - exp(-exp(x))), with the derivative exp(x - exp(x)) / (1 - exp(-exp(x))) taken on the log scale."""
    near = jnp.log(-jnp.expm1(-_capped_exp(jnp.maximum(x, -20.0))))
    return jnp.where(x < -20.0, x, near)  # in float32 exp(x) of a far tail is 0


@log_cloglog.defjvp
def _log_cloglog_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    value = log_cloglog(x)
    return value, jnp.exp(x - _capped_exp(x) - value) * dx


def _capped_exp(x: Array) -> Array:
    """exp(x) up to x = 50: beyond it exp(-exp(x)) is 0 in any precision, and higher derivatives must not overflow."""
    return jnp.exp(jnp.minimum(x, 50.0))


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


@dataclasses.dataclass(frozen=True)
class Logit(ProbabilityLink):
    """eta = log(mu / (1 - mu))."""

    def link(self, mu):
        return jnp.log(mu) - jnp.log1p(-mu)

    def inverse(self, eta):
        return sigmoid_pair(eta)[0]

    def log_probabilities(self, eta):
        return log_sigmoid_pair(eta)

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
        return log_ndtr(eta), log_ndtr(-eta)


@dataclasses.dataclass(frozen=True)
class Cloglog(ProbabilityLink):
    """eta = log(-log(1 - mu))."""

    def link(self, mu):
        return jnp.log(-jnp.log1p(-mu))

    def inverse(self, eta):
        return -jnp.expm1(-_capped_exp(eta))

    def log_probabilities(self, eta):
        return log_cloglog(eta), -jnp.exp(eta)


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
