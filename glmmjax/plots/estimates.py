"""Forest plots: coefficients with their intervals, one line each."""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.families.links import Link, Log, Logit
from glmmjax.fitted import FittedModel
from glmmjax.plots.axes import axes
from glmmjax.postfit.inference.confidence import confidence_intervals

__all__ = ["COEFFICIENTS", "plot_coefficients"]

COEFFICIENTS = ("fixed", "zero", "dispersion")
_RATIOS = {"log": "ratio of means", "logit": "odds ratio"}


def plot_coefficients(
    fitted: FittedModel, part: str, *, intercept: bool, exponentiate: bool | None, level: float, robust: bool | str, ax: Any
) -> Any:
    """Draw coefficients; the arguments are those of ``MixedModelResults.plot_coefficients``.

    Raises
    ------
    ArgumentError
        For a part that the model does not have, no coefficient to draw, and as ``conf_int``.
    """
    found = confidence_intervals(fitted, part, "wald", level, robust)
    chosen = [k for k, name in enumerate(found.labels) if intercept or name != "Intercept"]
    if not chosen:
        raise ArgumentError("plot_coefficients: the model has no coefficient but the intercept; pass intercept=True.")
    names = [found.labels[k] for k in chosen]
    values = np.stack([np.asarray(values, float)[chosen] for values in (found.estimates, found.lower, found.upper)])
    link: Link = Logit() if part == "zero" else fitted.problem.family.mean_link
    is_ratio = part != "dispersion" and isinstance(link, Log | Logit) if exponentiate is None else exponentiate
    values, none = (np.exp(values), 1.0) if is_ratio else (values, 0.0)
    ax = axes(ax, figsize=(6.4, 0.9 + 0.42 * len(names)))
    place = np.arange(len(names))[::-1]
    is_apart = (values[1] > none) | (values[2] < none)
    for those, colour, face in ((~is_apart, "0.5", "white"), (is_apart, "black", "black")):
        ax.hlines(place[those], values[1][those], values[2][those], color=colour, linewidth=1.5)
        ax.plot(values[0][those], place[those], linestyle="none", marker="o", markersize=6, color=colour, markerfacecolor=face)
    ax.axvline(none, color="black", linewidth=0.8, linestyle="--")
    ax.set_yticks(place, names)
    ax.set_ylim(-0.6, len(names) - 0.4)
    if is_ratio:
        _as_ratios(ax, values)
    ax.set_xlabel(f"{_scale_text(part, link, is_ratio)}, {100 * level:g} % interval")
    return ax


def _as_ratios(ax: Any, values: np.ndarray) -> None:
    """A logarithmic axis with a few plain numbers."""
    ax.set_xscale("log")
    low, high = np.log10([values[1].min(), values[2].max()])
    steps = np.array([1.0, 2.0, 5.0]) if high - low < 2 else np.array([1.0])
    ticks = np.sort(np.concatenate([steps * 10.0**k for k in range(int(np.floor(low)), int(np.ceil(high)) + 1)]))
    ticks = ticks[(ticks >= 10 ** (low - 0.1)) & (ticks <= 10 ** (high + 0.1))]
    if len(ticks) >= 2:
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()


def _scale_text(part: str, link: Link, is_ratio: bool) -> str:
    of = {"zero": "Zero part: ", "dispersion": "Dispersion: "}.get(part, "")
    if is_ratio:
        text = _RATIOS.get(link.name, "exp(coefficient)")
    else:
        text = "coefficient" if part == "dispersion" else f"coefficient ({link.name} link)"
    return of + text if of else text[0].upper() + text[1:]
