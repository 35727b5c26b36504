"""Poisson counts without zeros."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.families.base import Family, resolve_link
from glmmjax.families.links import Link, Log
from glmmjax.families.special import log_factorial
from glmmjax.families.tails import growing_exp, log_cloglog

__all__ = ["TruncatedPoisson"]


@dataclasses.dataclass(frozen=True)
class TruncatedPoisson(Family):
    r"""Poisson counts of which zeros are never seen; mu is the mean BEFORE the truncation, and :math:`\mu / (1 - e^{-\mu})` that after it.

    .. math:: \log p(y \mid \mu) = y \log \mu - \mu - \log y! - \log(1 - e^{-\mu}), \qquad y \ge 1

    Parameters
    ----------
    link : ``"log"``, or the link object.

    Outcome: whole numbers >= 1.
    """

    name: ClassVar[str] = "truncated_poisson"
    links: ClassVar[tuple[type[Link], ...]] = (Log,)
    is_discrete: ClassVar[bool] = True
    lowest: ClassVar[float] = 1.0
    support: ClassVar[str] = "whole numbers >= 1; for counts with zeros try family='poisson' or family='hurdle_poisson'"

    link: Link = dataclasses.field(default_factory=Log)

    def __init__(self, link: str | Link = "log"):
        object.__setattr__(self, "link", resolve_link(link, self.links, self.name))

    @property
    def is_log_concave(self) -> bool:
        return True

    def log_kernel(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        del phi
        return y * eta - growing_exp(eta) - log_cloglog(eta)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        return -log_factorial(y)

    def mean(self, eta: Array, phi: Array, *zero: Array) -> Array:
        del phi
        return jnp.exp(eta - log_cloglog(eta))

    def variance(self, y: Any, eta: Array, phi: Array, *zero: Array) -> Array:
        mean = self.mean(eta, phi)
        return mean * (1.0 + jnp.exp(eta) - mean)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *zero: Array) -> Any:
        # a Poisson process has at least one event in time mu: draw the time of the first, then the number of those after it
        for_first, for_rest = jax.random.split(key)
        mu = jnp.broadcast_to(jnp.exp(eta), y.shape)
        first = -jnp.log1p(jax.random.uniform(for_first, y.shape, mu.dtype) * jnp.expm1(-mu))
        return 1.0 + jax.random.poisson(for_rest, jnp.maximum(mu - first, 0.0)).astype(y.dtype)

    def initial_eta(self, y: Any) -> Array:
        return jnp.log(y - 0.5)

    def in_support(self, y: Any) -> Any:
        return np.isfinite(y) & (y >= 1) & (y == y.round())
