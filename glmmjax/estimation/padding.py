"""Columns padded up to classes of sizes, so that a model with a term more or less runs the programs that are compiled.

A padded column is 0 in every row: its coefficient moves no likelihood, and keeps the value 0. In the information it is a unit of its own.
Which coefficients are real is an argument of the compiled programs. Nothing outside of the ascent knows of the padding.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from glmmjax.estimation.objective import Problem
from glmmjax.likelihood.clusters import Bucket, padded_rows

__all__ = ["Padding", "column_class", "exact", "padding"]

_FEWEST = 4  # columns of the first class
_STEP = 8  # columns from one later class to the next
_LARGE_WORK = 10_000_000  # rows x nodes of an evaluation, from which a column more costs as much as a compiler


class Padding(NamedTuple):
    """A model with padded columns.

    Attributes
    ----------
    problem : the static part of its fit
    positions : (P,) where the entries of the exact free vector stand in that of ``problem``
    """

    problem: Problem
    positions: np.ndarray

    @property
    def is_real(self) -> np.ndarray:
        """(P',) bool: the entries of theta that are no padding."""
        return np.isin(np.arange(self.problem.layout.size), self.positions)

    def buckets(self, buckets: tuple[Bucket, ...]) -> tuple[Bucket, ...]:
        """The buckets with padded columns; the others are shared."""
        layout = self.problem.layout
        sizes = [where.stop - where.start for where in layout.by_predictor]
        return tuple(b._replace(X=tuple(_padded(x, n) for x, n in zip(b.X, sizes, strict=True))) for b in buckets)

    def vector(self, theta: Any) -> np.ndarray:
        """(P',) free vector, 0 where it is padding, of an exact one (P,)."""
        return self._placed(np.zeros(self.problem.layout.size), self.positions, theta)

    def information(self, information: Any) -> np.ndarray:
        """(P', P') with units where it is padding, of an exact one (P, P)."""
        return self._placed(np.eye(self.problem.layout.size), np.ix_(self.positions, self.positions), information)

    def cut(self, vectors: Any) -> np.ndarray:
        """(..., P) real entries of vectors (..., P')."""
        return np.asarray(vectors)[..., self.positions]

    def cut_matrix(self, matrix: Any) -> np.ndarray:
        """(P, P) real entries of a matrix (P', P')."""
        return np.asarray(matrix)[np.ix_(self.positions, self.positions)]

    def cut_positions(self, positions: tuple[int, ...]) -> tuple[int, ...]:
        """Real ones of ``positions`` in theta, as they are in the exact one."""
        return tuple(k for k, at in enumerate(self.positions.tolist()) if at in positions)

    @staticmethod
    def _placed(into: np.ndarray, where: Any, values: Any) -> np.ndarray:
        into[where] = values
        return into


def column_class(n: int) -> int:
    """Columns, with padding, of a linear predictor that has ``n``: 4, 8, 16, 24, 32, ..."""
    return _FEWEST if n <= _FEWEST else -(-n // _STEP) * _STEP


def padding(problem: Problem, buckets: tuple[Bucket, ...], n_agq: int) -> Padding:
    """Padded columns for a fit by ``n_agq`` points; none where a pass over the rows costs more than a compiler."""
    layout = problem.layout
    if n_agq**layout.covariance.q * padded_rows(buckets) > _LARGE_WORK:
        return exact(problem)
    # no columns say that there is no such part
    others: dict[str, Any] = {name: column_class(n) for name in ("p_zi", "p_disp") if (n := getattr(layout, name))}
    wide = dataclasses.replace(layout, p=column_class(layout.p), **others)
    intercepts = problem.is_intercept + (False,) * (wide.p - layout.p) if problem.is_intercept else ()
    firsts = (0, wide.random.start, wide.extra.start, wide.zero.start, wide.dispersion.start)
    sizes = (layout.p, layout.covariance.n_free, layout.n_phi, layout.p_zi, layout.p_disp)
    positions = np.concatenate([np.arange(first, first + n) for first, n in zip(firsts, sizes, strict=True)])
    return Padding(dataclasses.replace(problem, layout=wide, is_intercept=intercepts), positions)


def exact(problem: Problem) -> Padding:
    """The model without padding."""
    return Padding(problem, np.arange(problem.layout.size))


def _padded(x: Any, n: int) -> Any:
    """Columns (S, p, w, B) with others of zeros after them, ``n`` in all. NumPy compiles nothing for a new shape."""
    if x.shape[1] == n:
        return x
    columns = np.zeros((x.shape[0], n, *x.shape[2:]), x.dtype)
    columns[:, : x.shape[1]] = np.asarray(x)
    return jax.device_put(columns, x.sharding if getattr(x, "committed", False) else None)
