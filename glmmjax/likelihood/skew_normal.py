"""Azzalini's skew-normal law of a random effect."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.prior import Prior
from glmmjax.values import shown

__all__ = ["SkewNormalEffects"]

_LARGEST_SHAPE = 30.0
_FAR = 8.5  # standard deviations of a normal law, beyond which it has nothing


@dataclasses.dataclass(frozen=True)
class SkewNormalEffects(Prior):
    r"""A random effect that follows a skew-normal distribution: clusters lie further out on one side than on the other.

    .. math:: p(u) = 2 \omega\, \varphi(z)\, \Phi(\alpha z), \quad z = m + \omega u, \quad
              m = \delta \sqrt{2 / \pi}, \quad \omega = \sqrt{1 - m^2}, \quad \delta = \alpha / \sqrt{1 + \alpha^2}

    It is centred and scaled to mean 0 and variance 1: the intercept stays the mean over clusters, and D the variance. The log density is
    concave. For one random effect.

    Attributes
    ----------
    shape : :math:`\alpha`, a number from -30 to 30, with the sign of the skewness; 0 is the normal law, and at 30 the skewness is .99, near
        that of a half-normal law. Not estimated: compare fits by AIC.

    Raises
    ------
    ArgumentError
        For another shape.

    References
    ----------
    Azzalini (1985), Scandinavian Journal of Statistics 12, 171-178.

    Examples
    --------
    >>> data = gj.datasets.load_intro_binomial()
    >>> law = gj.SkewNormalEffects(shape=-4)
    >>> f"{law.skewness:.3f}"
    '-0.784'
    >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial", random_effects_law=law)
    >>> f"{fit.llf:.2f}"
    '-370.45'
    """

    shape: float

    is_symmetric: ClassVar[bool] = False
    most_effects: ClassVar[int] = 1

    def __post_init__(self) -> None:
        shape: Any = self.shape
        is_number = isinstance(shape, numbers.Real) and not isinstance(shape, bool)
        if not is_number or not -_LARGEST_SHAPE <= shape <= _LARGEST_SHAPE:
            raise ArgumentError(
                f"SkewNormalEffects(shape={shown(shape)}) must be a number from -{_LARGEST_SHAPE:g} to {_LARGEST_SHAPE:g}, with the sign "
                "of the skewness; 0 is the normal law. A larger one is that of half a normal law, which has a jump."
            )
        object.__setattr__(self, "shape", float(shape))

    @property
    def _mean(self) -> float:
        """Of z."""
        return self.shape / math.hypot(1.0, self.shape) * math.sqrt(2.0 / math.pi)

    @property
    def _scale(self) -> float:
        """Standard deviation of z."""
        return math.sqrt(1.0 - self._mean**2)

    @property
    def reach(self) -> float:
        """Where the density has fallen to nothing."""
        return (_FAR + abs(self._mean)) / self._scale

    @property
    def step(self) -> float:
        """The characteristic function falls like that of a normal law with standard deviation ``1 / sqrt(1 + shape^2)``."""
        return min(0.3, 0.7 / (math.hypot(1.0, self.shape) * self._scale))

    @property
    def skewness(self) -> float:
        """Of the random effect."""
        return 0.5 * (4.0 - math.pi) * (self._mean / self._scale) ** 3

    @property
    def excess_kurtosis(self) -> float:
        """Of the random effect; 0 for a normal law."""
        return 2.0 * (math.pi - 3.0) * (self._mean / self._scale) ** 4

    @property
    def text(self) -> str:
        """The law as a summary shows it."""
        return f"skew-normal, shape {self.shape:g} (skewness {self.skewness:.2f}, excess kurtosis {self.excess_kurtosis:.2f})"

    def log_density(self, u: Any) -> Any:
        z = self._mean + self._scale * u
        return (-0.5 * z * z + jax.scipy.special.log_ndtr(self.shape * z)).sum(0)

    def log_constant(self, q: int) -> float:
        return q * (0.5 * math.log(2.0 / math.pi) + math.log(self._scale))

    def sample(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        for_half, for_normal = jax.random.split(key)
        delta = self.shape / math.hypot(1.0, self.shape)
        half = jnp.abs(jax.random.normal(for_half, shape, dtype))
        z = delta * half + math.sqrt(1.0 - delta**2) * jax.random.normal(for_normal, shape, dtype)
        return (z - self._mean) / self._scale
