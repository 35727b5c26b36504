"""Draws of random effects from their distribution given outcomes. Each is one of 32 candidates, chosen by its weight (``t_proposals``).

A law that is not symmetric has draws from the nodes of its rule (``node_draws``): candidates around one mode would miss another, or a tail.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program
from glmmjax.likelihood.clusters import Bucket, ClusterData, to_clusters
from glmmjax.likelihood.conditional import block_conditional
from glmmjax.likelihood.posterior import Posterior, posterior
from glmmjax.likelihood.quadrature import moment_rule
from glmmjax.likelihood.rows import Integrand, from_first_lane, integrand
from glmmjax.postfit.prediction.node_draws import drawn_from_nodes
from glmmjax.postfit.prediction.t_proposals import log_weight, t_draws

__all__ = ["posterior_draws"]

_N_CANDIDATES = 32  # the density of a draw has a relative error of about var(weight) / 32


@as_program(0)
def posterior_draws(problem: Problem, thetas: Array, keys: Array, clusters: ClusterData) -> Array:
    """(T, r, q, m) draws of u, b = L u, for every cluster.

    Parameters
    ----------
    thetas : (T, P) parameter vectors.
    keys : (T, r, k) data of keys, for r draws with each parameter vector; see ``key_data``.
    """

    def of_theta(theta_and_keys: tuple[Array, Array]) -> Array:
        theta, keys = theta_and_keys[0], jax.random.wrap_key_data(theta_and_keys[1])
        return to_clusters(clusters, [_of_bucket(problem, theta, keys, k, bucket) for k, bucket in enumerate(clusters.buckets)])

    return jax.lax.map(of_theta, (thetas, keys))


def _of_bucket(problem: Problem, theta: Array, keys: Array, number: int, bucket: Bucket) -> Array:
    """(S, r, q, B)"""
    params = problem.layout.params(theta)
    q = params.chol.shape[0]

    def of_block(block_and_place: tuple[Bucket, Array]) -> Array:
        block, place = block_and_place
        f, start = integrand(params, block, problem.family, problem.prior), jnp.zeros((q, block.shape[-1]), theta.dtype)
        at = lambda key: jax.random.fold_in(jax.random.fold_in(key, number), place)  # noqa: E731
        if not problem.prior.is_symmetric:
            rule = moment_rule(1, q, problem.prior)
            given = block_conditional(params, block, start, problem.family, rule, problem.prior)[1]
            return jax.lax.map(lambda key: drawn_from_nodes(at(key), f, given, rule, 1)[0], keys)
        post = posterior(f, start)

        def one(key: Array) -> Array:
            return _resampled(f, post, at(key))

        return jax.lax.map(one, keys)

    return jax.lax.map(of_block, (bucket, jnp.arange(bucket.shape[0])))


def _resampled(f: Integrand, post: Posterior, key: Array) -> Array:
    """(q, B) one draw for each cluster of a block."""

    def consider(k: Array, chosen: tuple[Array, Array]) -> tuple[Array, Array]:
        """Draw another candidate. It replaces the one held with a probability equal to its share of all weights so far."""
        held, log_total = chosen
        for_z, for_choice = jax.random.split(jax.random.fold_in(key, k))
        for_normal, for_scale = jax.random.split(for_z)
        z = t_draws(for_normal, for_scale, f, (len(held),))
        u = post.at(z)
        weight = log_weight(f, u, z)
        log_total = jnp.logaddexp(log_total, weight)
        level = from_first_lane(f.observed, jax.random.uniform(for_choice, log_total.shape, log_total.dtype))
        return jnp.where(level < jnp.exp(weight - log_total), u, held), log_total

    nothing = jnp.full(post.mode.shape[1:], -jnp.inf, post.mode.dtype)
    return jax.lax.fori_loop(0, _N_CANDIDATES, consider, (post.mode, nothing))[0]
