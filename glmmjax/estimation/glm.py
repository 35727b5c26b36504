"""The model without random effects, fitted from the data alone. The search for starting values begins here.

Iteratively reweighted least squares on the observed curvature of the family's own log density, for every linear predictor at once, with
Newton steps for the extra parameters. Information between predictors is left out. This slows the last steps, and misleads none, because a
step that lowers the likelihood is halved.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.linear_algebra import absolute, solve_positive
from glmmjax.families.base import Family
from glmmjax.likelihood.clusters import Bucket, on_all_lanes
from glmmjax.likelihood.model_rows import predictors_at
from glmmjax.likelihood.params import Theta
from glmmjax.likelihood.row_derivatives import along, coordinates
from glmmjax.likelihood.rows import Observed, observed_of, over_lanes, row_log_density

__all__ = ["RowTerms", "fit_glm", "row_terms", "weighted_deviation"]

_STEPS = 13  # the limit also ends a fit with separation
_STEPS_OF_MANY = 31  # more steps where several blocks of parameters settle in turn
_LEAST_CURVATURE = 0.1  # as a fraction of the mean curvature of a block
_NO_CURVATURE = 1e-8  # the same where rows are concave; of outcomes in a large unit all curvatures are small
_ROUNDING = 64.0  # relative rounding errors of a mean
_LONGEST_PHI_STEP = 1.0  # most extra parameters are logarithms


class RowTerms(NamedTuple):
    """Weighted log density of every row and its derivatives in each linear predictor.

    Attributes
    ----------
    value : (w, B) weighted log density
    score : (E, w, B) its slope in each predictor
    weight : (E, w, B) minus its curvature, kept above 0
    """

    value: Array
    score: Array
    weight: Array


class _Normal(NamedTuple):
    """Weighted normal equations of one pass over the rows; C parameters without those of D."""

    value: Array  # () log-likelihood at the predictors used
    information: Array  # (C, C) X'WX of each predictor, and minus the Hessian in phi
    right: Array  # (C,) X'(W (eta - offset) + s), and the gradient in phi


class _Iterate(NamedTuple):
    theta: Array  # (C,) to be tried
    from_outcomes: Array  # (C,) the first proposal, tried once the value at zero is known
    previous: Array  # (C,) the best so far, where ``value`` and ``information`` are
    value: Array
    information: Array
    change: Array
    n_steps: Array


def fit_glm(family: Family, layout: Theta, buckets: tuple[Bucket, ...]) -> tuple[Array, Array]:
    """(C,) parameters in the order of ``layout``, which has no random effects, and (C, C) their information."""
    dtype, size = buckets[0].cluster_weight.dtype, layout.size
    first = jnp.zeros(size, dtype).at[layout.extra].set(_initial_phi(family, buckets))
    n_blocks = len(layout.by_predictor) + bool(layout.n_phi)

    def step(s: _Iterate) -> _Iterate:
        normal = _normal_equations(family, layout, buckets, s.theta, s.n_steps == 0)
        good = (normal.value >= s.value - 1e-8 * jnp.abs(s.value)) & _is_finite(normal)
        information = _with_safe_phi(layout, normal.information)
        proposal = _proposal(layout, s.theta, information, normal.right, s.n_steps == 0)
        change = jnp.abs(normal.value - s.value) / (1.0 + jnp.abs(s.value))
        from_outcomes = jnp.where(s.n_steps == 0, proposal, s.from_outcomes)
        theta = jnp.where(good, proposal, 0.5 * (s.theta + s.previous))
        return _Iterate(
            theta=jnp.where(s.n_steps == 0, s.theta, jnp.where(s.n_steps == 1, from_outcomes, theta)),
            from_outcomes=from_outcomes,
            previous=jnp.where(good, s.theta, s.previous),
            # the first pass uses eta near the outcomes, so its value is no yardstick; that of the second is, where coefficients are 0
            value=jnp.where(good & (s.n_steps > 0), normal.value, s.value),
            information=jnp.where(good, information, s.information),
            change=jnp.where(good & jnp.isfinite(s.value), change, jnp.inf).astype(dtype),
            n_steps=s.n_steps + 1,
        )

    infinity = jnp.array(jnp.inf, dtype)
    start = _Iterate(first, first, first, -infinity, jnp.eye(size, dtype=dtype), infinity, jnp.zeros((), jnp.int32))
    n_steps = _STEPS if n_blocks == 1 else _STEPS_OF_MANY
    last = jax.lax.while_loop(lambda s: (s.n_steps < n_steps) & (s.change > 1e-6), step, start)
    return last.previous, last.information


def _is_finite(normal: _Normal) -> Array:
    """() bool: a step can be made from these equations."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in normal]))


def _initial_phi(family: Family, buckets: tuple[Bucket, ...]) -> Array:
    """(n_phi,) values on the free scale from which a search can start, for outcomes of any unit."""
    deviation = weighted_deviation(buckets, [family.response(bucket.y) for bucket in buckets])
    return jnp.array(family.initial_phi(jnp.where(deviation > 0, deviation, 1.0)), deviation.dtype)


def weighted_deviation(buckets: tuple[Bucket, ...], values: list[Array]) -> Array:
    """() standard deviation over all rows of ``values``, (S, w, B) a bucket, weighted as clusters are; 0 where only rounding differs."""
    weights = [bucket.row_weight * on_all_lanes(bucket, bucket.cluster_weight)[:, None] for bucket in buckets]
    rows = list(zip(weights, values, strict=True))
    total = lambda of: jnp.stack([of(weight, value) for weight, value in rows]).sum()  # noqa: E731
    weight = total(lambda weight, _: weight.sum())
    mean = total(lambda weight, value: (weight * value).sum()) / weight
    deviation = jnp.sqrt(total(lambda weight, value: (weight * (value - mean) ** 2).sum()) / weight)
    return jnp.where(deviation > _ROUNDING * jnp.finfo(deviation.dtype).eps * jnp.abs(mean), deviation, 0.0)


def row_terms(family: Family, observed: Observed, eta: Array, phi: Array, cluster_weight: Array) -> RowTerms:
    """Derivatives of every row at fixed predictors ``eta`` (E, w, B) and ``phi`` (n_phi,)."""
    weight, phi = observed.row_weight * cluster_weight, phi[:, None]

    def value_and_score(eta: Array) -> tuple[Array, Array]:
        value, pullback = jax.vjp(lambda e: row_log_density(family, observed, e, phi), eta)
        return value, pullback(jnp.ones_like(value))[0]

    (value, score), seconds = along(value_and_score, (eta,), coordinates(eta))
    curvature = jnp.stack([-second[e] for e, (_, second) in enumerate(seconds)])
    return RowTerms(weight * value, weight * score, weight * _positive(family, curvature, weight))


def _positive(family: Family, curvature: Array, weight: Array) -> Array:
    """Where rows can be convex, a cluster of such rows would seem to carry no information: every row has at least some of the mean.

    The mean is of absolute values: far from the maximum every row can be convex.
    """
    tiny = jnp.finfo(weight.dtype).tiny
    mean = (weight * jnp.abs(curvature)).sum((1, 2)) / jnp.maximum(weight.sum(), tiny)
    least = jnp.maximum(_NO_CURVATURE * jnp.minimum(mean, 1.0), tiny)
    if not family.is_log_concave:
        least = jnp.maximum(_LEAST_CURVATURE * mean, least)
    return jnp.maximum(curvature, least[:, None, None])


def _normal_equations(family: Family, layout: Theta, buckets: tuple[Bucket, ...], theta: Array, at_outcome: Array) -> _Normal:
    params = layout.params(theta)

    def add(total: _Normal, block: Bucket) -> tuple[_Normal, None]:
        observed = observed_of(block, family)
        near = jnp.stack([jnp.broadcast_to(eta, block.row_weight.shape) for eta in family.initial_predictors(block.y)])
        eta = jnp.where(at_outcome, near, predictors_at(params, block))
        cluster_weight = over_lanes(observed, block.cluster_weight)
        rows = row_terms(family, observed, eta, params.phi, cluster_weight)
        information, right = jnp.zeros_like(total.information), jnp.zeros_like(total.right)
        for e, (where, x) in enumerate(zip(layout.by_predictor, block.X, strict=True)):
            score, weight = rows.score[e], rows.weight[e]
            if where == layout.dispersion and layout.p_disp:
                # with predictors at the outcomes a scale would be 0, and far from its maximum the likelihood of a scale is flat
                score = jnp.where(at_outcome, 0.0, score)
                weight = jnp.maximum(weight, 0.5 * observed.row_weight * cluster_weight)
            information = information.at[where, where].set(jnp.einsum("awb,cwb->ac", x, weight * x))
            working = weight * (eta[e] - block.offset[e]) + score
            right = right.at[where].set(jnp.tensordot(x, working, ((1, 2), (0, 1))))
        if layout.n_phi:
            in_phi = lambda phi: (observed.row_weight * cluster_weight * row_log_density(family, observed, eta, phi[:, None])).sum()  # noqa: E731
            information = information.at[layout.extra, layout.extra].set(-jax.hessian(in_phi)(params.phi))
            right = right.at[layout.extra].set(jax.grad(in_phi)(params.phi))
        return jax.tree.map(jnp.add, total, _Normal(rows.value.sum(), information, right)), None

    size, dtype = layout.size, theta.dtype
    total = _Normal(jnp.zeros((), dtype), jnp.zeros((size, size), dtype), jnp.zeros(size, dtype))
    for bucket in buckets:
        total, _ = jax.lax.scan(add, total, bucket)
    return total


def _with_safe_phi(layout: Theta, information: Array) -> Array:
    """The Hessian in phi need not be negative definite away from its maximum."""
    if not layout.n_phi:
        return information
    return information.at[layout.extra, layout.extra].set(absolute(information[layout.extra, layout.extra]))


def _proposal(layout: Theta, theta: Array, information: Array, right: Array, at_outcome: Array) -> Array:
    proposal = solve_positive(information, right)
    if not layout.n_phi:
        return proposal
    # at predictors as close to the outcomes as can be, a scale would be 0
    step = jnp.where(at_outcome, 0.0, jnp.clip(proposal[layout.extra], -_LONGEST_PHI_STEP, _LONGEST_PHI_STEP))
    return proposal.at[layout.extra].set(theta[layout.extra] + step)
