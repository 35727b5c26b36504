"""Crossed factors of a model: the levels that the columns of the data have, and those of new rows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.columns.groups import Groups, nested_groups, number_clusters
from glmmjax.errors import DesignError, DesignWarning, warn_caller

__all__ = ["Factor", "number_factors", "numbers_in"]


class Factor(NamedTuple):
    """One of several crossed factors of a design.

    Attributes
    ----------
    name : such as ``"item"``, or ``"school:class"`` for a level that two columns give together
    columns : names of its columns in the data
    labels : (n_levels,) pandas Index, a MultiIndex for two columns, in order of first appearance
    codes : (n,) numpy int, the level of each row used, in the caller's order
    """

    name: str
    columns: tuple[str, ...]
    labels: Any
    codes: Any

    @property
    def first_rows(self) -> np.ndarray:
        """(n_levels,) the first row of each level."""
        return np.unique(self.codes, return_index=True)[1]

    @property
    def sizes(self) -> np.ndarray:
        """(n_levels,) rows of each level."""
        return np.bincount(self.codes)


def number_factors(columns: Mapping[str, tuple[str, ...]], frame: pd.DataFrame) -> tuple[Factor, ...]:
    """The factors, by their names and columns, with the level of every row of ``frame``.

    Raises
    ------
    DesignError
        For a factor with one level, and for two factors that are one.

    Warns
    -----
    DesignWarning
        Where each level of a factor belongs to one level of another.
    """
    factors = tuple(_factor(name, names, frame) for name, names in columns.items())
    for factor in factors:
        if len(factor.labels) < 2:
            raise DesignError(
                f"the factor {factor.name!r} has one level in the rows used, which says nothing on a variance between levels; leave "
                f"(... | {factor.name}) out."
            )
    for one, other in itertools.combinations(factors, 2):
        _check_pair(one, other)
    return factors


def numbers_in(factor: Factor, columns: Mapping[str, Any], is_used: np.ndarray) -> np.ndarray:
    """(n,) the level of ``factor`` that each row used of other data has; those that it does not know are numbered after its own."""
    values = [number_clusters(pd.Series(columns[name])[is_used], name) for name in factor.columns]
    labels = [found.labels[found.codes] for found in values]
    index = labels[0] if len(labels) == 1 else pd.MultiIndex.from_arrays(labels)
    codes, distinct = pd.factorize(index)
    known = factor.labels.get_indexer(distinct)
    is_new = known < 0
    known[is_new] = len(factor.labels) + np.arange(is_new.sum())
    return known[codes]


def _factor(name: str, columns: tuple[str, ...], frame: pd.DataFrame) -> Factor:
    first: Groups = number_clusters(frame[columns[0]], columns[0])
    if len(columns) == 1:
        return Factor(name, columns, first.labels, first.codes)
    both = nested_groups(first, frame[columns[1]], columns[1])
    return Factor(name, columns, both.labels, both.codes)


def _check_pair(one: Factor, other: Factor) -> None:
    n_pairs = len(np.unique(one.codes * len(other.labels) + other.codes))
    inner, outer = (one, other) if len(one.labels) >= len(other.labels) else (other, one)
    if n_pairs == len(one.labels) == len(other.labels):
        raise DesignError(
            f"{one.name!r} and {other.name!r} are one factor: each level of one has its own level of the other, so that no data can tell "
            f"their variances apart. Keep one of them."
        )
    if n_pairs == len(inner.labels) and len(inner.columns) == len(outer.columns) == 1:
        warn_caller(
            f"each {inner.name} belongs to one {outer.name}, so that these factors are nested and not crossed; "
            f"| {outer.name}/{inner.name} integrates over both by quadrature, where crossed factors take Laplace's method.",
            DesignWarning,
        )
