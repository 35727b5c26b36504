"""The marginal log-likelihood of all clusters. No other file batches over blocks and buckets.

``log_likelihood`` and ``cluster_log_likelihoods`` are the public pure functions; ``value_and_gradient`` is the same number with
its gradient taken block by block, so that memory stays at one block whatever the number of rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from glmmjax.arguments import InstanceOf, Judged, Maybe, takes
from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.families.registry import resolve_family
from glmmjax.likelihood.adaptive import integrate, integrate_with_slopes
from glmmjax.likelihood.clusters import Bucket, ClusterData, to_clusters
from glmmjax.likelihood.covariance import unstructured
from glmmjax.likelihood.gauss_hermite import check_n_agq, tensor_rule
from glmmjax.likelihood.params import Params, check_shapes, layout_of, predictor_sizes
from glmmjax.likelihood.posterior import Posterior, posterior
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior
from glmmjax.likelihood.rows import Integrand, Predictors, integrand, log_base, observed_of, over_lanes
from glmmjax.likelihood.rule import NodePlacement, Rule
from glmmjax.likelihood.sharding import CLUSTERS, MESH, over_blocks, plain_mesh, sum_over_devices

__all__ = [
    "Evaluation",
    "Modes",
    "Span",
    "block_value_and_gradient",
    "cluster_log_likelihoods",
    "cluster_log_likelihoods_by_rule",
    "in_ambient_precision",
    "log_likelihood",
    "log_likelihood_by_rule",
    "start_modes",
    "sum_over_blocks",
    "value_and_gradient",
]

_POINT = {
    "params": InstanceOf(Params, "a Params, such as that of a fit"),
    "clusters": CLUSTERS,
    "family": Judged("the name of a family, or a family object"),
    "n_agq": Judged("a whole number of points"),
}
Modes = tuple[Array, ...]  # one (S, q, B) array for each bucket


class Evaluation(NamedTuple):
    """The log-likelihood at one parameter point.

    Attributes
    ----------
    value : () log-likelihood
    gradient : derivatives in the ``Params``, those in chol for every entry of it
    modes : where the next evaluation starts its search
    mode_error : () largest squared Newton step left in any mode, in posterior standard deviations
    """

    value: Array
    gradient: Params
    modes: Modes
    mode_error: Array


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


@takes(**_POINT, mesh=Maybe(MESH))
def log_likelihood(params: Params, clusters: ClusterData, family: str | Family, n_agq: int = 11, mesh: Mesh | None = None) -> Array:
    r"""Marginal log-likelihood by adaptive Gauss-Hermite quadrature.

    .. math:: \sum_i w_i \log \int \prod_j p(y_{ij} \mid \eta_{ij} + z_{ij}' L u)\, N(u; 0, I)\, du

    Parameters
    ----------
    params : ``Params``; ``beta`` (p,), ``chol`` (q, q) with D = L L', ``phi`` (n_phi,) on the free scale, ``gamma`` (p_zi,), ``delta``
        (p_disp,).
    clusters : ``design.clusters`` of ``make_design``, or a ``ClusterData`` made by hand.
    family : a ``Family``, or its name; static under ``jit``.
    n_agq : points per dimension, 1 is Laplace's method; static under ``jit``.
    mesh : devices that share the work, static under ``jit``; ``clusters`` are then those of ``shard_clusters(clusters, mesh)``.

    Returns
    -------
    Array
        A scalar in the dtype of the data. ``jit``, ``vmap``, ``grad``, ``hessian`` work in ``params`` and in the floating-point leaves of
        ``clusters`` but ``y`` and ``row_weight``, whose derivatives are taken as 0. The derivative includes the movement of mode and
        scale.

    Raises
    ------
    ArgumentError
        For a shape, family, ``n_agq`` or mesh that does not fit.

    References
    ----------
    Pinheiro and Bates (1995), Journal of Computational and Graphical Statistics 4, 12-35; Pinheiro and Chao (2006), the same journal 15,
    58-81.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> data = gj.datasets.load_intro_binomial()
    >>> design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    >>> params = gj.Params(beta=jnp.array([-2.6, -1.3, 0.28, 0.04]), chol=jnp.array([[2.0]]))
    >>> f"{gj.log_likelihood(params, design.clusters, 'binomial'):.2f}"
    '-374.57'
    """
    arguments = _arguments(params, clusters, family, n_agq)
    return _log_likelihood(*arguments) if mesh is None else _log_likelihood_on_mesh(*arguments, _mesh_for(clusters, mesh))


def log_likelihood_by_rule(params: Params, clusters: ClusterData, family: Family, rule: Rule, prior: Prior = STANDARD_NORMAL) -> Array:
    """``log_likelihood`` with a rule made for ``prior`` in place of ``n_agq``. One program takes any ``padded_rule`` as traced argument."""
    total = jnp.zeros((), params.beta.dtype)
    for bucket in clusters.buckets:

        def add(total, block):
            return total + (block.cluster_weight * block_values(params, block, family, rule, prior)).sum(), None

        total, _ = jax.lax.scan(add, total, bucket)
    return total


@takes(**_POINT)
def cluster_log_likelihoods(params: Params, clusters: ClusterData, family: str | Family, n_agq: int = 11) -> Array:
    """Log marginal likelihood of each cluster, by the quadrature of ``log_likelihood``.

    Parameters
    ----------
    params, clusters, family, n_agq : as for ``log_likelihood``.

    Returns
    -------
    Array
        (m,) in the order of ``design.groups``; weights of clusters are not applied.

    Raises
    ------
    ArgumentError
        For a shape, family or ``n_agq`` that does not fit.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> data = gj.datasets.load_intro_binomial()
    >>> design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    >>> params = gj.Params(beta=jnp.array([-2.6, -1.3, 0.28, 0.04]), chol=jnp.array([[2.0]]))
    >>> values = gj.cluster_log_likelihoods(params, design.clusters, "binomial")
    >>> [f"{value:.2f}" for value in values[:3]]
    ['-2.88', '-3.22', '-5.59']
    """
    return _cluster_log_likelihoods(*_arguments(params, clusters, family, n_agq))


# compiled once for eager callers too; inside another program they become part of it
@functools.partial(jax.jit, static_argnums=(2, 3))
def _log_likelihood(params: Params, clusters: ClusterData, family: Family, n_agq: int) -> Array:
    return log_likelihood_by_rule(params, clusters, family, tensor_rule(n_agq, params.chol.shape[-1]))


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _log_likelihood_on_mesh(params: Params, clusters: ClusterData, family: Family, n_agq: int, mesh: Mesh) -> Array:
    def sum_of_own(params: Params, own: ClusterData) -> Array:
        return sum_over_devices(log_likelihood_by_rule(params, own, family, tensor_rule(n_agq, params.chol.shape[-1])), mesh)

    return over_blocks(sum_of_own, mesh, PartitionSpec())(params, ClusterData(clusters.buckets, ()))  # type: ignore[arg-type]  # nothing to shard


@functools.partial(jax.jit, static_argnums=(2, 3))
def _cluster_log_likelihoods(params: Params, clusters: ClusterData, family: Family, n_agq: int) -> Array:
    return cluster_log_likelihoods_by_rule(params, clusters, family, tensor_rule(n_agq, params.chol.shape[-1]))


def cluster_log_likelihoods_by_rule(
    params: Params, clusters: ClusterData, family: Family, rule: Rule, prior: Prior = STANDARD_NORMAL
) -> Array:
    """``cluster_log_likelihoods`` with a rule made for ``prior`` in place of ``n_agq``."""
    values = [jax.lax.map(lambda block: block_values(params, block, family, rule, prior), bucket) for bucket in clusters.buckets]
    return to_clusters(clusters, values)


def in_ambient_precision(tree: Any) -> Any:
    """Floating-point leaves in the precision in force, so that float64 data of another context do not mix with float32."""

    def convert(leaf: Any) -> Any:
        allowed = jax.dtypes.canonicalize_dtype(leaf.dtype)
        return leaf if leaf.dtype == allowed else jax.lax.convert_element_type(leaf, allowed)

    return jax.tree.map(convert, tree)


def _arguments(params: Params, clusters: ClusterData, family: str | Family, n_agq: int) -> tuple[Params, ClusterData, Family, int]:
    """The arguments of a public function, checked; parameters take the dtype of the data."""
    clusters = in_ambient_precision(clusters)
    dtype = clusters.buckets[0].cluster_weight.dtype
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)
    family, q = resolve_family(family), sum(z.shape[1] for z in clusters.buckets[0].Z)
    layout = layout_of(family, predictor_sizes(clusters), unstructured(q))
    check_shapes(params, layout, "params", family)
    return params, clusters, family, check_n_agq(n_agq)


def _mesh_for(clusters: ClusterData, mesh: Mesh) -> Mesh:
    """``mesh``, after a check that the devices have equal numbers of blocks of every bucket."""
    mesh = plain_mesh(mesh)
    uneven = [n for n in (bucket.cluster_weight.shape[0] for bucket in clusters.buckets) if n % mesh.size]
    if uneven:
        raise ArgumentError(
            f"clusters have a bucket of {uneven[0]} blocks, which mesh does not cut into {mesh.size} equal shares; "
            "pass shard_clusters(clusters, mesh)."
        )
    return mesh


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
    zero = (jnp.zeros((), params.beta.dtype), jax.tree.map(jnp.zeros_like, params))
    (value, gradient), modes, error = sum_over_blocks(of_block, zero, buckets, modes, spans)
    return Evaluation(value, gradient, modes, error)


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
    params: Params, block: Bucket, start: Array, family: Family, rule: Rule, prior: Prior = STANDARD_NORMAL
) -> tuple[tuple[Array, Params], Array, Array]:
    """Weighted log-likelihood of a block, its gradient, its modes and their largest error.

    The chain rule is written out where it meets the sum over nodes: automatic differentiation through that loop would trace it twice
    and move parts of the density out of it.
    """

    def prepare(params: Params) -> tuple[tuple[Predictors, NodePlacement, Array], Posterior]:
        f = integrand(params, block, family, prior)
        post = posterior(f, start)
        return (f.x, rule.place(f, post), log_base(f)), post

    observed = observed_of(block)
    (x, placement, base), pull_back, post = jax.vjp(prepare, params, has_aux=True)
    values, by = integrate_with_slopes(Integrand(family, prior, x, observed), placement, rule)
    weight = block.cluster_weight
    # rows and phi belong to a lane; nodes are placed for a cluster, which counts on its first lane only
    eta, zl, phi = (over_lanes(observed, weight) * slope for slope in by[:3])
    placed = NodePlacement(weight * by.origin, weight * by.axes, weight, jnp.zeros_like(weight))
    (gradient,) = pull_back((Predictors(eta, zl, phi), placed, weight))
    return ((weight * (values + base)).sum(), gradient), post.mode, jnp.max(post.mode_error)


def start_modes(buckets: tuple[Bucket, ...], q: int) -> Modes:
    """Zero modes for every bucket."""
    return tuple(jnp.zeros((b.cluster_weight.shape[0], q, b.cluster_weight.shape[1]), b.cluster_weight.dtype) for b in buckets)


def block_values(params: Params, block: Bucket, family: Family, rule: Rule, prior: Prior = STANDARD_NORMAL) -> Array:
    """(B,) log marginal likelihoods of a block."""
    f = integrand(params, block, family, prior)
    start = jnp.zeros((params.chol.shape[-1], block.cluster_weight.shape[-1]), f.x.eta.dtype)
    return integrate(f, rule.place(f, posterior(f, start)), rule) + log_base(f)
