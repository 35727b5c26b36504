"""Student's t law of the random effects, and the registry of all laws beside the normal one, which a user may choose."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.custom_law import CustomEffects
from glmmjax.likelihood.normal_mixture import NormalMixtureEffects
from glmmjax.likelihood.prior import Prior
from glmmjax.likelihood.skew_normal import SkewNormalEffects
from glmmjax.likelihood.small_matrices import Matrix, symmetric
from glmmjax.values import shown

__all__ = ["LAWS", "StudentTEffects"]

_LEAST_DF, _LARGEST_DF = 2.1, 1000.0


@dataclasses.dataclass(frozen=True)
class StudentTEffects(Prior):
    r"""Random effects that follow Student's t distribution, with heavier tails than the normal one: a few clusters may lie far out.

    .. math:: p(u) = c \left(1 + \frac{u'u}{\nu - 2}\right)^{-(\nu + q) / 2}, \qquad b = L u, \quad D = L L'

    All effects of a cluster share one multivariate t distribution, so that they are uncorrelated and not independent where D is diagonal.
    It is scaled to the covariance D: standard deviations and correlations mean what they mean for normal random effects.

    Attributes
    ----------
    df : degrees of freedom, a number from 2.1 to 1000; below 2 there is no variance. Not estimated: compare fits by AIC.

    Raises
    ------
    ArgumentError
        For other degrees of freedom.

    References
    ----------
    Pinheiro, Liu and Wu (2001), Journal of Computational and Graphical Statistics 10, 249-276.

    Examples
    --------
    >>> data = gj.datasets.load_intro_binomial()
    >>> law = gj.StudentTEffects(df=4)
    >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial", random_effects_law=law)
    >>> f"{fit.llf:.2f}"
    '-377.30'
    """

    df: float

    is_log_concave: ClassVar[bool] = False

    def __post_init__(self) -> None:
        df: Any = self.df
        is_number = isinstance(df, numbers.Real) and not isinstance(df, bool)  # NumPy's whole numbers too
        if not is_number or not _LEAST_DF <= df <= _LARGEST_DF:
            raise ArgumentError(
                f"StudentTEffects(df={shown(df)}) must be a number from {_LEAST_DF} to {_LARGEST_DF:g}: D is a covariance matrix, and with "
                "2 degrees of freedom or fewer there is none. For more, leave random_effects_law out: the law is normal."
            )
        object.__setattr__(self, "df", float(df))

    @property
    def reach(self) -> float:
        """Where the density has fallen to 1e-15 of its peak."""
        return math.sqrt((self.df - 2.0) * math.expm1(2.0 / (self.df + 1.0) * 15.0 * math.log(10.0)))

    @property
    def tail_df(self) -> float:
        return self.df

    @property
    def excess_kurtosis(self) -> float:
        """Of a random effect; infinite for 4 degrees of freedom or fewer."""
        return 6.0 / (self.df - 4.0) if self.df > 4.0 else math.inf

    @property
    def text(self) -> str:
        """The law as a summary shows it."""
        return f"Student's t, {self.df:g} degrees of freedom"

    def log_density(self, u: Any) -> Any:
        return -0.5 * (self.df + len(u)) * jnp.log1p((u * u).sum(0) / (self.df - 2.0))

    def log_constant(self, q: int) -> float:
        return math.lgamma(0.5 * (self.df + q)) - math.lgamma(0.5 * self.df) - 0.5 * q * math.log(math.pi * (self.df - 2.0))

    def sample(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        for_normal, for_scale = jax.random.split(key)
        gamma = jax.random.gamma(for_scale, 0.5 * self.df, (*shape[:-2], 1, shape[-1]), dtype)
        return jax.random.normal(for_normal, shape, dtype) * jnp.sqrt((0.5 * self.df - 1.0) / gamma)

    def negative_gradient(self, u: Array) -> Array:
        return self._weight(u) * u

    def negative_hessian(self, u: Array) -> Matrix:
        q, weight = len(u), self._weight(u)
        curved = 2.0 * weight * weight / (self.df + q)
        return symmetric({(a, b): weight * float(a == b) - curved * u[a] * u[b] for a in range(q) for b in range(a + 1)}, q)

    def positive_hessian(self, u: Array) -> Matrix:
        """That of the parabola which touches the log density at u from below: steps with it rise."""
        q, weight = len(u), self._weight(u)
        return symmetric({(a, b): weight * float(a == b) for a in range(q) for b in range(a + 1)}, q)

    def _weight(self, u: Array) -> Array:
        """(...) the law pulls u back as a normal law of this precision does."""
        return (self.df + len(u)) / (self.df - 2.0 + (u * u).sum(0))


LAWS: dict[str, type[Prior]] = {law.__name__: law for law in (StudentTEffects, SkewNormalEffects, NormalMixtureEffects, CustomEffects)}
