"""Where a fit searches, and the way back to the data: columns that are centred and scaled, then padded."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from glmmjax.estimation.objective import Problem
from glmmjax.estimation.padding import Padding, padding
from glmmjax.estimation.search_columns import MappedBack, SearchColumns, search_columns
from glmmjax.likelihood.clusters import Bucket

__all__ = ["SearchSpace", "search_space", "space_of_stream"]


class SearchSpace(NamedTuple):
    """The two changes of a model between the data and the compiled programs.

    Attributes
    ----------
    columns : those of the search; None where the columns of the data serve
    padding : of these
    """

    columns: SearchColumns | None
    padding: Padding

    @property
    def problem(self) -> Problem:
        """The static part of the model that is searched."""
        return self.padding.problem

    @property
    def is_real(self) -> np.ndarray:
        """(P',) bool: entries of its theta that are no padding."""
        return self.padding.is_real

    def buckets(self, buckets: tuple[Bucket, ...]) -> tuple[Bucket, ...]:
        """The data as they are searched."""
        return self.padding.buckets(buckets if self.columns is None else self.columns.buckets(buckets))

    def theta(self, theta: Any) -> np.ndarray:
        """(P',) the free vector of the search, from that of the data."""
        return self.padding.vector(self._searched(theta))

    def information(self, theta: Any, information: Any) -> np.ndarray:
        """(P', P') of the search, from that of the data at their free vector ``theta``, a maximum."""
        found = np.asarray(information)
        return self.padding.matrix(found if self.columns is None else self.columns.information(self._searched(theta), found))

    def modes(self, theta: Any, modes: tuple[Any, ...]) -> tuple[Any, ...]:
        """Modes of the search, from those of the data at their free vector ``theta``."""
        return modes if self.columns is None else self.columns.modes(self._searched(theta), modes)

    def back(self, theta: Any, gradient: Any, hessian: Any, modes: tuple[Any, ...] = ()) -> MappedBack:
        """A point of the search, with what is known of the objective there, in the coordinates of the data."""
        wide = self.padding
        found = MappedBack(wide.cut(theta), wide.cut(gradient), wide.cut_matrix(hessian), modes)
        return found if self.columns is None else self.columns.back(*found)

    def _searched(self, theta: Any) -> np.ndarray:
        theta = np.asarray(theta, float)
        return theta if self.columns is None else self.columns.theta(theta)


def search_space(problem: Problem, buckets: tuple[Bucket, ...], n_agq: int) -> SearchSpace:
    """The search for a model of these rows by ``n_agq`` points."""
    return SearchSpace(search_columns(problem, buckets), padding(problem, buckets, n_agq))


def space_of_stream(problem: Problem, sample: tuple[Bucket, ...]) -> SearchSpace:
    """The same for a stream, whose columns are judged by a ``sample``; they are never padded."""
    return SearchSpace(search_columns(problem, sample), Padding(problem.layout, problem))
