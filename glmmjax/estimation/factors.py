"""The factor of D at an estimate and what follows from it, each as one program: JAX would compile every operation by itself.

The factor and the derivative of D share a program: every fit needs the first, its summary the second.
"""

from __future__ import annotations

import jax
import numpy as np
from jax import Array

from glmmjax.estimation.convergence import is_singular
from glmmjax.estimation.xla.program import as_program
from glmmjax.likelihood.structure import Structure

__all__ = ["covariance_derivative", "free_of", "has_lost_rank", "root_of"]


def root_of(structure: Structure, free: np.ndarray) -> np.ndarray:
    """(q, q) the factor L of D = L L' that a structure has at a free vector (n_free,)."""
    with jax.enable_x64(True):
        return np.asarray(_factor(structure, free)[0])


def covariance_derivative(structure: Structure, free: np.ndarray) -> np.ndarray:
    """(n_free, q, q) derivative of D in each entry of the free vector."""
    with jax.enable_x64(True):
        return np.moveaxis(np.asarray(_factor(structure, free)[1]), -1, 0)


def free_of(structure: Structure, chol: np.ndarray) -> np.ndarray:
    """(n_free,) the free vector of a factor (q, q)."""
    with jax.enable_x64(True):
        return np.asarray(_free(structure, chol))


def has_lost_rank(chol: np.ndarray, reach: np.ndarray) -> bool:
    """Whether D = L L' is singular; ``reach`` (q,) is ``Start.effect_reach``."""
    with jax.enable_x64(True):
        return bool(_is_singular(chol, reach))


@as_program()
def _is_singular(chol: Array, reach: Array) -> Array:
    return is_singular(chol, reach)


@as_program(0)
def _free(structure: Structure, chol: Array) -> Array:
    return structure.free(chol)


@as_program(0)
def _factor(structure: Structure, free: Array) -> tuple[Array, Array]:
    def d(free: Array) -> tuple[Array, Array]:
        root = structure.factor(free)
        return root @ root.T, root

    derivative, root = jax.jacfwd(d, has_aux=True)(free)
    return root, derivative
