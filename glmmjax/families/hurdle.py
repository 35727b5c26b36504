"""Hurdle families: an outcome is 0 with some probability, and otherwise has a distribution on positive numbers."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family, Limit, limits_of_part
from glmmjax.families.links import Link
from glmmjax.families.tails import sigmoid_pair, softplus

__all__ = ["Hurdle"]


class Hurdle(Family):
    r"""Zero with probability pi, logit(pi) = ``eta_zi``, else an outcome of ``part``, a family on positive outcomes.

    .. math:: p(0) = \pi, \qquad p(y) = (1 - \pi) f(y) \quad (y > 0)

    Mullahy (1986), Journal of Econometrics 33, 341-365. A subclass names its link and its ``part``.

    Class attributes
    ----------------
    ordinary : an outcome of the part at which everything is finite, used where the outcome is 0.
    """

    has_zero_part: ClassVar[bool] = True
    part_type: ClassVar[type[Family]]
    kinds_at_limits: ClassVar[tuple[type[Family], ...]] = ()
    ordinary: ClassVar[float] = 1.0

    @property
    def part(self) -> Family:
        """The family f of the positive outcomes."""
        return self.part_type(self.link)

    @property
    def is_log_concave(self) -> bool:
        return self.part.is_log_concave  # the predictors stand in separate terms, and the term of eta_zi is concave

    @property
    def mean_link(self) -> Link:
        return self.part.mean_link

    @property
    def phi_limits(self) -> tuple[Limit | None, ...]:
        return limits_of_part(self.part, self.kinds_at_limits)

    @property
    def predictor_limits(self) -> tuple[Limit | None, ...]:
        return (Limit(-1.0, 0.0, self.part, "no zeros"),)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        is_zero = y == 0
        positive = jnp.where(is_zero, 0.0, self.part.log_kernel(self._positive(y), eta, phi))
        return positive - softplus(jnp.where(is_zero, -zero[0], zero[0]))

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        return jnp.where(y == 0, 0.0, self.part.log_base(self._positive(y), phi))

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        return sigmoid_pair(zero[0])[1] * self.part.mean(eta, phi)

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        pi, rest = sigmoid_pair(zero[0])
        mean = self.part.mean(eta, phi)
        return rest * (self.part.variance(y, eta, phi) + pi * mean * mean)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        for_zero, for_part = jax.random.split(key)
        drawn = self.part.sample(for_part, self._positive(y), eta, phi)
        return jnp.where(jax.random.bernoulli(for_zero, sigmoid_pair(zero[0])[0], drawn.shape), 0, drawn).astype(drawn.dtype)

    def natural(self, phi: Array) -> Array:
        return self.part.natural(phi)

    def initial_phi(self, deviation: Any = 1.0) -> tuple[Any, ...]:
        return self.part.initial_phi(deviation)

    def initial_eta(self, y: Any) -> Array:
        return self.part.initial_eta(self._positive(y))  # a zero has no weight in the fit of eta

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y) & ((y == 0) | self.part.in_support(np.where(y == 0, self.ordinary, y)))

    def runs_off(self, y: Any) -> tuple[Any, Any]:
        is_zero = y == 0
        down, up = self.part.runs_off(np.where(is_zero, self.ordinary, y))
        return down | is_zero, up | is_zero

    def _positive(self, y: Any) -> Any:
        return jnp.where(y == 0, self.ordinary, y).astype(jnp.result_type(y))
