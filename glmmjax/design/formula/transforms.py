"""Functions of R's formulas that patsy does not have, or has under another name: ``factor``, ``log``, ``poly``, ``ns``, ``scale``.

``poly``, ``ns`` and ``scale`` learn from the rows fitted (coefficients, knots, means) and use the same values for new rows. What they
have learned is in their attributes as numbers and arrays, which ``patsy_state`` stores.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import patsy
import patsy.builtins

__all__ = ["TRANSFORMS", "factor", "log"]

_CUBIC = 3


def factor(x: Any, levels: Sequence[Any] | None = None, labels: Sequence[Any] | None = None) -> Any:
    """R's ``factor``: the values of ``x`` as levels.

    ``levels`` gives their order, the reference first. They are compared with the values, and where that fails with their texts, so that
    ``["0", "1"]`` reads a column of 0 and 1. ``labels`` are other names for the levels.
    """
    if levels is None:
        if labels is not None:
            raise ValueError("factor(x, labels=...) needs levels=..., which say what is renamed")
        return patsy.builtins.C(x)
    if isinstance(levels, str) or not np.iterable(levels):
        raise ValueError(f"factor: levels are {levels!r}, and must be a list of values")
    values, order = pd.Series(x).reset_index(drop=True), list(levels)
    if len(set(order)) < len(order):
        raise ValueError(f"factor: a level stands twice in {order}")
    codes = pd.Index(order, tupleize_cols=False).get_indexer(pd.Index(values))
    if (codes < 0).any():
        codes = pd.Index([_as_text(level) for level in order]).get_indexer(pd.Index(values.map(_as_text)))
    if (codes < 0).any():
        raise ValueError(f"factor: the value {_as_text(values[int(np.flatnonzero(codes < 0)[0])])} is none of the levels {order}")
    names = order if labels is None else list(labels)
    if len(names) != len(order):
        raise ValueError(f"factor: {len(names)} labels were given for {len(order)} levels")
    return pd.Categorical.from_codes(codes, categories=names)


def _as_text(value: Any) -> str:
    """A value as R writes it: whole numbers without a point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def log(x: Any, base: float | None = None) -> Any:
    """The natural logarithm, or the one to another base."""
    return np.log(x) if base is None else np.log(x) / np.log(base)


class _Scale:
    """R's ``scale``: ``(x - mean) / s``, with the divisor n - 1 in s². Without ``center`` s² is the mean square about 0."""

    def __init__(self) -> None:
        self.n, self.mean, self.squares = 0, 0.0, 0.0  # rows so far, their mean, and the sum of squares about it

    def memorize_chunk(self, x: Any = None, center: bool = True, scale: bool = True) -> None:
        values = _column(x, "scale")
        if not len(values):
            return
        n, mean = len(values), float(values.mean())
        total, shift = self.n + n, mean - self.mean
        # Chan, Golub and LeVeque 1983: sums of squares of two parts, about the mean of both
        self.squares += float(((values - mean) ** 2).sum()) + shift**2 * self.n * n / total
        self.mean += shift * n / total
        self.n = total

    def memorize_finish(self) -> None:
        pass

    def transform(self, x: Any, center: bool = True, scale: bool = True) -> Any:
        squares = self.squares if center else self.squares + self.n * self.mean**2
        centred = np.asarray(x, float) - (self.mean if center else 0.0)
        return centred / np.sqrt(squares / (self.n - 1)) if scale else centred


class _OfAllRows(abc.ABC):
    """A transform that needs all values of its column at once."""

    def __init__(self) -> None:
        self.chunks: list[np.ndarray] = []
        self.arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def memorize_chunk(self, x: Any = None, *args: Any, **kwargs: Any) -> None:
        self.chunks.append(_column(x, type(self).__name__))
        self.arguments = (args, kwargs)

    def memorize_finish(self) -> None:
        (args, kwargs), x = self.arguments, np.concatenate(self.chunks)
        del self.chunks, self.arguments
        if not np.isfinite(x).all():
            raise ValueError(f"{type(self).__name__.lower()}: a value is {x[~np.isfinite(x)][0]}, and all must be finite")
        self.learn(x, *args, **kwargs)

    @abc.abstractmethod
    def learn(self, x: np.ndarray, *args: Any, **kwargs: Any) -> None: ...


class Poly(_OfAllRows):
    """R's ``poly``: polynomials of degree 1 to ``degree`` that are orthonormal over the rows fitted.

    ``p_{k+1}(x) = (x - a_k) p_k(x) - (s_k / s_{k-1}) p_{k-1}(x)`` with ``s_k = sum p_k²`` and ``a_k = sum x p_k² / s_k``; the column is
    ``p_k / sqrt(s_k)``. With ``raw=True`` the columns are powers.

    Source: Kennedy and Gentle (1980), *Statistical Computing*, pages 343-4, which R's help of ``poly`` names.
    """

    def learn(self, x: np.ndarray, degree: int = 1, raw: bool = False) -> None:
        if isinstance(degree, bool) or not (isinstance(degree, int | np.integer) and degree >= 1):
            raise ValueError(f"poly: degree is {degree!r}, and must be a whole number of at least 1")
        if degree >= len(np.unique(x)):
            raise ValueError(f"poly: degree {degree} needs more than {len(np.unique(x))} distinct values")
        self.centres, self.squares = np.zeros(degree), np.zeros(degree + 1)
        before, now = np.zeros_like(x), np.ones_like(x)
        self.squares[0] = len(x)
        for k in range(degree):
            self.centres[k] = (x * now**2).sum() / self.squares[k]
            before, now = now, _next_polynomial(x, before, now, k, self.centres, self.squares)
            self.squares[k + 1] = (now**2).sum()

    def transform(self, x: Any, degree: int = 1, raw: bool = False) -> np.ndarray:
        values = _column(x, "poly")
        if raw:
            return values[:, None] ** np.arange(1, degree + 1)
        before, now, columns = np.zeros_like(values), np.ones_like(values), []
        for k in range(degree):
            before, now = now, _next_polynomial(values, before, now, k, self.centres, self.squares)
            columns.append(now / np.sqrt(self.squares[k + 1]))
        return np.column_stack(columns)


def _next_polynomial(x: np.ndarray, before: np.ndarray, now: np.ndarray, k: int, centres: np.ndarray, squares: np.ndarray) -> np.ndarray:
    return (x - centres[k]) * now - (squares[k] / squares[k - 1] * before if k else 0.0)


class Ns(_OfAllRows):
    """R's ``splines::ns``: a basis of natural cubic splines, linear beyond the boundary knots.

    The cubic B-splines of the knots are combined so that the second derivative is 0 at both boundary knots: with ``C`` (2, m) their
    second derivatives there and ``C' = Q R``, the basis is the B-splines times the last m - 2 columns of ``Q``. Without an intercept the
    first B-spline is left out before. ``df`` knots less one (less two with an intercept) stand at quantiles of the rows fitted, the
    boundary knots at their range.

    Source: de Boor (1978), *A Practical Guide to Splines*; Hastie (1992), chapter 7 of *Statistical Models in S*.
    """

    def learn(self, x: np.ndarray, df: int | None = None, knots: Any = None, intercept: bool = False, boundary_knots: Any = None) -> None:
        self.boundary = np.array([x.min(), x.max()]) if boundary_knots is None else _sorted_numbers(boundary_knots, "boundary_knots")
        if self.boundary.shape != (2,):
            raise ValueError(f"ns: boundary_knots are {boundary_knots!r}, and must be two numbers")
        inside = x[(x >= self.boundary[0]) & (x <= self.boundary[1])]
        is_number = isinstance(df, int | float | np.number) and not isinstance(df, bool)
        n_knots = 0 if df is None else df - 1 - int(intercept) if is_number else -1
        if n_knots != int(n_knots) or n_knots < 0:
            raise ValueError(f"ns: df is {df!r}, and must be a whole number of at least {1 + int(intercept)}")
        at = np.linspace(0.0, 1.0, int(n_knots) + 2)[1:-1]
        self.knots = np.quantile(inside, at) if knots is None else _sorted_numbers(knots, "knots")
        if not (np.diff([self.boundary[0], *self.knots, self.boundary[1]]) > 0).all():
            raise ValueError(
                f"ns: the knots {[float(k) for k in self.knots]} are not distinct, or not inside the boundary "
                f"{[float(k) for k in self.boundary]}; take a smaller df, or give knots=[...]"
            )

    def transform(
        self, x: Any, df: int | None = None, knots: Any = None, intercept: bool = False, boundary_knots: Any = None
    ) -> np.ndarray:
        values, first = _column(x, "ns"), 0 if intercept else 1
        ends = np.repeat(self.boundary, _CUBIC + 1)
        t = np.concatenate([ends[: _CUBIC + 1], self.knots, ends[_CUBIC + 1 :]])
        from scipy.interpolate import BSpline  # it takes .2 s to load, and few formulas have it

        splines = BSpline(t, np.eye(len(t) - _CUBIC - 1)[:, first:], _CUBIC)
        nearest = np.clip(values, *self.boundary)
        beyond = values - nearest  # 0 inside; the spline goes on as a line outside
        basis = splines(nearest)
        if beyond.any():
            basis = basis + beyond[:, None] * splines.derivative()(nearest)
        constraints = splines.derivative(2)(self.boundary)
        return basis @ np.linalg.qr(constraints.T, mode="complete")[0][:, 2:]


def _sorted_numbers(values: Any, name: str) -> np.ndarray:
    try:
        return np.sort(np.atleast_1d(np.asarray(values, float)))
    except (TypeError, ValueError):
        raise ValueError(f"ns: {name} are {values!r}, and must be numbers") from None


def _column(x: Any, name: str) -> np.ndarray:
    if x is None:
        raise ValueError(f"{name.lower()}: it takes one column of numbers, {name.lower()}(x)")
    try:
        values = np.asarray(x, float)
    except (TypeError, ValueError):
        raise ValueError(f"{name.lower()}: it takes one column of numbers, and this has values such as {pd.Series(x).iloc[0]!r}") from None
    if values.ndim != 1:
        raise ValueError(f"{name.lower()}: it takes one column of numbers, and this has shape {values.shape}")
    return values


TRANSFORMS: dict[str, Callable[..., Any]] = {
    **{name: getattr(patsy.builtins, name) for name in patsy.builtins.__all__},
    "factor": factor,
    "log": log,
    **{name: getattr(np, name) for name in ("exp", "expm1", "log10", "log1p", "log2", "sqrt")},
    "ns": patsy.stateful_transform(Ns),
    "poly": patsy.stateful_transform(Poly),
    # patsy's scale is its standardize, which divides by n and not by n - 1
    "scale": patsy.stateful_transform(_Scale),
}  # the functions that every formula may call by these names
