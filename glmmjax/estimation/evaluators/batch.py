"""Many fits at once: an ascent under ``vmap``, over data sets that differ in one field of their buckets, as one compiled program."""

from __future__ import annotations

import functools
from typing import Any

import jax

from glmmjax.estimation.ascent import ascend
from glmmjax.estimation.evaluators.evaluator import Estimate
from glmmjax.estimation.evaluators.one_program import OneProgram
from glmmjax.estimation.objective import FitSettings, Integral
from glmmjax.estimation.phases.first_order import Begun

__all__ = ["ascend_in_batch"]


@functools.partial(jax.jit, static_argnums=(0, 1))
def ascend_in_batch(settings: FitSettings, field: str, begun: Begun, integral: Integral, values: tuple[Any, ...]) -> Estimate:
    """The estimates of all data sets, every leaf with the batch in front.

    Parameters
    ----------
    field : name of the field of ``Bucket``.
    begun : where every ascent begins.
    values : an entry a bucket, the field of all data sets stacked on the first axis.
    """

    def one(values: tuple[Any, ...]) -> Estimate:
        pairs = zip(integral.buckets, values, strict=True)
        changed = tuple(bucket._replace(**{field: value}) for bucket, value in pairs)
        return ascend(OneProgram(settings, integral._replace(buckets=changed)), begun).estimate

    return jax.vmap(one)(values)
