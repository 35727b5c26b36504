"""The places of rows of crossed factors: all rows in one block, one on each lane, and the pairs of rows that share a level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glmmjax.design.columns.factors import Factor
from glmmjax.design.layout.grouping import BucketLayout, Layout
from glmmjax.errors import DesignError
from glmmjax.likelihood.levels import CrossedFactors

__all__ = ["cross_rows", "crossed_factors"]

_MOST_EFFECTS = 10_000  # of the dense part; it takes some ten matrices of that size, 8 GB
_PAIR_COST = 30.0  # operations of a dense product that take the time of one pair of rows


def cross_rows(n: int) -> Layout:
    """All rows in one block, in the caller's order."""
    rows = np.arange(n)
    bucket = BucketLayout(rows.reshape(1, 1, n), np.ones((1, 1, n), bool), rows.reshape(1, n), np.ones((1, n), bool))
    return Layout((bucket,), rows, rows)


def crossed_factors(factors: Sequence[Factor], n_effects: Sequence[int]) -> CrossedFactors:
    """Which random effects are eliminated first, and how the rest are gathered.

    Raises
    ------
    DesignError
        When the dense part would be too large.
    """
    sizes = [q * len(factor.labels) for q, factor in zip(n_effects, factors, strict=True)]
    eliminated = int(np.argmax(sizes))
    _check_dense(factors, sizes, eliminated)
    codes: Any = tuple(factor.codes.astype(np.int32)[None] for factor in factors)
    first_rows: Any = tuple(factor.first_rows.astype(np.int32)[None] for factor in factors)
    pairs: Any = _pairs(factors[eliminated].codes, sum(sizes) - sizes[eliminated])
    return CrossedFactors(tuple(n_effects), eliminated, codes, first_rows, None if pairs is None else pairs[None])


def _check_dense(factors: Sequence[Factor], sizes: list[int], eliminated: int) -> None:
    dense = sum(sizes) - sizes[eliminated]
    if dense > _MOST_EFFECTS:
        of = ", ".join(f"{size:,} of {factor.name}" for size, factor in zip(sizes, factors, strict=True))
        raise DesignError(
            f"the random effects of crossed factors number {of}; all but those of {factors[eliminated].name} stand in a dense matrix of "
            f"{dense:,} rows ({8e-9 * dense**2:.1f} GB), and at most {_MOST_EFFECTS:,} are allowed. Make one of the factors a fixed "
            "effect, take fewer of its levels, or leave its random slopes out."
        )


def _pairs(codes: np.ndarray, n_dense: int) -> np.ndarray | None:
    """(2, n_pairs) pairs of different rows of one level, each once; None where a dense product costs less."""
    sizes = np.bincount(codes)
    n_pairs = int((sizes * (sizes - 1) // 2).sum())
    if _PAIR_COST * n_pairs > 2.0 * len(sizes) * n_dense**2 or n_pairs > np.iinfo(np.int32).max:
        return None
    order = np.argsort(codes, kind="stable")
    last = np.repeat(np.cumsum(sizes), sizes)  # end of each row's level, in this order
    later = last - np.arange(len(codes)) - 1  # rows that follow in it
    first = np.repeat(np.arange(len(codes)), later)
    step = np.arange(n_pairs) - np.repeat(np.cumsum(later) - later, later) + 1
    return np.stack([order[first], order[first + step]]).astype(np.int32)
