"""The log-likelihood of a block of clusters, and its gradient block by block: memory stays at one block whatever the number of rows.

This file and ``marginal`` are the only ones that batch over blocks and buckets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.adaptive import integrate, integrate_with_slopes
from glmmjax.likelihood.cluster_sums import ClusterSums, no_sums, sums_of
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.crossed import crossed_value_and_gradient, crossed_values
from glmmjax.likelihood.crossed_importance import importance_value_and_gradient
from glmmjax.likelihood.levels import CrossedRule, ImportanceRule, NestedRule
from glmmjax.likelihood.nested import nested_value_and_gradient, nested_values
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.posterior import Posterior, posterior
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior
from glmmjax.likelihood.rows import Integrand, Predictors, integrand, log_base, observed_of, over_lanes
from glmmjax.likelihood.rule import NodePlacement, Rule

__all__ = [
    "Evaluation",
    "Modes",
    "Span",
    "block_value_and_gradient",
    "block_values",
    "start_modes",
    "sum_over_blocks",
    "value_and_gradient",
]

AnyRule = Rule | NestedRule | CrossedRule | ImportanceRule
Modes = tuple[Array, ...]  # one (S, q, B) array for each bucket


class Evaluation(NamedTuple):
    """The log-likelihood at one parameter point.

    Attributes
    ----------
    sums : over all clusters
    modes : where the next evaluation starts its search
    mode_error : () largest squared Newton step left in any mode, in posterior standard deviations
    """

    sums: ClusterSums
    modes: Modes
    mode_error: Array

    @property
    def value(self) -> Array:
        """() log-likelihood."""
        return self.sums.value

    @property
    def gradient(self) -> Params:
        """Derivatives in the ``Params``, those in chol for every entry of it."""
        return self.sums.gradient


class Span(NamedTuple):
    """Some blocks of a bucket: ``first, first + stride, ...``. Whole numbers, traced or not.

    Attributes
    ----------
    first : () number of the first block
    count : () number of blocks
    stride : () from one block to the next
    """

    first: Any
    count: Any
    stride: Any


def value_and_gradient(
    params: Params,
    buckets: tuple[Bucket, ...],
    family: Family,
    rule: Rule,
    modes: Modes,
    spans: tuple[Span, ...] | None = None,
    *,
    prior: Prior = STANDARD_NORMAL,
) -> Evaluation:
    """Log-likelihood and exact gradient at ``params``. The search for modes starts at ``modes``; ``spans``: see ``sum_over_blocks``."""
    of_block = lambda block, start: block_value_and_gradient(params, block, start, family, rule, prior)  # noqa: E731
    return Evaluation(*sum_over_blocks(of_block, no_sums(params), buckets, modes, spans))


def sum_over_blocks(
    of_block: Callable[[Bucket, Array], tuple[Any, Array, Array]],
    zero: Any,
    buckets: tuple[Bucket, ...],
    modes: Modes,
    spans: tuple[Span, ...] | None = None,
) -> tuple[Any, Modes, Array]:
    """The sum over blocks of the first result of ``of_block``, their modes, and the largest error of the modes.

    Parameters
    ----------
    of_block : takes a block and where the search for its modes begins; gives a tree shaped as ``zero``, the modes, and their error.
    spans : the blocks to visit, one entry for each bucket; all blocks by default. Modes of other blocks come back as they were.
    """
    total, found = (zero, jnp.zeros((), modes[0].dtype)), []
    for bucket, start, span in zip(buckets, modes, spans or tuple(Span(0, len(b.cluster_weight), 1) for b in buckets), strict=True):

        def add(i, carry, bucket=bucket, span=span):
            (total, worst), modes = carry
            k = span.first + i * span.stride
            block, start = jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, k, keepdims=False), (bucket, modes))
            terms, mode, error = of_block(block, start)
            modes = jax.lax.dynamic_update_index_in_dim(modes, jax.lax.stop_gradient(mode), k, 0)
            return (jax.tree.map(jnp.add, total, terms), jnp.maximum(worst, error)), modes

        total, mode = jax.lax.fori_loop(0, span.count, add, (total, start))
        found.append(mode)
    return total[0], tuple(found), total[1]


def block_value_and_gradient(
    params: Params, block: Bucket, start: Array, family: Family, rule: AnyRule, prior: Prior = STANDARD_NORMAL
) -> tuple[ClusterSums, Array, Array]:
    """Weighted log-likelihood of a block with its gradient, its modes and their largest error.

    The chain rule is written out where it meets the sum over nodes: automatic differentiation through that loop would trace it twice
    and move parts of the density out of it.
    """
    if isinstance(rule, NestedRule):
        return nested_value_and_gradient(params, block, start, family, rule, prior)
    if isinstance(rule, CrossedRule):
        return crossed_value_and_gradient(params, block, start, family, prior)
    if isinstance(rule, ImportanceRule):
        return importance_value_and_gradient(params, block, start, family, rule, prior)

    def prepare(params: Params) -> tuple[tuple[Predictors, NodePlacement, Array], Posterior]:
        f = integrand(params, block, family, prior)
        post = posterior(f, start)
        return (f.x, rule.place(f, post), log_base(f)), post

    observed = observed_of(block, family)
    (x, placement, base), pull_back, post = jax.vjp(prepare, params, has_aux=True)
    values, by = integrate_with_slopes(Integrand(family, prior, x, observed), placement, rule)
    weight = block.cluster_weight
    # rows and phi belong to a lane; nodes are placed for a cluster, which counts on its first lane only
    eta, zl, phi = (over_lanes(observed, weight) * slope for slope in by[:3])
    placed = NodePlacement(weight * by.origin, weight * by.axes, weight, jnp.zeros_like(weight))
    (gradient,) = pull_back((Predictors(eta, zl, phi), placed, weight))
    return sums_of(weight * (values + base), gradient), post.mode, jnp.max(post.mode_error)


def start_modes(buckets: tuple[Bucket, ...], q: int) -> Modes:
    """Zero modes for every bucket."""
    return tuple(jnp.zeros((b.cluster_weight.shape[0], q, b.cluster_weight.shape[1]), b.cluster_weight.dtype) for b in buckets)


def block_values(
    params: Params, block: Bucket, family: Family, rule: Rule | NestedRule | CrossedRule, prior: Prior = STANDARD_NORMAL
) -> Array:
    """(B,) log marginal likelihoods of a block."""
    if isinstance(rule, NestedRule):
        return nested_values(params, block, family, rule, prior)
    if isinstance(rule, CrossedRule):
        return crossed_values(params, block, family, prior)
    f = integrand(params, block, family, prior)
    start = jnp.zeros((params.chol.shape[-1], block.cluster_weight.shape[-1]), f.x.eta.dtype)
    return integrate(f, rule.place(f, posterior(f, start)), rule) + log_base(f)
