"""Draws from the normal distribution of the estimates, and the root of a covariance matrix behind them."""

from __future__ import annotations

import numpy as np

__all__ = ["covariance_root", "normal_draws"]


def covariance_root(covariance: np.ndarray, least: float = 0.0) -> np.ndarray:
    """K (P, P) with ``K K'`` the covariance, from the eigenvectors of the correlation matrix, because scales may differ widely.

    Columns of eigenvalues below ``least`` are 0. So are the rows of entries without variance.
    """
    deviations = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    scale = np.where(deviations > 0, deviations, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    return deviations[:, None] * vectors * np.sqrt(np.where(values > least, values, 0.0))


def normal_draws(covariance: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, P) draws from N(0, covariance); an entry without variance stays at 0."""
    return rng.standard_normal((n, len(covariance))) @ covariance_root(covariance).T
