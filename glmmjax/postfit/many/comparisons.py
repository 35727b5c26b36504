"""Likelihood-ratio tests of two models, one for each outcome."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.fitted_many import FittedMany
from glmmjax.postfit.inference.anova import LRT_SLACK, Comparison, compare
from glmmjax.postfit.uncertainty.p_values import mixture_tail

__all__ = ["Comparisons", "comparisons"]

_MOST_TRIED = 20  # pairs that are looked at for the law of the statistic


class Comparisons(NamedTuple):
    """R tests of the smaller model against the larger one; NaN where a fit has no certificate.

    Attributes
    ----------
    statistic : (R,) likelihood ratios
    df : difference of the numbers of parameters
    p_value : (R,) from the mixture of chi-square distributions
    """

    statistic: np.ndarray
    df: int
    p_value: np.ndarray


def comparisons(many0: FittedMany, many1: FittedMany, boundary: bool) -> Comparisons:
    """Compare two models fit by fit; the law of the statistic is that of a single comparison.

    Raises
    ------
    ArgumentError
        For fits of other outcomes, and models that ``anova`` does not compare.
    """
    if not (many0.labels.equals(many1.labels) and np.allclose(many0.checksums, many1.checksums, rtol=1e-9, equal_nan=True)):
        raise ArgumentError(
            "other has fits of other names, of other rows, of other outcomes or of other weights; fit both models to the same ones."
        )
    both = many0.converged & many1.converged
    found = _first_test(many0, many1, np.flatnonzero(both)[:_MOST_TRIED], boundary)
    larger, smaller = (many0, many1) if many0.problem.layout.size > many1.problem.layout.size else (many1, many0)
    # a larger model can be this far below by its certificate and its rule
    difference = 2.0 * (larger.log_likelihood - smaller.log_likelihood)
    is_tested = both & (difference >= -LRT_SLACK)
    statistic = np.where(is_tested, np.maximum(difference, 0.0), np.nan)
    p_value = np.array([mixture_tail(value, found.weights) if np.isfinite(value) else np.nan for value in statistic])
    return Comparisons(statistic, int(found.df or 0), p_value)


def _first_test(many0: FittedMany, many1: FittedMany, pairs: np.ndarray, boundary: bool) -> Comparison:
    """The comparison of the first pair that has a test."""
    notes: tuple[str, ...] = ("no fit has a certificate in both models.",)
    for k in pairs.tolist():
        found = compare(many0.one(k), many1.one(k), boundary)
        if found.weights:
            return found
        notes = found.notes
    raise ArgumentError(f"other: {' '.join(notes)}")
