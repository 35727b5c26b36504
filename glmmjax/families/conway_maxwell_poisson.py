"""Conway-Maxwell-Poisson counts, with less or more variance than Poisson counts."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.families.gamma_functions import log_factorial
from glmmjax.families.links import Link, Log
from glmmjax.values import shown

__all__ = ["ConwayMaxwellPoisson"]

_SMALLEST_LOG_MEAN = -36.0  # below it lambda is the mean to double precision
_SMALLEST_VARIANCE = 1e-30
_MAX_STEPS = 60
_CHUNK = 5  # terms of one step of a loop

_Powers = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class ConwayMaxwellPoisson(Family):
    r"""Counts whose variance is about mean / nu: nu > 1 less than Poisson, nu = 1 Poisson, nu < 1 more, nu = 0 geometric.

    .. math:: \log p(y \mid \lambda, \nu) = y \log \lambda - \nu \log y! - \log Z(\lambda, \nu), \qquad
              Z = \sum_{j=0}^{n - 1} \lambda^j / (j!)^\nu

    Outcome: whole numbers from 0 to n_terms - 1. Extra parameter: ``nu``, its logarithm on the free scale.

    Parameters
    ----------
    link : ``"log"``, or the link object.
    of : what the linear predictor is the logarithm of: the ``"mean"``, for which lambda is solved (Huang 2017), or the ``"rate"`` lambda.
    n_terms : terms n of the sum, so that counts go from 0 to n - 1. The density sums to 1 over them and has the mean asked for. The part of
        the unbounded distribution that is cut off is below 1e-9 where nu >= 0.2 and mean + 8 sqrt(mean / nu) < n (means up to 112 at nu = 1
        and to 58 at nu = 0.2, n = 200), and for any nu where 25 mean < n. A mean above n - 2 is held there. Time grows with n.

    References
    ----------
    Shmueli et al. (2005), Applied Statistics 54, 127-142; Huang (2017), Statistical Modelling 17, 359-380.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.ConwayMaxwellPoisson(of="rate")
    >>> f"{family.log_density(3.0, jnp.log(4.0), jnp.array([0.0])):.4f}"  # rate 4, nu 1: Poisson
    '-1.6329'
    """

    name: ClassVar[str] = "conway_maxwell_poisson"
    links: ClassVar[tuple[type[Link], ...]] = (Log,)
    phi_names: ClassVar[tuple[str, ...]] = ("nu",)
    is_discrete: ClassVar[bool] = True
    support: ClassVar[str] = (
        "whole numbers from 0 to n_terms - 1 (199 unless told); for larger counts take ConwayMaxwellPoisson(n_terms=...) with at least "
        "twice the largest, or family='negative_binomial'"
    )

    of: str = "mean"
    n_terms: int = 200

    def __init__(self, link: str | Link = "log", of: str = "mean", n_terms: int = 200):
        if of not in ("mean", "rate"):
            raise ArgumentError(f"of={shown(of)} is not known to the {self.name} family; choose 'mean' or 'rate'.")
        if n_terms != int(n_terms) or n_terms < 4:
            raise ArgumentError(f"n_terms={shown(n_terms)} must be a whole number >= 4; take at least twice the largest count.")
        super().__init__(link)
        object.__setattr__(self, "of", of)
        object.__setattr__(self, "n_terms", int(n_terms))

    @property
    def is_log_concave(self) -> bool:
        return self.of == "rate"  # an exponential family in log lambda

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        log_rate, nu = self._log_rate(eta, phi)
        return y * log_rate - _log_total(self.n_terms, log_rate, nu)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        return -jnp.exp(phi[0]) * log_factorial(y)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        if self.of == "mean":
            return jnp.exp(jnp.minimum(eta, math.log(self.n_terms - 2)))
        return _mean_and_variance(self.n_terms, *self._log_rate(eta, phi))[0]

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        return _mean_and_variance(self.n_terms, *self._log_rate(eta, phi))[1]

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        log_rate, nu = self._log_rate(jnp.broadcast_to(eta, y.shape), phi)
        j, log_factorials = jnp.arange(self.n_terms), jnp.asarray(_log_factorials(self.n_terms), log_rate.dtype)
        return jax.random.categorical(key, j * log_rate[..., None] - nu[..., None] * log_factorials).astype(y.dtype)

    def initial_eta(self, y: Any) -> Array:
        return jnp.log(y + 0.1)

    def in_support(self, y: Any) -> Any:
        return (y >= 0) & (y == y.round()) & (y < self.n_terms)

    def _log_rate(self, eta: Array, phi: Array) -> tuple[Array, Array]:
        """log lambda and nu, of one shape."""
        eta, nu = jnp.broadcast_arrays(eta, jnp.exp(phi[0]))
        if self.of == "rate":
            return eta, nu
        log_mean = jnp.clip(eta, _SMALLEST_LOG_MEAN, math.log(self.n_terms - 2))
        return _log_rate_of_mean(self.n_terms, log_mean, nu) + jnp.minimum(eta - _SMALLEST_LOG_MEAN, 0.0), nu


def _log_factorials(n: int) -> np.ndarray:
    """(n,) log j! of j = 0 ... n - 1."""
    return np.array([math.lgamma(j + 1.0) for j in range(n)])


def _tables(n: int, dtype: Any) -> tuple[Array, ...]:
    """(n,) log j!, in parts whose sum it is: the differences of a first part are exact, so that nu times them has digits."""
    values = np.array(_log_factorials(n))
    if jnp.finfo(dtype).bits > 32:
        return (jnp.asarray(values, dtype),)
    unit = 2.0 ** (math.ceil(math.log2(values[-1])) - 23)
    coarse = unit * np.round(values / unit)
    return jnp.asarray(coarse, dtype), jnp.asarray(values - coarse, dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _sums(n: int, powers: _Powers, log_rate: Array, nu: Array, mode: Array, log_mode_factorial: tuple[Array, ...]) -> tuple[Array, ...]:
    """Sums over j of lambda^j / (j!)^nu times j^p (log j!)^q for each (p, q); j and log j! are differences from those of the mode."""
    tables = _tables(n, log_rate.dtype)

    def add(j, sums):
        step, log_step = j - mode, sum(table[j] - at_mode for table, at_mode in zip(tables, log_mode_factorial, strict=True))
        term = jnp.exp(step * log_rate - nu * log_step)
        return tuple(total + term * step**p * log_step**q for total, (p, q) in zip(sums, powers, strict=True))

    def add_chunk(i, sums):
        return functools.reduce(lambda sums, k: add(i * _CHUNK + k, sums), range(_CHUNK), sums)

    # the loop takes chunks, so that terms stay in cache; one array over j takes ten times as long
    sums = jax.lax.fori_loop(0, n // _CHUNK, add_chunk, (jnp.zeros_like(log_rate),) * len(powers))
    return functools.reduce(lambda sums, j: add(j, sums), range(n - n % _CHUNK, n), sums)


@_sums.defjvp
def _sums_jvp(n, powers, primals, tangents):
    # a derivative raises a power by one, so that any order takes one pass over the terms; the mode is a constant of these sums
    d_log_rate, d_nu, *_ = tangents
    wanted = sorted({*powers, *((p + 1, q) for p, q in powers), *((p, q + 1) for p, q in powers)})
    sums = dict(zip(wanted, _sums(n, tuple(wanted), *primals), strict=True))
    return tuple(sums[p, q] for p, q in powers), tuple(sums[p + 1, q] * d_log_rate - sums[p, q + 1] * d_nu for p, q in powers)


def _mode(n: int, log_rate: Array, nu: Array) -> tuple[Array, tuple[Array, ...]]:
    mode = jax.lax.stop_gradient(
        jnp.clip(jnp.floor(jnp.exp(jnp.minimum(log_rate / jnp.maximum(nu, jnp.finfo(nu.dtype).tiny), math.log(n)))), 0, n - 1)
    )
    return mode, tuple(table[mode.astype(int)] for table in _tables(n, log_rate.dtype))


def _log_total(n: int, log_rate: Array, nu: Array) -> Array:
    """log Z."""
    mode, log_mode_factorial = _mode(n, log_rate, nu)
    return mode * log_rate - nu * sum(log_mode_factorial) + jnp.log(_sums(n, ((0, 0),), log_rate, nu, mode, log_mode_factorial)[0])


def _mean_and_variance(n: int, log_rate: Array, nu: Array) -> tuple[Array, Array]:
    mode, beyond, variance = _moments(n, log_rate, nu)
    return mode + beyond, variance


def _moments(n: int, log_rate: Array, nu: Array) -> tuple[Array, Array, Array]:
    """The mode, by how much the mean is beyond it, and the variance. With a large nu their sum keeps no digit of the second."""
    mode, log_mode_factorial = _mode(n, log_rate, nu)
    total, first, second = _sums(n, ((0, 0), (1, 0), (2, 0)), log_rate, nu, mode, log_mode_factorial)
    beyond = first / total
    return mode, beyond, jnp.maximum(second / total - beyond * beyond, _SMALLEST_VARIANCE)


def _beyond(log_mean: Array, count: Array) -> Array:
    """exp(log_mean) - count, with its digits where that is near 0."""
    positive = jnp.maximum(count, 1.0)
    return jnp.where(count > 0, positive * jnp.expm1(log_mean - jnp.log(positive)), jnp.exp(log_mean))


def _log_rate_of_three(log_mean: Array, nu: Array) -> Array:
    """The log lambda of a mean when only the nearest count m, m - 1 and m + 1 have mass: the limit of a large nu.

    With ``d = mean - m`` it is the root of ``(1 - d) lambda^2 / (m + 1)^nu - d lambda - (1 + d) m^nu``.
    """
    m = jnp.round(jnp.exp(log_mean))
    d, tiny = _beyond(log_mean, m), jnp.finfo(nu.dtype).tiny
    # on the log scale, because the product of both masses beside the mode leaves any format
    log_d, ratio = jnp.log(jnp.abs(d)), jnp.log(jnp.maximum(m, tiny)) - jnp.log1p(m)
    log_product = jnp.log(4.0 * (1.0 - d * d)) + nu * ratio
    log_larger = jnp.logaddexp(log_d, 0.5 * jnp.logaddexp(2.0 * log_d, log_product))
    log_root = jnp.where(d > 0, log_larger, log_product - log_larger)
    return log_root - jnp.log(2.0 * (1.0 - d)) + nu * jnp.log1p(m)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_rate_of_mean(n: int, log_mean: Array, nu: Array) -> Array:
    """The log lambda at which the mean is exp(log_mean), by Newton steps on the logarithm of the mean inside a bracket."""

    def improve(state):
        count, x, _, low, high = state
        mode, beyond, variance = _moments(n, x, nu)
        mean = mode + beyond
        share = (_beyond(log_mean, mode) - beyond) / mean
        lacking = jnp.where(jnp.abs(share) < 0.5, jnp.log1p(jnp.clip(share, -0.5, 0.5)), log_mean - jnp.log(mean))
        low, high = jnp.where(lacking > 0, x, low), jnp.where(lacking < 0, x, high)
        newton = x + lacking * mean / variance
        new = jnp.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high))
        return count + 1, new, jnp.abs(new - x) - rounding * jnp.abs(x), low, high

    def is_moving(state):
        return (state[0] < _MAX_STEPS) & jnp.any(state[2] > tolerance)

    rounding = 4.0 * float(jnp.finfo(log_mean.dtype).eps)
    tolerance = float(jnp.finfo(log_mean.dtype).eps) ** 0.45  # after a step of this size the error is of the order of its square
    mu = jnp.exp(log_mean)
    # E[j^nu] = lambda means lambda = mu E[J^(nu - 1)] with J >= 1 the size-biased count. The lower bounds follow from Jensen's inequality
    # and from the variance of a geometric count. The first guess is exact at nu = 0, at nu = 1 and for small means.
    low = log_mean + (nu - 1.0) * jnp.where(nu < 1.0, jnp.log1p(2.0 * mu), 0.0)
    high = nu * math.log(n - 1) + 1.0  # there each term is more than twice the one before, and the mean is above n - 2
    guess = jnp.where(nu > 3.0 * (1.0 + mu), _log_rate_of_three(log_mean, nu), log_mean + (nu - 1.0) * jnp.log1p(mu))
    guess = jnp.clip(guess, low, high)
    return jax.lax.while_loop(is_moving, improve, (0, guess, jnp.full_like(guess, jnp.inf), low, high))[1]


@_log_rate_of_mean.defjvp
def _log_rate_of_mean_jvp(n, primals, tangents):
    (log_mean, nu), (d_log_mean, d_nu) = primals, tangents
    value = _log_rate_of_mean(n, log_mean, nu)
    mode, log_mode_factorial = _mode(n, value, nu)
    total, first, second, log_first, product = _sums(n, ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1)), value, nu, mode, log_mode_factorial)
    mean, mean_log = first / total, log_first / total
    variance = jnp.maximum(second / total - mean * mean, _SMALLEST_VARIANCE)
    covariance = product / total - mean * mean_log
    # the derivative of a quotient takes the square of a variance that may be 1e-22
    return value, (jnp.exp(log_mean) * d_log_mean + covariance * d_nu) * jnp.exp(-jnp.log(variance))
