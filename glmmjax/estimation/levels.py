"""Each of two levels of random effects as a model of its own, without the other: what starting values are made of."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp

from glmmjax.estimation.objective import Problem
from glmmjax.likelihood.clusters import Bucket, on_all_lanes
from glmmjax.likelihood.covariance import BlockDiagonal
from glmmjax.likelihood.prior import STANDARD_NORMAL

__all__ = ["by_level"]


def by_level(problem: Problem, buckets: tuple[Bucket, ...]) -> tuple[tuple[Problem, Problem], tuple[tuple[Bucket, ...], tuple[Bucket, ...]]]:
    """The model and the data of the upper level, and those of the lower one, whose clusters are the lanes."""
    n_upper, sizes = problem.prior.n_upper, problem.layout.covariance.block_sizes
    ends = [sum(sizes[:k]) for k in range(len(sizes) + 1)]
    first = ends.index(n_upper)

    def of_sizes(own: tuple[int, ...]) -> Problem:
        layout = dataclasses.replace(problem.layout, covariance=BlockDiagonal(own))
        return dataclasses.replace(problem, layout=layout, prior=STANDARD_NORMAL)

    problems = (of_sizes(sizes[:first]), of_sizes(sizes[first:]))
    return problems, (tuple(_upper(b, n_upper) for b in buckets), tuple(_lower(b, n_upper) for b in buckets))


def _upper(bucket: Bucket, n_upper: int) -> Bucket:
    kept = (bucket.Z[0][:, :n_upper], *(z[:, :0] for z in bucket.Z[1:]))
    return bucket._replace(Z=kept, frame=None, levels=None)


def _lower(bucket: Bucket, n_upper: int) -> Bucket:
    is_used = bucket.row_weight.max(1) > 0  # a lane without rows is padding
    weight = jnp.where(is_used, on_all_lanes(bucket, bucket.cluster_weight), 0.0)
    kept = (bucket.Z[0][:, n_upper:], *bucket.Z[1:])
    return bucket._replace(Z=kept, cluster_weight=weight, lane_clusters=None, frame=None, levels=None)
