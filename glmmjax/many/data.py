"""Outcomes, offsets and weights of one design as the rows of a batch. A missing outcome takes its row out, as in ``mixed_model``."""

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

__all__ = ["Counts", "FitValues", "OutcomeRows"]


class FitValues(NamedTuple):
    """What ``r`` fits of one design have of their own, in the rows (n) and clusters (m) that it uses.

    Attributes
    ----------
    y : (C, r, n) columns of the outcomes; NaN in all of them where a row is missing
    offset : (r, n) on the scale of the main predictor, beside that of the formula; None where all fits have the same
    weights : (r, m) of the clusters; None likewise
    """

    y: np.ndarray
    offset: np.ndarray | None
    weights: np.ndarray | None

    @property
    def known(self) -> np.ndarray:
        """(r, n) bool: which rows a fit has."""
        return ~np.isnan(self.y[0])

    def at(self, fits: np.ndarray) -> FitValues:
        """Some of the fits."""
        offset, weights = (None if part is None else part[fits] for part in (self.offset, self.weights))
        return FitValues(self.y[:, fits], offset, weights)

    def joined(self, others: list[FitValues]) -> FitValues:
        """These fits with those of ``others`` behind them."""
        parts = [self, *others]
        own: dict[str, Any] = {name: [getattr(part, name) for part in parts] for name in ("offset", "weights")}
        joined = {name: None if values[0] is None else np.concatenate(values) for name, values in own.items()}
        return FitValues(np.concatenate([part.y for part in parts], axis=1), **joined)


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
    """Makes rows of a batch from what fits have of their own, in the order of the rows that a design uses.

    Fits share everything else. Those with missing outcomes have weights of their own, which are other programs.

    Parameters
    ----------
    marks : (n,) of the rows that the design uses; see ``row_marks``.
    example : values of one fit or more; whether they have offsets and weights holds for all fits.
    has_missing : whether all fits have weights of their own, because some of them need these.
    """

    def __init__(self, settings: FitSettings, design: Design, marks: np.ndarray, example: FitValues, has_missing: bool):
        clusters, self.has_missing, self._marks = design.clusters, has_missing, marks
        self._settings, self._clusters, self._order = settings, clusters, design.order
        codes = np.asarray(clusters_of_rows(clusters, design.order))
        self._by_cluster = np.argsort(codes, kind="stable")
        self._firsts = np.flatnonzero(np.diff(codes[self._by_cluster], prepend=-1))
        self._starts, self._weights = cluster_starts(clusters), np.asarray(cluster_weights(clusters))
        self._offsets = [np.asarray(bucket.offset) for bucket in clusters.buckets] if example.offset is not None else None
        self._has_weights = example.weights is not None

    def rows(self, fits: np.ndarray, values: FitValues) -> Rows:
        """Fits of which some may have missing outcomes where ``has_missing``."""
        return self.rows_with_missing(fits, values) if self.has_missing else self._rows(self.complete, fits, values)

    @functools.cached_property
    def complete(self) -> BatchData:
        """What fits without missing outcomes share."""
        return BatchData(self._settings, self._clusters.buckets, self._varying(False))

    @functools.cached_property
    def with_missing(self) -> BatchData:
        """What fits with missing outcomes share."""
        return BatchData(self._settings, self._clusters.buckets, self._varying(True))

    def counts(self, values: FitValues) -> Counts:
        """Rows and clusters that the outcomes leave to their fits, and checksums; these tell weights apart too, which the data have."""
        known = values.known
        outcomes = sum((j + 1.0) * _finite(column) for j, column in enumerate(values.y))
        checksums = np.where(known, outcomes + 0.5, 0.0) @ self._marks
        if values.weights is not None:
            checksums = checksums + _finite(values.weights) @ self._marks[self._by_cluster[self._firsts]]
        return Counts(known.sum(axis=1), self._has_rows(known).sum(axis=1), checksums)

    def rows_with_missing(self, fits: np.ndarray, values: FitValues) -> Rows:
        """Fits of which some rows are missing: weight 0, and the values of a row that is there, which any family can evaluate."""
        known = values.known
        at = np.where(known, np.arange(known.shape[1]), np.argmax(known, axis=1)[:, None])
        offset = None if values.offset is None else np.take_along_axis(values.offset, at, axis=1)
        weights = self._has_rows(known) * (self._weights if values.weights is None else values.weights)
        filled = FitValues(np.take_along_axis(values.y, at[None], axis=2), offset, weights)
        return self._rows(self.with_missing, fits, filled, known)

    def _varying(self, has_missing: bool) -> tuple[str, ...]:
        needed = {"offset": self._offsets is not None, "row_weight": has_missing, "cluster_weight": has_missing or self._has_weights}
        return ("y", *(name for name, is_needed in needed.items() if is_needed))

    def _rows(self, data: BatchData, fits: np.ndarray, values: FitValues, known: np.ndarray | None = None) -> Rows:
        """The fields that differ, bucket by bucket; ``known`` (r, n) where rows are missing."""
        columns = [self._blocks(column) for column in values.y]
        fields: list[Any] = [columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))]
        if values.offset is not None and self._offsets is not None:
            pairs = zip(self._offsets, self._blocks(values.offset), strict=True)
            fields.append([_with_main(shared, own) for shared, own in pairs])
        if known is not None:
            fields.append(self._first(row_weights_in_blocks(self._clusters, self._order, known.astype(float))))
        if values.weights is not None:
            fields.append(weights_in_blocks(self._starts, values.weights))
        return data.rows(fits, list(zip(*fields, strict=True)))

    def _blocks(self, values: np.ndarray) -> list[Any]:
        """One (r, S, w, B) array for each bucket."""
        return self._first(from_rows(self._order, values))

    def _first(self, blocks: Iterable[Any]) -> list[Any]:
        """Blocks with the axis of the fits in front."""
        return [np.moveaxis(np.asarray(block), 1, 0) for block in blocks]

    def _has_rows(self, known: np.ndarray) -> np.ndarray:
        """(r, m) bool: which clusters have a row with an outcome."""
        return np.add.reduceat(known[:, self._by_cluster], self._firsts, axis=1) > 0


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, 0.0)


def _with_main(shared: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(r, S, E, w, B) offsets: those that all fits share (S, E, w, B), and the own ones (r, S, w, B) on the main predictor."""
    found = np.repeat(shared[None], len(own), axis=0)
    found[:, :, 0] += own
    return found
