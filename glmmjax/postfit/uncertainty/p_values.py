"""Tail probabilities of the reference distributions, in closed form, which takes no time to load."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

__all__ = ["chi_square_tail", "mixture_tail", "normal_two_sided"]


def normal_two_sided(z: np.ndarray) -> np.ndarray:
    """P(|Z| > |z|) for a standard normal Z."""
    return np.array([math.erfc(abs(value) / math.sqrt(2.0)) for value in np.ravel(z)]).reshape(np.shape(z))


def chi_square_tail(x: float, df: int) -> float:
    r"""P(X >= x) for a chi-square X with a whole number of degrees of freedom; with 0 of them X is always 0.

    .. math:: Q(a, h) = Q(a_0, h) + e^{-h} \sum_{k=0}^{\lfloor df/2 \rfloor - 1} \frac{h^{a_0 + k}}{\Gamma(a_0 + k + 1)}, \quad h = x / 2

    with :math:`Q(0, h) = 0` for even and :math:`Q(1/2, h) = \mathrm{erfc}(\sqrt h)` for odd ``df``.
    """
    if x <= 0.0:
        return 1.0
    half = 0.5 * x
    first = 0.5 * (df % 2)
    terms = [math.exp((first + k) * math.log(half) - half - math.lgamma(first + k + 1.0)) for k in range(df // 2)]
    return math.fsum([math.erfc(math.sqrt(half)) if df % 2 else 0.0, *terms])


def mixture_tail(x: float, weights: Mapping[int, float]) -> float:
    """P(X >= x) for a chi-bar-square X: a chi-square with ``df`` degrees of freedom with probability ``weights[df]``."""
    return math.fsum(weight * chi_square_tail(x, df) for df, weight in weights.items())
