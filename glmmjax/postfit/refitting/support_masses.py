"""The masses of given points of support that maximise the likelihood of a mixture: a convex problem, by constrained Newton steps.

Source: Wang (2007), Journal of the Royal Statistical Society B 69, 185-198.
"""

from __future__ import annotations

import numpy as np

__all__ = ["masses_of_support"]

_STEPS = 200
_GAP = 1e-9  # log-likelihood that other masses could add, as a share of the weight of all clusters
_ONE = 1e3  # weight of the equation that the masses have the sum 1
_LEAST_RISE, _HALVINGS = 1e-4, 40


def masses_of_support(log_densities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(K,) masses, at least 0 with the sum 1, that maximise ``sum_i w_i log sum_k masses_k f_ik``.

    Parameters
    ----------
    log_densities : (K, m) of each cluster at each point.
    weights : (m,) of the clusters.
    """
    from scipy.optimize import nnls  # loading it takes longer than a fit

    density = np.exp(log_densities - log_densities.max(0)).T
    masses = np.full(density.shape[1], 1.0 / density.shape[1])
    root, total = np.sqrt(weights), weights.sum()
    for _ in range(_STEPS):
        ratio = density / (density @ masses)[:, None]
        slope = weights @ ratio - total  # what each point adds, as a share of its mass
        if slope.max() < _GAP * total:
            break
        # the second-order expansion of the log-likelihood is a sum of squares of 2 - sum_k masses_k ratio_ik
        equations = np.vstack([root[:, None] * ratio, np.full(len(masses), _ONE * root.max())])
        proposal, _ = nnls(equations, np.append(2.0 * root, _ONE * root.max()), maxiter=50 * len(masses))
        moved = _uphill(density, weights, masses, proposal / proposal.sum() - masses, float(slope @ (proposal / proposal.sum())))
        if moved is None:
            break
        masses = moved
    return masses


def _uphill(density: np.ndarray, weights: np.ndarray, masses: np.ndarray, step: np.ndarray, slope: float) -> np.ndarray | None:
    """The masses after the longest of the halved steps that rises enough; None where none rises."""
    before, share = weights @ np.log(density @ masses), 1.0
    for _ in range(_HALVINGS):
        moved = np.maximum(masses + share * step, 0.0)
        if weights @ np.log(np.maximum(density @ moved, 1e-300)) >= before + _LEAST_RISE * share * max(slope, 0.0) and slope > 0.0:
            return moved / moved.sum()
        share *= 0.5
    return None
