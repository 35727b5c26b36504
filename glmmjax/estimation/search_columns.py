"""The columns in which a fit searches: those of the data, centred and scaled, and the way back to the estimates.

A search should not see where a covariate has its zero, nor its unit. So columns of X that are nearly aliased, such as an intercept and a
year, and the random-effects columns of an unstructured set are replaced by others of the same span that are orthogonal over the rows.
``X~ = X T`` and ``Z~ = Z T`` stand for ``beta = T beta~`` and ``D = T D~ T'``: the likelihood is the same, and the estimates are mapped
back. Effects that D keeps apart are scaled only, because D would lose its structure. Columns of a predictor whose outcomes are in
thousands, or in thousandths, are multiplied by that unit, so that coefficients and D are of size 1.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any, NamedTuple

import jax
import numpy as np

from glmmjax.estimation.objective import Problem
from glmmjax.estimation.starting_values import predictor_spread
from glmmjax.estimation.xla.program import as_program
from glmmjax.likelihood.clusters import Bucket, outcomes_of
from glmmjax.likelihood.covariance import lower_factor
from glmmjax.likelihood.params import Theta
from glmmjax.likelihood.structure import Structure

__all__ = ["MappedBack", "SearchColumns", "search_columns"]

_AT_EASE = 0.03  # length of a column that those before it leave: above this, what is added to information matrices does not show
_ALIASED = 1e-7  # below this, no columns in its place can be told from noise
_EXTREME = 30.0  # standard deviation of outcomes, and one over it, from which on their unit matters
_MOST_ROWS = 200_000  # padded rows from which columns are found; any columns will do that are orthogonal by and large


class MappedBack(NamedTuple):
    """A point of the search in the coordinates of the data.

    Attributes
    ----------
    theta : (P,) free vector, the diagonal of L non-negative where its columns have been replaced
    gradient : (P,)
    hessian : (P, P)
    modes : (S, q, B) for each bucket
    """

    theta: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    modes: tuple[np.ndarray, ...]


class _Moved(NamedTuple):
    """Free vector of the data as a function of that of the search."""

    theta: np.ndarray  # (P,)
    slope: np.ndarray  # (P, P) its derivative
    curvature: np.ndarray  # (n_free, n_free, n_free) second derivatives of each entry of the free vector of D, along two others
    rotation: np.ndarray  # (q, q) Q with L = T L~ Q: the modes are those of the search times Q'


@dataclasses.dataclass(frozen=True)
class SearchColumns:
    """The matrices that give the columns of a search from those of the data.

    Attributes
    ----------
    layout : where parameters stand in theta.
    fixed : (p_e, p_e) for each linear predictor e; None where columns stay.
    random : (q, q); None where columns stay.
    """

    layout: Theta
    fixed: tuple[np.ndarray | None, ...]
    random: np.ndarray | None

    def buckets(self, buckets: tuple[Bucket, ...]) -> tuple[Bucket, ...]:
        """The data with the columns of the search."""
        return tuple(self._bucket(bucket) for bucket in buckets)

    def theta(self, theta: np.ndarray) -> np.ndarray:
        """(P,) the free vector of the search, from that of the data."""
        moved, where = np.array(theta, float), self.layout.random
        for at, change in zip(self.layout.by_predictor, self.fixed, strict=True):
            if change is not None:
                moved[at] = np.linalg.solve(change, moved[at])
        if self.random is not None and np.isfinite(moved[where]).all():
            structure = self.layout.covariance
            moved[where] = _free(structure, lower_factor(np.linalg.solve(self.random, _factor(structure, moved[where])))[0])
        return moved

    def information(self, theta: np.ndarray, information: np.ndarray) -> np.ndarray:
        """(P, P) of the search at its free vector ``theta``, from that of the data at a maximum."""
        slope = self._moved(theta).slope
        return slope.T @ information @ slope

    def modes(self, theta: np.ndarray, modes: tuple[Any, ...]) -> tuple[Any, ...]:
        """Modes of the search at its free vector ``theta``, from those of the data."""
        return _rotated(self._moved(theta).rotation, modes)

    def back(self, theta: Any, gradient: Any, hessian: Any, modes: tuple[Any, ...] = ()) -> MappedBack:
        """A point of the search, with what is known of the objective there, in the coordinates of the data."""
        found, where = self._moved(np.asarray(theta)), self.layout.random
        inverse = _inverse(found.slope)
        slope, second = inverse.T @ np.asarray(gradient), np.array(hessian, float)
        second[where, where] -= np.einsum("k,kab->ab", slope[where], found.curvature)
        return MappedBack(found.theta, slope, inverse.T @ second @ inverse, _rotated(found.rotation.T, modes))

    @functools.cached_property
    def _by_entry(self) -> np.ndarray:
        """(n_free, q, q) derivatives of ``random L`` in the entries of L."""
        structure = self.layout.covariance
        return np.asarray(self.random) @ np.stack([_factor(structure, unit) for unit in np.eye(structure.n_free)])

    def _bucket(self, bucket: Bucket) -> Bucket:
        x = tuple(values if change is None else _times(values, change) for values, change in zip(bucket.X, self.fixed, strict=True))
        if self.random is None:
            return bucket._replace(X=x)
        ends = np.cumsum([0, *(values.shape[1] for values in bucket.Z)])
        own = [slice(first, end) for first, end in itertools.pairwise(ends)]
        z = tuple(_times(values, self.random[at, at]) for values, at in zip(bucket.Z, own, strict=True))
        return bucket._replace(X=x, Z=z, frame=None)  # whose axes are now those of the effects themselves

    def _moved(self, theta: np.ndarray) -> _Moved:
        moved, slope, where = np.array(theta, float), np.eye(self.layout.size), self.layout.random
        for at, change in zip(self.layout.by_predictor, self.fixed, strict=True):
            if change is not None:
                moved[at], slope[at, at] = change @ moved[at], change
        n, q, structure = self.layout.covariance.n_free, self.layout.covariance.q, self.layout.covariance
        if self.random is None or not np.isfinite(moved[where]).all():
            return _Moved(moved, slope, np.zeros((n, n, n)), np.eye(q))
        chol, rotation = lower_factor(self.random @ _factor(structure, moved[where]))
        changes = self._by_entry @ rotation
        first, second = _derivatives(chol, changes)
        moved[where], slope[where, where] = _free(structure, chol), _free(structure, first).T
        return _Moved(moved, slope, np.moveaxis(_free(structure, second), -1, 0), rotation if structure.turns else np.eye(q))


def search_columns(problem: Problem, buckets: tuple[Bucket, ...], unit: float | None = None) -> SearchColumns | None:
    """The columns for a search in these data; None where all of them stay as they are.

    ``unit`` is that of the predictor of the mean; None finds it from the outcomes.
    """
    sizes = [z.shape[1] for z in buckets[0].Z]
    units = [_unit(problem, buckets) if unit is None else unit, *[1.0] * (len(sizes) - 1)]
    fixed = [_fixed_change([bucket.X[e] for bucket in buckets], units[e]) for e in range(len(sizes))]
    if problem.penalty is not None:
        fixed[0] = None  # a penalty is on the coefficients as they are
    random = _random_change(problem.layout.covariance, buckets[0].frame, np.repeat(units, sizes))
    return None if random is None and all(change is None for change in fixed) else SearchColumns(problem.layout, tuple(fixed), random)


def _unit(problem: Problem, buckets: tuple[Bucket, ...]) -> float:
    """The standard deviation of predictors near the outcomes where it is far from 1, as with outcomes in another unit and no logarithm."""
    if problem.family.is_discrete:
        return 1.0
    y = np.concatenate([outcomes_of(bucket) for bucket in buckets])
    if not y.size or _is_ordinary(float(y.std())):  # nothing is compiled for most data
        return 1.0
    found = float(np.asarray(_predictor_spread(problem, buckets))[0])
    return 1.0 if _is_ordinary(found) or not np.isfinite(found) else found


def _is_ordinary(deviation: float) -> bool:
    return deviation == 0.0 or 1.0 / _EXTREME < deviation < _EXTREME


_predictor_spread = as_program(0)(predictor_spread)


def _fixed_change(columns: list[Any], unit: float) -> np.ndarray | None:
    """(p, p) upper triangular, from the columns (S, p, w, B) of each bucket; ``unit`` is that of their predictor."""
    p, n_rows = columns[0].shape[1], sum(values.size for values in columns) // max(columns[0].shape[1], 1)
    if p == 0:
        return None
    stride, gram, of_unit = max(1, n_rows // _MOST_ROWS), np.zeros((p, p)), None if unit == 1.0 else unit * np.eye(p)
    for values in columns:
        rows = np.asarray(values)[::stride].reshape(-1, p, values.shape[2] * values.shape[3])
        gram += (rows @ rows.transpose(0, 2, 1)).sum(0)
    length = np.sqrt(np.where(np.diagonal(gram) > 0, np.diagonal(gram), 1.0))
    try:
        root = np.linalg.cholesky(gram / np.outer(length, length) + np.diag(np.diagonal(gram) == 0.0))
    except np.linalg.LinAlgError:
        return of_unit
    left = np.diagonal(root).min(initial=1.0)
    return unit * np.linalg.inv(root.T * (length / np.sqrt(n_rows))) if _ALIASED < left < _AT_EASE else of_unit


def _random_change(structure: Structure, frame: Any, units: np.ndarray) -> np.ndarray | None:
    """(q, q) upper triangular: the inverse of the frame of the data, in ``units`` (q,) of the predictors."""
    if frame is None or structure.entries is None:
        return None
    own = np.array(np.asarray(frame)[0], float)
    length = np.sqrt((own * own).sum(0))
    left = np.abs(np.diagonal(own)) / np.where(length > 0, length, 1.0)
    is_clear = np.isfinite(own).all() and left.min(initial=1.0) > _ALIASED
    own = own if is_clear else np.eye(len(own))
    return None if np.allclose(own, np.diag(units)) and np.allclose(units, 1.0) else units[:, None] * np.linalg.inv(own)


def _times(values: Any, change: np.ndarray) -> Any:
    """Columns (S, p, w, B) times ``change``, where the columns are."""
    rows = np.asarray(values)
    if not rows.size:
        return values
    new = (change.T @ rows.reshape(*rows.shape[:2], -1)).reshape(rows.shape)
    if isinstance(values, np.ndarray):
        return new
    return jax.device_put(new, values.sharding if values.committed else None)


def _rotated(rotation: np.ndarray, modes: tuple[Any, ...]) -> tuple[Any, ...]:
    """``rotation u`` for modes (S, q, B) of each bucket."""
    is_same = np.array_equal(rotation, np.eye(len(rotation)))
    return tuple(modes) if is_same else tuple(np.matmul(rotation, np.asarray(u)) for u in modes)


def _factor(structure: Structure, free: np.ndarray) -> np.ndarray:
    """(q, q) L from its entries."""
    rows, columns = zip(*structure.entries, strict=True)  # type: ignore[misc]
    chol = np.zeros((structure.q, structure.q))
    chol[list(rows), list(columns)] = free
    return chol


def _free(structure: Structure, chol: np.ndarray) -> np.ndarray:
    """(..., n_free) the entries of L (..., q, q)."""
    rows, columns = zip(*structure.entries, strict=True)  # type: ignore[misc]
    return chol[..., list(rows), list(columns)]


def _derivatives(chol: np.ndarray, changes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First (n, q, q) and second (n, n, q, q) derivatives of the lower factor L = M Q.

    M is linear in n numbers; ``changes`` (n, q, q) are its derivatives times Q. With ``dQ = Q W`` and W antisymmetric, ``dL = dM Q + L W``,
    and W keeps L triangular.
    """
    turns = _turns(chol, changes)
    first = changes + chol @ turns
    bent = changes[:, None] @ turns[None] + first[None] @ turns[:, None]  # second derivatives but for the last turn
    return first, bent + chol @ _turns(chol, bent)


def _turns(chol: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """(..., q, q) antisymmetric W that makes ``changes + chol W`` lower triangular. A row of L without length turns nothing."""
    turns = np.zeros_like(changes)
    for i, size in enumerate(np.diagonal(chol)):
        if size > 0:
            above = changes[..., i, i + 1 :] + np.einsum("k,...kj->...j", chol[i, :i], turns[..., :i, i + 1 :])
            turns[..., i, i + 1 :] = -above / size
            turns[..., i + 1 :, i] = above / size
    return turns


def _inverse(slope: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.inv(slope)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(slope)
