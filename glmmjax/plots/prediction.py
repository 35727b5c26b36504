"""Caterpillar plots: the random effects of all clusters in the order of their size, with intervals; and the density of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.plots.axes import COLOURS, axes
from glmmjax.postfit.prediction.effects_density import effect_density
from glmmjax.postfit.prediction.random_effects import levels_of_effects, random_effects, random_effects_intervals
from glmmjax.postfit.refitting.nonparametric_law import NonparametricLaw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_random_effects", "plot_random_effects_density", "plot_support"]

_LABELLED = 5  # at each end of a plot without labels on its axis
_MOST_LABELS = 40  # clusters whose labels can be read side by side


def plot_random_effects(
    fitted: FittedModel, effect: str | None = None, level: float = 0.95, kind: str = "mode", ax: Axes | None = None
) -> Axes:
    """Draw one random effect; the arguments are those of ``MixedModelResults.plot_random_effects``.

    Raises
    ------
    ArgumentError
        For an ``effect`` that the model does not have, and as ``random_effects_intervals``.
    """
    names, k = fitted.design.random_names, _place(fitted, effect)
    effect, found = names[k], random_effects_intervals(fitted, kind, level)
    at = next(at for at in levels_of_effects(fitted.design) if k in range(len(names))[at.place])
    group, clusters, first = at.name, at.labels, at.first
    order = np.argsort(found.estimate[first, k], kind="stable")
    estimate, lower, upper = (values[first, k][order] for values in (found.estimate, found.lower, found.upper))
    ax = axes(ax, figsize=(7.0, 4.0))
    _draw(ax, estimate, lower, upper)
    if len(order) <= _MOST_LABELS:
        labels = [":".join(map(str, label)) if clusters.nlevels > 1 else str(label) for label in clusters[order]]
        ax.set_xticks(np.arange(1, len(order) + 1), labels, rotation=90 if max(map(len, labels)) > 2 else 0)
        ax.set_xlabel(f"{group}, by size of the effect")
    else:
        ax.set_xlabel(f"{len(order)} clusters ({group}), by size of the effect")
        _label_ends(ax, clusters[order], lower, upper)
    ax.set_ylabel(f"{effect}: {'conditional mode' if kind == 'mode' else 'posterior mean'}, {100 * level:g} % interval")
    return ax


def plot_random_effects_density(fitted: FittedModel, effect: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the density of one random effect; the arguments are those of ``MixedModelResults.plot_random_effects_density``.

    Raises
    ------
    ArgumentError
        For an ``effect`` that the model does not have, and as ``effect_density``.
    """
    k = _place(fitted, effect)
    found = effect_density(fitted, k)
    ax = axes(ax, figsize=(6.4, 4.0))
    bins = np.histogram_bin_edges(found.modes, "auto").tolist()
    ax.hist(found.modes, bins=bins, density=True, color="0.85", edgecolor="0.65", label=f"conditional modes of {len(found.modes)} clusters")
    ax.plot(found.at, found.law, color="black", linewidth=1.8, label=f"law: {fitted.problem.prior.text.partition(' (')[0]}")
    ax.plot(found.at, found.posterior, color=COLOURS[1], linewidth=1.8, linestyle="--", label="mean of posterior densities")
    ax.set_xlabel(f"{fitted.design.random_names[k]}, deviation from the mean over clusters")
    ax.set_ylabel("density")
    ax.set_ylim(bottom=0.0)
    ax.margins(x=0.0)
    ax.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 1.0))  # above: a curve may go anywhere
    return ax


def plot_support(fitted: FittedModel, law: NonparametricLaw, ax: Axes | None = None) -> Axes:
    """Draw the points of a nonparametric law and their probabilities; see ``NonparametricEffects.plot``."""
    ax = axes(ax, figsize=(6.4, 4.0))
    inner = law.support[~law.at_end] if not law.at_end.all() else law.support
    ax.vlines(law.support, 0.0, law.masses, color="black", linewidth=2.5, label=f"nonparametric law, {len(law.support)} points")
    modes = random_effects(fitted)[:, 0]
    ax.plot(modes, np.zeros(len(modes)), "|", color=COLOURS[1], markersize=9, clip_on=False, label="conditional modes of the fit")
    ax.set_xlabel(f"{fitted.design.random_names[0]}, deviation from the mean over clusters")
    ax.set_ylabel("probability")
    ax.set_ylim(bottom=0.0)
    low, high = min(inner.min(), modes.min()), max(inner.max(), modes.max())
    margin = 0.08 * (high - low) or 1.0
    ax.set_xlim(low - margin, high + margin)
    for point, mass in zip(law.support[law.at_end], law.masses[law.at_end], strict=True):
        ax.annotate(
            f"{mass:.3f} runs off", (0.02 if point < low else 0.98, 0.93), xycoords="axes fraction", ha="left" if point < low else "right"
        )
    ax.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    return ax


def _place(fitted: FittedModel, effect: str | None) -> int:
    """The number of the random effect with this name; None is the first."""
    names = fitted.design.random_names
    if effect is None and names:
        return 0
    if effect not in names:
        known = f"choose one of {', '.join(map(repr, names))}" if names else "the model has none"
        raise ArgumentError(f"effect={effect!r} is no random effect of the model; {known}.")
    return names.index(effect)


def _label_ends(ax: Axes, labels: Any, lower: np.ndarray, upper: np.ndarray) -> None:
    """The clusters with the smallest and the largest effects whose intervals leave out 0, in the corners that the intervals leave free."""
    n = len(lower)
    lows = [k for k in range(min(_LABELLED, n)) if upper[k] < 0]
    highs = [k for k in range(n - 1, max(n - 1 - _LABELLED, -1), -1) if lower[k] > 0]
    for places, word, x, y, across, up in (
        (lows, "smallest", 0.98, 0.03, "right", "bottom"),
        (highs, "largest", 0.02, 0.97, "left", "top"),
    ):
        if places:
            texts = (":".join(map(str, labels[k])) if isinstance(labels[k], tuple) else str(labels[k]) for k in places)
            ax.text(x, y, f"{word}: {', '.join(texts)}", transform=ax.transAxes, ha=across, va=up, fontsize=9)


def _draw(ax: Axes, estimate: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
    """Draw the intervals: those without 0 black with filled marks, the others grey with open ones."""
    place, is_apart = np.arange(1, len(estimate) + 1), (lower > 0) | (upper < 0)
    thin = len(estimate) > 2 * _MOST_LABELS
    for chosen, colour, face in ((~is_apart, "0.55", "white"), (is_apart, "black", "black")):
        ax.vlines(place[chosen], lower[chosen], upper[chosen], color=colour, linewidth=0.8 if thin else 1.4)
        ax.plot(
            place[chosen],
            estimate[chosen],
            linestyle="none",
            marker="o",
            markersize=2.5 if thin else 4.5,
            color=colour,
            markerfacecolor=face,
        )
    ax.axhline(0.0, color="black", linewidth=0.8, linestyle="--")
    ax.set_xlim(0, len(estimate) + 1)
