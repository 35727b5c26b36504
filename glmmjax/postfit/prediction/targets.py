"""What is predicted: rows, and the clusters with outcomes that their random effects are conditioned on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from glmmjax.design.design import in_memory
from glmmjax.design.layout.block_files import StreamedRows
from glmmjax.design.new_rows import NewRows
from glmmjax.likelihood.clusters import ClusterData

__all__ = ["Source", "Targets"]


class Source(NamedTuple):
    """Clusters with outcomes that random effects are conditioned on.

    Attributes
    ----------
    rows : their rows, with outcomes
    modes : (m, q) conditional modes in coordinates u, b = L u; None where no search has been made
    """

    rows: ClusterData | StreamedRows
    modes: np.ndarray | None

    @property
    def clusters(self) -> ClusterData:
        """The rows, which must be in memory."""
        return in_memory(self.rows)


class Targets(NamedTuple):
    """Rows to predict, and the outcomes that their ``m`` clusters are conditioned on.

    Attributes
    ----------
    rows : rows to predict
    codes : (n,) cluster of each row
    labels : (m,) pandas Index: labels of the clusters, in the order of first appearance in the rows
    sources : clusters with outcomes
    source_of : (m,) number of the source that has the cluster
    number_of : (m,) number of the cluster in its source
    """

    rows: NewRows
    codes: np.ndarray
    labels: Any
    sources: tuple[Source, ...]
    source_of: np.ndarray
    number_of: np.ndarray
