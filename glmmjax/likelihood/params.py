"""The parameters of a model as one pytree, and the free vector theta that an optimiser moves."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.covariance import BlockDiagonal

__all__ = ["Params", "Theta"]


class Params(NamedTuple):
    """Parameters of a generalized linear mixed model, on the scale on which the likelihood takes them."""

    beta: Array  # (p,) fixed effects
    chol: Array  # (q, q) factor L of D = L L'; lower triangular, its diagonal may have any sign
    phi: Any = ()  # (n_phi,) extra parameters on the free scale (log of a positive one)
    gamma: Any = ()  # (p_zi,) fixed effects of the zero part


@dataclasses.dataclass(frozen=True)
class Theta:
    """Layout of the free vector theta = (beta, free entries of L, phi, gamma); static, hashable."""

    p: int
    covariance: BlockDiagonal
    n_phi: int = 0
    p_zi: int = 0

    @property
    def size(self) -> int:
        """Length of theta."""
        return self.p + self.covariance.n_free + self.n_phi + self.p_zi

    @property
    def fixed(self) -> slice:
        """Where beta stands in theta."""
        return slice(0, self.p)

    @property
    def random(self) -> slice:
        """Where the free entries of L stand in theta."""
        return slice(self.p, self.p + self.covariance.n_free)

    @property
    def extra(self) -> slice:
        """Where phi stands in theta."""
        return slice(self.random.stop, self.random.stop + self.n_phi)

    @property
    def zero(self) -> slice:
        """Where gamma stands in theta."""
        return slice(self.extra.stop, self.size)

    def params(self, theta: Array) -> Params:
        """The ``Params`` of a free vector (size,)."""
        return Params(theta[self.fixed], self.covariance.factor(theta[self.random]), theta[self.extra], theta[self.zero])

    def vector(self, params: Params) -> Array:
        """(size,) free vector of ``params``; entries of L outside the structure are left out. Serves gradients alike."""
        beta = jnp.asarray(params.beta)
        parts = (beta, self.covariance.free(jnp.asarray(params.chol)), params.phi, params.gamma)
        return jnp.concatenate([jnp.asarray(part, beta.dtype) for part in parts])
