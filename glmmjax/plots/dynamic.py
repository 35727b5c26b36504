"""Dynamic predictions: what was seen of subjects, and what follows, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.design.columns.table import as_frame, show_label
from glmmjax.design.levels import check_one_level
from glmmjax.design.new_rows import read_new_rows
from glmmjax.design.reference_grid import fitted_frame
from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.plots.axes import COLOURS, axes
from glmmjax.plots.quantities import outcome_text
from glmmjax.postfit.population.marginal_means import data_of
from glmmjax.postfit.prediction.predict import IntervalSettings
from glmmjax.postfit.prediction.prediction_intervals import predict_with_intervals

__all__ = ["plot_dynamic"]

_MOST_SUBJECTS = 6
_POINTS = 40
_MARKERS = ("o", "s", "^", "D", "v", "P")
_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1)))


def plot_dynamic(fitted: FittedModel, history: Any, x: str, newdata2: Any, level: float, ax: Any) -> Any:
    """Draw subjects; the arguments are those of ``MixedModelResults.plot_dynamic``.

    Raises
    ------
    ArgumentError
        For a model without random effects, with several grouping factors or with levels as outcome, a history without rows, an ``x`` that
        is no number of it, and too many subjects.
    """
    check_one_level(fitted.design, "plot_dynamic")
    group, seen = fitted.design.group_name, as_frame(history, "history").reset_index(drop=True)
    _check(fitted, seen, x, "history")
    later = _later_rows(fitted, seen, x) if newdata2 is None else as_frame(newdata2, "newdata2")
    _check(fitted, later, x, "newdata2")
    subjects = list(dict.fromkeys(seen[group]))
    unknown = [one for one in dict.fromkeys(later[group]) if one not in set(subjects)]
    if unknown:
        raise ArgumentError(
            f"newdata2 has {group} = {show_label(unknown[0])}, of whom history has no row; add some, or leave those rows out."
        )
    if len(subjects) > _MOST_SUBJECTS:
        raise ArgumentError(f"history has {len(subjects)} subjects, and {_MOST_SUBJECTS} can be told apart in one plot; pass fewer.")
    ax = axes(ax)
    rows = read_new_rows(fitted.design, seen, "history", with_outcome=True)
    seen, columns = seen[rows.is_complete], rows.outcome
    outcome = np.asarray(fitted.problem.family.response(columns if len(columns) > 1 else columns[0]))
    for k, subject in enumerate(subjects):
        own, after = (seen[group] == subject).to_numpy(), (later[group] == subject).to_numpy()
        look: Any = {"color": COLOURS[k], "marker": _MARKERS[k]}
        ax.plot(seen[x][own], outcome[own], linestyle="none", markersize=6, label=f"{group} {subject}", **look)
        ax.axvline(seen[x][own].max(), color=COLOURS[k], linewidth=0.8, linestyle=_STYLES[k])
        if not after.any():
            continue
        found = predict_with_intervals(fitted, IntervalSettings(level), seen[own], later[after], "subject_specific", "response")
        order = np.argsort(later[x][after].to_numpy(), kind="stable")
        at, (mean, lower, upper) = later[x][after].to_numpy()[order], (part[0][order] for part in (found.values, found.lower, found.upper))
        ax.fill_between(at, lower, upper, color=COLOURS[k], alpha=0.15, linewidth=0)
        ax.plot(at, mean, color=COLOURS[k], linestyle=_STYLES[k], label="_prediction")
    ax.set(xlabel=x, ylabel=f"{outcome_text(fitted)}: seen, then predicted, {100 * level:g} % interval")
    ax.legend(handlelength=1.5)
    return ax


def _check(fitted: FittedModel, seen: Any, x: str, argument: str) -> None:
    if fitted.design.group_name is None or fitted.problem.family.is_ordinal:
        raise ArgumentError("plot_dynamic needs random effects, which a history tells of, and an outcome with a mean.")
    for name in (x, fitted.design.group_name):
        if name not in seen.columns:
            raise ArgumentError(f"{argument} has no column {name!r}; it has {', '.join(map(repr, seen.columns))}.")
    if seen[x].dtype.kind not in "iuf":
        raise ArgumentError(f"x={x!r} must be a number, such as time; its type in {argument} is {seen[x].dtype}.")
    if not len(seen):
        raise ArgumentError(f"{argument} has no row; pass rows of the subjects to draw.")
    if seen[x].isna().any():
        raise ArgumentError(f"x={x!r} is missing in a row of {argument}; leave such rows out, {argument}.dropna(subset=[{x!r}]).")


def _later_rows(fitted: FittedModel, seen: Any, x: str) -> Any:
    """For each subject rows from its last one to the largest ``x`` that was fitted; other columns stay as in its last row."""
    data = data_of(fitted, needed=True)
    top, group = float(fitted_frame(fitted.design, data)[x].max()), fitted.design.group_name
    last = seen.loc[seen.groupby(group, sort=False)[x].idxmax()].reset_index(drop=True)
    later = last.loc[np.repeat(np.arange(len(last)), _POINTS)].reset_index(drop=True)
    grid = [np.linspace(min(start, top), max(start, top), _POINTS) for start in last[x]]
    return later.assign(**{x: np.concatenate(grid)})
