"""The marginal log-likelihood of all clusters as public pure functions; JAX differentiates them."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from glmmjax.arguments import InstanceOf, Judged, Maybe, takes
from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.families.registry import resolve_family
from glmmjax.likelihood.block_sums import block_values, start_modes, value_and_gradient
from glmmjax.likelihood.clusters import ClusterData, to_clusters
from glmmjax.likelihood.covariance import unstructured
from glmmjax.likelihood.gauss_hermite import check_n_agq
from glmmjax.likelihood.levels import CrossedFactors
from glmmjax.likelihood.outcome_derivatives import along_moved, is_moved, with_zeros
from glmmjax.likelihood.params import Params, check_shapes, layout_of, predictor_sizes
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior, law_of
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.likelihood.rule import Rule
from glmmjax.likelihood.sharding import CLUSTERS, MESH, over_blocks, plain_mesh, sum_over_devices
from glmmjax.values import shown

__all__ = [
    "POINT",
    "check_not_crossed",
    "check_rule",
    "cluster_log_likelihoods",
    "cluster_log_likelihoods_by_rule",
    "in_ambient_precision",
    "log_likelihood",
    "log_likelihood_by_rule",
    "point",
]

POINT = {
    "params": InstanceOf(Params, "a Params, such as that of a fit"),
    "clusters": CLUSTERS,
    "family": Judged("the name of a family, or a family object"),
    "n_agq": Judged("a whole number of points"),
}


@takes(**POINT, mesh=Maybe(MESH))
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
        ``clusters``. Derivatives in ``row_weight`` are taken as 0, and so are those in ``y`` where it is discrete: counts, levels, the
        status of censoring, and outcomes of positive probability such as the 0 of a hurdle family. The derivative includes the movement
        of mode and scale.

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
    arguments = point(params, clusters, family, n_agq)
    return _log_likelihood(*arguments) if mesh is None else _log_likelihood_on_mesh(*arguments, _mesh_for(clusters, mesh))


def log_likelihood_by_rule(params: Params, clusters: ClusterData, family: Family, rule: Rule, prior: Prior = STANDARD_NORMAL) -> Array:
    """``log_likelihood`` with a rule made for ``prior`` in place of ``n_agq``. One program takes any ``padded_rule`` as traced argument."""
    total = jnp.zeros((), params.beta.dtype)
    for bucket in clusters.buckets:

        def add(total, block):
            return total + (block.cluster_weight * block_values(params, block, family, rule, prior)).sum(), None

        total, _ = jax.lax.scan(add, total, bucket)
    return total


@takes(**POINT)
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
    check_not_crossed(clusters, "take log_likelihood")
    return _cluster_log_likelihoods(*point(params, clusters, family, n_agq))


# compiled once for eager callers too; inside another program they become part of it
@functools.partial(jax.jit, static_argnums=(2, 3))
def _log_likelihood(params: Params, clusters: ClusterData, family: Family, n_agq: int) -> Array:
    return _total(params, clusters, family, n_agq)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _log_likelihood_on_mesh(params: Params, clusters: ClusterData, family: Family, n_agq: int, mesh: Mesh) -> Array:
    def sum_of_own(params: Params, own: ClusterData) -> Array:
        return sum_over_devices(_total(params, own, family, n_agq), mesh)

    return over_blocks(sum_of_own, mesh, PartitionSpec())(params, ClusterData(clusters.buckets, ()))  # type: ignore[arg-type]  # nothing to shard


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _total(params: Params, clusters: ClusterData, family: Family, n_agq: int) -> Array:
    return log_likelihood_by_rule(params, clusters, family, *_rule_and_law(params, clusters, n_agq))


@functools.partial(_total.defjvp, symbolic_zeros=True)
def _total_jvp(family: Family, n_agq: int, primals: tuple[Params, ClusterData], tangents: Any) -> tuple[Array, Array]:
    """In parameters alone by the exact gradient, block by block; JAX would hold what its derivative needs of all blocks at once."""

    def plain(params: Params, clusters: ClusterData) -> Array:
        return log_likelihood_by_rule(params, clusters, family, *_rule_and_law(params, clusters, n_agq))

    if is_moved(tangents[1]):
        return along_moved(plain, primals, tangents)
    (params, clusters), (rule, law) = primals, _rule_and_law(*primals, n_agq)
    modes = start_modes(clusters.buckets, params.chol.shape[-1])
    found = value_and_gradient(params, clusters.buckets, family, rule, modes, prior=law)
    terms = jax.tree.map(lambda slope, change: (slope * change).sum(), found.gradient, with_zeros(tangents[0]))
    return found.value, jax.tree.reduce(jnp.add, terms)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _cluster_log_likelihoods(params: Params, clusters: ClusterData, family: Family, n_agq: int) -> Array:
    return cluster_log_likelihoods_by_rule(params, clusters, family, *_rule_and_law(params, clusters, n_agq))


def _rule_and_law(params: Params, clusters: ClusterData, n_agq: int) -> tuple[Rule, Prior]:
    """The rule of ``n_agq`` points, and the law of the random effects, which says how many belong to the upper of two levels."""
    law = law_of(clusters.buckets[0].levels)
    return Quadrature(n_agq).fixed(params.chol.shape[-1], law), law


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


def point(params: Params, clusters: ClusterData, family: str | Family, n_agq: int) -> tuple[Params, ClusterData, Family, int]:
    """The arguments of a public function, checked; parameters take the dtype of the data."""
    clusters = in_ambient_precision(clusters)
    dtype = clusters.buckets[0].cluster_weight.dtype
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)
    family, q = resolve_family(family), sum(z.shape[1] for z in clusters.buckets[0].Z)
    layout = layout_of(family, predictor_sizes(clusters), unstructured(q))
    check_shapes(params, layout, "params", family)
    check_rule(clusters, n_agq)
    return params, clusters, family, check_n_agq(n_agq)


def check_rule(clusters: ClusterData, n_agq: int) -> None:
    """Refuse a number of points that crossed factors cannot have.

    Raises
    ------
    ArgumentError
    """
    if isinstance(clusters.buckets[0].levels, CrossedFactors) and n_agq != 1:
        raise ArgumentError(f"n_agq={shown(n_agq)}: crossed factors take Laplace's method, n_agq=1.")


def check_not_crossed(clusters: ClusterData, what: str) -> None:
    """Refuse ``what`` for the rows of crossed factors.

    Raises
    ------
    ArgumentError
    """
    if isinstance(clusters.buckets[0].levels, CrossedFactors):
        raise ArgumentError(f"clusters: the rows of crossed factors belong to no clusters that are independent; {what}.")


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
