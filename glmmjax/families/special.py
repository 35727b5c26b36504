"""log Gamma, its ratios and its derivatives in plain arithmetic, of which a CPU does eight rows at a time.

A small argument is shifted upwards by the recurrence, and Stirling's series is taken there: absolute errors of some 1e-15 times the
larger of 1 and the value. Arguments must be positive.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.tails import beyond, held, log_normal_cdf

__all__ = [
    "digamma",
    "log1m_exp",
    "log_beta",
    "log_factorial",
    "log_gamma",
    "log_gamma_excess",
    "log_gamma_excess_exp",
    "log_normal_between",
    "log_rising",
    "log_sub_exp",
]

_SHIFT = 7  # steps of the recurrence for arguments below it
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # B_2, B_4, ...


@jax.custom_jvp
def log_gamma(x: Array) -> Array:
    """log Gamma(x) for x > 0, with derivatives several times faster than those of ``jax.scipy``.

    Parameters
    ----------
    x : array of numbers > 0.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> f"{gj.families.log_gamma(5.0):.4f}"  # log 24
    '3.1781'
    """
    is_small = x < _SHIFT
    product = functools.reduce(lambda p, k: p * (x + k), range(1, _SHIFT), x)
    large = jnp.where(is_small, x + _SHIFT, x)
    value = (large - 0.5) * jnp.log(large) - large + 0.5 * math.log(2 * math.pi) + _stirling(large)
    return value - jnp.log(jnp.where(is_small, product, 1.0))


@log_gamma.defjvp
def _log_gamma_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return log_gamma(x), _polygamma(0, x) * dx


def digamma(x: Array) -> Array:
    """The derivative of ``log_gamma``."""
    return _polygamma(0, x)


def log_factorial(y: Array) -> Array:
    """log y! for y >= 0."""
    return log_gamma(y + 1.0)


def log_beta(a: Array, b: Array) -> Array:
    """log B(a, b)."""
    return log_gamma(a) + log_gamma(b) - log_gamma(a + b)


@jax.custom_jvp
def log_gamma_excess(x: Array) -> Array:
    """log Gamma(x) - x log x + x, which grows like a logarithm, by Stirling's series at x, or at x + 7 for x < 7."""
    is_small = x < _SHIFT
    large = jnp.where(is_small, x + _SHIFT, x)
    inverse = 1.0 / large
    product = functools.reduce(lambda p, k: p * ((x + k) * inverse), range(1, _SHIFT), x * inverse)
    root = jnp.sqrt(large) * jnp.where(is_small, product, 1.0)
    shift = jnp.where(is_small, _SHIFT, 0.0)
    return x * jnp.log(large / x) - jnp.log(root) - shift + 0.5 * math.log(2 * math.pi) + _stirling(large)


@log_gamma_excess.defjvp
def _log_gamma_excess_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return log_gamma_excess(x), _polygamma(0, x, True) * dx


def log_gamma_excess_exp(x: Array) -> Array:
    """``log_gamma_excess`` of exp(x), by its asymptotes -x and log(2 pi) / 2 - x / 2 where exp(x) or a power of it leaves the format."""
    inside = -held(-held(x, 0.2), 0.2)
    return log_gamma_excess(jnp.exp(inside)) + beyond(-x, 0.2) - 0.5 * beyond(x, 0.2)


def log_rising(a: Array, n: Array | float) -> Array:
    """log Gamma(a + n) - log Gamma(a) and its derivatives in a, without the cancellation of two large values.

    Parameters
    ----------
    a : array of numbers > 0.
    n : array of numbers >= 0; data, so its derivative is 0.

    Returns
    -------
    Array
        Of the common shape of ``a`` and ``n``.

    Examples
    --------
    >>> f"{gj.families.log_rising(2.0, 3.0):.4f}"  # log(2 * 3 * 4)
    '3.1781'
    """
    return _rising(0, *jnp.broadcast_arrays(a, jnp.asarray(n, jnp.result_type(a))))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _rising(order: int, a: Array, n: Array) -> Array:
    """The derivative of that order in a. Differences of powers of 1 / (a + n) and 1 / a are taken as products."""
    is_small = a < _SHIFT
    far = jnp.where(is_small, a + _SHIFT, a)
    top = far + n
    if order == 0:
        value = (far - 0.5) * jnp.log1p(n / far) + n * jnp.log(top) - n + _stirling(top) - _stirling(far)
        # (a)_n = (a + s)_n (a)_s / (a + n)_s, s the shift
        quotient = functools.reduce(lambda p, k: p * ((a + k) / (a + n + k)), range(1, _SHIFT), a / (a + n))
        return value + jnp.log(jnp.where(is_small, quotient, 1.0))
    m, v, u = order - 1, 1.0 / far, 1.0 / top
    gap = -n * u * v
    coefficients = _asymptotic(m)
    tail = [z ** (m + 2) * _polynomial(coefficients, z * z) for z in (u, v)]
    lead = -jnp.log1p(n * v) if m == 0 else math.factorial(m - 1) * gap * _power_gap(u, v, m)
    value = lead + 0.5 * math.factorial(m) * gap * _power_gap(u, v, m + 1) + tail[0] - tail[1]
    recurred = sum((1.0 / (a + n + k)) ** order - (1.0 / (a + k)) ** order for k in range(_SHIFT))
    value = value + jnp.where(is_small, math.factorial(m) * recurred, 0.0)
    return value if m % 2 else -value


@_rising.defjvp
def _rising_jvp(order, primals, tangents):
    return _rising(order, *primals), _rising(order + 1, *primals) * tangents[0]


def log1m_exp(x: Array) -> Array:
    """log(1 - exp(-x)) for x > 0, exact at both ends; -inf is never reached, because x is held above the smallest normal number."""
    x = jnp.maximum(x, jnp.finfo(jnp.result_type(x)).tiny)
    is_small = x < math.log(2.0)
    return jnp.where(is_small, jnp.log(-jnp.expm1(-jnp.where(is_small, x, 1.0))), jnp.log1p(-jnp.exp(-jnp.where(is_small, 1.0, x))))


def log_sub_exp(a: Array, b: Array) -> Array:
    """log(exp(a) - exp(b)) for a > b."""
    return a + log1m_exp(a - b)


def log_normal_between(low: Array, high: Array, log_width: Array) -> Array:
    """log(Phi(high) - Phi(low)), exact in the lower tail; ``log_width`` = log(high - low), which the ends may have lost in rounding."""
    width, middle = jnp.exp(jnp.minimum(log_width, 0.0)), 0.5 * (low + high)
    is_narrow = width * (1.0 + jnp.abs(middle)) < 1.2 * jnp.finfo(width.dtype).eps ** (1 / 8)  # three terms are exact to rounding
    w, m = jnp.where(is_narrow, width, 0.0), jnp.where(is_narrow, middle, 0.0)
    # the density in the middle and its derivatives of order 2 and 4, Hermite polynomials
    w2, m2 = w * w, m * m
    t = w2 * m2
    narrow = log_width - 0.5 * m2 - 0.5 * math.log(2 * math.pi) + jnp.log1p((t - w2) / 24 + (t * t - 6.0 * t * w2 + 3.0 * w2 * w2) / 1920)
    wide = log_sub_exp(log_normal_cdf(jnp.where(is_narrow, 0.0, high)), log_normal_cdf(jnp.where(is_narrow, -1.0, low)))
    return jnp.where(is_narrow, narrow, wide)


def _stirling(x: Array) -> Array:
    """log Gamma(x) - ((x - 1/2) log x - x + log(2 pi) / 2) for large x."""
    inverse = 1.0 / x
    coefficients = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI, start=1)]
    return inverse * _polynomial(coefficients, inverse * inverse)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 2))
def _polygamma(n: int, x: Array, is_excess: bool = False) -> Array:
    """The derivative of order n + 1 of log Gamma, or of ``log_gamma_excess``, where the leading term cancels."""
    is_small = x < _SHIFT
    large = jnp.where(is_small, x + _SHIFT, x)
    inverse = 1.0 / large
    coefficients = _asymptotic(n)
    tail = 0.5 * math.factorial(n) * inverse + inverse * inverse * _polynomial(coefficients, inverse * inverse)
    if is_excess:
        ratio = large / x  # 1 where no shift is needed, and the lead is then exactly 0
        lead = -jnp.log(ratio) if n == 0 else math.factorial(n - 1) * (1.0 - ratio**n)
    else:
        lead = -jnp.log(large) if n == 0 else math.factorial(n - 1) * jnp.ones_like(large)
    recurred = sum((1.0 / (x + k)) ** (n + 1) for k in range(_SHIFT))
    value = (lead + tail) * inverse**n + jnp.where(is_small, math.factorial(n) * recurred, 0.0)
    return value if n % 2 else -value


@_polygamma.defjvp
def _polygamma_jvp(n, is_excess, primals, tangents):
    (x,), (dx,) = primals, tangents
    return _polygamma(n, x, is_excess), _polygamma(n + 1, x, is_excess) * dx


def _asymptotic(n: int) -> list[float]:
    """Coefficients of the asymptotic series of the derivative of order n + 1, in 1 / x^2."""
    return [b * math.factorial(2 * k + n - 1) / math.factorial(2 * k) for k, b in enumerate(_BERNOULLI, start=1)]


def _power_gap(u: Array, v: Array, k: int) -> Array:
    """(u^k - v^k) / (u - v)."""
    return functools.reduce(jnp.add, [u**i * v ** (k - 1 - i) for i in range(k)])


def _polynomial(coefficients: list[float], x: Array) -> Array:
    return functools.reduce(lambda total, c: total * x + c, reversed(coefficients[:-1]), jnp.full_like(x, coefficients[-1]))
