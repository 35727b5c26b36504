"""EM steps by the same quadrature as the likelihood, read off its gradient.

For one cluster, integration by parts over the posterior of u gives ``E[L'z s(u) u'] = E[g(u) u'] - I`` summed over rows, with g the
prior's negative gradient. Fisher's identity says that the left side is ``L' d log L / d L``. A spherical prior has ``g(u) = c(|u|) u``, and
its M-step makes the mean of ``E[g(u) u']`` the identity. So the M-step for L needs no pass of its own:

    D_new = L (I + (L'G + G'L) / (2 m)) L',   G = d log-likelihood / d L  (all entries),  m = sum of weights.

Of two levels, m counts the clusters of the level that the effects belong to.
For the normal prior, c = 1, this is the mean of ``E[b b']``; for others it is the usual reweighted step. This file does not know the law.
The M-step for all other parameters is one Newton step on the expected complete-data log-likelihood, with the GLM's information
(Dempster, Laird and Rubin 1977; Bock and Aitkin 1981).
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.linear_algebra import solve_positive
from glmmjax.estimation.objective import Evaluated, Problem
from glmmjax.estimation.starting_values import Start

__all__ = ["em_step"]


def em_step(problem: Problem, start: Start, theta: Array, at: Evaluated) -> Array:
    """(P,) the change of theta that one EM step makes from ``theta``, where the objective is ``at``."""
    layout = problem.layout
    step = jnp.zeros_like(theta)
    others = jnp.array(layout.not_random, int)
    step = step.at[others].set(solve_positive(start.information, at.gradient[others]))
    # most extra parameters are logarithms, whose likelihood is no parabola far from its maximum
    step = step.at[layout.extra].set(jnp.clip(step[layout.extra], -1.0, 1.0))
    if layout.covariance.q:
        chol = layout.covariance.factor(theta[layout.random])
        new = _next_factor(chol, at.chol_gradient, start.effect_weight, jnp.array(layout.covariance.mask(), theta.dtype))
        step = step.at[layout.random].set(layout.covariance.free(new) - theta[layout.random])
    return step


def _next_factor(chol: Array, gradient: Array, weight: Array, mask: Array) -> Array:
    q = chol.shape[0]
    half = mask * (chol.T @ gradient) / weight
    # quadrature error can push the bracket below 0, and a tenfold change of D in one step helps no fit
    values, vectors = jnp.linalg.eigh(jnp.eye(q, dtype=chol.dtype) + 0.5 * (half + half.T))
    root = chol @ (vectors * jnp.sqrt(jnp.clip(values, 0.1, 10.0)))
    d = mask * (root @ root.T)
    return jnp.linalg.cholesky(d + 1e-12 * jnp.diag(jnp.diagonal(d)))
