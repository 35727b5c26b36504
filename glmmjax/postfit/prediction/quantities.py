"""Quantities that are predicted for a row, from its linear predictors, and the scales without bounds on which intervals are formed.

The quantities are ``"mean"`` (of the outcome), ``"predictor"`` (of the mean), ``"zero"`` (probability of a structural zero),
``"zero_predictor"`` (its logit) and ``"probabilities"`` (of the levels of an ordinal outcome).
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
    """(O, n) values of a quantity at linear predictors ``eta`` (E, n); O is 1 except for ``"probabilities"``."""
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
    """The monotone function that takes a quantity to a scale without bounds.

    For a mean that the link of the family maps to the whole line it is that link, and for other positive means the logarithm. For
    probabilities it is the logit, and for the expected code of an ordinal outcome the logit of its share of the largest code.
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
