"""Each of two levels of random effects as a model of its own, without the other: what starting values are made of."""

from __future__ import annotations

import dataclasses

from glmmjax.estimation.objective import Problem
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.covariance import BlockDiagonal
from glmmjax.likelihood.prior import STANDARD_NORMAL
from glmmjax.likelihood.split_levels import lower_level, upper_level

__all__ = ["by_level"]


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
