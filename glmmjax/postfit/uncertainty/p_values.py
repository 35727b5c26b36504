"""Tail probabilities of the reference distributions: the normal by Python, the others by SciPy, which is loaded for them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

__all__ = ["chi_square_tail", "mixture_tail", "normal_two_sided"]


def normal_two_sided(z: np.ndarray) -> np.ndarray:
    """P(|Z| > |z|) for a standard normal Z."""
    return np.array([math.erfc(abs(value) / math.sqrt(2.0)) for value in np.ravel(z)]).reshape(np.shape(z))


def chi_square_tail(x: float, df: int) -> float:
    """P(X >= x) for a chi-square X with ``df`` degrees of freedom; with 0 of them X is always 0."""
    from scipy.special import chdtrc  # a fit that nobody tests need not wait for it

    return 1.0 if x <= 0.0 else float(chdtrc(df, x)) if df else 0.0


def mixture_tail(x: float, weights: Mapping[int, float]) -> float:
    """P(X >= x) for a chi-bar-square X: a chi-square with ``df`` degrees of freedom with probability ``weights[df]``."""
    return math.fsum(weight * chi_square_tail(x, df) for df, weight in weights.items())
