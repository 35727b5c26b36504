"""Estimates of one term in many fits: against their p-values, and one under the other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.fitted_many import FittedMany
from glmmjax.plots.axes import axes
from glmmjax.postfit.many.covariances import ReportedMany
from glmmjax.tables.many import tidy_frame_of_fits
from glmmjax.values import shown

__all__ = ["Volcano", "plot_estimates", "plot_volcano"]

_SMALLEST = 1e-300  # p-value that can be drawn
_REACH = 1.959963984540054  # standard errors of a 95 % interval


class Volcano(NamedTuple):
    """What is marked; see ``ManyFits.plot_volcano``.

    Attributes
    ----------
    adjust
    level
    n_labels
    """

    adjust: str
    level: float
    n_labels: int


def plot_volcano(many: FittedMany, found: ReportedMany, ax: Any, term: str | None, marked: Volcano) -> Any:
    """Estimates against -log10 p; see ``ManyFits.plot_volcano``."""
    adjust, level, n_labels = marked
    chosen = _of_term(many, found, term, adjust)
    ax = axes(ax)
    height, known = -np.log10(np.maximum(chosen["p.value"], _SMALLEST)), chosen["p.value"].notna().to_numpy()
    is_found = known & (chosen["p.adjusted"] < level).to_numpy()
    for where, color, label in ((known & ~is_found, "0.6", "other fits"), (is_found, "tab:red", f"adjusted p < {level:g} ({adjust})")):
        text = f"{label}: {int(where.sum()):,}"
        points = chosen["estimate"][where], height[where]
        ax.scatter(*points, s=9, color=color, linewidths=0, alpha=0.8, label=text, rasterized=len(where) > 5000)
    if is_found.any():
        ax.axhline(height[is_found].min(), color="0.7", linewidth=0.8, linestyle="--", zorder=0)
    ax.axvline(0.0, color="0.7", linewidth=0.8, zorder=0)
    for k in np.argsort(-np.where(is_found, height, -1.0), kind="stable")[: min(n_labels, int(is_found.sum()))]:
        ax.annotate(
            str(chosen["fit"].iloc[k]), (chosen["estimate"].iloc[k], height.iloc[k]), (3, 3), textcoords="offset points", fontsize=7
        )
    ax.set_xlabel(f"Estimate of {chosen['term'].iloc[0]}")
    ax.set_ylabel("-log10 p-value")
    ax.margins(x=0.12)
    ax.legend(frameon=False, fontsize=8, title=_without_test(int((~known).sum())), title_fontsize=8)
    return ax


def plot_estimates(many: FittedMany, found: ReportedMany, ax: Any, term: str | None, n: int) -> Any:
    """Estimates with 95 % intervals, in their order; see ``ManyFits.plot_estimates``."""
    chosen = _of_term(many, found, term, "none")
    known = chosen[chosen["std.error"].notna()].sort_values("estimate", kind="stable")
    shown_fits = known.iloc[np.unique(np.linspace(0, len(known) - 1, min(n, len(known))).round().astype(int))] if len(known) else known
    ax = axes(ax, figsize=(5.5, max(3.0, 0.16 * min(len(shown_fits), 60))))
    place, estimate, reach = np.arange(len(shown_fits)), shown_fits["estimate"].to_numpy(), _REACH * shown_fits["std.error"].to_numpy()
    is_away = np.abs(estimate) > reach
    for where, color in ((~is_away, "0.6"), (is_away, "tab:blue")):
        ax.errorbar(estimate[where], place[where], xerr=reach[where], fmt="o", markersize=2.5, linewidth=0.8, color=color)
    ax.axvline(0.0, color="0.7", linewidth=0.8, zorder=0)
    if 0 < len(shown_fits) <= 60:
        ax.set_yticks(place, [str(label) for label in shown_fits["fit"]], fontsize=7)
    else:
        ax.set_ylabel(f"{len(shown_fits):,} of {len(known):,} fits, in order of the estimate")
    ax.set_xlabel(f"{chosen['term'].iloc[0]}, 95 % interval" + _after_comma(_without_test(len(chosen) - len(known))))
    return ax


def _of_term(many: FittedMany, found: ReportedMany, term: str | None, adjust: str) -> Any:
    """The rows of one coefficient; by default the first that is no intercept.

    Raises
    ------
    ArgumentError
    """
    frame = tidy_frame_of_fits(many, found, "fixed", adjust)
    terms = list(dict.fromkeys(frame["term"]))
    if term is None:
        term = next((name for name in terms if name != "Intercept"), terms[0])
    if term not in terms:
        raise ArgumentError(f"term={shown(term)} is no coefficient of the model; choose one of {', '.join(map(repr, terms))}.")
    return frame[frame["term"] == term].reset_index(drop=True)


def _without_test(n: int) -> str:
    return f"{n:,} without certificate or standard error" if n else ""


def _after_comma(text: str) -> str:
    return f"\n({text})" if text else ""
