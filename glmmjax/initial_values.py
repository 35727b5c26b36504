"""The argument ``initial_values`` of ``mixed_model``: checked, and brought to the free vector theta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.params import Params, Theta
from glmmjax.likelihood.structure import Structure
from glmmjax.values import NOT_NUMBERS, shown

__all__ = ["initial_theta", "named_values"]

_NAMES = ("beta", "D", "chol", "phi", "gamma", "delta")


def named_values(values: Any) -> Mapping[str, Any] | None:
    """``initial_values=`` by name, None when there are none; their shapes are not looked at.

    Raises
    ------
    ArgumentError
        For anything else than a ``Params`` or a dict of its names.
    """
    if values is None:
        return None
    given = values._asdict() if isinstance(values, Params) else values
    if not isinstance(given, Mapping) or any(name not in _NAMES for name in given):
        raise ArgumentError(f"initial_values={shown(values)} must be a Params, or a dict with the names {', '.join(_NAMES)}.")
    return given


def initial_theta(values: Any, layout: Theta) -> np.ndarray | None:
    """(P,) free vector of ``initial_values=``, None when there are none."""
    given = named_values(values)
    if given is None:
        return None
    q = layout.covariance.q
    chol = _factor(_initial_array(given, "D", (q, q))) if "D" in given else _initial_array(given, "chol", (q, q))
    beta = _initial_array(given, "beta", (layout.p,))
    sizes = {"phi": layout.n_phi, "gamma": layout.p_zi, "delta": layout.p_disp}
    others = [_initial_array(given, name, (size,)) for name, size in sizes.items()]
    return np.concatenate([beta, _free(layout.covariance, chol), *others])


def _free(structure: Structure, chol: np.ndarray) -> np.ndarray:
    """Free vector of a lower factor, whose D must be one that the structure has."""
    with jax.enable_x64(True):
        free = structure.free(jnp.asarray(chol))
        root = np.asarray(structure.factor(free))
    d = chol @ chol.T
    lower = np.allclose(chol, np.tril(chol), rtol=0.0, atol=1e-12 * np.abs(chol).max(initial=0.0))
    if not lower or not np.allclose(root @ root.T, d, rtol=0.0, atol=1e-9 * np.abs(d).max(initial=0.0)):
        raise ArgumentError(
            f"initial_values: D = chol chol' is {np.round(d, 6).tolist()}, which the model's covariance structure does not have: chol must "
            f"be lower triangular, and D a matrix of {structure}."
        )
    return np.asarray(free)


def _initial_array(given: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The named values as float64; an empty array may be left out."""
    if name not in given:
        if 0 in shape:
            return np.zeros(shape)
        raise ArgumentError(f"initial_values has no {'D' if name == 'chol' else name!r}; this model needs it, with shape {shape}.")
    try:
        values = np.asarray(given[name], np.float64)
    except NOT_NUMBERS:
        values = np.array(np.nan)
    if values.shape != shape or not np.isfinite(values).all():
        raise ArgumentError(f"initial_values[{name!r}]={shown(given[name])} must be finite numbers with shape {shape}.")
    return values


def _factor(d: np.ndarray) -> np.ndarray:
    """Lower factor of a covariance matrix, which may be singular."""
    values, vectors = np.linalg.eigh(0.5 * (d + d.T))
    if not np.allclose(d, d.T) or (values < -1e-8 * np.abs(values).max(initial=0.0)).any():
        raise ArgumentError(f"initial_values['D']={d.tolist()} must be a covariance matrix: symmetric, with no negative eigenvalue.")
    upper: Any = np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T, mode="r")
    return upper.T
