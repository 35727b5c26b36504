"""Crossed factors of a model: the levels that the columns of the data have, and those of new rows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from glmmjax.design.columns.groups import Groups, nested_groups, number_clusters
from glmmjax.design.layout.crossing import Factor
from glmmjax.errors import DesignError, DesignWarning, warn_caller

__all__ = ["number_factors", "numbers_in"]


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


def numbers_in(factor: Factor, frame: Mapping[str, Any]) -> np.ndarray:
    """(n,) the level of ``factor`` that each row of other data has; -1 for levels that it does not know."""
    values = [pd.Index(pd.Series(frame[name])) for name in factor.columns]
    return factor.labels.get_indexer(values[0] if len(values) == 1 else pd.MultiIndex.from_arrays(values))


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
