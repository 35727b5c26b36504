"""Minibatches of whole clusters, in few shapes, whose weighted log-likelihood has the expectation of that of all clusters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from glmmjax.arguments import InstanceOf, Judged, Whole, takes
from glmmjax.design import Design
from glmmjax.design.layout.grouping import choose_widths, lay_out
from glmmjax.design.layout.row_table import RowTable, row_table
from glmmjax.design.levels import check_one_level
from glmmjax.errors import ArgumentError
from glmmjax.likelihood.clusters import Bucket, ClusterData, cluster_weights, clusters_of_rows
from glmmjax.values import shown

__all__ = ["ByCluster", "ClusterBatch", "batches_of", "by_cluster", "cluster_batches", "generator", "key_of", "whole_batch"]

_MOST_ROWS = 2048  # of a block, the unit that stays in cache


class ClusterBatch(NamedTuple):
    """Some clusters of a design, and the rows that stand in them. A pytree of arrays.

    Attributes
    ----------
    clusters : the clusters; weights are such that sums over a batch have the expectation of sums over all clusters
    rows : (k,) numbers of the rows whose predictor values a batch takes, in the order of ``design.row_labels``; padding repeats a row
    places : (S, w, B) for each bucket: where in ``rows`` the row of each place stands
    """

    clusters: ClusterData
    rows: Any
    places: tuple[Any, ...]


def whole_batch(design: Design) -> ClusterBatch:
    """All clusters as one batch, which takes a predictor value for each row of ``design.row_labels``."""
    return ClusterBatch(design.clusters, np.arange(len(design.row_labels), dtype=np.int32), tuple(design.order.rows))


@takes(
    design=InstanceOf(Design, "a Design, such as that of make_design"),
    size=Whole(1, why=" clusters"),
    key=Judged("a key such as jax.random.key(0), or a whole number"),
)
def cluster_batches(design: Design, size: int, key: Any) -> Iterator[ClusterBatch]:
    r"""Batches of whole clusters for one pass over the data, in random order.

    Clusters are drawn by strata of similar numbers of rows, so that all batches have the same few shapes. With :math:`s_h` of the
    :math:`m_h` clusters of stratum h in a batch, their weights are :math:`w_i m_h / s_h`: the expectation of the log-likelihood of a batch
    is the log-likelihood of all clusters, and so it is with gradients.

    Parameters
    ----------
    design : made by ``make_design``.
    size : clusters of a batch, about; each batch has at least one of each stratum.
    key : a key of ``jax.random``, or a whole number. The same key gives the same batches.

    Returns
    -------
    Iterator[ClusterBatch]
        Batches for ``marginal_loss``; arrays are NumPy, in the dtype of the design.

    Raises
    ------
    ArgumentError
        For a size above the number of clusters, and a key that is none.
    RowsNotKeptError
        For the design of a stream.

    References
    ----------
    Horvitz and Thompson (1952), Journal of the American Statistical Association 47, 663-685.

    Examples
    --------
    >>> data = gj.datasets.load_intro_binomial()
    >>> design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    >>> [len(batch.rows) for batch in gj.cluster_batches(design, 25, 0)]
    [200, 200, 200, 200]
    """
    m = len(design.groups)
    if size > m:
        raise ArgumentError(f"size={shown(size)} is more than the {m} clusters of the design; take at most {m}.")
    return batches_of(by_cluster(design), size, generator(key_of(key)))


def key_of(key: Any) -> Array:
    """A key of ``jax.random``, from one or from a whole number.

    Raises
    ------
    ArgumentError
        For anything else.
    """
    if isinstance(key, int | np.integer) and not isinstance(key, bool) and 0 <= key < 2**63:
        return jax.random.key(int(key))
    if isinstance(key, jax.Array) and jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key) and not key.shape:
        return key
    raise ArgumentError(f"key={shown(key)} must be a whole number >= 0, or a key such as jax.random.key(0).")


def generator(key: Array) -> np.random.Generator:
    """NumPy's random numbers for a key."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


class _Stratum(NamedTuple):
    """Clusters of similar numbers of rows."""

    members: np.ndarray  # numbers of the clusters
    width: int  # rows of the longest
    n_drawn: int  # clusters of a batch


class ByCluster(NamedTuple):
    """The rows of a design, a cluster after the other."""

    table: RowTable
    rows: np.ndarray  # (n,) the number of each row in the caller's order
    sizes: np.ndarray  # (m,) rows of each cluster
    firsts: np.ndarray  # (m,) its first row
    weights: np.ndarray  # (m,)
    frame: np.ndarray | None  # (1, q, q)


def batches_of(data: ByCluster, size: int, draws: np.random.Generator, members: np.ndarray | None = None) -> Iterator[ClusterBatch]:
    """``cluster_batches`` of some clusters, numbers (k,); None stands for all."""
    members = np.arange(len(data.sizes)) if members is None else members
    n_batches = -(-len(members) // size)
    strata = _strata(data.sizes, members, n_batches)
    # each member once before any is drawn again
    drawn = [np.resize(draws.permutation(s.members), n_batches * s.n_drawn).reshape(n_batches, -1) for s in strata]
    for chosen in zip(*drawn, strict=True):
        yield _batch([_bucket(data, *pair) for pair in zip(strata, chosen, strict=True)])


def by_cluster(design: Design) -> ByCluster:
    """The rows of a design by cluster, from which any number of batches is gathered.

    Raises
    ------
    RowsNotKeptError
        For a stream.
    """
    check_one_level(design, "a batch of clusters")
    clusters = design.clusters
    of_row = np.asarray(clusters_of_rows(clusters, design.order))
    rows, sizes = np.argsort(of_row, kind="stable").astype(np.int32), np.bincount(of_row, minlength=len(design.groups))
    frame = clusters.buckets[0].frame
    table = row_table(clusters, design.order, rows)
    firsts, weights = np.cumsum(sizes) - sizes, np.asarray(cluster_weights(clusters))
    return ByCluster(table, rows, sizes, firsts, weights, None if frame is None else np.asarray(frame)[:1])


def _strata(sizes: np.ndarray, members: np.ndarray, n_batches: int) -> list[_Stratum]:
    widths = choose_widths(sizes[members])
    of = np.searchsorted(widths, sizes[members])
    parts = [members[of == k] for k in range(len(widths))]
    return [_Stratum(part, int(sizes[part].max()), -(-len(part) // n_batches)) for part in parts if len(part)]


def _bucket(data: ByCluster, stratum: _Stratum, chosen: np.ndarray) -> tuple[Bucket, np.ndarray]:
    """The bucket of the ``chosen`` clusters of a stratum, and the row of each of its places in the caller's order."""
    lanes, sizes = min(len(chosen), max(1, _MOST_ROWS // stratum.width)), data.sizes[chosen]
    layout = lay_out(sizes, stratum.width, (-(-len(chosen) // lanes), lanes))
    # the layout takes the chosen clusters to lie one after the other
    shift = np.repeat(data.firsts[chosen] - (np.cumsum(sizes) - sizes), sizes)
    rows = layout.rows + shift[layout.rows]
    ratio = len(stratum.members) / stratum.n_drawn
    weights = np.where(layout.is_cluster, data.weights[chosen[layout.clusters]] * ratio, 0.0)
    frame: Any = None if data.frame is None else np.repeat(data.frame, len(weights), axis=0)
    return data.table.bucket(rows, layout.is_row, weights)._replace(frame=frame), data.rows[rows]


def _batch(parts: list[tuple[Bucket, np.ndarray]]) -> ClusterBatch:
    firsts = np.cumsum([0, *(rows.size for _, rows in parts)])
    pairs = zip(parts, firsts[:-1], strict=True)
    places = tuple(np.arange(first, first + rows.size, dtype=np.int32).reshape(rows.shape) for (_, rows), first in pairs)
    no_slots: Any = np.zeros(0, np.int32)  # nothing is asked for by cluster
    clusters = ClusterData(tuple(bucket for bucket, _ in parts), no_slots)
    return ClusterBatch(clusters, np.concatenate([rows.ravel() for _, rows in parts]), places)
