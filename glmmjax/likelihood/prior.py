"""The law of the spherical random effects ``u`` of a cluster, where ``b = L u``: what every law answers, and the normal one.

The integrand, the search for its mode, the rules' weights, averages over the population and draws of new clusters all ask a ``Prior``.
A law is a frozen dataclass: hashable, equal by value, static under ``jit``. ``laws`` has the others.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.levels import CrossedFactors, Levels
from glmmjax.likelihood.small_matrices import Matrix, symmetric

__all__ = ["STANDARD_NORMAL", "Prior", "StandardNormal", "law_of"]


@dataclasses.dataclass(frozen=True)
class Prior(abc.ABC):
    """A law of u, centred at 0. Arrays hold the q random effects on their first axis; the operations run over all other axes.

    A new law states ``log_density``, ``log_constant`` and ``sample``. It has the derivatives by automatic differentiation, and writes
    them out where that is shorter or faster. Its covariance is the identity, so that D is that of b.
    """

    has_linear_gradient: ClassVar[bool] = False  # whether it is a matrix times u; moments of the nodes then give sums over nodes
    is_log_concave: ClassVar[bool] = True
    is_symmetric: ClassVar[bool] = True  # u and -u have the same law; others are for one effect, with moments by a rule over all of the law
    most_effects: ClassVar[int] = 2  # random effects that the law and its rules take

    @property
    @abc.abstractmethod
    def reach(self) -> float:
        """Along one axis, the density is below 1e-15 of its peak further from 0 than this."""

    @property
    def step(self) -> float:
        """Steps with which a trapezoidal rule along one axis has the law exactly, to rounding."""
        return 0.3

    @property
    def skewness(self) -> float:
        """Of one random effect."""
        return 0.0

    @property
    def excess_kurtosis(self) -> float:
        """Of one random effect; infinity where it has no fourth moment."""
        return 0.0

    @property
    def n_upper(self) -> int:
        """How many of the random effects, the first of u, belong to a cluster as a whole; each cluster inside it has draws of its own of
        the others. 0 where clusters have no clusters inside.
        """
        return 0

    @property
    def is_crossed(self) -> bool:
        """Whether the random effects belong to levels of crossed factors."""
        return False

    @property
    def text(self) -> str:
        """The law as a summary shows it."""
        return type(self).__name__

    @property
    def tail_df(self) -> float | None:
        """Power by which the density falls in the tails, less the number of random effects: ``|u|^-(tail_df + q)``. None for one that falls
        faster than any power.
        """
        return None

    @property
    def peaks(self) -> tuple[float, ...]:
        """Where the density is largest, of a law of one random effect under which a posterior can have several modes; () for others.

        No rule around one mode is sound for such a law: ``quadrature`` takes one that goes over all of it.
        """
        return ()

    @property
    def has_far_nodes(self) -> bool:
        """Whether its rules have nodes so far out that densities overflow there."""
        return self.tail_df is not None or bool(self.peaks)

    @abc.abstractmethod
    def log_density(self, u: Any) -> Any:
        """(...) log density at ``u`` (q, ...) without ``log_constant``; written with operators that numpy arrays have too."""

    @abc.abstractmethod
    def log_constant(self, q: int) -> float:
        """The constant that ``log_density`` leaves out for q random effects. Rules hold it in their log weights; no program adds it."""

    @abc.abstractmethod
    def sample(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        """Independent draws of shape ``shape``, which is (..., q, n): the random effects are on the axis before the last."""

    def negative_gradient(self, u: Array) -> Array:
        """(q, ...) minus the gradient of ``log_density``: how strongly the law pulls each random effect back."""
        value, pullback = jax.vjp(self.log_density, u)
        return pullback(-jnp.ones_like(value))[0]

    def negative_hessian(self, u: Array) -> Matrix:
        """q x q arrays (...): minus the Hessian of ``log_density``."""
        still = jnp.zeros_like(u)
        columns = [jax.jvp(self.negative_gradient, (u,), (still.at[a].set(1.0),))[1] for a in range(len(u))]
        return symmetric({(a, b): columns[b][a] for a in range(len(u)) for b in range(a + 1)}, len(u))

    def positive_hessian(self, u: Array) -> Matrix:
        """q x q arrays (...), positive definite: what the search for a mode takes where ``negative_hessian`` makes for no such matrix."""
        return STANDARD_NORMAL.negative_hessian(u)


@dataclasses.dataclass(frozen=True)
class StandardNormal(Prior):
    """``u ~ N(0, I)``, so that ``b ~ N(0, L L')``."""

    n_upper: int = 0
    is_crossed: bool = False

    has_linear_gradient = True

    @property
    def reach(self) -> float:
        return 8.5

    @property
    def text(self) -> str:
        return "normal"

    def log_density(self, u: Any) -> Any:
        return -0.5 * (u * u).sum(0)

    def log_constant(self, q: int) -> float:
        return -0.5 * math.log(2.0 * math.pi) * q

    def sample(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        return jax.random.normal(key, shape, dtype)

    def negative_gradient(self, u: Array) -> Array:
        return u

    def negative_hessian(self, u: Array) -> Matrix:
        q = len(u)
        return symmetric({(a, b): jnp.full(u.shape[1:], float(a == b), u.dtype) for a in range(q) for b in range(a + 1)}, q)


STANDARD_NORMAL = StandardNormal()


def law_of(levels: Levels | CrossedFactors | None) -> StandardNormal:
    """The law of the random effects of data whose buckets have these ``levels``."""
    return STANDARD_NORMAL if levels is None else StandardNormal(levels.n_upper, isinstance(levels, CrossedFactors))
