"""Exponentials and logarithms of probabilities that are exact in both tails, to any order of derivative that a fit takes.

All functions are elementwise and follow the dtype of their input.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array, lax

__all__ = [
    "beyond",
    "capped_exp",
    "growing_exp",
    "held",
    "log_cloglog",
    "log_normal_cdf",
    "log_sigmoid_pair",
    "sigmoid_pair",
    "softplus",
    "tangent_exp",
]

_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)

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
    """log(1 + exp(-|x|)) as 2 atanh(e / (2 + e)): plain arithmetic, of which a CPU does eight rows at a time, unlike log1p."""
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
    """log(1 + exp(x)), exact in both tails.

    Its derivative is written out because |x| has none at 0, where a fit without an intercept starts.

    Parameters
    ----------
    x : array.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> f"{gj.families.softplus(0.0):.4f}"  # log 2
    '0.6931'
    """
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
    near = jnp.log(-jnp.expm1(-capped_exp(jnp.maximum(x, -20.0))))
    return jnp.where(x < -20.0, x - 0.5 * capped_exp(x), near)  # in float32 exp(x) of a far tail is 0


@log_cloglog.defjvp
def _log_cloglog_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    value = log_cloglog(x)
    # beyond 50 the slope is 0; x itself would outgrow its capped exponential
    return value, jnp.exp(jnp.minimum(x, 50.0) - capped_exp(x) - value) * dx


_TAIL_SERIES = tuple((-1.0) ** k * math.prod(range(1, 2 * k + 2, 2)) for k in range(14))  # 1, -3, 15, -105, ...


def _far(x: Array) -> float:
    """Below minus this number the normal tail is its asymptotic series: to 1e-16, and to 1e-8 in single precision."""
    return 12.0 if jnp.finfo(jnp.result_type(x)).bits > 32 else 7.0


def _normal_tail(x: Array) -> tuple[Array, Array]:
    """(S, D) of Phi(-x) = phi(x) S / x, D = 1 - S without cancellation, for large x."""
    v = 1.0 / (x * x)
    series = jnp.full_like(v, _TAIL_SERIES[-1])
    for coefficient in _TAIL_SERIES[-2::-1]:
        series = series * v + coefficient
    return 1.0 - v * series, v * series


@jax.custom_jvp
def log_normal_cdf(x: Array) -> Array:
    """log Phi(x); unlike ``jax.scipy``'s, derivatives hold as far out as x^2 is finite, and it costs one erfc and not three."""
    is_far, far = x < -_far(x), jnp.maximum(-x, _far(x))
    smaller = 0.5 * lax.erfc(jnp.abs(jnp.where(is_far, 0.0, x)) * math.sqrt(0.5))
    near = jnp.where(x > 0, jnp.log1p(-smaller), jnp.log(smaller))
    return jnp.where(is_far, jnp.log(_normal_tail(far)[0] / far) - 0.5 * far * far - _LOG_ROOT_2PI, near)


@log_normal_cdf.defjvp
def _log_normal_cdf_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return log_normal_cdf(x), _normal_hazard(x)[0] * dx


@jax.custom_jvp
def _normal_hazard(x: Array) -> tuple[Array, Array]:
    """h = phi(x) / Phi(x), and x + h, which cancels in the lower tail when it is taken as a sum."""
    is_far, far = x < -_far(x), jnp.maximum(-x, _far(x))
    near = jnp.where(is_far, 0.0, x)
    h = jnp.exp(-0.5 * near * near - _LOG_ROOT_2PI) / (0.5 * lax.erfc(-near * math.sqrt(0.5)))
    s, d = _normal_tail(far)
    return jnp.where(is_far, far / s, h), jnp.where(is_far, far * d / s, near + h)


@_normal_hazard.defjvp
def _normal_hazard_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    h, above = _normal_hazard(x)
    change = h * above
    return (h, above), (-change * dx, (1.0 - change) * dx)


def tangent_exp(x: Array, last: float = 50.0) -> Array:
    """exp(x), and beyond ``last`` its tangent there; a log density keeps falling without overflow, and stays concave."""
    held = jnp.minimum(x, last)
    return jnp.exp(held) * (1.0 + (x - held))


def held(x: Array, share: float = 0.4) -> Array:
    """The logarithm x of an extra parameter, held below that share of the largest exponent of its format.

    Powers up to 1 / share of its exponential then do not overflow. The caller adds what the density still gains beyond.
    """
    return jnp.minimum(x, _limit(x, share))


def beyond(x: Array, share: float = 0.4) -> Array:
    """What ``held`` takes off, with a slope of exactly 0 where that is nothing."""
    return jnp.maximum(x - _limit(x, share), 0.0)


def _limit(x: Array, share: float) -> float:
    return share * math.log(jnp.finfo(jnp.result_type(x)).max)


def growing_exp(x: Array) -> Array:
    """exp(x) of a predictor; in single precision, which ends at exp(88), its tangent beyond 80."""
    return jnp.exp(x) if jnp.finfo(jnp.result_type(x)).bits > 32 else tangent_exp(x, 80.0)


def capped_exp(x: Array) -> Array:
    """exp(x) up to x = 50: beyond it exp(-exp(x)) is 0 in any precision, and higher derivatives must not overflow."""
    return jnp.exp(jnp.minimum(x, 50.0))
