"""The parameters of a model as one pytree, and the free vector theta that an optimiser moves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.families.base import Family
from glmmjax.likelihood.clusters import ClusterData
from glmmjax.likelihood.covariance import BlockDiagonal
from glmmjax.likelihood.structure import Structure

__all__ = ["Params", "Theta", "check_shapes", "layout_of", "predictor_sizes"]


class Params(NamedTuple):
    """Parameters of a generalized linear mixed model, on the scale on which the likelihood takes them.

    Attributes
    ----------
    beta : (p,) fixed effects, on the scale of the linear predictor
    chol : (q, q) factor L of D = L L', the covariance matrix of the random effects; lower triangular, its diagonal may have any sign
    phi : (n_phi,) extra parameters of the family on the free scale: the logarithm of one that is positive
    gamma : (p_zi,) fixed effects of the zero part, on the logit of the probability of a zero
    delta : (p_disp,) coefficients of the extra parameter on its free scale, which then has no entry in phi

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> params = gj.Params(beta=jnp.array([-2.6, 0.3]), chol=jnp.array([[2.0]]))
    >>> (params.chol @ params.chol.T).tolist()  # D
    [[4.0]]
    """

    beta: Array
    chol: Array
    phi: Any = ()
    gamma: Any = ()
    delta: Any = ()


@dataclasses.dataclass(frozen=True)
class Theta:
    """Layout of the free vector theta = (beta, free vector of D, phi, gamma, delta); static, hashable.

    Attributes
    ----------
    p : number of fixed effects
    covariance : structure of D
    n_phi : number of extra parameters
    p_zi : fixed effects of the zero part
    p_disp : coefficients of the extra parameter
    """

    p: int
    covariance: Structure
    n_phi: int = 0
    p_zi: int = 0
    p_disp: int = 0

    @property
    def size(self) -> int:
        """Length of theta."""
        return self.p + self.covariance.n_free + self.n_phi + self.p_zi + self.p_disp

    @property
    def fixed(self) -> slice:
        """Where beta stands in theta."""
        return slice(0, self.p)

    @property
    def random(self) -> slice:
        """Where the free vector of D stands in theta."""
        return slice(self.p, self.p + self.covariance.n_free)

    @property
    def extra(self) -> slice:
        """Where phi stands in theta."""
        return slice(self.random.stop, self.random.stop + self.n_phi)

    @property
    def zero(self) -> slice:
        """Where gamma stands in theta."""
        return slice(self.extra.stop, self.extra.stop + self.p_zi)

    @property
    def dispersion(self) -> slice:
        """Where delta stands in theta."""
        return slice(self.zero.stop, self.size)

    @property
    def by_predictor(self) -> tuple[slice, ...]:
        """Where the coefficients of each linear predictor stand in theta: beta, then gamma and delta where the model has them."""
        return (self.fixed, *((self.zero,) if self.p_zi else ()), *((self.dispersion,) if self.p_disp else ()))

    @property
    def without_random(self) -> Theta:
        """The layout of the same model without random effects."""
        return dataclasses.replace(self, covariance=BlockDiagonal(()))

    @property
    def not_random(self) -> tuple[int, ...]:
        """Positions in theta of everything but the free vector of D, in the order of ``without_random``."""
        return (*range(self.random.start), *range(self.random.stop, self.size))

    def params(self, theta: Array) -> Params:
        """The ``Params`` of a free vector (size,)."""
        chol = self.covariance.factor(theta[self.random])
        return Params(theta[self.fixed], chol, theta[self.extra], theta[self.zero], theta[self.dispersion])

    def vector(self, params: Params) -> Array:
        """(size,) free vector of ``params``; entries of D that the structure does not have are left out."""
        return self._joined(params, self.covariance.free(jnp.asarray(params.chol)))

    def gradient(self, theta: Array, slopes: Params) -> Array:
        """(size,) gradient at ``theta`` of a function whose derivatives in the ``Params`` are ``slopes``."""
        return self._joined(slopes, self.covariance.pull_back(theta[self.random], slopes.chol))

    def _joined(self, params: Params, random: Array) -> Array:
        beta = jnp.asarray(params.beta)
        parts = (beta, random, params.phi, params.gamma, params.delta)
        return jnp.concatenate([jnp.asarray(part, beta.dtype) for part in parts])


def layout_of(family: Family, sizes: Sequence[int], structure: Structure) -> Theta:
    """The layout of a model from its family and the numbers of fixed-effects columns of its linear predictors.

    Raises
    ------
    ArgumentError
        When there are not as many linear predictors as the family takes.
    """
    expected = 1 + family.has_zero_part + family.has_dispersion
    if len(sizes) != expected:
        raise ArgumentError(
            f"clusters have {len(sizes)} linear predictors, and the {family.name} family takes {expected}; pass the clusters and the "
            "family of one make_design, design.clusters and design.family."
        )
    p_zi, p_disp = sizes[1] if family.has_zero_part else 0, sizes[-1] if family.has_dispersion else 0
    return Theta(sizes[0], structure, len(family.phi_names), p_zi, p_disp)


def predictor_sizes(clusters: ClusterData) -> list[int]:
    """Numbers of fixed-effects columns of the linear predictors of ``clusters``."""
    return [x.shape[1] for x in clusters.buckets[0].X]


def check_shapes(params: Params, layout: Theta, argument: str, family: Family) -> None:
    """Refuse parameters, arrays, of other shapes than the layout has; ``argument`` is what they were passed as.

    Raises
    ------
    ArgumentError
    """
    q, sizes = layout.covariance.q, {"phi": layout.n_phi, "gamma": layout.p_zi, "delta": layout.p_disp}
    needed = {"beta": (layout.p,), "chol": (q, q), **{name: (size,) for name, size in sizes.items()}}
    for name, shape in needed.items():
        found = getattr(getattr(params, name), "shape", (0,))  # () stands for no entries
        if found != shape:
            raise ArgumentError(f"{argument}.{name} has shape {found}; these clusters and the {family.name} family need {shape}.")
