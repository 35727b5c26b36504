"""Wald intervals that are formed on the scale of a monotone link and transformed back."""

from __future__ import annotations

import statistics

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.estimation.xla.program import as_program
from glmmjax.families.links import Link

__all__ = ["limits", "normal_quantile", "on_scale"]


def limits(link: Link, values: np.ndarray, error: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits of Wald intervals that are formed on the scale of a monotone ``link`` and transformed back."""
    transformed, slope = on_scale(link, values)
    reach = normal_quantile(level) * np.abs(slope) * error
    with jax.enable_x64(True):
        ends = [np.asarray(_inverse(link, end)) for end in (transformed - reach, transformed + reach)]
    return np.minimum(*ends), np.maximum(*ends)


def on_scale(link: Link, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values on the scale of a link, and the derivative of that scale there."""
    with jax.enable_x64(True):
        transformed, slope = _link_and_slope(link, values)
        return np.asarray(transformed), np.asarray(slope)


@as_program(0)
def _link_and_slope(link: Link, values: Array) -> tuple[Array, Array]:
    return jax.jvp(link.link, (values,), (jnp.ones_like(values),))


@as_program(0)
def _inverse(link: Link, values: Array) -> Array:
    return link.inverse(values)


def normal_quantile(level: float) -> float:
    """Half the width of a normal interval with this level, in standard errors."""
    return statistics.NormalDist().inv_cdf(0.5 + 0.5 * level)
