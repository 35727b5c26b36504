"""Logarithms of differences of exponentials and of normal probabilities, exact where the difference cancels."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array

from glmmjax.families.tails import log_normal_cdf

__all__ = ["log1m_exp", "log_normal_between", "log_sub_exp"]


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
