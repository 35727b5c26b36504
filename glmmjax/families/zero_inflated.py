"""Zero-inflated families: a mixture of an extra zero and a family that has zeros of its own."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family, Limit, limits_of_part
from glmmjax.families.tails import log_sigmoid_pair, sigmoid_pair, softplus

__all__ = ["ZeroInflated"]


class ZeroInflated(Family):
    r"""An extra zero with probability pi, logit(pi) = ``eta_zi``, else an outcome of ``part``, which may be 0 too.

    .. math:: p(0) = \pi + (1 - \pi) f(0), \qquad p(y) = (1 - \pi) f(y) \quad (y > 0)

    Lambert (1992), Technometrics 34, 1-14. A subclass names its link and its ``part``; of ``cbind(successes, failures)`` y is the first.
    """

    has_zero_part: ClassVar[bool] = True
    part_type: ClassVar[type[Family]]
    kinds_at_limits: ClassVar[tuple[type[Family], ...]] = ()
    is_discrete: ClassVar[bool] = True

    @property
    def part(self) -> Family:
        """The family f of the outcomes other than extra zeros."""
        return self.part_type(self.link)

    @property
    def phi_limits(self) -> tuple[Limit | None, ...]:
        return limits_of_part(self.part, self.kinds_at_limits)

    @property
    def predictor_limits(self) -> tuple[Limit | None, ...]:
        return (Limit(-1.0, 0.0, self.part, "no extra zeros"),)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        log_pi, log_one_minus_pi = log_sigmoid_pair(zero[0])
        from_part = log_one_minus_pi + self._log_of_part(y, eta, phi)
        return jnp.where(_count(y) == 0, _log_add_exp(log_pi, from_part), from_part)

    def _log_of_part(self, y: Any, eta: Array, phi: Array) -> Array:
        """The kernel of the part, and at a zero its whole log density; most parts have a base of 0 there."""
        return self.part.log_kernel(y, eta, phi)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        return jnp.where(_count(y) == 0, 0.0, self.part.log_base(y, phi))

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return sigmoid_pair(zero[0])[1] * self.part.mean(eta, phi)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        pi, rest = sigmoid_pair(zero[0])
        mean = self.part.mean(eta, phi)
        return rest * (self.part.variance(y, eta, phi) + pi * mean * mean)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        for_zero, for_part = jax.random.split(key)
        drawn = self.part.sample(for_part, y, eta, phi)
        count = _count(drawn)
        count = jnp.where(jax.random.bernoulli(for_zero, sigmoid_pair(zero[0])[0], count.shape), 0, count).astype(count.dtype)
        return (count, drawn[0] + drawn[1] - count) if isinstance(drawn, tuple) else count

    def natural(self, phi: Array) -> Array:
        return self.part.natural(phi)

    def initial_phi(self, deviation: Any = 1.0) -> tuple[Any, ...]:
        return self.part.initial_phi(deviation)

    def initial_eta(self, y: Any) -> Array:
        # most zeros are extra zeros and say little about the mean. A zero is replaced by the smallest outcome that must come from the
        # part, or by half of the trials, so that many zeros do not drag the first fit towards a mean of 0
        if isinstance(y, tuple):
            trials = y[0] + y[1]
            successes = jnp.where(y[0] == 0, 0.5 * trials, y[0])
            return self.part.initial_eta((successes, trials - successes))
        return self.part.initial_eta(jnp.where(y == 0, 0.5 if self.is_binary else 1.0, y).astype(jnp.result_type(y)))

    def runs_off(self, y: Any) -> tuple[Any, Any]:
        return self.part.runs_off(y)

    def in_support(self, y: Any) -> Any:
        columns = y if isinstance(y, tuple) else (y,)
        return np.isfinite(columns).all(0) & self.part.in_support(y)


def _count(y: Any) -> Any:
    return y[0] if isinstance(y, tuple) else y


def _log_add_exp(a: Array, b: Array) -> Array:
    """log(exp(a) + exp(b)), written around the larger term, so that a huge negative one costs it no digits."""
    is_first = a >= b
    larger, smaller = jnp.where(is_first, a, b), jnp.where(is_first, b, a)
    return larger + softplus(smaller - larger)
