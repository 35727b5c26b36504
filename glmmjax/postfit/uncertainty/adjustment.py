"""P-values of many tests, adjusted so that the share of false discoveries, or the chance of any, is bounded.

Source: Holm (1979), Scandinavian Journal of Statistics 6, 65-70; Benjamini and Hochberg (1995), JRSS B 57, 289-300; Benjamini and Yekutieli
(2001), Annals of Statistics 29, 1165-1188.
"""

from __future__ import annotations

import numpy as np

__all__ = ["ADJUSTMENTS", "adjusted"]

ADJUSTMENTS = {
    "fdr_bh": "false discovery rate, Benjamini and Hochberg",
    "fdr_by": "the same under any dependence, Benjamini and Yekutieli",
    "holm": "family-wise error rate, Holm",
    "bonferroni": "family-wise error rate",
    "none": "as they are",
}


def adjusted(p: np.ndarray, method: str) -> np.ndarray:
    """(R, ...) p-values adjusted over the first axis; NaN is no test, and is not counted."""
    flat = np.asarray(p, float).reshape(len(p), -1)
    found = np.full(flat.shape, np.nan)
    for j, column in enumerate(flat.T):
        known = ~np.isnan(column)
        found[known, j] = _adjusted(column[known], method)
    return found.reshape(np.shape(p))


def _adjusted(p: np.ndarray, method: str) -> np.ndarray:
    """(n,)"""
    n, order = len(p), np.argsort(p, kind="stable")
    rank = np.arange(1, n + 1)
    if method == "none" or not n:
        return p
    if method == "bonferroni":
        return np.minimum(n * p, 1.0)
    if method == "holm":
        ordered = np.maximum.accumulate((n - rank + 1) * p[order])
    else:
        factor = np.sum(1.0 / rank) if method == "fdr_by" else 1.0
        ordered = np.minimum.accumulate((factor * n / rank * p[order])[::-1])[::-1]
    found = np.empty(n)
    found[order] = np.minimum(ordered, 1.0)
    return found
