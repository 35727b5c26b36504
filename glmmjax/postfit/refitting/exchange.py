"""Random exchanges of the values of a covariate that leave the design of the study as it is.

Whole clusters exchange the values of a covariate that belongs to them; the rows of a cluster exchange those of a covariate that varies
inside it. Only units of one stratum exchange values, and only clusters of one weight.

Source: Winkler, Webster, Vidaurre, Nichols and Smith (2015), NeuroImage 123, 253-268, for exchanges within and between blocks.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from glmmjax.errors import ArgumentError

__all__ = ["EXCHANGES", "CovariateExchange", "CovariateValues", "exchange_of"]

EXCHANGES = {
    "auto": "between clusters where the covariate is constant in each, else within",
    "between": "whole clusters exchange their values",
    "within": "the rows of a cluster exchange their values",
}


@dataclasses.dataclass(frozen=True, eq=False)
class CovariateValues:
    """A covariate in the rows of a fit.

    Attributes
    ----------
    name : of the covariate
    codes : (n,) whole numbers, equal where it is equal
    clusters : (n,) number of the cluster of each row
    weights : (m,) of the clusters
    strata : (n,) whole numbers, equal in rows of one stratum
    """

    name: str
    codes: np.ndarray
    clusters: np.ndarray
    weights: np.ndarray
    strata: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class CovariateExchange:
    """Units that exchange the values of a covariate. A unit is a cluster, or a row.

    Attributes
    ----------
    kind : "between" or "within"
    groups : (U,) whole numbers: only units of one group exchange values
    rows : (n,) rows in the order of their units
    starts : (U,) first place of each unit in ``rows``
    units : (n,) unit of each row
    places : (n,) place of each row in its unit whose value it takes; 0 where a unit has one value
    log_arrangements : logarithm of the number of different arrangements
    """

    kind: str
    groups: np.ndarray
    rows: np.ndarray
    starts: np.ndarray
    units: np.ndarray
    places: np.ndarray
    log_arrangements: float

    def sources(self, numbers: np.ndarray, seed: int) -> np.ndarray:
        """(R, n) the row whose value each row takes, in the random exchanges with these ``numbers`` (R,)."""
        before = np.argsort(self.groups, kind="stable")
        found = np.empty((len(numbers), len(self.units)), np.int64)
        taken = np.empty(len(self.groups), np.int64)
        for k, r in enumerate(numbers):
            # random order inside each group, which depends on nothing but the seed and the number
            taken[before] = np.lexsort((np.random.default_rng([seed, int(r)]).random(len(self.groups)), self.groups))
            found[k] = self.rows[self.starts[taken[self.units]] + self.places]
        return found


def exchange_of(values: CovariateValues, kind: str = "auto") -> CovariateExchange:
    """The exchanges of a covariate; see ``permutation_test``.

    Raises
    ------
    ArgumentError
        Where the covariate has no two values that may be exchanged in this way.
    """
    order = np.argsort(values.clusters, kind="stable")
    sizes = np.bincount(values.clusters)
    starts = np.cumsum(sizes) - sizes
    is_constant = _is_constant(values.codes, order, starts)
    chosen = kind if kind != "auto" else "between" if is_constant else "within"
    if chosen == "within":
        return _checked(_within(values, is_constant), values)
    first = values.strata[order[starts]]
    if not np.array_equal(first[values.clusters], values.strata):
        raise ArgumentError("strata differ within a cluster, and whole clusters are exchanged; give a column that is constant in each.")
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order)) - np.repeat(starts, sizes)
    keys = (first, values.weights) if is_constant else (first, values.weights, sizes)
    groups = np.unique(np.stack(keys), axis=1, return_inverse=True)[1].ravel()
    of_unit = values.codes[order[starts]] if is_constant else np.arange(len(sizes))
    places = np.zeros(len(order), np.int64) if is_constant else places
    return _checked(
        CovariateExchange("between", groups, order, starts, values.clusters, places, _log_arrangements(groups, of_unit)), values
    )


def _within(values: CovariateValues, is_constant: bool) -> CovariateExchange:
    if is_constant:
        raise ArgumentError(
            f"exchange='within': {values.name!r} is constant in every cluster, so that its rows have nothing to exchange; take "
            "exchange='between'."
        )
    n = len(values.codes)
    groups = np.unique(np.stack((values.clusters, values.strata)), axis=1, return_inverse=True)[1].ravel()
    rows = np.arange(n)
    return CovariateExchange("within", groups, rows, rows, rows, np.zeros(n, np.int64), _log_arrangements(groups, values.codes))


def _checked(found: CovariateExchange, values: CovariateValues) -> CovariateExchange:
    if found.log_arrangements > 1e-6:
        return found
    if found.kind == "within":
        why = "in no cluster (and stratum) do two rows differ in it"
    elif found.places.any():
        why = "it varies within clusters, and no two clusters of one size (and stratum and weight) can exchange their values"
    else:
        why = "no two clusters of one stratum and weight differ in it"
    raise ArgumentError(f"the values of {values.name!r} cannot be exchanged ({found.kind} clusters): {why}.")


def _is_constant(codes: np.ndarray, order: np.ndarray, starts: np.ndarray) -> bool:
    found = codes[order]
    return bool(np.array_equal(np.minimum.reduceat(found, starts), np.maximum.reduceat(found, starts)))


def _log_arrangements(groups: np.ndarray, values: np.ndarray) -> float:
    """Logarithm of the number of ways to arrange ``values`` (U,) inside their groups."""
    of_group = np.bincount(groups)
    of_value = np.unique(np.stack((groups, values)), axis=1, return_counts=True)[1]
    return math.fsum(math.lgamma(n + 1.0) for n in of_group.tolist()) - math.fsum(math.lgamma(n + 1.0) for n in of_value.tolist())
