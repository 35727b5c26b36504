"""Laplace's approximation of the likelihood of crossed factors, over the random effects of all levels together.

    log L ~ h(u^) + (K / 2) log(2 pi) - 1/2 log|H|,

with h the log joint density of outcomes and random effects, u^ its mode, H its negative Hessian there, and K the number of random effects
of all levels. The derivatives of u^ and of log|H| are exact. Source: Tierney and Kadane (1986), Journal of the American Statistical
Association 81, 82-86; Bates et al. (2015), Journal of Statistical Software 67(1).
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.cluster_sums import ClusterSums, no_sums
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.crossed_curvature import level_covariances
from glmmjax.likelihood.crossed_modes import CrossedPeak, find_crossed_peak, from_levels
from glmmjax.likelihood.levels import CrossedFactors
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.prior import Prior
from glmmjax.likelihood.rows import Integrand, log_base, observed_of, predictors_of

__all__ = ["crossed_covariance", "crossed_integrand", "crossed_levels", "crossed_value_and_gradient", "crossed_values"]


def crossed_value_and_gradient(
    params: Params, block: Bucket, start: Array, family: Family, prior: Prior
) -> tuple[ClusterSums, Array, Array]:
    """Log-likelihood of all rows with its gradient, the modes on the rows and their error, as ``block_value_and_gradient``."""

    def value(params: Params) -> tuple[Array, tuple[Array, Array]]:
        total, peak = _value(params, block, start, family, prior)
        return total, (from_levels(crossed_levels(block), peak.mode), peak.mode_error)

    (total, (modes, error)), gradient = jax.value_and_grad(value, has_aux=True)(params)
    return no_sums(params)._replace(value=total, gradient=gradient), jax.lax.stop_gradient(modes), error


def crossed_values(params: Params, block: Bucket, family: Family, prior: Prior) -> Array:
    """(n,) the log-likelihood of all rows on the first lane, and 0 on all others."""
    start = jnp.zeros((params.chol.shape[-1], block.shape[-1]), block.offset.dtype)
    total, _ = _value(params, block, start, family, prior)
    return jnp.zeros(block.shape[-1], total.dtype).at[0].set(total)


def crossed_covariance(params: Params, block: Bucket, start: Array, family: Family, prior: Prior) -> tuple[Array, ...]:
    """(q_k, q_k, n_levels) covariance of the spherical random effects of each level of each factor given the outcomes."""
    f, factors = crossed_integrand(params, block, family, prior), crossed_levels(block)
    return level_covariances(f, factors, find_crossed_peak(f, factors, start)[1])


def _value(params: Params, block: Bucket, start: Array, family: Family, prior: Prior) -> tuple[Array, CrossedPeak]:
    f, factors = crossed_integrand(params, block, family, prior), crossed_levels(block)
    peak, found = find_crossed_peak(f, factors, start)
    n_effects = sum(q * n for q, n in zip(factors.n_effects, factors.n_levels, strict=True))
    return peak.value + 0.5 * n_effects * math.log(2.0 * math.pi) - 0.5 * found.log_det + log_base(f).sum(), peak


def crossed_integrand(params: Params, block: Bucket, family: Family, prior: Prior) -> Integrand:
    """The integrand of all rows, for the functions of crossed factors alone: it is no sum over clusters."""
    return Integrand(family, prior, predictors_of(params, block, family), observed_of(block, family))


def crossed_levels(block: Bucket) -> CrossedFactors:
    """The crossed factors of a bucket or block.

    Raises
    ------
    ValueError
        For one without.
    """
    if not isinstance(block.levels, CrossedFactors):
        raise ValueError("the law is that of crossed factors, and the clusters have none")
    return block.levels
