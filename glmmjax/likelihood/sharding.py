"""Blocks of clusters on the devices of a mesh: how they are laid out, and how every device adds up its own blocks.

Blocks do not depend on each other, so an evaluation sends one sum between devices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from glmmjax.arguments import InstanceOf, takes
from glmmjax.likelihood.clusters import Bucket, ClusterData, in_longer_buckets

__all__ = [
    "CLUSTERS",
    "MESH",
    "by_block",
    "over_blocks",
    "plain_mesh",
    "shard_array",
    "shard_buckets",
    "shard_clusters",
    "sum_over_devices",
]

CLUSTERS = InstanceOf(ClusterData, "a ClusterData, such as design.clusters of make_design")
MESH = InstanceOf(Mesh, "a jax.sharding.Mesh, such as jax.make_mesh((4,), ('blocks',)) of 4 devices")


@takes(clusters=CLUSTERS, mesh=MESH)
def shard_clusters(clusters: ClusterData, mesh: Mesh) -> ClusterData:
    """The same clusters with their blocks in equal shares on the devices of ``mesh``, for ``log_likelihood(..., mesh=mesh)``.

    Parameters
    ----------
    clusters : ``design.clusters`` of ``make_design``. Where several processes take part, every one holds all of them.
    mesh : its axes are taken together, whatever their number. The number of blocks of a bucket is rounded up to a multiple of the
        number of devices, by blocks whose clusters weigh nothing.

    Returns
    -------
    ClusterData
        For the same functions as before; only where the arrays lie has changed.

    Raises
    ------
    ArgumentError
        For an argument of another type.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> data = gj.datasets.load_intro_binomial()
    >>> design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    >>> mesh = jax.make_mesh((len(jax.devices()),), ("blocks",))
    >>> clusters = gj.shard_clusters(design.clusters, mesh)
    >>> params = gj.Params(beta=jnp.array([-2.6, -1.3, 0.28, 0.04]), chol=jnp.array([[2.0]]))
    >>> f"{gj.log_likelihood(params, clusters, 'binomial', mesh=mesh):.2f}"
    '-374.57'
    """
    mesh = plain_mesh(mesh)
    buckets = shard_buckets(clusters.buckets, mesh)
    slots = in_longer_buckets(clusters, buckets).slots
    everywhere = NamedSharding(mesh, PartitionSpec())
    return ClusterData(buckets, jax.make_array_from_callback(slots.shape, everywhere, lambda _: slots))


def shard_buckets(buckets: tuple[Bucket, ...], mesh: Mesh) -> tuple[Bucket, ...]:
    """Every array of the buckets through ``shard_array``; the clusters of blocks that are added weigh nothing."""
    weightless = [jax.tree.map(lambda leaf: leaf[-1:], b)._replace(cluster_weight=jnp.zeros_like(b.cluster_weight[-1:])) for b in buckets]
    shard = lambda leaf, filler: shard_array(leaf, mesh, filler)  # noqa: E731
    return tuple(jax.tree.map(shard, *pair) for pair in zip(buckets, weightless, strict=True))


def shard_array(leaf: Any, mesh: Mesh, filler: Any = None) -> Array:
    """``leaf`` (S, ...) with copies of ``filler`` (1, ...) behind it, where S needs them, cut over the devices of a plain mesh."""
    n_blocks = -(-leaf.shape[0] // mesh.size) * mesh.size

    def share(index: Any) -> Any:
        first, last, _ = index[0].indices(n_blocks)
        own = leaf[first:last]
        missing = last - first - own.shape[0]
        return jnp.concatenate([own, jnp.broadcast_to(filler, (missing, *leaf.shape[1:]))]) if missing else own

    return jax.make_array_from_callback((n_blocks, *leaf.shape[1:]), NamedSharding(mesh, by_block(mesh)), share)


def over_blocks(function: Callable[[Any, Any], Any], mesh: Mesh, returns: Any) -> Callable[[Any, Any], Any]:
    """``function(shared, own)`` run on every device: ``shared`` the same everywhere, ``own`` the blocks that the device holds.

    ``returns`` says by ``PartitionSpec`` which results are the same everywhere, as from ``sum_over_devices``, and which belong to blocks.
    """
    # check_vma would refuse sums over blocks, which start at a constant that all devices share and end at a number of each device
    return jax.shard_map(function, mesh=mesh, in_specs=(PartitionSpec(), by_block(mesh)), out_specs=returns, check_vma=False)


def by_block(mesh: Mesh) -> PartitionSpec:
    """The leading axis cut over all axes of the mesh."""
    return PartitionSpec(mesh.axis_names)


def sum_over_devices(tree: Any, mesh: Mesh) -> Any:
    """The sum over devices, in a function given to ``over_blocks``."""
    return jax.lax.psum(tree, mesh.axis_names)


def plain_mesh(mesh: Mesh) -> Mesh:
    """The mesh with axes that leave the sharding of results to the compiler, however its own were declared."""
    return Mesh(mesh.devices, mesh.axis_names)
