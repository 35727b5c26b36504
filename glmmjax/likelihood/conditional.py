"""The distribution of the random effects of each cluster given its outcomes, on the nodes of the adaptive rule.

With nodes ``u_k = mode + root z_k`` and weights proportional to ``exp(f(u_k)) w_k``, every posterior expectation is a weighted sum.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.adaptive import posterior
from glmmjax.likelihood.clusters import Bucket, ClusterData, to_clusters
from glmmjax.likelihood.gauss_hermite import Rule
from glmmjax.likelihood.marginal import Modes, start_modes
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.rows import log_joint, outcome_of, predictors_of

__all__ = ["Conditional", "block_conditional", "conditional", "conditional_covariances", "conditional_means", "node_of"]


class Conditional(NamedTuple):
    """Nodes and weights of m clusters, in the order of ``design.groups``, in spherical coordinates u; ``b = L u``."""

    mode: Array  # (q, m)
    root: Array  # (q, q, m) upper triangular, root root' the inverse negative Hessian at the mode
    weights: Array  # (K, m), sum to 1 over nodes


def conditional(params: Params, clusters: ClusterData, family: Family, rule: Rule, starts: Modes | None = None) -> Conditional:
    """Nodes and weights of every cluster; forward mode differentiates them, the movement of mode and scale included.

    Parameters
    ----------
    rule : of fixed length, ``tensor_rule(n_agq, q)``.
    starts : (S, q, B) a bucket, where the searches for modes begin; 0 when not given.
    """

    def of_block(block_and_start: tuple[Bucket, Array]) -> Conditional:
        return block_conditional(params, block_and_start[0], family, rule, block_and_start[1])

    q = params.chol.shape[0]
    pairs = zip(clusters.buckets, starts or start_modes(clusters.buckets, q), strict=True)
    found = [jax.lax.map(of_block, pair) for pair in pairs]
    return Conditional(*(to_clusters(clusters, blocks) for blocks in zip(*found, strict=True)))


def block_conditional(params: Params, block: Bucket, family: Family, rule: Rule, start: Array) -> Conditional:
    """Nodes and weights of the clusters of one block, (..., B), the search for modes beginning at ``start`` (q, B)."""
    nodes, log_weights = jnp.asarray(rule.nodes, params.beta.dtype), jnp.asarray(rule.log_weights, params.beta.dtype)
    x, outcome = predictors_of(params, block), outcome_of(block)
    post = posterior(family, x, outcome, start)

    def log_weight(node: tuple[Array, Array]) -> Array:
        z, log_w = node
        u = post.mode + (post.root * z[:, None]).sum(1)
        return log_joint(family, x, outcome, u) + log_w

    weights = jax.nn.softmax(jax.lax.map(log_weight, (nodes, log_weights)), axis=0)
    return Conditional(post.mode, post.root, weights)


def node_of(given: Conditional, z: Array) -> Array:
    """(q, m) where the node with standard coordinates ``z`` (q,) lies in every cluster."""
    return given.mode + (given.root * z[:, None]).sum(1)


def conditional_means(given: Conditional, rule: Rule) -> Array:
    """(q, m) posterior means of u."""
    z = jnp.tensordot(jnp.asarray(rule.nodes, given.mode.dtype).T, given.weights, 1)
    return given.mode + (given.root * z).sum(1)


def conditional_covariances(given: Conditional, rule: Rule) -> Array:
    """(q, q, m) posterior covariance matrices of u."""
    nodes = jnp.asarray(rule.nodes, given.mode.dtype)
    mean = jnp.tensordot(nodes.T, given.weights, 1)
    second = jnp.einsum("ka,kb,km->abm", nodes, nodes, given.weights) - mean[:, None] * mean
    return jnp.einsum("acm,cdm,bdm->abm", given.root, second, given.root)
