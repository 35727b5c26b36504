"""A family whose one extra parameter has a linear predictor of its own."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family, Limit
from glmmjax.families.links import Link

__all__ = ["WithDispersion"]

_OWN_TRAITS = ("links", "phi_names", "has_dispersion")


@dataclasses.dataclass(frozen=True)
class WithDispersion(Family):
    """``part``, whose extra parameter on its free scale (mostly a logarithm) is the last linear predictor.

    Its ``log_density``, ``mean`` and ``sample`` take that predictor after those of ``part``, and no ``phi``. ``mixed_model`` makes this
    family from the argument ``dispersion``.

    Parameters
    ----------
    part : a family with one extra parameter.

    References
    ----------
    Smyth (1989), Journal of the Royal Statistical Society B 51, 47-60.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = gj.families.WithDispersion(gj.families.Gaussian())
    >>> f"{family.log_density(1.5, 1.0, jnp.array([]), jnp.log(2.0)):.4f}"  # mean 1, sd 2
    '-1.6433'
    """

    links: ClassVar[tuple[type[Link], ...]] = ()
    has_dispersion: ClassVar[bool] = True

    part: Family

    def __init__(self, part: Family):
        object.__setattr__(self, "part", part)
        for trait in Family.__annotations__:
            if trait not in _OWN_TRAITS:
                object.__setattr__(self, trait, getattr(part, trait))

    @property
    def plain(self) -> Family:
        return self.part

    @property
    def predictor_limits(self) -> tuple[Limit | None, ...]:
        # a limit of another predictor keeps this one
        others = (limit and dataclasses.replace(limit, family=WithDispersion(limit.family)) for limit in self.part.predictor_limits)
        return (*others, *self.part.phi_limits)

    @property
    def mean_link(self) -> Link:
        return self.part.mean_link

    @property
    def mean_scale(self) -> Link:
        return self.part.mean_scale

    def log_density(self, y: Any, eta: Array, phi: Array, *others: Array) -> Array:
        *zero, dispersion = others
        return self.part.log_density(y, eta, dispersion[None], *zero)

    def log_kernel(self, y: Any, eta: Array, phi: Array, *others: Array) -> Array:
        *zero, dispersion = others
        return self.part.log_kernel(y, eta, dispersion[None], *zero)

    def log_base(self, y: Any, phi: Array, *others: Array) -> Array:
        return self.part.log_base(y, others[-1][None])

    def mean(self, eta: Array, phi: Array, *others: Array) -> Array:
        *zero, dispersion = others
        return self.part.mean(eta, dispersion[None], *zero)

    def variance(self, y: Any, eta: Array, phi: Array, *others: Array) -> Array:
        *zero, dispersion = others
        return self.part.variance(y, eta, dispersion[None], *zero)

    def limits(self, y: Any) -> tuple[Any, Any]:
        return self.part.limits(y)

    def runs_off(self, y: Any) -> tuple[Any, Any]:
        return self.part.runs_off(y)

    def sample(self, key: Array, y: Any, eta: Array, phi: Array, *others: Array) -> Any:
        *zero, dispersion = others
        return self.part.sample(key, y, eta, dispersion[None], *zero)

    def initial_predictors(self, y: Any) -> tuple[Array, ...]:
        etas = self.part.initial_predictors(y)
        return (*etas, jnp.full_like(etas[0], self.part.initial_phi()[0]))

    def initial_eta(self, y: Any) -> Array:
        return self.part.initial_eta(y)

    def in_support(self, y: Any) -> Any:
        return self.part.in_support(y)
