"""Separated data: a direction of the coefficients along which the likelihood of no row falls, and that of some rises for ever.

A row has a side: its density rises for ever as its predictor falls, or as it rises, or it has a maximum, and then the direction must not
move it. Random effects change nothing of that, because it holds whatever they are (Albert and Anderson 1984, Biometrika 71, 1-10; Konis
2007, DPhil thesis, Oxford; for counts Correia, Guimaraes and Zylkin 2019, arXiv:1903.01633).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from glmmjax.families.base import Family
from glmmjax.likelihood.clusters import Bucket

__all__ = ["Direction", "by_one_column", "separating_direction", "sides"]

_ROWS = 2_000  # of the first linear program; rows that its answer contradicts are added
_GAIN = 1e-6  # of a predictor, where the coordinates are such that a row moves by about 1


class Direction(NamedTuple):
    """A direction in which the likelihood of no row falls, and that of some rises for ever.

    Attributes
    ----------
    e : number of the linear predictor: 0 the main part, 1 the zero part
    change : (p,) change of its coefficients
    """

    e: int
    change: np.ndarray


class _Ends(NamedTuple):
    """(p,) extremes of each column over rows that the direction must not move down, and over those that it must not move up."""

    least_up: np.ndarray
    largest_up: np.ndarray
    least_down: np.ndarray
    largest_down: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """(p,) bool: columns with one value other than 0."""
        least = np.minimum(self.least_up, self.least_down)
        return (least == np.maximum(self.largest_up, self.largest_down)) & (least != 0.0)

    @property
    def may_separate(self) -> np.ndarray:
        """(p,) bool: columns of which a threshold parts the two kinds of rows."""
        return (self.largest_down <= self.least_up) | (self.largest_up <= self.least_down)

    def joined(self, other: _Ends) -> _Ends:
        """The extremes over the rows of both."""
        return _Ends(*(join(a, b) for join, a, b in zip((np.minimum, np.maximum) * 2, self, other, strict=True)))


def sides(family: Family, y: Any, e: int) -> tuple[Any, Any]:
    """Whether the density of each outcome, numpy, rises for ever as predictor ``e`` falls, and as it rises; both: it tells nothing."""
    if e == 0:
        return family.runs_off(y)
    is_zero = (y[0] if isinstance(y, tuple) else y) == 0
    return ~is_zero, is_zero


def by_one_column(family: Family, buckets: tuple[Bucket, ...]) -> Direction | None:
    """The separation that one column shows, alone or beside an intercept; None without one. It is far cheaper than an evaluation.

    A zero part without zeros is no separation, but the limit of its family.
    """
    for e in range(1 + family.has_zero_part):
        ends = _extremes(family, buckets, e)
        change = None if ends is None else _change(ends, e)
        if change is not None:
            return Direction(e, change)
    return None


def _extremes(family: Family, buckets: tuple[Bucket, ...], e: int) -> _Ends | None:
    """The extremes of all columns; None as soon as none of them separates the rows seen so far."""
    found, has_side = None, False
    for y, columns in _parts(buckets, e):
        down, up = sides(family, y, e)
        has_side = has_side or bool((down ^ up).any())
        here = _Ends(*(end for side in (down, up) for end in _range(columns, ~side[:, None])))
        found = here if found is None else found.joined(here)
        # one column that is constant so far is the intercept, which both kinds of rows have at its value
        if (found.may_separate & ~found.constant).sum() == 0 and np.isfinite(found).all() and found.constant.sum() <= 1:
            return None
    return found if has_side else None


def _parts(buckets: tuple[Bucket, ...], e: int) -> Iterator[tuple[Any, np.ndarray]]:
    """Outcomes and columns of predictor ``e``, a block at first and twice as many each time; padding only repeats rows."""
    for bucket in buckets:
        first, n = 0, 1
        while first < len(bucket.offset):
            part = slice(first, first + n)
            y = tuple(np.asarray(column)[part] for column in bucket.y) if isinstance(bucket.y, tuple) else np.asarray(bucket.y)[part]
            yield y, np.asarray(bucket.X[e])[part]
            first, n = first + n, 2 * n


def _range(columns: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(p,) smallest and largest value of ``columns`` (S, p, w, B)."""
    least, largest = (np.where(where, columns, end) for end in (np.inf, -np.inf))
    return least.min(axis=(0, 2, 3)), largest.max(axis=(0, 2, 3))


def _change(ends: _Ends, e: int) -> np.ndarray | None:
    """(p,) a direction of the intercept, or of one column with it."""
    constants = np.flatnonzero(ends.constant)
    intercept = int(constants[0]) if len(constants) else None
    change = np.zeros(len(ends.least_up))
    has_up, has_down = (bool(np.isfinite(least).all()) for least in (ends.least_up, ends.least_down))
    if intercept is not None and not (has_up and has_down):
        value = ends.least_up[intercept] if has_up else ends.least_down[intercept]
        change[intercept] = (1.0 if has_up else -1.0) / value
        return None if e > 0 else change
    for j in map(int, np.flatnonzero(ends.may_separate & ~ends.constant)):
        for sign in (1.0, -1.0):
            threshold = _threshold(ends, j, sign, is_free=intercept is not None)
            if threshold is not None:
                change[j] = sign
                if intercept is not None:
                    change[intercept] = -threshold / ends.least_up[intercept]
                return change
    return None


def _threshold(ends: _Ends, j: int, sign: float, is_free: bool) -> float | None:
    """The value of ``sign`` times a column that no row on either side is beyond, and some row is not at; 0 without an intercept."""
    (least_up, largest_up, least_down, largest_down) = (float(end[j]) for end in ends)
    if sign < 0:
        least_up, largest_up, least_down, largest_down = -largest_up, -least_up, -largest_down, -least_down
    threshold = 0.5 * (largest_down + least_up) if is_free else 0.0
    is_parted = largest_down <= threshold <= least_up and (least_down < threshold or largest_up > threshold)
    return threshold if is_parted else None


def separating_direction(columns: np.ndarray, down: np.ndarray, up: np.ndarray) -> np.ndarray | None:
    """(p,) a direction of the coefficients along which no row loses and some gain for ever, by a linear program; None without one.

    Parameters
    ----------
    columns : (n, p).
    down, up : (n,) bool: whether the outcome gains for ever as its predictor falls, and as it rises; a row with both says nothing.
    """
    says = ~(down & up)
    columns, up, has_side = columns[says], up[says], (down ^ up)[says]
    if not has_side.any():
        return None
    # coordinates in which no unit and no origin of a covariate matters
    q, r = np.linalg.qr(columns)
    used = np.abs(np.diagonal(r)) > 1e-10 * np.abs(r).max(axis=0)
    if not used.all():
        direction = separating_direction(columns[:, used], ~up & has_side, up)
        change = np.zeros(len(used))
        change[used] = 0.0 if direction is None else direction
        return None if direction is None else change
    still = _unmoving(q[~has_side])
    if not still.size:
        return None
    gains = np.where(up, 1.0, -1.0)[has_side, None] * (np.sqrt(len(q)) * (q[has_side] @ still))
    found = _most_gain(np.unique(gains, axis=0), gains.mean(axis=0))
    if found is None:
        return None
    change = np.linalg.solve(r, still @ found)
    size = np.abs(change) * np.abs(columns).max(axis=0)
    return np.where(size > 1e-7 * size.max(), change, 0.0)


def _most_gain(gains: np.ndarray, total: np.ndarray) -> np.ndarray | None:
    """(k,) the direction in a box along which no row of ``gains`` (n, k) falls and ``total`` (k,) rises most; None where it cannot rise.

    The program starts with some of the rows, and takes in those that its answer contradicts.
    """
    from scipy.optimize import linprog  # loading it takes longer than a fit

    taken = np.zeros(len(gains), bool)
    taken[:: max(len(gains) // _ROWS, 1)] = True
    while True:
        found = linprog(-total, A_ub=-gains[taken], b_ub=np.zeros(taken.sum()), bounds=(-1.0, 1.0), method="highs")
        if found.x is None or total @ found.x < _GAIN / len(gains):
            return None
        moved = gains @ found.x
        wrong = np.flatnonzero((moved < -_GAIN) & ~taken)
        if not len(wrong):
            return found.x if moved.max() > 100.0 * _GAIN and moved.min() > -_GAIN else None
        taken[wrong[np.argsort(moved[wrong])[:_ROWS]]] = True


def _unmoving(rows: np.ndarray) -> np.ndarray:
    """(p, k) orthonormal directions that move none of the ``rows`` (n, p)."""
    if not len(rows):
        return np.eye(rows.shape[1])
    _, sizes, right = np.linalg.svd(np.linalg.qr(rows, mode="r"))
    rank = int((sizes > 1e-9 * sizes.max(initial=0.0)).sum())
    return right[rank:].T
