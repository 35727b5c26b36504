"""The cluster variable, the cluster weights and the ``offset=`` argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.columns.table import column_of, describe_unknown, show_label
from glmmjax.errors import DesignError
from glmmjax.values import NOT_NUMBERS, shape_of

__all__ = [
    "Groups",
    "NestedGroups",
    "as_numbers",
    "check_any_weight",
    "check_row_weights",
    "check_weights",
    "cluster_weights",
    "column_weights",
    "nested_groups",
    "number_clusters",
    "offset_values",
    "weights_column",
]

_HOW_WEIGHTS = (
    "weights are one for each cluster: an array in order of first appearance, a Series or dict by cluster label, or a column name"
)


class Groups(NamedTuple):
    """Clusters in order of first appearance.

    Attributes
    ----------
    codes : (n,) cluster number of each row
    labels : (m,) the caller's label of each cluster
    """

    codes: np.ndarray
    labels: pd.Index


class NestedGroups(NamedTuple):
    """Clusters inside clusters, in order of first appearance.

    Attributes
    ----------
    codes : (n,) lower cluster of each row
    labels : (m_lower,) MultiIndex of the labels of the upper cluster and of the lower one
    upper_of : (m_lower,) number of the upper cluster of each lower one
    """

    codes: np.ndarray
    labels: pd.MultiIndex
    upper_of: np.ndarray


def number_clusters(labels: pd.Series | pd.Index, name: str | None) -> Groups:
    """Number the distinct values of the cluster variable, which may be of any hashable type.

    Raises
    ------
    DesignError
        When a value cannot be hashed.
    """
    if isinstance(labels.dtype, pd.CategoricalDtype):
        labels = labels.astype(labels.dtype.categories.dtype)
    try:
        codes, first = pd.factorize(labels)
    except TypeError as error:
        raise DesignError(
            f"the cluster variable {name!r} has values that cannot be labels ({error}); use numbers, text or tuples."
        ) from None
    # tuples stay labels: pandas would make levels of their entries
    return Groups(codes, pd.Index(first, name=name, tupleize_cols=False))


def nested_groups(upper: Groups, lower: pd.Series, name: str | None, is_fitted: bool = False) -> NestedGroups:
    """The clusters inside the clusters ``upper``: the pairs of labels that occur. A label may occur in several upper clusters.

    Raises
    ------
    DesignError
        When a value cannot be hashed; of rows that a model is fitted to, when two levels are one, whose variances no data can tell apart.
    """
    inner = number_clusters(lower, name)
    pairs, first, codes = np.unique(upper.codes * len(inner.labels) + inner.codes, return_index=True, return_inverse=True)
    order = np.argsort(first)  # by first appearance
    codes, pairs = np.argsort(order)[codes], pairs[order]
    upper_of, inner_of = np.divmod(pairs, len(inner.labels))
    outer = upper.labels.name
    if is_fitted and len(pairs) == len(upper.labels):
        raise DesignError(
            f"each {outer} has one {name} only, so that no data can tell the variances of both levels apart; keep one level, | {outer}."
        )
    labels = pd.MultiIndex.from_arrays([upper.labels[upper_of], inner.labels[inner_of]], names=[outer, name])
    return NestedGroups(codes, labels, upper_of)


def weights_column(weights: Any, data: pd.DataFrame) -> dict[str, Any]:
    """The column of the data that holds the weights, by name; empty for weights in any other form."""
    return _named_column(weights, "weights", data) if isinstance(weights, str) else {}


def offset_values(offset: Any, data: pd.DataFrame, argument: str = "offset") -> Any:
    """The ``offset=`` argument, or another like it, as an array of the data's length.

    Raises
    ------
    DesignError
        When it is no column, has another length, or is a Series with another index.
    """
    if isinstance(offset, str):
        return _named_column(offset, argument, data)[offset]
    if isinstance(offset, pd.Series) and not offset.index.equals(data.index):
        raise DesignError(f"{argument} is a Series with another index than data; pass {argument}.to_numpy() to match it by position.")
    if shape_of(offset) != (len(data),):
        raise DesignError(
            f"{argument} has shape {shape_of(offset)}, and must be a column name or one number for each of the {len(data)} rows of data."
        )
    return pd.Series(offset).array


def cluster_weights(weights: Any, groups: Groups, column: pd.Series | None) -> np.ndarray:
    """(m,) weights of the clusters.

    Parameters
    ----------
    weights : None, array, Series, mapping or column name, as the user gave it.
    column : the rows' values of the column, when ``weights`` is its name.

    Raises
    ------
    DesignError
        For a wrong length, a missing label, a column that varies inside a cluster, and values that are no weights.
    """
    n_clusters = len(groups.labels)
    if weights is None:
        return np.ones(n_clusters)
    if column is not None:
        values = column_weights(column, groups, weights)
    elif isinstance(weights, pd.Series | Mapping):
        values = _by_label(weights, groups)
    else:
        if shape_of(weights) != (n_clusters,):
            raise DesignError(f"weights has shape {shape_of(weights)}, and the rows used have {n_clusters} clusters; {_HOW_WEIGHTS}.")
        values = as_numbers(weights, "weights")
    check_weights(values, groups)
    check_any_weight(bool(values.any()))
    return values


def column_weights(column: pd.Series, groups: Groups, name: str) -> np.ndarray:
    """(m,) weights of the clusters from the rows' values of the column ``name``.

    Raises
    ------
    DesignError
        For a column that varies inside a cluster, and values that are no weights.
    """
    values = _constant_in_clusters(as_numbers(column, f"weights={name!r}"), groups, name)
    check_weights(values, groups)
    return values


def check_row_weights(values: Any, labels: pd.Index) -> np.ndarray:
    """(n,) weights of all rows of the data, whose labels these are.

    Raises
    ------
    DesignError
        For values that are missing or no numbers >= 0, and for 0 in all rows.
    """
    found = as_numbers(values, "row_weights")
    wrong = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(wrong):
        raise DesignError(
            f"row_weights is {found[wrong[0]]:g} in row {show_label(labels[wrong[0]])}; every weight must be a finite number >= 0."
        )
    if not found.any():
        raise DesignError("row_weights is 0 in every row; at least one must be > 0.")
    return found


def check_any_weight(is_any: bool) -> None:
    """Refuse a data set in which every cluster has weight 0.

    Raises
    ------
    DesignError
    """
    if not is_any:
        raise DesignError("weights is 0 for every cluster; at least one must be > 0.")


def _named_column(name: str, argument: str, data: pd.DataFrame) -> dict[str, Any]:
    if name not in data.columns:
        raise DesignError(describe_unknown(name, data, f"{argument}={name!r}"))
    return {name: column_of(data, name)}


def as_numbers(values: Any, what: str) -> np.ndarray:
    """``values`` as float64; ``what`` names them.

    Raises
    ------
    DesignError
        When they are no numbers.
    """
    try:
        found = np.asarray(values)
        if found.dtype.kind in "cmM":  # complex numbers and dates, of which NumPy would make something
            raise TypeError
        return found.astype(np.float64)
    except NOT_NUMBERS:
        raise DesignError(f"{what} holds values that are not numbers, such as {np.asarray(values, object).ravel()[0]!r}.") from None


def _constant_in_clusters(values: np.ndarray, groups: Groups, name: str) -> np.ndarray:
    first = np.unique(groups.codes, return_index=True)[1]
    by_cluster = values[first]
    varies = values != by_cluster[groups.codes]
    if varies.any():
        row = np.flatnonzero(varies)[0]
        cluster = groups.codes[row]
        raise DesignError(
            f"weights={name!r} is {by_cluster[cluster]:g} and {values[row]:g} in cluster {show_label(groups.labels[cluster])}; it must be "
            f"constant within each cluster, as {_HOW_WEIGHTS}."
        )
    return by_cluster


def _by_label(weights: pd.Series | Mapping[Any, Any], groups: Groups) -> np.ndarray:
    if isinstance(weights, pd.Series) and not weights.index.is_unique:
        raise DesignError(f"weights is a Series with repeated labels; {_HOW_WEIGHTS}.")
    table = dict(weights.items())
    missing = [label for label in groups.labels if label not in table]
    if missing:
        first, n = show_label(missing[0]), len(groups.labels)
        raise DesignError(f"weights has no entry for {len(missing)} of {n} clusters, the first of them {first}; {_HOW_WEIGHTS}.")
    return as_numbers([table[label] for label in groups.labels], "weights")


def check_weights(values: np.ndarray, groups: Groups) -> None:
    """Refuse values (m,) that are no weights.

    Raises
    ------
    DesignError
    """
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(wrong):
        label = show_label(groups.labels[wrong[0]])
        raise DesignError(f"weights is {values[wrong[0]]:g} for cluster {label}; every weight must be a finite number >= 0.")
