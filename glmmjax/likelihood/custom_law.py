"""A law of a random effect that a user writes: it needs the log density and nothing else."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.law_numbers import LawNumbers, law_numbers
from glmmjax.likelihood.prior import Prior
from glmmjax.values import NOT_NUMBERS, shown

__all__ = ["CustomEffects"]


@dataclasses.dataclass(frozen=True, repr=False)
class CustomEffects(Prior):
    r"""A random effect whose law is given by its log density g, known up to a constant.

    .. math:: p(u) = \frac{s}{C}\, e^{g(m + s u)}, \qquad C = \int e^{g(v)}\, dv

    Constant, mean m and standard deviation s are found by numerical integration when the law is made, so that it has mean 0 and variance
    1: the intercept stays the mean over clusters, and D the variance. Nothing is taken for granted of the shape; the rule of a fit goes
    over the whole law. For one random effect.

    Parameters
    ----------
    log_density : ``g(u)``, a number of one number, which is traced by JAX: write it with ``jax.numpy`` and ``jnp.where``, not with ``if``
        on values. It is finite on the whole line, continuous, with two derivatives (a law with a kink makes no rule settle), and falls
        by 35 below its largest value within 40 standard deviations of the mean.
    name : what tables call the law.
    ends : (low, high), between which all of the law lies; found from 30,000 on both sides of 0 when not given.

    Two laws are equal when their functions are the same objects. Make the law once and keep it: a fit with another one compiles again. A
    file of a fit does not have the function; ``load`` takes the law again.

    Raises
    ------
    ArgumentError
        For arguments of another kind, and a function that is no log density of such a law: one that is not integrable, has heavy tails or
        a jump, or is not finite.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> def gumbel(u):
    ...     return -u - jnp.exp(-u)
    >>> law = gj.CustomEffects(gumbel, name="Gumbel")
    >>> f"{law.skewness:.4f}", f"{law.excess_kurtosis:.4f}"
    ('1.1395', '2.4000')
    """

    density: Callable[..., Any]
    name: str
    ends: tuple[float, float] | None

    is_log_concave: ClassVar[bool] = False
    is_symmetric: ClassVar[bool] = False
    most_effects: ClassVar[int] = 1

    def __init__(self, log_density: Callable[..., Any], *, name: str = "custom", ends: Sequence[float] | None = None):
        if not callable(log_density) or not isinstance(log_density, Hashable):
            raise ArgumentError(f"CustomEffects(log_density={shown(log_density)}) must be a function g(u), the log density of one number.")
        if not isinstance(name, str) or not name.strip():
            raise ArgumentError(f"CustomEffects(name={shown(name)}) must be a text, which tables call the law.")
        for field, value in (("density", log_density), ("name", name), ("ends", _checked_ends(ends))):
            object.__setattr__(self, field, value)
        _check_traced(log_density)
        _ = self.numbers

    @functools.cached_property
    def numbers(self) -> LawNumbers:
        """What numerical integration has found."""
        return law_numbers(self.density, self.ends)

    @property
    def reach(self) -> float:
        """Where the density has fallen to nothing."""
        return self.numbers.reach

    @property
    def step(self) -> float:
        """Steps of a trapezoidal rule that has the law exactly."""
        return self.numbers.step

    @property
    def peaks(self) -> tuple[float, ...]:
        """Where the density is largest."""
        return self.numbers.peaks

    @property
    def skewness(self) -> float:
        """Of the random effect."""
        return self.numbers.skewness

    @property
    def excess_kurtosis(self) -> float:
        """Of the random effect; 0 for a normal law."""
        return self.numbers.excess_kurtosis

    @property
    def text(self) -> str:
        """The law as a summary shows it."""
        return f"{self.name} (skewness {self.skewness:.2f}, excess kurtosis {self.excess_kurtosis:.2f})"

    def __repr__(self) -> str:
        function = getattr(self.density, "__qualname__", type(self.density).__name__)
        return f"CustomEffects({function}, name={self.name!r})"

    def log_density(self, u: Any) -> Any:
        """The function is not asked further out than where it was found to be finite; there is nothing of the law there."""
        found, u = self.numbers, jnp.asarray(u)
        far = 2.0 * found.reach
        at = found.mean + found.sd * jnp.clip(u, -far, far)
        return (jax.vmap(self.density)(at.ravel()).reshape(u.shape).astype(u.dtype) - found.top).sum(0)

    def log_constant(self, q: int) -> float:
        return q * self.numbers.log_constant

    def sample(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        points, below = (jnp.asarray(values, dtype) for values in self.numbers.table)
        return jnp.interp(jax.random.uniform(key, shape, dtype), below, points)


def _checked_ends(ends: Any) -> tuple[float, float] | None:
    if ends is None:
        return None
    try:
        found = np.asarray(None if isinstance(ends, str | bytes | dict | set) else ends)
        is_plain = found.shape == (2,) and found.dtype.kind in "iuf" and bool(np.isfinite(found.astype(float)).all())
    except NOT_NUMBERS:
        is_plain = False
    if not is_plain or not found[0] < found[1]:
        raise ArgumentError(f"CustomEffects(ends={shown(ends)}) must be two numbers (low, high), low below high, or None.")
    return float(found[0]), float(found[1])


def _check_traced(log_density: Callable[..., Any]) -> None:
    with jax.enable_x64(True):
        try:
            found = jax.eval_shape(log_density, jax.ShapeDtypeStruct((), jnp.float64))
        except Exception as error:  # a user's function can raise anything
            cause = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise ArgumentError(
                f"CustomEffects(log_density) cannot be traced by JAX ({type(error).__name__}: {cause}). Write it for one number u, with "
                "jax.numpy, and with jnp.where in the place of if."
            ) from None
    dtype = getattr(found, "dtype", None)
    if getattr(found, "shape", None) != () or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        what = f"shape {found.shape} and type {found.dtype}" if hasattr(found, "shape") else type(found).__name__
        raise ArgumentError(f"CustomEffects(log_density) gives {what} for one number u, and must give one real number.")
