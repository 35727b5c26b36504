"""Whether a design that was built again is the one that was fitted, except for the last digits, in which machines differ.

An exact digest would refuse a file of another machine, whose logarithm may differ in the last bit.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.families.registry import FAMILIES
from glmmjax.fitted import FittedModel
from glmmjax.postfit.prediction.rows import own_outcome, to_caller_order

__all__ = ["fingerprint", "is_like"]

_TOLERANCE = 1e-9
_N_DENSITIES = 5  # number of rows whose density is compared


def fingerprint(fitted: FittedModel) -> dict[str, np.ndarray]:
    """Two sums of every column of the model, the second with signs that depend on the order of the rows; densities of the first rows."""
    buckets = fitted.design.clusters.buckets
    matrices = [[getattr(bucket, name)[e] for bucket in buckets] for name in ("X", "Z") for e in range(len(buckets[0].X))]
    rows = [to_caller_order(fitted.design, parts) for parts in (*matrices, [bucket.offset for bucket in buckets])]
    columns = np.concatenate([*rows, np.stack(own_outcome(fitted))])
    return {"sizes": np.abs(columns).sum(1), "sums": columns @ np.cos(np.arange(columns.shape[1])), "densities": _densities(fitted)}


def is_like(fitted: FittedModel, found: dict[str, np.ndarray]) -> bool:
    """Whether ``found`` is the fingerprint of ``fitted``."""
    own = fingerprint(fitted)
    if any(np.shape(own[name]) != np.shape(found[name]) for name in own):
        return False
    is_close = all(bool((np.abs(own[name] - found[name]) <= _TOLERANCE * (1.0 + own["sizes"])).all()) for name in ("sizes", "sums"))
    return is_close and np.allclose(own["densities"], found["densities"], rtol=1e-6, atol=1e-6, equal_nan=True)


def _densities(fitted: FittedModel) -> np.ndarray:
    """Log densities of the first rows at linear predictors of 0. They tell two families of a user apart; () for a registered family."""
    layout, family = fitted.problem.layout, fitted.problem.family
    if FAMILIES.get(family.name) is type(family) or family.has_dispersion:
        return np.zeros(0)
    outcome = tuple(jnp.asarray(column[:_N_DENSITIES]) for column in own_outcome(fitted))
    zero = jnp.zeros_like(outcome[0])
    y = outcome if len(outcome) > 1 else outcome[0]
    phi = jnp.asarray(fitted.params.phi)[:, None] * jnp.ones_like(zero)
    with jax.enable_x64(True):
        return np.asarray(family.log_density(y, zero, phi, *(zero,) * (len(layout.by_predictor) - 1)))
