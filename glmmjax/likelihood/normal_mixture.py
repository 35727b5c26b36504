"""A finite mixture of normal laws of a random effect."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.prior import Prior
from glmmjax.likelihood.small_matrices import Matrix, symmetric
from glmmjax.values import NOT_NUMBERS, shown

__all__ = ["NormalMixtureEffects"]

_Numbers = Sequence[float] | np.ndarray
_MOST_COMPONENTS = 20
_NARROWEST = 0.05  # standard deviation of a component, where that of the mixture is 1: no rule that is fitted with sees a narrower one
_FAR = 8.5  # standard deviations of a normal law, beyond which it has nothing


@dataclasses.dataclass(frozen=True)
class NormalMixtureEffects(Prior):
    r"""A random effect that follows a finite mixture of normal distributions: clusters of several kinds.

    .. math:: p(u) = \sum_k w_k\, N(u;\, m_k, s_k^2), \qquad \sum_k w_k m_k = 0, \quad \sum_k w_k (m_k^2 + s_k^2) = 1

    The components are given on any scale. The law is centred and scaled by itself to mean 0 and variance 1: the intercept stays the mean
    over clusters, and D the variance. The posterior of a cluster can have several peaks, so that the rule of a fit goes over the whole law.
    For one random effect.

    Attributes
    ----------
    weights : (K,) shares of the components, above 0, with sum 1; 20 components at most
    means : (K,) their means, on any scale
    sds : (K,) their standard deviations on the same scale, above 0; none below .05 times that of the mixture

    Raises
    ------
    ArgumentError
        For other numbers.

    References
    ----------
    Verbeke and Lesaffre (1996), Journal of the American Statistical Association 91, 217-221.

    Examples
    --------
    >>> law = gj.NormalMixtureEffects(weights=(0.7, 0.3), means=(0, 3), sds=(1, 0.5))
    >>> [round(m, 3) for m in law.standard_means], [round(s, 3) for s in law.standard_sds]
    ([-0.551, 1.286], [0.613, 0.306])
    >>> data = gj.datasets.load_intro_binomial()
    >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial", random_effects_law=law)
    >>> f"{fit.llf:.2f}"
    '-369.51'
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    sds: tuple[float, ...]

    is_log_concave: ClassVar[bool] = False
    is_symmetric: ClassVar[bool] = False
    most_effects: ClassVar[int] = 1

    def __init__(self, weights: _Numbers, means: _Numbers, sds: _Numbers):
        given = {"weights": _numbers("weights", weights), "means": _numbers("means", means), "sds": _numbers("sds", sds)}
        sizes = {name: len(values) for name, values in given.items()}
        if len(set(sizes.values())) > 1:
            raise ArgumentError(
                f"NormalMixtureEffects has {sizes['weights']} weights, {sizes['means']} means and {sizes['sds']} sds; give one of each for "
                "every component."
            )
        w, s = np.array(given["weights"]), np.array(given["sds"])
        if not (w > 0).all() or abs(w.sum() - 1.0) > 1e-8:
            raise ArgumentError(
                f"NormalMixtureEffects(weights={shown(weights)}) must be above 0 with the sum 1, and theirs is {w.sum():.10g}; divide them "
                "by it, and leave a component of weight 0 out."
            )
        if not (s > 0).all():
            raise ArgumentError(f"NormalMixtureEffects(sds={shown(sds)}) must be standard deviations above 0.")
        for name, values in (given | {"weights": tuple((w / w.sum()).tolist())}).items():
            object.__setattr__(self, name, values)
        narrowest = min(self.standard_sds)
        if not narrowest >= _NARROWEST:
            raise ArgumentError(
                f"NormalMixtureEffects(sds={shown(sds)}): the narrowest component has {narrowest:.2g} times the standard deviation of the "
                f"mixture, and it must have {_NARROWEST} times that or more, or no rule would see it. Take a larger one."
            )

    @property
    def _mean(self) -> float:
        return sum(w * m for w, m in zip(self.weights, self.means, strict=True))

    @property
    def _scale(self) -> float:
        return math.sqrt(sum(w * ((m - self._mean) ** 2 + s * s) for w, m, s in zip(self.weights, self.means, self.sds, strict=True)))

    @property
    def standard_means(self) -> tuple[float, ...]:
        """(K,) means of the components of the law of u, which has mean 0 and variance 1."""
        return tuple((m - self._mean) / self._scale for m in self.means)

    @property
    def standard_sds(self) -> tuple[float, ...]:
        """(K,) standard deviations of the same."""
        return tuple(s / self._scale for s in self.sds)

    @property
    def reach(self) -> float:
        """Where the density has fallen to nothing."""
        return max(abs(m) + _FAR * s for m, s in zip(self.standard_means, self.standard_sds, strict=True))

    @property
    def step(self) -> float:
        """Steps of a trapezoidal rule that has the law exactly."""
        return min(0.3, 0.7 * min(self.standard_sds))

    @property
    def peaks(self) -> tuple[float, ...]:
        """Where the density is largest."""
        return tuple(sorted(set(self.standard_means)))

    @property
    def skewness(self) -> float:
        """Of the random effect."""
        of_components = zip(self.weights, self.standard_means, self.standard_sds, strict=True)
        return sum(w * (m**3 + 3.0 * m * s * s) for w, m, s in of_components)

    @property
    def excess_kurtosis(self) -> float:
        """Of the random effect; 0 for a normal law."""
        of_components = zip(self.weights, self.standard_means, self.standard_sds, strict=True)
        return sum(w * (m**4 + 6.0 * (m * s) ** 2 + 3.0 * s**4) for w, m, s in of_components) - 3.0

    @property
    def text(self) -> str:
        """The law as a summary shows it."""
        return (
            f"mixture of {len(self.weights)} normal components (skewness {self.skewness:.2f}, excess kurtosis {self.excess_kurtosis:.2f})"
        )

    def log_density(self, u: Any) -> Any:
        return jax.nn.logsumexp(self._log_terms(u), axis=0).sum(0)

    def log_constant(self, q: int) -> float:
        return -0.5 * math.log(2.0 * math.pi) * q

    def sample(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        for_kind, for_normal = jax.random.split(key)
        kind = jax.random.categorical(for_kind, jnp.log(jnp.asarray(self.weights, dtype)), shape=shape)
        mean, sd = jnp.asarray(self.standard_means, dtype)[kind], jnp.asarray(self.standard_sds, dtype)[kind]
        return mean + sd * jax.random.normal(for_normal, shape, dtype)

    def positive_hessian(self, u: Array) -> Matrix:
        """That of the parabola which touches the log density at u from below, by Jensen's inequality: steps with it rise."""
        share = jax.nn.softmax(self._log_terms(u), axis=0)
        precision = (share / self._column(self.standard_sds, u) ** 2).sum(0)
        q = len(u)
        return symmetric({(a, b): precision[a] * float(a == b) for a in range(q) for b in range(a + 1)}, q)

    def _log_terms(self, u: Any) -> Array:
        """(K, q, ...) logs of the terms of the density of each random effect, but for the constant."""
        weights, means, sds = (self._column(values, u) for values in (self.weights, self.standard_means, self.standard_sds))
        return jnp.log(weights) - jnp.log(sds) - 0.5 * ((u - means) / sds) ** 2

    @staticmethod
    def _column(values: tuple[float, ...], u: Any) -> Array:
        """(K, 1, ...) in the precision of ``u``."""
        return jnp.asarray(values, jnp.asarray(u).dtype).reshape(-1, *(1,) * jnp.ndim(u))


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    """A sequence of finite numbers.

    Raises
    ------
    ArgumentError
    """
    try:
        found = None if isinstance(values, str | bytes | dict | set) else np.asarray(values)
        is_plain = found is not None and found.ndim == 1 and found.dtype.kind in "iuf" and 1 <= found.size <= _MOST_COMPONENTS
    except NOT_NUMBERS:
        is_plain = False
    if not is_plain or not np.isfinite(np.asarray(values, float)).all():
        raise ArgumentError(
            f"NormalMixtureEffects({name}={shown(values)}) must be a sequence of finite numbers, one for each of 1 to {_MOST_COMPONENTS} "
            "components."
        )
    return tuple(np.asarray(values, float).tolist())
