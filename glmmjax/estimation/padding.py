"""Columns padded up to classes of sizes, so that a model with a term more or less runs the programs that are compiled.

A padded column is 0 in every row: its coefficient moves no likelihood, and keeps the value 0. In the information it is a unit of its own.
Which coefficients are real is an argument of the compiled programs. What comes out is cut back to the real ones, so that no result has a
trace of the padding.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, NamedTuple

import jax
import numpy as np

from glmmjax.estimation.objective import Problem
from glmmjax.likelihood.clusters import Bucket, ClusterData, padded_rows
from glmmjax.likelihood.model_rows import ModelRows
from glmmjax.likelihood.params import Params, Theta

__all__ = ["Padding", "column_class", "padding"]

_FEWEST = 4  # columns of the first class
_STEP = 8  # columns from one later class to the next
_LARGE_WORK = 10_000_000  # rows x nodes of an evaluation, from which a column more costs as much as a compiler


class Padding(NamedTuple):
    """A model with padded columns.

    Attributes
    ----------
    layout : of the exact free vector
    problem : the static part of the model with padded columns
    """

    layout: Theta
    problem: Problem

    @property
    def positions(self) -> np.ndarray:
        """(P,) where the entries of the exact free vector stand in that of ``problem``."""
        return self.places(self.layout.covariance.n_free + self.layout.n_phi)

    @property
    def is_real(self) -> np.ndarray:
        """(P',) bool: the entries of theta that are no padding."""
        return np.isin(np.arange(self.problem.layout.size), self.positions)

    def places(self, n_between: int) -> np.ndarray:
        """Where values stand of which each coefficient has one, with ``n_between`` others after those of beta."""
        wide, exact = self.problem.layout, self.layout
        firsts = itertools.accumulate((wide.p, n_between, wide.p_zi), initial=0)
        sizes = (exact.p, n_between, exact.p_zi, exact.p_disp)
        return np.concatenate([np.arange(first, first + n) for first, n in zip(firsts, sizes, strict=True)])

    def buckets(self, buckets: tuple[Bucket, ...]) -> tuple[Bucket, ...]:
        """The buckets with padded columns; other arrays are shared."""
        return tuple(bucket._replace(X=self._columns(bucket.X, -3)) for bucket in buckets)

    def clusters(self, clusters: ClusterData) -> ClusterData:
        """The same for clusters."""
        return clusters._replace(buckets=self.buckets(clusters.buckets))

    def rows(self, rows: ModelRows) -> ModelRows:
        """The same for rows, in one piece or in chunks."""
        return rows._replace(X=self._columns(rows.X, -2))

    def params(self, params: Params) -> Params:
        """``Params`` with coefficients of 0 for padding."""
        wide = self.problem.layout
        sizes = {"beta": wide.p, "gamma": wide.p_zi, "delta": wide.p_disp}
        return params._replace(**{name: _padded(np.asarray(getattr(params, name)), n, 0) for name, n in sizes.items()})

    def vector(self, theta: Any) -> np.ndarray:
        """(..., P') free vectors, 0 where they are padding, of exact ones (..., P)."""
        theta = np.asarray(theta)
        found = np.zeros((*theta.shape[:-1], self.problem.layout.size))
        found[..., self.positions] = theta
        return found

    def matrix(self, matrix: Any) -> np.ndarray:
        """(P', P') with units where it is padding, of an exact one (P, P)."""
        found = np.eye(self.problem.layout.size)
        found[np.ix_(self.positions, self.positions)] = matrix
        return found

    def cut(self, vectors: Any) -> np.ndarray:
        """(..., P) real entries of vectors (..., P')."""
        return np.asarray(vectors)[..., self.positions]

    def cut_matrix(self, matrices: Any) -> np.ndarray:
        """(..., P, P) real entries of matrices (..., P', P')."""
        return np.asarray(matrices)[..., self.positions[:, None], self.positions]

    def cut_positions(self, positions: tuple[int, ...]) -> tuple[int, ...]:
        """The real ones of ``positions`` in theta, as they are in the exact one."""
        return tuple(k for k, at in enumerate(self.positions.tolist()) if at in positions)

    def _columns(self, X: tuple[Any, ...], axis: int) -> tuple[Any, ...]:
        sizes = [where.stop - where.start for where in self.problem.layout.by_predictor]
        return tuple(_padded(x, n, axis) for x, n in zip(X, sizes, strict=True))


def column_class(n: int) -> int:
    """Columns, with padding, of a linear predictor that has ``n``: 4, 8, 16, 24, 32, ..."""
    return _FEWEST if n <= _FEWEST else -(-n // _STEP) * _STEP


def padding(problem: Problem, buckets: tuple[Bucket, ...], n_agq: int) -> Padding:
    """Padded columns for a model of these rows by ``n_agq`` points; none where a pass over the rows costs more than a compiler."""
    layout = problem.layout
    if n_agq**layout.covariance.q * padded_rows(buckets) > _LARGE_WORK:
        return Padding(layout, problem)
    # no columns say that there is no such part
    others: dict[str, Any] = {name: column_class(n) for name in ("p_zi", "p_disp") if (n := getattr(layout, name))}
    wide = dataclasses.replace(layout, p=column_class(layout.p), **others)
    intercepts = problem.is_intercept + (False,) * (wide.p - layout.p) if problem.is_intercept else ()
    return Padding(layout, dataclasses.replace(problem, layout=wide, is_intercept=intercepts))


def _padded(x: Any, n: int, axis: int) -> Any:
    """``x`` with zeros after its entries along ``axis``, ``n`` in all. NumPy compiles nothing for a new shape."""
    missing = n - x.shape[axis]
    if not missing:
        return x
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, missing)
    found = np.pad(np.asarray(x), widths)
    return jax.device_put(found, x.sharding if x.committed else None) if isinstance(x, jax.Array) else found
