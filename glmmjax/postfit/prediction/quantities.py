"""What is predicted of a row, as a function of its linear predictors, and the scale without bounds on which its intervals are formed.

A quantity has a name: ``"mean"`` of the outcome, ``"predictor"`` of the mean, ``"zero"`` (probability of a structural zero),
``"zero_predictor"`` (its logit) and ``"probabilities"`` of the levels of an ordinal outcome.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.families.links import Identity, Inverse, Link, Log, Logit, Sqrt
from glmmjax.families.tails import sigmoid_pair
from glmmjax.likelihood.model_rows import mean_at, phi_of_rows
from glmmjax.likelihood.params import Params

__all__ = ["interval_link", "n_values", "values_at"]

_SMALLEST = 1e-300


@dataclasses.dataclass(frozen=True)
class _Code(Link):
    """Logit of an expected code between 0 and ``largest``."""

    largest: int

    def link(self, mu: Array) -> Array:
        return Logit().link(_inside(mu / self.largest))

    def inverse(self, eta: Array) -> Array:
        return self.largest * Logit().inverse(eta)


@dataclasses.dataclass(frozen=True)
class _Positive(Link):
    """Logarithm, held where a mean underflows."""

    def link(self, mu: Array) -> Array:
        return jnp.log(jnp.maximum(mu, _SMALLEST))

    def inverse(self, eta: Array) -> Array:
        return jnp.exp(eta)


@dataclasses.dataclass(frozen=True)
class _Share(Link):
    """A probability link, held where a mean rounds to 0 or 1."""

    of: Link

    def link(self, mu: Array) -> Array:
        return self.of.link(_inside(mu))

    def inverse(self, eta: Array) -> Array:
        return self.of.inverse(eta)


def values_at(family: Family, quantity: str, params: Params, eta: Array) -> Array:
    """(O, n) values of a quantity at linear predictors ``eta`` (E, n); O is 1 but for ``"probabilities"``."""
    if quantity == "probabilities":
        return family.probabilities(eta[0], phi_of_rows(params, eta.shape[-1]))
    if quantity == "mean":
        return mean_at(family, params, eta)[None]
    of_zero = eta[1:2] if quantity.startswith("zero") else eta[:1]
    return sigmoid_pair(of_zero)[0] if quantity == "zero" else of_zero


def n_values(family: Family, quantity: str) -> int:
    """O, the number of values of a row."""
    return len(family.phi_names) + 1 if quantity == "probabilities" else 1


def interval_link(family: Family, quantity: str) -> Link:
    """The monotone function of a quantity whose values have no bounds.

    It is the link of the family for a mean that the link maps to the whole line; the logarithm for other means that are positive; and the
    logit for probabilities, and for the expected code of an ordinal outcome divided by the largest.
    """
    if quantity.endswith("predictor"):
        return Identity()
    if quantity != "mean":
        return _Share(Logit())
    if family.is_ordinal:
        return _Code(len(family.phi_names))
    return _held(family.mean_scale)


def _held(link: Link) -> Link:
    if isinstance(link, Log | Inverse | Sqrt):
        return _Positive()
    return link if isinstance(link, Identity) else _Share(link)


def _inside(mu: Array) -> Array:
    return jnp.clip(mu, _SMALLEST, 1.0 - float(jnp.finfo(mu.dtype).epsneg))
