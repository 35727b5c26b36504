"""Outcomes of one design as the rows of a batch. A missing outcome takes its row out of the fit, as in ``mixed_model``."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from glmmjax.design import Design
from glmmjax.estimation.many.fits import BatchData
from glmmjax.estimation.many.in_flight import Rows
from glmmjax.estimation.objective import FitSettings
from glmmjax.likelihood.clusters import (
    cluster_starts,
    cluster_weights,
    clusters_of_rows,
    from_rows,
    row_weights_in_blocks,
    weights_in_blocks,
)

__all__ = ["Counts", "OutcomeRows"]

_WITH_MISSING = ("y", "row_weight", "cluster_weight")


class Counts(NamedTuple):
    """How much of the data some fits have.

    Attributes
    ----------
    rows : (r,) rows with an outcome
    groups : (r,) clusters with such a row
    checksums : (r,) numbers of these rows and outcomes
    """

    rows: np.ndarray
    groups: np.ndarray
    checksums: np.ndarray


class OutcomeRows:
    """Makes rows of outcomes (r, n) in the order of the rows that a design uses.

    Fits without missing outcomes share everything but the outcome; those with some have weights of their own, which are other programs.

    Parameters
    ----------
    marks : (n,) of the rows that the design uses; see ``row_marks``.
    has_missing : whether all fits have weights of their own, because some of them need these.
    """

    def __init__(self, settings: FitSettings, design: Design, marks: np.ndarray, has_missing: bool):
        clusters, self.has_missing, self._marks = design.clusters, has_missing, marks
        self._settings, self._clusters, self._order = settings, clusters, design.order
        codes = np.asarray(clusters_of_rows(clusters, design.order))
        self._by_cluster = np.argsort(codes, kind="stable")
        self._firsts = np.flatnonzero(np.diff(codes[self._by_cluster], prepend=-1))
        self._starts, self._weights = cluster_starts(clusters), np.asarray(cluster_weights(clusters))

    def rows(self, fits: np.ndarray, values: np.ndarray) -> Rows:
        """Fits of outcomes (r, n), of which some may be missing where ``has_missing``."""
        return self.rows_with_missing(fits, values) if self.has_missing else self.complete.rows(fits, [(y,) for y in self._blocks(values)])

    @functools.cached_property
    def complete(self) -> BatchData:
        """What fits without missing outcomes share."""
        return BatchData(self._settings, self._clusters.buckets, ("y",))

    @functools.cached_property
    def with_missing(self) -> BatchData:
        """What fits with missing outcomes share."""
        return BatchData(self._settings, self._clusters.buckets, _WITH_MISSING)

    def counts(self, values: np.ndarray) -> Counts:
        """Rows and clusters that outcomes (r, n) leave to their fits, and checksums."""
        known = ~np.isnan(values)
        return Counts(known.sum(axis=1), self._has_rows(known).sum(axis=1), np.where(known, values + 0.5, 0.0) @ self._marks)

    def rows_with_missing(self, fits: np.ndarray, values: np.ndarray) -> Rows:
        """Fits of outcomes of which some are missing: weight 0, and the value of a row that is there, which any family can evaluate."""
        known = ~np.isnan(values)
        filled = np.where(known, values, values[np.arange(len(values)), np.argmax(known, axis=1)][:, None])
        row_weights = self._first(row_weights_in_blocks(self._clusters, self._order, known.astype(float)))
        weights = weights_in_blocks(self._starts, self._has_rows(known) * self._weights)
        return self.with_missing.rows(fits, list(zip(self._blocks(filled), row_weights, weights, strict=True)))

    def _blocks(self, values: np.ndarray) -> list[Any]:
        """One (r, S, w, B) array for each bucket."""
        return self._first(from_rows(self._order, values))

    def _first(self, blocks: Iterable[Any]) -> list[Any]:
        """Blocks with the axis of the fits in front."""
        return [np.moveaxis(np.asarray(block), 1, 0) for block in blocks]

    def _has_rows(self, known: np.ndarray) -> np.ndarray:
        """(r, m) bool: which clusters have a row with an outcome."""
        return np.add.reduceat(known[:, self._by_cluster], self._firsts, axis=1) > 0
