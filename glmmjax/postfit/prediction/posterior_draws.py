r"""Draws of random effects from their distribution given outcomes.

Each draw is one of ``n_candidates`` points from a multivariate t distribution around the mode of the cluster, scaled by the curvature
there, chosen with probability proportional to (posterior density) / (density of the t distribution): importance resampling. The
posterior density of u never falls more slowly than the normal prior where the likelihood is bounded, so these weights are bounded too.
Source: Rubin (1988), Bayesian Statistics 3, 395-402.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.objective import Problem
from glmmjax.likelihood.clusters import Bucket, ClusterData
from glmmjax.likelihood.posterior import Posterior, posterior
from glmmjax.likelihood.rows import Integrand, Observed, from_first_lane, integrand, log_joint

__all__ = ["posterior_draws"]

_DF = 4.0  # of the t distribution; the chi-square variable in it is then twice the sum of two exponential ones
_N_CANDIDATES = 32  # the density of a draw is off by a share of about var(weight) / 32


@functools.partial(jax.jit, static_argnums=0)
def posterior_draws(problem: Problem, thetas: Array, keys: Array, clusters: ClusterData) -> Array:
    """(T, r, q, m) draws of u, b = L u, for every cluster.

    Parameters
    ----------
    thetas : (T, P) parameter vectors.
    keys : (T, r) keys of ``jax.random``, of r draws with each of them.
    """

    def of_theta(theta_and_keys: tuple[Array, Array]) -> Array:
        theta, keys = theta_and_keys
        return jnp.concatenate([_of_bucket(problem, theta, keys, k, bucket) for k, bucket in enumerate(clusters.buckets)], axis=-1)

    return jax.lax.map(of_theta, (thetas, keys))[..., clusters.slots]


def _of_bucket(problem: Problem, theta: Array, keys: Array, number: int, bucket: Bucket) -> Array:
    """(r, q, S * B)"""
    params = problem.layout.params(theta)
    q = params.chol.shape[0]

    def of_block(block_and_place: tuple[Bucket, Array]) -> Array:
        block, place = block_and_place
        f = integrand(params, block, problem.family, problem.prior)
        post = posterior(f, jnp.zeros((q, block.cluster_weight.shape[-1]), theta.dtype))

        def one(key: Array) -> Array:
            return _resampled(f, post, jax.random.fold_in(jax.random.fold_in(key, number), place))

        return jax.lax.map(one, keys)

    found = jax.lax.map(of_block, (bucket, jnp.arange(len(bucket.cluster_weight))))
    return jnp.moveaxis(found, 0, 2).reshape(len(keys), q, -1)


def _resampled(f: Integrand, post: Posterior, key: Array) -> Array:
    """(q, B) one draw for each cluster of a block."""

    def consider(k: Array, chosen: tuple[Array, Array]) -> tuple[Array, Array]:
        """One candidate more: it replaces the one held with the probability that is its share of all weights so far."""
        held, log_total = chosen
        for_z, for_choice = jax.random.split(jax.random.fold_in(key, k))
        z = _t_draws(for_z, f.observed, len(held))
        u = post.at(z)
        log_weight = log_joint(f, u) + 0.5 * (_DF + len(held)) * jnp.log1p((z * z).sum(0) / _DF)
        log_total = jnp.logaddexp(log_total, log_weight)
        level = from_first_lane(f.observed, jax.random.uniform(for_choice, log_total.shape, log_total.dtype))
        return jnp.where(level < jnp.exp(log_weight - log_total), u, held), log_total

    nothing = jnp.full(post.mode.shape[1:], -jnp.inf, post.mode.dtype)
    return jax.lax.fori_loop(0, _N_CANDIDATES, consider, (post.mode, nothing))[0]


def _t_draws(key: Array, observed: Observed, q: int) -> Array:
    """(q, B) standard multivariate t draws, the same on all lanes of a cluster."""
    for_normal, for_scale = jax.random.split(key)
    n_lanes, dtype = observed.row_weight.shape[-1], observed.row_weight.dtype
    normal = jax.random.normal(for_normal, (q, n_lanes), dtype)
    chi_square = 2.0 * jax.random.exponential(for_scale, (2, n_lanes), dtype).sum(0)
    return from_first_lane(observed, normal / jnp.sqrt(chi_square / _DF))
