"""Rows to predict by a model of several grouping factors: their random effects are those that the fit knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.design.columns.groups import NestedGroups
from glmmjax.design.columns.table import show_label
from glmmjax.design.levels import check_one_level, crossed_of, level_names
from glmmjax.design.new_rows import read_new_rows
from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.prediction.rows import read_own_rows
from glmmjax.postfit.prediction.targets import Source, Targets

__all__ = ["crossed_targets", "nested_targets"]


def nested_targets(fitted: FittedModel, newdata: Any, newdata2: Any, with_outcome: bool) -> Targets:
    """Targets of a fit with two levels: clusters of the lower level that the fit knows."""
    design = fitted.design
    if newdata2 is not None:
        check_one_level(design, "newdata2")
    rows = read_own_rows(fitted) if newdata is None else read_new_rows(design, newdata, with_outcome=with_outcome, with_groups=True)
    codes, labels, _ = rows.lower or NestedGroups(np.zeros(0, int), design.units[:0], np.zeros(0, int))
    numbers = design.units.get_indexer(labels)
    if (numbers < 0).any():
        first, name = ":".join(map(show_label, labels[int(np.argmax(numbers < 0))])), level_names(design)[1]
        raise ArgumentError(
            f"newdata has {(numbers < 0).sum()} clusters {name} that the fit does not know, the first {first}. Predict without random "
            "effects, kind='mean_subject' or kind='marginal'."
        )
    return Targets(rows, codes, labels, (Source(design.rows, fitted.modes),), np.zeros(len(labels), int), numbers)


def crossed_targets(fitted: FittedModel, newdata: Any, newdata2: Any, with_outcome: bool) -> Targets:
    """Targets of a fit with crossed factors, a cluster for each row; the effect of a level that the fit does not know is its mean, 0."""
    design = fitted.design
    if newdata2 is not None:
        check_one_level(design, "newdata2")
    rows = read_own_rows(fitted) if newdata is None else read_new_rows(design, newdata, with_outcome=with_outcome, with_groups=True)
    n = int(rows.is_complete.sum())
    modes = np.zeros((n, fitted.modes.shape[1]))
    for factor, codes, place in zip(design.factors, rows.factors, crossed_of(design).effects, strict=True):
        known = fitted.modes[factor.first_rows, place]
        of_levels = np.concatenate([known, np.zeros((max(0, int(codes.max(initial=-1)) + 1 - len(known)), known.shape[1]))])
        modes[:, place] = of_levels[codes]
    return Targets(rows, np.arange(n), rows.labels[rows.is_complete], (Source(design.rows, modes),), np.zeros(n, int), np.arange(n))
