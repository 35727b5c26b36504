"""The distribution of the random effects of each cluster given its outcomes, on the nodes of a rule.

With nodes ``u_k`` and weights proportional to ``exp(f(u_k)) w_k``, every posterior expectation is a weighted sum.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.block_sums import Modes, start_modes
from glmmjax.likelihood.clusters import Bucket, ClusterData, to_clusters
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.posterior import Posterior, posterior
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior
from glmmjax.likelihood.rows import integrand, log_joint
from glmmjax.likelihood.rule import NodePlacement, Rule, node

__all__ = ["Conditional", "block_conditional", "conditional", "conditional_covariances", "conditional_means", "node_of"]


class Conditional(NamedTuple):
    """Nodes and weights of m clusters, in the order of ``design.groups``, in spherical coordinates u; ``b = L u``.

    Attributes
    ----------
    origin : (q, m) nodes lie at origin + axes z, where the rule has placed them
    axes : (q, q, m)
    weights : (K, m), sum to 1 over nodes
    """

    origin: Array
    axes: Array
    weights: Array


def conditional(
    params: Params, clusters: ClusterData, family: Family, rule: Rule, starts: Modes | None = None, prior: Prior = STANDARD_NORMAL
) -> Conditional:
    """Nodes and weights of every cluster. Forward mode differentiates them, including the movement of mode and scale.

    Parameters
    ----------
    rule : of fixed length, ``tensor_rule(n_agq, q)``.
    starts : (S, q, B) for each bucket, where the searches for modes begin; 0 when not given.
    """

    def of_block(block_and_start: tuple[Bucket, Array]) -> Conditional:
        block, start = block_and_start
        return block_conditional(params, block, start, family, rule, prior)[1]

    q = params.chol.shape[0]
    pairs = zip(clusters.buckets, starts or start_modes(clusters.buckets, q), strict=True)
    found = [jax.lax.map(of_block, pair) for pair in pairs]
    return Conditional(*(to_clusters(clusters, blocks) for blocks in zip(*found, strict=True)))


def block_conditional(
    params: Params, block: Bucket, start: Array, family: Family, rule: Rule, prior: Prior = STANDARD_NORMAL
) -> tuple[Posterior, Conditional]:
    """Mode and scale of the clusters of one block, with their nodes and weights (..., B). The search begins at ``start`` (q, B)."""
    nodes, log_weights = jnp.asarray(rule.nodes, params.beta.dtype), jnp.asarray(rule.log_weights, params.beta.dtype)
    f = integrand(params, block, family, prior)
    post = posterior(f, start)
    placement = rule.place(f, post)

    def log_weight(standard: tuple[Array, Array]) -> Array:
        z, log_w = standard
        return log_joint(f, node(placement, z)) + log_w

    weights = jax.nn.softmax(jax.lax.map(log_weight, (nodes, log_weights)), axis=0)
    return post, Conditional(placement.origin, placement.axes, weights)


def node_of(given: Conditional, z: Array) -> Array:
    """(q, m) where the node with standard coordinates ``z`` (q,), or (q, m), lies in every cluster."""
    still = jnp.zeros(given.origin.shape[1:], given.origin.dtype)
    return node(NodePlacement(given.origin, given.axes, still, still), z)


def conditional_means(given: Conditional, rule: Rule) -> Array:
    """(q, m) posterior means of u."""
    return node_of(given, jnp.tensordot(jnp.asarray(rule.nodes, given.origin.dtype).T, given.weights, 1))


def conditional_covariances(given: Conditional, rule: Rule) -> Array:
    """(q, q, m) posterior covariance matrices of u."""
    nodes = jnp.asarray(rule.nodes, given.origin.dtype)
    mean = jnp.tensordot(nodes.T, given.weights, 1)
    second = jnp.einsum("ka,kb,km->abm", nodes, nodes, given.weights) - mean[:, None] * mean
    return jnp.einsum("acm,cdm,bdm->abm", given.axes, second, given.axes)
