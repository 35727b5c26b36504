"""Reading of ``initial_values=``: estimates of a former fit, or a dict of arrays, as the free vector theta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.params import Params, Theta

__all__ = ["read_initial_values"]

_KEYS = ("beta", "D", "chol", "phi", "gamma")


def read_initial_values(values: Params | Mapping[str, Any] | None, layout: Theta) -> np.ndarray | None:
    """(P,) free vector, or None when no values are given.

    Raises
    ------
    ArgumentError
        For an unknown or a missing name, a wrong shape, a value that is not finite, and a D outside the model's structure.
    """
    if values is None:
        return None
    given = values._asdict() if isinstance(values, Params) else values
    if not isinstance(given, Mapping) or any(name not in _KEYS for name in given):
        raise ArgumentError(f"initial_values={values!r} must be a Params, or a dict with the names {', '.join(_KEYS)}.")
    q = layout.covariance.q
    chol = _factor(_array(given, "D", (q, q))) if "D" in given else _array(given, "chol", (q, q))
    _check_structure(chol, layout)
    rows, columns = [r for r, _ in layout.covariance.entries], [c for _, c in layout.covariance.entries]
    parts = [
        _array(given, "beta", (layout.p,)),
        chol[rows, columns],
        _array(given, "phi", (layout.n_phi,)),
        _array(given, "gamma", (layout.p_zi,)),
    ]
    return np.concatenate(parts)


def _array(given: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The named values as float64; an empty array need not be given."""
    if name not in given and 0 in shape:
        return np.zeros(shape)
    if name not in given:
        raise ArgumentError(f"initial_values has no {'D' if name == 'chol' else name!r}; this model needs it, with shape {shape}.")
    try:
        values = np.asarray(given[name], np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"initial_values[{name!r}]={given[name]!r} must be numbers with shape {shape}.") from None
    if values.shape != shape or not np.isfinite(values).all():
        raise ArgumentError(
            f"initial_values[{name!r}] must be finite numbers with shape {shape}, and has shape {values.shape}: {given[name]!r}."
        )
    return values


def _factor(d: np.ndarray) -> np.ndarray:
    """Lower factor L of D = L L', which may be singular."""
    values, vectors = np.linalg.eigh(0.5 * (d + d.T))
    if not np.allclose(d, d.T) or (values < -1e-8 * np.abs(values).max(initial=0.0)).any():
        raise ArgumentError(f"initial_values['D']={d.tolist()} must be a covariance matrix: symmetric, with no negative eigenvalue.")
    return np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T, mode="r").T


def _check_structure(chol: np.ndarray, layout: Theta) -> None:
    allowed = np.zeros(chol.shape, bool)
    for row, column in layout.covariance.entries:
        allowed[row, column] = True
    if np.any((np.abs(chol) > 1e-12 * np.abs(chol).max(initial=0.0)) & ~allowed):
        raise ArgumentError(
            "initial_values: the covariance matrix has entries where the model's structure has none, or chol is not lower triangular; "
            f"free entries of chol, (row, column): {layout.covariance.entries}."
        )
