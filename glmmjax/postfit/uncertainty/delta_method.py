"""Covariances of functions of theta by the delta method, with derivatives from automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import Array

__all__ = ["propagated", "propagated_variances", "with_jacobian"]


def with_jacobian(function: Callable[[Array], Array], theta: Array) -> tuple[Array, Array]:
    """The value (..., k) of a function of theta (P,) and its derivatives (..., k, P), from one evaluation."""

    def twice(theta: Array) -> tuple[Array, Array]:
        found = function(theta)
        return found, found

    jacobian, found = jax.jacfwd(twice, has_aux=True)(theta)
    return found, jacobian


def propagated(jacobian: Any, covariance: np.ndarray) -> np.ndarray:
    """(k, k) covariance ``J V J'`` of k functions of theta.

    Parameters
    ----------
    jacobian : (k, P) derivatives in theta.
    covariance : (P, P) of theta. It has NaN for parameters without standard error; functions that depend on them are NaN, others are not.
    """
    jacobian, known, is_lost = _split(jacobian, covariance)
    found = jacobian @ known @ jacobian.T
    found[is_lost] = np.nan
    found[:, is_lost] = np.nan
    return found


def propagated_variances(jacobian: Any, covariance: np.ndarray) -> np.ndarray:
    """(k,) diagonal of ``propagated``, for many functions."""
    jacobian, known, is_lost = _split(jacobian, covariance)
    return np.where(is_lost, np.nan, np.maximum(np.einsum("ij,ij->i", jacobian @ known, jacobian), 0.0))


def _split(jacobian: Any, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The Jacobian, the covariance with 0 for NaN, and which rows depend on parameters without a covariance."""
    jacobian = np.asarray(jacobian, float)
    undefined = np.isnan(np.diagonal(covariance))
    size = np.abs(jacobian).max(axis=1, initial=0.0)
    is_lost = (np.abs(jacobian[:, undefined]) > 1e-9 * size[:, None]).any(axis=1)
    return jacobian, np.nan_to_num(covariance), is_lost
