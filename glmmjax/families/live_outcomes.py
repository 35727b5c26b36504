"""A family whose continuous outcomes are linear predictors, so that the likelihood is differentiated in them as in any other predictor."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.links import Link

__all__ = ["WithLiveOutcomes", "continuous_columns"]


def continuous_columns(family: Family, n_columns: int) -> tuple[int, ...]:
    """Numbers of the outcome columns in which the density has a derivative: none of a discrete family, and no censoring status."""
    if family.is_discrete:
        return ()
    return tuple(k for k in range(n_columns) if not (family.is_censored and k == 1))


@dataclasses.dataclass(frozen=True)
class WithLiveOutcomes(Family):
    """``part`` with its continuous outcomes as the last predictors, which have no random effects.

    Whoever sums its densities appends these outcomes to the predictors. At an outcome of positive probability, such as the 0 of a hurdle
    family, the derivative is 0.

    Parameters
    ----------
    part : any family.
    moving : numbers of the outcome columns that become predictors.
    """

    links: ClassVar[tuple[type[Link], ...]] = ()

    part: Family
    moving: tuple[int, ...]

    def __init__(self, part: Family, moving: tuple[int, ...]):
        object.__setattr__(self, "part", part)
        object.__setattr__(self, "moving", moving)
        for trait in Family.__annotations__:
            if trait != "links":
                object.__setattr__(self, trait, getattr(part, trait))

    @property
    def is_log_concave(self) -> bool:
        return self.part.is_log_concave

    def log_kernel(self, y: Any, eta: Array, phi: Array, *others: Array) -> Array:
        live, zero = self._split(y, others)
        return self.part.log_kernel(live, eta, phi, *zero)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        live, zero = self._split(y, others)
        return self.part.log_base(live, phi, *zero)

    def mean(self, eta: Array, phi: Array, *others: Array) -> Array:
        return self.part.mean(eta, phi, *others[: len(others) - len(self.moving)])

    def in_support(self, y: Any) -> Any:
        return self.part.in_support(y)

    def _split(self, y: Any, others: tuple[Array, ...]) -> tuple[Any, tuple[Array, ...]]:
        """The outcome with its moving columns taken from the predictors, and the predictors of ``part`` after the first."""
        n = len(others) - len(self.moving)
        if not isinstance(y, tuple):
            return others[n], others[:n]
        columns = list(y)
        for k, live in zip(self.moving, others[n:], strict=True):
            columns[k] = live
        return tuple(columns), others[:n]
