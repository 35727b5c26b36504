"""Where many fits come from: the contract between ``run`` and what differs between the fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from glmmjax.design import Design
from glmmjax.estimation.many.fits import BatchData
from glmmjax.estimation.many.in_flight import Rows
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.clusters import Bucket
from glmmjax.request import FitRequest

__all__ = ["FitSource", "FitsRead", "FitsToRun", "row_marks"]


def row_marks(n: int) -> np.ndarray:
    """(n,) a fixed number for each row of data. Sums of mark * (outcome + 1/2) are equal for the same rows and outcomes."""
    return np.random.default_rng(1).random(n)


class FitsRead(NamedTuple):
    """The fits that were read, in their order.

    Attributes
    ----------
    labels : names of the fits
    rows : rows with an outcome, of some fits each
    groups : clusters with such a row, likewise
    checksums : a number for the outcomes and rows of each fit, likewise; see ``row_marks``
    problems : by number of the fit, why none is made
    """

    labels: list[Any]
    rows: list[np.ndarray]
    groups: list[np.ndarray]
    checksums: list[np.ndarray]
    problems: dict[int, str]


class FitsToRun(NamedTuple):
    """Fits of one kind.

    Attributes
    ----------
    data : what they share
    rows : gives them, some at a time
    n : their number, None where it is not known
    """

    data: BatchData
    rows: Iterator[Rows]
    n: int | None


class FitSource(Protocol):
    """What differs between the fits of a call."""

    @property
    def design(self) -> Design:
        """Names, structure and columns that all fits share."""

    @property
    def n(self) -> int | None:
        """Number of fits, None where it is not known before they are read."""

    @property
    def read(self) -> FitsRead:
        """What has been read so far."""

    def batches(self) -> Iterator[FitsToRun]:
        """All fits, kind by kind."""

    def release(self, fits: np.ndarray) -> None:
        """These fits need no second look."""

    def buckets(self, k: int) -> tuple[Bucket, ...] | None:
        """The data of a fit in shapes that it shares with others; None where they have shapes of their own."""

    def alone(self, k: int) -> FittedModel:
        """The fit with a number, as ``mixed_model`` makes it.

        Raises
        ------
        GlmmError
            As ``mixed_model``.
        """

    def request(self, k: int, **changes: Any) -> FitRequest:
        """The arguments with which ``mixed_model`` makes this fit.

        Raises
        ------
        RowsNotKeptError
            Where its rows are gone.
        """
