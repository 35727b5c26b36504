"""Each of several grouping factors as a model of its own, without the others: what starting values are made of."""

from __future__ import annotations

import dataclasses
import itertools

import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.objective import Problem
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.covariance import BlockDiagonal
from glmmjax.likelihood.crossed import crossed_levels
from glmmjax.likelihood.levels import CrossedFactors
from glmmjax.likelihood.prior import STANDARD_NORMAL
from glmmjax.likelihood.split_levels import lower_level, upper_level

__all__ = ["by_factor", "by_level"]


def by_level(
    problem: Problem, buckets: tuple[Bucket, ...]
) -> tuple[tuple[Problem, Problem], tuple[tuple[Bucket, ...], tuple[Bucket, ...]]]:
    """The model and the data of the upper level, and those of the lower one, whose clusters are the lanes."""
    n_upper, sizes = problem.prior.n_upper, problem.layout.covariance.block_sizes
    ends = [sum(sizes[:k]) for k in range(len(sizes) + 1)]
    first = ends.index(n_upper)

    def of_sizes(own: tuple[int, ...]) -> Problem:
        layout = dataclasses.replace(problem.layout, covariance=BlockDiagonal(own))
        return dataclasses.replace(problem, layout=layout, prior=STANDARD_NORMAL)

    problems = (of_sizes(sizes[:first]), of_sizes(sizes[first:]))
    return problems, (tuple(upper_level(b, n_upper) for b in buckets), tuple(lower_level(b, n_upper) for b in buckets))


def by_factor(problem: Problem, buckets: tuple[Bucket, ...]) -> list[tuple[Problem, tuple[Bucket, ...], Array]]:
    """The model of each of several crossed factors, its data, and the weight (q_k,) of the levels that have draws of its effects."""
    (bucket,) = buckets
    found: list[tuple[Problem, tuple[Bucket, ...], Array]] = []
    factors = crossed_levels(bucket)
    for where, n, codes, rows in zip(factors.effects, factors.n_effects, factors.codes, factors.first_rows, strict=True):
        own = CrossedFactors((n,), 0, (codes,), (rows,), None)
        layout = dataclasses.replace(problem.layout, covariance=BlockDiagonal(_sizes_within(problem.layout.covariance.block_sizes, where)))
        z = (bucket.Z[0][:, where], *bucket.Z[1:])
        data = bucket._replace(Z=z, frame=None, levels=own)
        found.append((dataclasses.replace(problem, layout=layout, prior=STANDARD_NORMAL), (data,), jnp.full(n, float(rows.shape[-1]))))
    return found


def _sizes_within(sizes: tuple[int, ...], where: slice) -> tuple[int, ...]:
    """Those of the blocks that stand between the ends of ``where``."""
    ends = list(itertools.accumulate(sizes))
    return tuple(size for size, end in zip(sizes, ends, strict=True) if where.start < end <= where.stop)
