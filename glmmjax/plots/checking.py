"""Plots that compare the data with the model: quantile residuals, simulated distributions, hanging rootograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.plots.axes import axes
from glmmjax.plots.quantities import outcome_text
from glmmjax.postfit.checking.calibration import calibration
from glmmjax.postfit.checking.predictive_checks import predictive_ecdf
from glmmjax.postfit.checking.quantile_residuals import QuantileResidualRecord
from glmmjax.postfit.checking.residual_bands import QUARTILES, bins_of, quartiles_in_bins
from glmmjax.postfit.checking.rootogram import rootogram
from glmmjax.postfit.checking.simulate import SimulationSettings
from glmmjax.values import shape_of

__all__ = ["plot_calibration", "plot_diagnostics", "plot_predictive", "plot_qq", "plot_residuals", "plot_rootogram"]

_SIGNIFICANT = 0.05  # a test with a smaller p-value is marked


def plot_qq(record: QuantileResidualRecord, ax: Any = None) -> Any:
    """Ordered residuals against their quantiles under the model, with the p-values of the tests in a corner."""
    ax = axes(ax)
    n = len(record.values)
    expected = (np.arange(n) + 0.5) / n
    ax.fill_between(expected, *record.bands.ordered, color="0.85", linewidth=0, label="95 % under the model")
    ax.plot([0, 1], [0, 1], color="0.5", linewidth=1.0, linestyle="--", label="uniform")
    ax.plot(expected, np.sort(record.values), linestyle="none", marker=".", markersize=4, color="black", label="residuals")
    for k, test in enumerate(record.tests):
        is_significant = test.p_value < _SIGNIFICANT
        text, weight = f"{test.name}: p = {test.p_value:.3f}{' *' if is_significant else ''}", "bold" if is_significant else "normal"
        ax.text(0.03, 0.97 - 0.05 * k, text, transform=ax.transAxes, va="top", fontsize=8, family="monospace", weight=weight)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="Expected quantile", ylabel="Quantile residual", aspect="equal")
    ax.legend(loc="lower right", frameon=False)
    return ax


def plot_residuals(record: QuantileResidualRecord, against: Any = "fitted", n_bins: int = 10, ax: Any = None) -> Any:
    """Residuals against a variable, with their quartiles in bins of equally many rows; see ``MixedModelResults.plot_residuals``.

    Raises
    ------
    ArgumentError
        For another ``against``.
    """
    x, label = _variable(record, against)
    ax = axes(ax)
    ax.plot(x, record.values, linestyle="none", marker=".", markersize=3, color="0.55", zorder=1)
    bins = bins_of(x, min(int(n_bins), len(x)))
    centres, quartiles = [x[bins == b].mean() for b in np.unique(bins)], quartiles_in_bins(bins, record.values)
    for level, values, style in zip(QUARTILES, quartiles, ("--", "-", ":"), strict=True):
        ax.axhline(level, color="0.3", linewidth=0.8, linestyle=(0, (1, 3)), zorder=2)
        ax.plot(centres, values, color="black", linewidth=1.6, linestyle=style, marker="o", markersize=3, label=f"{level:g}", zorder=3)
    ax.set(ylim=(0, 1), xlabel=label, ylabel="Quantile residual")
    ax.legend(title="Quantile in bin", loc="upper right", fontsize=8, title_fontsize=8, ncols=3)
    return ax


def plot_diagnostics(record: QuantileResidualRecord) -> Any:
    """Two panels: ``plot_qq``, and quartiles of the residuals in bins of the fitted means, each with its band under the model.

    A quartile outside its band has a filled mark, the others have open ones.
    """
    panels = axes(None, nrows=1, ncols=2, figsize=(9.5, 4.6))
    plot_qq(record, panels[0])
    ax, bands = panels[1], record.bands
    rank = np.searchsorted(np.sort(record.fitted_means), record.fitted_means) / len(record.values)
    ax.plot(rank, record.values, linestyle="none", marker=".", markersize=3, color="0.7", zorder=1)
    rows = zip(QUARTILES, bands.quartiles, *bands.quartile_ends, ("--", "-", ":"), strict=True)
    for level, values, lower, upper, style in rows:
        ax.fill_between(bands.centres, lower, upper, color="0.5", alpha=0.35, linewidth=0, zorder=2)
        ax.plot(bands.centres, values, color="black", linewidth=1.5, linestyle=style, zorder=3, label=f"{level:g}")
        is_out = (values < lower) | (values > upper)
        for chosen, face in ((~is_out, "white"), (is_out, "black")):
            ax.plot(bands.centres[chosen], values[chosen], linestyle="none", marker="o", color="black", markerfacecolor=face, markersize=5)
    n_out = int(((bands.quartiles < bands.quartile_ends[0]) | (bands.quartiles > bands.quartile_ends[1])).sum())
    ax.set_title(f"{n_out} of {bands.quartiles.size} quartiles outside their 95 % bands", fontsize=10)
    ax.set(ylim=(0, 1), xlabel="Rank of the fitted mean at random effects 0", ylabel="Quantile residual")
    ax.legend(title="Quartile in bin, band under the model", loc="upper right", fontsize=8, title_fontsize=8, ncols=3)
    return panels


def plot_calibration(fitted: FittedModel, settings: SimulationSettings, n_bins: int, ax: Any = None) -> Any:
    """Shares of successes against predicted probabilities, with the bars of simulated data sets."""
    found = calibration(fitted, settings, n_bins)
    ax = axes(ax)
    ax.plot([0, 1], [0, 1], color="0.5", linewidth=1.0, linestyle="--", label="observed = predicted")
    ax.vlines(found.predicted, found.lower, found.upper, color="0.75", linewidth=6, label="95 % of simulated")
    ax.plot(found.predicted, found.observed, color="black", marker="o", markersize=5, linewidth=1.0, label="observed")
    event, shown = outcome_text(fitted), _shown_part((found.predicted, found.lower, found.upper, found.observed))
    ax.set(xlim=shown, ylim=shown, aspect="equal", xlabel=f"Predicted {event}, population average", ylabel="Observed share")
    ax.legend(loc="upper left", frameon=False)
    return ax


def _shown_part(shares: tuple[np.ndarray, ...]) -> tuple[float, float]:
    """The part of (0, 1) to show: up to the largest share where all are below one half, from the smallest where all are above."""
    least, most = (float(end(np.concatenate(shares))) for end in (np.min, np.max))
    return (1.0 - 1.15 * (1.0 - least) if 0.5 < least < 1.0 else 0.0), (1.15 * most if 0.0 < most < 0.5 else 1.0)


def _variable(record: QuantileResidualRecord, against: Any) -> tuple[np.ndarray, str]:
    if isinstance(against, str):
        if against == "fitted":
            means = record.fitted_means
            return np.searchsorted(np.sort(means), means) / len(means), "Rank of the fitted mean at random effects 0"
        if against in record.columns:
            return record.columns[against], against
        names = ", ".join(map(repr, record.columns))
        raise ArgumentError(f"against={against!r} is neither 'fitted' nor a fixed-effects column; these are {names}. Or pass the values.")
    shape = shape_of(against)
    values = np.asarray(against) if isinstance(shape, tuple) else np.empty(0, object)
    if values.shape != record.values.shape or values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        raise ArgumentError(
            f"against has shape {shape} and type {values.dtype}; it must be 'fitted', the name of a fixed-effects column, or one "
            f"finite number for each of the {len(record.values)} rows used."
        )
    return values.astype(float), str(getattr(against, "name", None) or "Variable")


def plot_predictive(fitted: FittedModel, settings: SimulationSettings, ax: Any = None) -> Any:
    """Distribution functions: of simulated data sets in grey with a dashed pointwise 95 % band, and of the data in black."""
    found = predictive_ecdf(fitted, settings)
    ax = axes(ax)
    style: dict[str, Any] = {"drawstyle": "steps-post"} if found.is_step else {}
    for number, shares in enumerate(found.simulated):
        ax.plot(found.grid, shares, color="0.8", linewidth=0.6, zorder=1, label="simulated" if number == 0 else "_nolegend_", **style)
    for number, limit in enumerate(np.quantile(found.simulated, (0.025, 0.975), axis=0)):
        label = "95 % of simulated" if number == 0 else "_nolegend_"
        ax.plot(found.grid, limit, color="0.3", linewidth=1.0, linestyle="--", zorder=2, label=label, **style)
    ax.plot(found.grid, found.observed, color="black", linewidth=1.8, zorder=3, label="observed", **style)
    ax.set(ylim=(0, 1.02), xlabel=fitted.design.outcome_name, ylabel="Share of outcomes at or below")
    ax.legend(loc="lower right")
    return ax


def plot_rootogram(fitted: FittedModel, max_count: int | None = None, ax: Any = None) -> Any:
    """Hanging rootogram. Bars that end above 0 are counts rarer than the model expects; bars that end below 0 are more frequent."""
    found = rootogram(fitted, max_count)
    ax = axes(ax)
    height, top = np.sqrt(found.observed), np.sqrt(found.expected)
    ax.bar(found.counts, height, bottom=top - height, width=0.9, color="0.78", edgecolor="0.45", linewidth=0.5, label="observed")
    ax.plot(found.counts, top, color="black", linewidth=1.5, marker="o", markersize=3, label="expected")
    ax.axhline(0.0, color="black", linewidth=0.8)
    levels = fitted.design.levels
    if levels:
        ax.set_xticks(found.counts, [str(level) for level in (*levels, *[""] * len(found.counts))[: len(found.counts)]])
    ax.use_sticky_edges = False  # else the lowest bar ends at the frame
    ax.autoscale_view()
    ax.set(xlabel=fitted.design.outcome_name, ylabel="Square root of frequency")
    ax.legend(loc="upper right")
    return ax
