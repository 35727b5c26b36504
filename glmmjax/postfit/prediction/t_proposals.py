r"""Candidates for random effects given outcomes: a multivariate t distribution around the mode, scaled by the curvature there.

Candidates are resampled with probability proportional to (posterior density) / (density of the t distribution). Where the likelihood is
bounded, the posterior density of u falls at least as fast as the normal prior, so these weights are bounded too.
Source: Rubin (1988), Bayesian Statistics 3, 395-402.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.rows import Integrand, from_first_lane, log_joint

__all__ = ["log_weight", "t_draws"]

_DF = 4.0  # degrees of freedom; the chi-square variable in t is then twice the sum of two exponential variables


def t_draws(for_normal: Array, for_scale: Array, f: Integrand, shape: tuple[int, ...]) -> Array:
    """(..., q, B) standard multivariate t draws, the same on all lanes of a cluster; ``shape`` is (..., q)."""
    n_lanes, dtype = f.x.eta.shape[-1], f.x.eta.dtype
    normal = jax.random.normal(for_normal, (*shape, n_lanes), dtype)
    chi_square = 2.0 * jax.random.exponential(for_scale, (2, *shape[:-1], n_lanes), dtype).sum(0)
    return from_first_lane(f.observed, normal / jnp.sqrt(chi_square / _DF)[..., None, :])


def log_weight(f: Integrand, u: Array, z: Array) -> Array:
    """(B,) log importance weights, up to a constant, of the candidates u (q, B) made from the t draws z (q, B)."""
    return log_joint(f, u) + 0.5 * (_DF + len(z)) * jnp.log1p((z * z).sum(0) / _DF)
