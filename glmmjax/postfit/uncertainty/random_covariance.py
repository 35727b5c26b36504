"""The covariance matrix D = L L' of the random effects as standard deviations and correlations, and the effects that lost it rank."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glmmjax.estimation.factors import covariance_derivative
from glmmjax.fitted import FittedModel

__all__ = ["LostEffect", "Spread", "lost_effects", "moving_directions", "random_covariance", "spread", "spread_errors"]

_NEGLIGIBLE = 1e-4  # relative size below which an entry of L counts as 0, as in the certificate


class Spread(NamedTuple):
    """Standard deviations and correlations of the random effects.

    Attributes
    ----------
    deviations : (q,) on the scale of the link
    correlations : (q, q); NaN for a correlation that the structure rules out, or a variance of 0
    """

    deviations: np.ndarray
    correlations: np.ndarray


class LostEffect(NamedTuple):
    """A random effect without variance of its own.

    Attributes
    ----------
    effect : number of the effect
    given : numbers of the effects that determine it; () when its variance is 0
    """

    effect: int
    given: tuple[int, ...]


def random_covariance(fitted: FittedModel) -> np.ndarray:
    """(q, q) D."""
    chol = np.asarray(fitted.params.chol)
    return chol @ chol.T


def spread(fitted: FittedModel) -> Spread:
    """Standard deviations and correlations."""
    d = random_covariance(fitted)
    deviations = np.sqrt(np.diagonal(d))
    scale = np.outer(deviations, deviations)
    possible = np.array(fitted.design.covariance.mask(), bool).reshape(d.shape) & (scale > 0)
    return Spread(deviations, np.divide(d, scale, out=np.full(d.shape, np.nan), where=possible))


def spread_errors(fitted: FittedModel, theta_covariance: np.ndarray) -> Spread | None:
    r"""Standard errors of standard deviations and correlations by the delta method; None at a singular D, where none are defined.

    .. math:: dD = dL\, L' + L\, dL', \quad d\sigma_i = \frac{dD_{ii}}{2 \sigma_i}, \quad
              d\rho_{ij} = \frac{dD_{ij}}{\sigma_i \sigma_j} - \frac{\rho_{ij}}{2} \Big(\frac{dD_{ii}}{D_{ii}} + \frac{dD_{jj}}{D_{jj}}\Big)
    """
    if fitted.is_singular:
        return None
    deviations, correlations = spread(fitted)
    change = covariance_derivative(fitted.design.covariance, fitted.theta[fitted.problem.layout.random])
    relative = 0.5 * np.diagonal(change, axis1=1, axis2=2) / deviations**2
    by_correlation = change / np.outer(deviations, deviations) - correlations * (relative[:, :, None] + relative[:, None, :])
    random = fitted.problem.layout.random
    covariance = theta_covariance[random, random]
    variance = np.einsum("kij,kl,lij->ij", by_correlation, covariance, by_correlation)
    return Spread(np.sqrt(np.einsum("ki,kl,li->i", relative, covariance, relative)) * deviations, np.sqrt(np.maximum(variance, 0.0)))


def moving_directions(fitted: FittedModel) -> np.ndarray:
    """(n_free, k) directions of the free vector of D that change D to first order, found on the scale of each effect."""
    structure, deviations = fitted.design.covariance, spread(fitted).deviations
    if structure.entries is None:
        jacobian = covariance_derivative(structure, fitted.theta[fitted.problem.layout.random]).reshape(structure.n_free, -1)
        vectors, sizes, _ = np.linalg.svd(jacobian, full_matrices=False)
        return vectors[:, sizes > 10 * _NEGLIGIBLE * max(sizes.max(initial=0.0), 1e-300)]
    reach = fitted.design.random_reach
    scale = np.where(deviations * reach >= _NEGLIGIBLE, deviations, 1.0 / np.maximum(reach, 1e-300))
    lost = [row for row, _ in lost_effects(fitted)]
    chol = np.array(fitted.params.chol) / scale[:, None]
    chol[lost, lost] = 0.0
    jacobian = covariance_derivative(structure, np.array([chol[entry] for entry in structure.entries])).reshape(structure.n_free, -1)
    vectors, sizes, _ = np.linalg.svd(jacobian, full_matrices=False)
    return scale[[row for row, _ in structure.entries], None] * vectors[:, sizes > 10 * _NEGLIGIBLE]


def lost_effects(fitted: FittedModel) -> list[LostEffect]:
    """The random effects through which D lost rank, with the effects that each of them follows."""
    deviations, correlations = spread(fitted)
    reach = fitted.design.random_reach
    has_variance = deviations * reach >= _NEGLIGIBLE
    lost = []
    for row in range(len(deviations)):
        if not has_variance[row]:
            lost.append(LostEffect(row, ()))
        elif abs(fitted.params.chol[row, row]) < _NEGLIGIBLE * deviations[row]:
            earlier = [c for c in range(row) if has_variance[c] and np.isfinite(correlations[row, c])]
            alone = [c for c in earlier if abs(correlations[row, c]) > 1.0 - _NEGLIGIBLE]
            lost.append(LostEffect(row, tuple(alone[:1] or earlier)))
    return lost
