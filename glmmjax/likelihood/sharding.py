"""Blocks of clusters over the devices of a mesh: how they are laid out, and how a sum over them is computed where they are.

Blocks do not depend on each other, so every device adds up its own, and what crosses between devices is one sum an evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.clusters import Bucket, ClusterData

__all__ = ["on_every_device", "over_blocks", "plain_mesh", "shard_buckets", "shard_clusters"]


def shard_clusters(clusters: ClusterData, mesh: Mesh) -> ClusterData:
    """The same clusters with their blocks in equal shares on the devices of ``mesh``, for ``log_likelihood(..., mesh=mesh)``.

    Parameters
    ----------
    clusters : ``design.clusters`` of ``make_design``. Where several processes take part, every one holds all of them.
    mesh : its axes are taken together, whatever their number. The number of blocks of a bucket is rounded up to a multiple of the
        number of devices, by blocks whose clusters weigh nothing.

    Raises
    ------
    ArgumentError
        For an argument of another type.
    """
    if not isinstance(clusters, ClusterData):
        raise ArgumentError(f"clusters must be a ClusterData, not {type(clusters).__name__}; pass design.clusters of make_design.")
    mesh = plain_mesh(mesh)
    buckets = shard_buckets(clusters.buckets, mesh)
    slots = _moved(clusters.slots, clusters.buckets, buckets)
    return ClusterData(buckets, _on_mesh(slots, mesh, PartitionSpec(), lambda index: slots[index]))


def shard_buckets(buckets: tuple[Bucket, ...], mesh: Mesh) -> tuple[Bucket, ...]:
    """Every array of the buckets with its leading axis, the blocks, padded and cut over the devices."""
    weightless = [jax.tree.map(lambda leaf: leaf[-1:], b)._replace(cluster_weight=jnp.zeros_like(b.cluster_weight[-1:])) for b in buckets]
    shard = lambda leaf, filler: _sharded(leaf, filler, mesh)  # noqa: E731
    return tuple(jax.tree.map(shard, *pair) for pair in zip(buckets, weightless, strict=True))


def over_blocks(function: Callable[..., Any], mesh: Mesh, in_specs: Any, out_specs: Any) -> Callable[..., Any]:
    """``function`` run once on every device, with the blocks that the device holds; see ``on_every_device`` and ``over_blocks.spec``."""
    # what varies from device to device is said by the specs: the loops over blocks start their sums at constants, which do not vary
    return jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)


def plain_mesh(mesh: Mesh) -> Mesh:
    """The mesh with axes that leave the sharding of results to the compiler, however its own were declared."""
    if not isinstance(mesh, Mesh):
        raise ArgumentError(f"mesh={mesh!r} must be a jax.sharding.Mesh; jax.make_mesh((4,), ('blocks',)) makes one of 4 devices.")
    return Mesh(mesh.devices, mesh.axis_names)


def _sharded(leaf: Array, filler: Array, mesh: Mesh) -> Array:
    """``leaf`` (S, ...) with copies of ``filler`` (1, ...) behind it, cut over the devices; only shares of it are ever copied."""
    n_blocks = -(-leaf.shape[0] // mesh.size) * mesh.size

    def share(index: tuple[slice, ...]) -> Array:
        first, last, _ = index[0].indices(n_blocks)
        own = leaf[first:last]
        return jnp.concatenate([own, jnp.broadcast_to(filler, (last - first - own.shape[0], *leaf.shape[1:]))])

    return jax.make_array_from_callback((n_blocks, *leaf.shape[1:]), NamedSharding(mesh, PartitionSpec(mesh.axis_names)), share)
