r"""Candidates for random effects given outcomes: a multivariate t distribution around the mode, scaled by the curvature there.

Candidates are resampled with probability proportional to (posterior density) / (density of the t distribution). Where the likelihood is
bounded, the posterior density of u falls at least as fast as the law of u, so these weights are bounded too: the t distribution has tails
that are no lighter.
Source: Rubin (1988), Bayesian Statistics 3, 395-402.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.rows import Integrand, from_first_lane, log_joint

__all__ = ["log_weight", "t_draws"]


def _n_exponentials(f: Integrand) -> int:
    """Half of the degrees of freedom: the chi-square variable in t is twice the sum of as many exponential variables."""
    tail = f.prior.tail_df
    return 2 if tail is None or tail >= 4.0 else 1


def t_draws(for_normal: Array, for_scale: Array, f: Integrand, shape: tuple[int, ...]) -> Array:
    """(..., q, B) standard multivariate t draws, the same on all lanes of a cluster; ``shape`` is (..., q)."""
    n_lanes, dtype = f.x.eta.shape[-1], f.x.eta.dtype
    normal = jax.random.normal(for_normal, (*shape, n_lanes), dtype)
    n = _n_exponentials(f)
    chi_square = 2.0 * jax.random.exponential(for_scale, (n, *shape[:-1], n_lanes), dtype).sum(0)
    return from_first_lane(f.observed, normal / jnp.sqrt(chi_square / (2.0 * n))[..., None, :])


def log_weight(f: Integrand, u: Array, z: Array) -> Array:
    """(B,) log importance weights, up to a constant, of the candidates u (q, B) made from the t draws z (q, B)."""
    df = 2.0 * _n_exponentials(f)
    return log_joint(f, u) + 0.5 * (df + len(z)) * jnp.log1p((z * z).sum(0) / df)
