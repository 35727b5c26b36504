"""Mode and scale of the random effects of each cluster given its outcomes. Rules place their nodes by them.

Per cluster: the mode u_hat, the negative Hessian H there, and a root R of its inverse, ``R R' = H^-1``. At a finite number of nodes the
value of a rule depends on which root that is, so it is one that does not depend on how the columns of Z are written: with the axes P of
the integrand (``turn``) and ``P'HP = C C'``, it is ``R = P C^-T``.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.modes import find_peak
from glmmjax.likelihood.rows import Integrand
from glmmjax.likelihood.small_matrices import Matrix, cholesky, inverse_transpose, solve_cholesky, symmetric

__all__ = ["Posterior", "normal_approximation", "posterior"]


class Posterior(NamedTuple):
    """Normal approximation of the random effects of each of B clusters given its outcomes.

    Attributes
    ----------
    mode : (q, B) conditional mode u_hat
    root : (q, q, B) R; R R' is the inverse negative Hessian at the mode
    log_det : (B,) log|det R|
    value : (B,) f at the mode; no derivative is taken of it
    mode_error : (B,) squared length of one more Newton step in posterior standard deviations: 0 at an exact mode
    """

    mode: Array
    root: Array
    log_det: Array
    value: Array
    mode_error: Array

    def at(self, z: Array) -> Array:
        """(q, B) points at ``z`` (q, B) posterior standard deviations from the modes."""
        return self.mode + (self.root * z).sum(1)


def posterior(f: Integrand, start: Array) -> Posterior:
    """Mode and scale of each cluster of a block, differentiable in the predictors; the search begins at ``start`` (q, B)."""
    mode, hessian, value, gradient = find_peak(f, start)
    if not len(mode):
        zero = jnp.zeros(mode.shape[1:], mode.dtype)
        return Posterior(mode, jnp.zeros((0, 0, *zero.shape), mode.dtype), zero, value, zero)
    left = jax.lax.stop_gradient(jnp.stack(solve_cholesky(cholesky(hessian), gradient)) * jnp.stack(gradient)).sum(0)
    return normal_approximation(mode, hessian, f.turn, left)._replace(value=value)


def normal_approximation(mode: Array, hessian: Matrix, turn: Array | None, mode_error: Array) -> Posterior:
    """The normal approximation around ``mode`` (q, B) by the negative Hessian there, along the axes of ``turn``; its value is 0."""
    c = cholesky(_turned(hessian, turn))
    root = jnp.stack([jnp.stack(row) for row in inverse_transpose(c)])
    if turn is not None:
        root = jnp.einsum("ab,bcm->acm", turn, root, precision="highest")
    log_det = -jnp.log(jnp.stack([c[a][a] for a in range(len(c))])).sum(0)
    return Posterior(mode, root, log_det, jnp.zeros_like(log_det), mode_error)


def _turned(hessian: Matrix, turn: Array | None) -> Matrix:
    """``P' H P``."""
    if turn is None:
        return hessian
    q = len(hessian)
    h = jnp.einsum("ca,cdm,db->abm", turn, jnp.stack([jnp.stack(row) for row in hessian]), turn, precision="highest")
    return symmetric({(a, b): h[a, b] for a in range(q) for b in range(a + 1)}, q)
