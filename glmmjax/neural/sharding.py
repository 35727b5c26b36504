"""A batch whose blocks lie on several devices: each runs the network on the rows of its own clusters, and sums go between them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from glmmjax.likelihood.clusters import Bucket, ClusterData
from glmmjax.likelihood.sharding import over_blocks, shard_array, shard_buckets, sum_over_devices
from glmmjax.neural.batches import ClusterBatch

__all__ = ["SharedBatch", "share_out", "sum_of_shares"]


class SharedBatch(NamedTuple):
    """A batch in equal shares of blocks.

    Attributes
    ----------
    buckets : of its clusters; blocks that were added weigh nothing
    inputs : for each bucket a pytree of arrays (S, w * B, ...): the inputs of the rows in each block
    """

    buckets: tuple[Bucket, ...]
    inputs: tuple[Any, ...]


def share_out(batch: ClusterBatch, inputs: Any, mesh: Mesh) -> SharedBatch:
    """``batch`` with the inputs of its rows, a pytree of arrays (k, ...), on the devices of a plain mesh."""
    plain = lambda leaf: np.asarray(leaf, jax.dtypes.canonicalize_dtype(leaf.dtype))  # noqa: E731
    buckets = jax.tree.map(plain, batch.clusters.buckets)

    def of_bucket(places: Any) -> Any:
        blocks = places.reshape(len(places), -1)
        own = [plain(np.asarray(leaf)[blocks]) for leaf in jax.tree.leaves(inputs)]
        return jax.tree.unflatten(jax.tree.structure(inputs), [shard_array(leaf, mesh, leaf[-1:]) for leaf in own])

    return SharedBatch(shard_buckets(buckets, mesh), tuple(of_bucket(places) for places in batch.places))


def sum_of_shares(function: Callable[[Any, ClusterBatch, Any, Array], Any], mesh: Mesh, shared: Any, batch: SharedBatch) -> Any:
    """The sum over devices of ``function(shared, batch, inputs, number)`` of the share and the number of each."""

    def of_device(shared: Any, own: SharedBatch) -> Any:
        number = sum((jax.lax.axis_index(name) * size for name, size in zip(mesh.axis_names, _strides(mesh), strict=True)), jnp.int32(0))
        return sum_over_devices(function(shared, *_one(own), number), mesh)

    return over_blocks(of_device, mesh, PartitionSpec())(shared, batch)


def _one(own: SharedBatch) -> tuple[ClusterBatch, Any]:
    """The share of a device as a batch of its own, and the inputs of its rows."""
    sizes = [math.prod(bucket.shape) for bucket in own.buckets]
    firsts = np.cumsum([0, *sizes])
    places = tuple(
        jnp.arange(first, first + size, dtype=jnp.int32).reshape(bucket.shape)
        for bucket, first, size in zip(own.buckets, firsts, sizes, strict=False)
    )
    no_slots: Any = np.zeros(0, np.int32)
    rows = jnp.zeros(int(firsts[-1]), jnp.int32)  # only their number counts: the inputs are at hand
    inputs = jax.tree.map(lambda *leaves: jnp.concatenate([leaf.reshape(-1, *leaf.shape[2:]) for leaf in leaves]), *own.inputs)
    return ClusterBatch(ClusterData(own.buckets, no_slots), rows, places), inputs


def _strides(mesh: Mesh) -> list[int]:
    sizes = list(mesh.devices.shape)
    return [int(np.prod(sizes[k + 1 :])) for k in range(len(sizes))]
