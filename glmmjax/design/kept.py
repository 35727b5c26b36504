"""What a design says of its rows, and what is kept of those of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from glmmjax.design.layout.block_files import StreamedRows
from glmmjax.likelihood.structure import Structure

__all__ = ["KeptOfStream", "RowLabels"]


class RowLabels(NamedTuple):
    """The rows used and their clusters by the caller's labels: fields of ``Design``.

    Attributes
    ----------
    groups : (m,) cluster labels, in order of first appearance
    cluster_sizes : (m,) rows of each cluster
    row_labels : (n,) the caller's labels of the rows used
    n_dropped : rows dropped for missing values
    """

    groups: pd.Index
    cluster_sizes: np.ndarray
    row_labels: pd.Index
    n_dropped: int


class KeptOfStream(NamedTuple):
    """The parts of a streamed fit that its arguments do not give again. With them its design is built without its rows.

    Attributes
    ----------
    rows : places of the clusters and digests of the rows
    labels : labels of rows and clusters
    covariance : structure of D
    fixed_names : (p,) columns of X
    random_names : (q,) columns of Z
    success_level : level counted as 1 of a two-level or boolean outcome, else None
    random_reach : (q,) largest absolute value of each random-effects column
    learned : levels, means and knots that the formula took from the rows
    columns : variables of the formulas
    levels : by variable, for those that have levels
    outcome_levels : failure and success of a two-level outcome, else None
    offsets : by predictor, the column that an offset argument names; None where it was numbers
    """

    rows: StreamedRows
    labels: RowLabels
    covariance: Structure
    fixed_names: tuple[str, ...]
    random_names: tuple[str, ...]
    success_level: Any
    random_reach: np.ndarray
    learned: Mapping[str, Any]
    columns: tuple[str, ...]
    levels: Mapping[str, pd.Index]
    outcome_levels: list[Any] | None
    offsets: Mapping[str, str | None]
