r"""The parameters of a fit as they are reported, and the scales on which intervals for them are made.

The parameters reported are the coefficients, the standard deviations and correlations of the random effects, and the extra parameters on
their natural scale.
Intervals are made on a working scale that cannot leave the parameter space: log sd, atanh of a correlation (Fisher's z), and the free
scale of an extra parameter. An extra parameter that depends on several free entries keeps its natural scale; a threshold is one, because
it is the first threshold plus distances.
"""

from __future__ import annotations

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.padding import Padding, padding
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel
from glmmjax.postfit.uncertainty.natural_phi import natural_phi
from glmmjax.postfit.uncertainty.random_covariance import spread, spread_errors

__all__ = [
    "WHICH",
    "Reported",
    "Scales",
    "errors_of",
    "estimates",
    "natural_values",
    "reported",
    "working_at",
    "working_jacobian",
    "working_values",
]

WHICH = ("fixed", "random", "phi", "zero", "dispersion", "all")
_TINY = 1e-300


@dataclasses.dataclass(frozen=True)
class Scales:
    """What the working scales depend on. Static and hashable, without names: programs are compiled for it.

    Attributes
    ----------
    problem : family, penalty and layout of theta
    pairs : (row, column) of the correlations that D has
    is_own : (n_phi,) extra parameters that depend on their own free entry only
    """

    problem: Problem
    pairs: tuple[tuple[int, int], ...]
    is_own: tuple[bool, ...]

    def places(self, wide: Padding) -> np.ndarray:
        """(N,) where the parameters stand among those of the model with padded columns."""
        return wide.places(self.problem.layout.covariance.q + len(self.pairs) + len(self.is_own))

    def padded(self, wide: Padding) -> Scales:
        """Those of the model with padded columns."""
        return dataclasses.replace(self, problem=wide.problem)


@dataclasses.dataclass(frozen=True)
class Reported:
    """The N parameters of a model that are reported.

    Attributes
    ----------
    scales : the scales on which intervals are made
    kinds : (N,) one of ``WHICH`` each, without "all"
    names : (N,) without the prefix for the part of the model
    """

    scales: Scales
    kinds: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def problem(self) -> Problem:
        """Family, penalty and layout of theta."""
        return self.scales.problem

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(row, column) of the correlations that D has."""
        return self.scales.pairs

    @property
    def is_own(self) -> tuple[bool, ...]:
        """(n_phi,) extra parameters that depend on their own free entry only."""
        return self.scales.is_own

    @property
    def labels(self) -> tuple[str, ...]:
        """(N,) names with the part of the model, such as ``zi_Intercept``."""
        prefix = {"zero": "zi_", "dispersion": "dispersion_"}
        return tuple(prefix.get(kind, "") + name for kind, name in zip(self.kinds, self.names, strict=True))

    def chosen(self, which: str) -> np.ndarray:
        """Numbers of the parameters of one kind.

        Raises
        ------
        ArgumentError
            For another kind, and for one that the model does not have.
        """
        found = np.array([k for k, kind in enumerate(self.kinds) if which in (kind, "all")], int)
        if not len(found):
            present = ", ".join(repr(kind) for kind in WHICH if kind == "all" or kind in self.kinds)
            raise ArgumentError(f"which={which!r}: the model has no such parameters; it has {present}.")
        return found


def reported(fitted: FittedModel) -> Reported:
    """The parameters of a fit, in the order: fixed effects, standard deviations, correlations, extra parameters, zero part, dispersion."""
    design, problem = fitted.design, fitted.problem
    mask, random = design.covariance.mask(), design.random_names
    pairs = tuple((r, c) for r in range(len(mask)) for c in range(r) if mask[r][c])
    spreads = (*(f"sd({name})" for name in random), *(f"corr({random[c]}, {random[r]})" for r, c in pairs))
    thresholds = tuple(f"{low}|{high}" for low, high in itertools.pairwise(design.levels))
    parts = {
        "fixed": design.fixed_names,
        "random": spreads,
        "phi": thresholds or problem.family.phi_names,
        "zero": design.zi_fixed_names,
        "dispersion": design.dispersion_names,
    }
    kinds = tuple(kind for kind, names in parts.items() for _ in names)
    return Reported(Scales(problem, pairs, _own(fitted)), kinds, tuple(itertools.chain(*parts.values())))


def _own(fitted: FittedModel) -> tuple[bool, ...]:
    if not fitted.problem.layout.n_phi:
        return ()
    with jax.enable_x64(True):
        slope = np.asarray(jax.jacfwd(fitted.problem.family.natural)(jnp.asarray(fitted.params.phi)))
    return tuple(bool((np.delete(row, k) == 0).all()) for k, row in enumerate(slope))


def working_values(scales: Scales, theta: Array) -> Array:
    """(N,) parameters on their working scales at ``theta`` (P,). Pure JAX; derivatives are finite where D is not singular."""
    problem = scales.problem
    params = problem.layout.params(theta)
    squares = (params.chol**2).sum(1)
    positive = squares > _TINY
    deviations = jnp.sqrt(jnp.where(positive, squares, 1.0))
    logs = jnp.where(positive, jnp.log(deviations), -jnp.inf)
    rows, columns = (np.array([pair[k] for pair in scales.pairs], int) for k in (0, 1))
    products = (params.chol[rows] * params.chol[columns]).sum(1) / (deviations[rows] * deviations[columns])
    inside = jnp.abs(products) < 1.0
    angles = jnp.where(inside, jnp.arctanh(jnp.where(inside, products, 0.0)), jnp.sign(products) * jnp.inf)
    correlations = jnp.where(positive[rows] & positive[columns], angles, jnp.nan)
    own = np.array(scales.is_own, bool)
    phi = jnp.where(own, params.phi, problem.family.natural(params.phi)) if len(own) else params.phi
    return jnp.concatenate([params.beta, logs, correlations, phi, params.gamma, params.delta])


def natural_values(parameters: Reported, working: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """(..., N) parameters as they are reported, from those on the working scales; ``theta`` (P,) is any point of the model."""
    layout, kinds = parameters.problem.layout, np.array(parameters.kinds)
    found = np.array(working, float)
    first, n_sd, n_pairs = layout.p, layout.covariance.q, len(parameters.pairs)
    found[..., first : first + n_sd] = np.exp(working[..., first : first + n_sd])
    found[..., first + n_sd : first + n_sd + n_pairs] = np.tanh(working[..., first + n_sd : first + n_sd + n_pairs])
    is_phi = kinds == "phi"
    if is_phi.any():
        own = np.array(parameters.is_own)
        given = np.moveaxis(found[..., is_phi], -1, 0)
        free = np.where(own.reshape(-1, *([1] * (given.ndim - 1))), given, theta[layout.extra].reshape(-1, *([1] * (given.ndim - 1))))
        with jax.enable_x64(True):
            natural = np.moveaxis(np.asarray(parameters.problem.family.natural(jnp.asarray(free))), 0, -1)
        found[..., is_phi] = np.where(own, natural, found[..., is_phi])
    return found


def estimates(fitted: FittedModel, parameters: Reported) -> np.ndarray:
    """(N,) estimates of the parameters, on the scales that are reported."""
    found = natural_values(parameters, working_at(parameters, fitted.theta), fitted.theta)
    deviations, correlations = spread(fitted)  # exact zeros and ones of a singular D
    if fitted.convergence.limits:
        found[np.array(parameters.kinds) == "phi"] = natural_phi(fitted)[0]
    found[np.array(parameters.kinds) == "random"] = [*deviations, *(correlations[pair] for pair in parameters.pairs)]
    return found


def errors_of(fitted: FittedModel, parameters: Reported, theta_covariance: np.ndarray) -> np.ndarray:
    """(N,) standard errors on the scales that are reported, from the covariance (P, P) of theta; NaN where there are none."""
    layout, deviations = fitted.problem.layout, np.sqrt(np.diagonal(theta_covariance))
    found = spread_errors(fitted, theta_covariance)
    lost = np.full(parameters.kinds.count("random"), np.nan)
    random = lost if found is None else [*found.deviations, *(found.correlations[pair] for pair in parameters.pairs)]
    parts = (deviations[layout.fixed], random, natural_phi(fitted, theta_covariance)[1], deviations[layout.zero])
    return np.concatenate([*parts, deviations[layout.dispersion]]).astype(float)


def working_at(parameters: Reported, theta: np.ndarray) -> np.ndarray:
    """(..., N) ``working_values`` at one point (P,) or many (..., P)."""
    scales, wide = parameters.scales, padding(parameters.problem, (), 1)
    with jax.enable_x64(True):
        flat = wide.vector(theta.reshape(-1, theta.shape[-1]))
        return np.asarray(_working_at(scales.padded(wide), flat))[:, scales.places(wide)].reshape(*theta.shape[:-1], -1)


def working_jacobian(parameters: Reported, theta: np.ndarray) -> np.ndarray:
    """(N, P) derivatives of ``working_values``."""
    scales, wide = parameters.scales, padding(parameters.problem, (), 1)
    with jax.enable_x64(True):
        return wide.cut(_working_jacobian(scales.padded(wide), wide.vector(theta)))[scales.places(wide)]


@as_program(0)
def _working_at(scales: Scales, theta: Array) -> Array:
    return jax.vmap(lambda t: working_values(scales, t))(theta)


@as_program(0)
def _working_jacobian(scales: Scales, theta: Array) -> Array:
    return jax.jacfwd(lambda t: working_values(scales, t))(theta)
