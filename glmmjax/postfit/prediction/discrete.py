"""Probabilities of single values of a discrete outcome, from the family's log density."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.model_rows import phi_of_rows
from glmmjax.likelihood.params import Params

__all__ = ["Discrete", "discrete_outcome", "highest_outcomes", "log_masses"]


class Discrete(NamedTuple):
    """The values that a discrete outcome can have. Static and hashable.

    Attributes
    ----------
    lowest : 0, or 1 for a truncated count
    n_columns : number of outcome columns, 2 for successes and failures
    """

    lowest: float
    n_columns: int


def discrete_outcome(fitted: FittedModel, name: str) -> Discrete:
    """The values that the outcome of a model can have; ``name`` is the method that asks.

    Raises
    ------
    ArgumentError
        For a continuous outcome, whose single values have no probability.
    """
    if not fitted.problem.family.is_discrete:
        raise ArgumentError(
            f"{name} needs an outcome of whole numbers, and the {fitted.problem.family.name} family does not say that its outcomes are; "
            "for a continuous outcome see quantile_residuals and plot_predictive."
        )
    return Discrete(fitted.problem.family.lowest, len(fitted.design.formula.outcome_columns))


def highest_outcomes(fitted: FittedModel, outcome: tuple[np.ndarray, ...]) -> np.ndarray:
    """(n,) largest value that each row's outcome can have: trials, the last level; infinite for counts."""
    if len(outcome) > 1:
        return outcome[0] + outcome[1]
    levels = fitted.design.levels
    return np.full(len(outcome[0]), len(levels) - 1.0 if levels else 1.0 if fitted.problem.family.is_binary else np.inf)


def log_masses(family: Family, kind: Discrete, params: Params, eta: Array, k: Array, highest: Array) -> Array:
    """(n,) log probabilities of the outcome ``k``, a number or (n,), in rows with linear predictors ``eta`` (E, n)."""
    n = eta.shape[-1]
    count = jnp.clip(jnp.broadcast_to(k, (n,)).astype(eta.dtype), kind.lowest, highest)  # where the density is finite
    y: Any = (count, highest - count) if kind.n_columns > 1 else count
    return jnp.where(count == k, family.log_density(y, eta[0], phi_of_rows(params, n), *eta[1:]), -jnp.inf)
