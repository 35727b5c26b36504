"""Many ascents at once, under ``vmap``: over data sets that differ in part of their buckets, as one compiled program."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from glmmjax.estimation.ascent import ascend
from glmmjax.estimation.evaluators.evaluator import Estimate
from glmmjax.estimation.evaluators.one_program import OneProgram
from glmmjax.estimation.objective import FitSettings, Integral
from glmmjax.estimation.phases.first_order import Begun
from glmmjax.likelihood.clusters import Bucket

__all__ = ["ascend_in_batch"]

Change = Callable[[tuple[Bucket, ...], tuple[Any, ...]], tuple[Bucket, ...]]


@functools.partial(jax.jit, static_argnums=(0, 1))
def ascend_in_batch(settings: FitSettings, change: Change, begun: Begun, integral: Integral, values: tuple[Any, ...]) -> Estimate:
    """The estimates of all data sets; the batch is the first axis of every leaf.

    Parameters
    ----------
    change : takes buckets and the values of a data set; gives buckets with these values.
    begun : where every ascent begins.
    values : one entry for each bucket, with the data sets stacked on the first axis.
    """

    def one(values: tuple[Any, ...]) -> Estimate:
        return ascend(OneProgram(settings, integral._replace(buckets=change(integral.buckets, values))), begun).estimate

    return jax.vmap(one)(values)
