"""Each of two levels of nested clusters as a bucket of its own, without the random effects of the other."""

from __future__ import annotations

import jax.numpy as jnp

from glmmjax.likelihood.clusters import Bucket, on_all_lanes

__all__ = ["lower_level", "upper_level"]


def upper_level(bucket: Bucket, n_upper: int) -> Bucket:
    """The upper clusters with their ``n_upper`` random effects."""
    kept = (bucket.Z[0][:, :n_upper], *(z[:, :0] for z in bucket.Z[1:]))
    return bucket._replace(Z=kept, frame=None, levels=None)


def lower_level(bucket: Bucket, n_upper: int) -> Bucket:
    """The lower clusters, one on each lane, with the weights of their upper ones."""
    is_used = bucket.row_weight.max(1) > 0  # a lane without rows is padding
    weight = jnp.where(is_used, on_all_lanes(bucket, bucket.cluster_weight), 0.0)
    kept = (bucket.Z[0][:, n_upper:], *bucket.Z[1:])
    return bucket._replace(Z=kept, cluster_weight=weight, lane_clusters=None, frame=None, levels=None)
