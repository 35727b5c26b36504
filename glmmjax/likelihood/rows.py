"""The integrand of one block of clusters, f(u) = sum_j log p(y_j | eta_j + zl_j' u) + log prior(u).

Arrays are written for one cluster, (w,) rows and (q,) random effects, with a trailing axis of clusters that every operation
broadcasts over. f holds the part of log p that depends on u; ``log_base`` is the rest. ``zl = L' z`` folds the factor of D into the
random-effects design, so that the law of u has no parameters of D and no inverse of D is ever formed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.live_outcomes import continuous_columns
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.levels import CrossedFactors
from glmmjax.likelihood.model_rows import predictors_at, random_columns
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior
from glmmjax.likelihood.small_matrices import lower_rotation

__all__ = [
    "Integrand",
    "Lanes",
    "Observed",
    "Predictors",
    "at",
    "from_first_lane",
    "integrand",
    "log_base",
    "log_joint",
    "materialized",
    "observed_of",
    "over_lanes",
    "over_rows",
    "predictors_of",
    "row_log_density",
    "row_log_kernel",
]


class Predictors(NamedTuple):
    """The part of the integrand that depends on the parameters. ``E`` predictors, ``q`` random effects.

    Attributes
    ----------
    eta : (E, w, B) fixed part and offset
    zl : (E, q, w, B) random-effects columns times L
    phi : (n_phi, B) extra parameters on the free scale, one copy for each cluster
    """

    eta: Array
    zl: Array
    phi: Array


class Observed(NamedTuple):
    """Outcomes and weights, which do not depend on the parameters.

    Attributes
    ----------
    y : (w, B) outcome, or a tuple of such arrays for several outcome columns
    row_weight : (w, B) 0 for padding rows, else 1
    lanes : how clusters share lanes; None where every lane is a cluster
    """

    y: Any
    row_weight: Array
    lanes: Lanes | None = None


class Lanes(NamedTuple):
    """Clusters that span several lanes. What belongs to a cluster, such as its mode, then stands on each of its lanes.

    Attributes
    ----------
    same : (B, B) 1 where two lanes belong to one cluster, else 0
    is_first : (B,) 1 on the first lane of each cluster, else 0
    """

    same: Array
    is_first: Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Integrand:
    """f of every cluster of a block. Family and prior are static, the rest are arrays.

    Attributes
    ----------
    family : density of the outcome
    prior : law of the random effects
    x : the part that depends on the parameters
    observed : outcomes and weights
    turn : (q, q) orthogonal, the axes in u along which nodes are placed one after the other; None for those of u
    """

    family: Family = dataclasses.field(metadata={"static": True})
    prior: Prior = dataclasses.field(metadata={"static": True})
    x: Predictors
    observed: Observed
    turn: Array | None = None


def integrand(params: Params, block: Bucket, family: Family, prior: Prior = STANDARD_NORMAL) -> Integrand:
    """The integrand of a block at ``params``.

    Raises
    ------
    ValueError
        Where block and law do not agree on the levels of random effects: the integral would be that of another model.
    """
    n_upper = 0 if block.levels is None else block.levels.n_upper
    if n_upper != prior.n_upper:
        raise ValueError(f"the clusters have {n_upper} random effects of an upper level, and the law has {prior.n_upper}")
    if isinstance(block.levels, CrossedFactors) or prior.is_crossed:
        raise ValueError("the random effects of crossed factors have no integral cluster by cluster")
    return Integrand(family, prior, predictors_of(params, block, family), observed_of(block, family), _turn_of(params, block))


def _turn_of(params: Params, block: Bucket) -> Array | None:
    """Axes in which the factor of D is lower triangular on the block's frame: whatever their units and origins, the columns of Z give the
    same nodes.
    """
    if block.frame is None or params.chol.shape[-1] < 2:
        return None
    return lower_rotation(jnp.matmul(jax.lax.stop_gradient(block.frame), params.chol, precision="highest"))


def predictors_of(params: Params, block: Bucket, family: Family) -> Predictors:
    """Linear predictors of a block at u = 0 and their slopes in u, for the main part, the zero part, the dispersion, and what
    ``family.in_rows`` adds.
    """
    eta, zl = predictors_at(params, block), random_columns(params, block)
    phi = jnp.asarray(params.phi, eta.dtype)
    eta, phi = family.in_rows(block.y, eta, jnp.broadcast_to(phi[:, None], (phi.shape[0], eta.shape[-1])))
    still = jnp.zeros((len(eta) - len(zl), *zl.shape[1:]), zl.dtype)
    return Predictors(eta, jnp.concatenate([zl, still]) if len(still) else zl, phi)


def observed_of(block: Bucket, family: Family) -> Observed:
    """Outcomes and row weights of a block; derivatives are taken in continuous outcomes alone."""
    held = jax.lax.stop_gradient(Observed(block.y, block.row_weight, _lanes_of(block)))
    columns, tree = jax.tree.flatten(held.y)
    live = jax.tree.leaves(block.y)
    for k in continuous_columns(family, len(columns)):
        columns[k] = live[k]
    return held._replace(y=jax.tree.unflatten(tree, columns))


def _lanes_of(block: Bucket) -> Lanes | None:
    if block.lane_clusters is None:
        return None
    ids, dtype = block.lane_clusters, block.row_weight.dtype
    return Lanes((ids[:, None] == ids).astype(dtype), (ids == jnp.arange(len(ids))).astype(dtype))


def over_rows(observed: Observed, terms: Array) -> Array:
    """(B,) sums of ``terms`` (..., w, B) over the rows of each cluster."""
    return over_lanes(observed, terms.sum(tuple(range(terms.ndim - 1))))


def over_lanes(observed: Observed, sums: Array) -> Array:
    """Sums (..., B) of the rows in each lane, added up over the lanes of each cluster and given to all of them."""
    return sums if observed.lanes is None else jnp.matmul(sums, observed.lanes.same, precision="highest")


def from_first_lane(observed: Observed, values: Array) -> Array:
    """Values (..., B) of the first lane of each cluster, on all its lanes."""
    return values if observed.lanes is None else over_lanes(observed, values * observed.lanes.is_first)


def materialized(function: Callable[[Integrand, Array], Any], f: Integrand, u: Array) -> Any:
    """``function(f, u)`` with every result written to memory before it is used; ``function`` is jitted.

    XLA's CPU compiler inlines a density into each sum over rows that uses it, in loops that do not vectorise, which takes twice the
    time. Only the branch of a conditional stops this. A GPU gains by the fusion.
    """

    def on_cpu(f: Integrand, u: Array) -> Any:
        always = f.observed.row_weight.ravel()[0] >= 0  # always true, which the compiler cannot know
        return jax.lax.cond(always, function, zeros, f, u)

    # ``function`` is jitted, so that it is traced once for all its branches
    zeros = lambda *a: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, *a))  # noqa: E731
    return jax.lax.platform_dependent(f, u, cpu=on_cpu, default=function)


def row_log_density(family: Family, observed: Observed, eta: Array, phi: Array) -> Array:
    """(w, B) log density of every row, unweighted."""
    return family.log_density(observed.y, eta[0], phi, *eta[1:])


def row_log_kernel(family: Family, observed: Observed, eta: Array, phi: Array) -> Array:
    """(w, B) the part of every row's log density that depends on the random effects, unweighted."""
    return family.log_kernel(observed.y, eta[0], phi, *eta[1:])


def log_base(f: Integrand) -> Array:
    """(B,) the part of a cluster's log density that does not depend on its random effects."""
    rows = f.family.log_base(f.observed.y, f.x.phi, *f.x.eta[1:])
    return over_rows(f.observed, f.observed.row_weight * rows)


def at(x: Predictors, u: Array) -> Array:
    """(E, w, B) linear predictors at random effects ``u``."""
    return x.eta + sum((x.zl[:, a] * u[a] for a in range(u.shape[0])), jnp.zeros((), x.eta.dtype))


def log_joint(f: Integrand, u: Array) -> Array:
    """(B,) values of f at ``u`` (q, B), without the constant of the prior."""
    density = row_log_kernel(f.family, f.observed, at(f.x, u), f.x.phi)
    return over_rows(f.observed, f.observed.row_weight * density) + f.prior.log_density(u)
