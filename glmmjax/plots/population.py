"""Effect plots: means along a covariate with pointwise bands, at random effects of 0, over the population, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from glmmjax.design.columns.table import as_frame
from glmmjax.design.reference_grid import fitted_frame, is_factor, usual_values
from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.plots.axes import COLOURS, axes
from glmmjax.plots.quantities import KIND_TEXTS, quantity_text
from glmmjax.postfit.population.effects import Effects, effects
from glmmjax.postfit.population.marginal_means import data_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["EffectPlot", "plot_effects"]

_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_MARKS_TO_A_LINE = 8
_MOST_INSIDE = 4  # lines in a legend inside the axes
_MOST_IN_RUG = 1000


class _Line(NamedTuple):
    """One line of the plot, in the order of x."""

    x: np.ndarray  # (k,)
    estimate: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    label: str
    group: int  # number of the level, or of the value of ``by``
    kind: int | None  # number of the kind; None for a single one


class EffectPlot(NamedTuple):
    """What to draw; the fields are the arguments of ``MixedModelResults.plot_effects``."""

    newdata: Any
    x: str | None
    by: str | None
    facets: str | None
    kinds: tuple[str, ...]
    scale: str
    robust: bool | str
    level: float
    rug: bool


def plot_effects(fitted: FittedModel, asked: EffectPlot, ax: Any = None) -> Any:
    """Draw effects on one Axes, on one for each value of ``facets``, or on one for means and one for the zero part."""
    asked = _with_grid(fitted, asked)
    settings = asked.scale, asked.robust, asked.level
    found = [effects(fitted, asked.newdata, kind, *settings) for kind in asked.kinds]
    if "zero_part" in asked.kinds and set(asked.kinds) != {"zero_part"}:
        return _parts(fitted, asked, found, ax)
    if asked.facets is None:
        ax = axes(ax)
        _panel(fitted, asked, found, ax)
        return ax
    if ax is not None:
        raise ArgumentError(f"facets={asked.facets!r} makes Axes of its own, one for each value; leave out ax.")
    if asked.facets not in found[0].frame.columns:
        raise ArgumentError(f"facets={asked.facets!r} is no column of the rows; they have {', '.join(map(repr, found[0].frame.columns))}.")
    values = list(dict.fromkeys(found[0].frame[asked.facets]))
    panels = axes(None, ncols=len(values), squeeze=False, sharey=True, figsize=(1.2 + 3.4 * len(values), 4.0))[0]
    for k, (value, panel) in enumerate(zip(values, panels, strict=True)):
        _panel(fitted, asked, [_rows_of(one, (one.frame[asked.facets] == value).to_numpy()) for one in found], panel, k == len(values) - 1)
        panel.set_title(f"{asked.facets}: {value:g}" if isinstance(value, float) else f"{asked.facets}: {value}", fontsize=10)
        panel.set_ylabel(panel.get_ylabel() if k == 0 else "")
    return panels


def _parts(fitted: FittedModel, asked: EffectPlot, found: list[Effects], ax: Any) -> Any:
    """Means beside the zero part, which is a probability and needs an axis of its own."""
    for argument, given in (("facets", asked.facets), ("ax", ax)):
        if given is not None:
            raise ArgumentError(f"kind='zero_part' beside another kind makes two Axes of its own; leave out {argument}, or draw one kind.")
    panels = axes(None, ncols=2, figsize=(9.6, 4.2))
    for panel, of_zeros in zip(panels, (False, True), strict=True):
        chosen = [k for k, kind in enumerate(asked.kinds) if (kind == "zero_part") == of_zeros]
        part = asked._replace(kinds=tuple(asked.kinds[k] for k in chosen))
        _panel(fitted, part, [found[k] for k in chosen], panel, has_legend=not of_zeros)
    return panels


def _with_grid(fitted: FittedModel, asked: EffectPlot) -> EffectPlot:
    """Where ``newdata`` is the name of a covariate: a grid of its usual values and of those of ``by`` and ``facets``."""
    if not isinstance(asked.newdata, str):
        return asked
    if asked.x is not None:
        raise ArgumentError(
            f"newdata={asked.newdata!r} names the covariate along the axis, and x={asked.x!r} another; give one of the two."
        )
    names = [asked.newdata, *(name for name in (asked.by, asked.facets) if name is not None)]
    grid = {name: usual_values(fitted.design, data_of(fitted, needed=True), name, along=k == 0) for k, name in enumerate(names)}
    return asked._replace(newdata=grid, x=asked.newdata)


def _rows_of(found: Effects, chosen: np.ndarray) -> Effects:
    parts = {name: getattr(found, name)[:, chosen] for name in ("estimate", "error", "lower", "upper")}
    return found._replace(frame=found.frame[chosen], **parts)


def _panel(fitted: FittedModel, asked: EffectPlot, found: list[Effects], ax: Axes, has_legend: bool = True) -> None:
    x, by = _axes_of(found[0]._replace(frame=found[0].frame.drop(columns=[name for name in (asked.facets,) if name])), asked.x, asked.by)
    if _is_number(found[0].frame[x].to_numpy()) and is_factor(fitted.design, x):  # numbers that are levels have no line between them
        found = [one._replace(frame=one.frame.assign(**{x: [f"{value:g}" for value in one.frame[x]]})) for one in found]
    lines = sorted((line for k, one in enumerate(found) for line in _lines(one, x, by, asked.kinds, k)), key=lambda line: line.group)
    _draw(ax, lines)
    if asked.rug and _is_number(lines[0].x):
        _draw_rug(fitted, x, lines[0].x, ax)
    ax.set_xlabel(x)
    ax.set_ylabel(quantity_text(fitted, asked.scale, asked.kinds))
    if len(lines) > 1 and has_legend:
        is_outside = len(lines) > _MOST_INSIDE or asked.facets is not None
        place: Any = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0.0} if is_outside else {}
        ax.legend(title=fitted.design.outcome_name if found[0].levels else by, handlelength=3.5, **place)


def _draw_rug(fitted: FittedModel, x: str, drawn: np.ndarray, ax: Axes) -> None:
    """Ticks inside the lower edge at the values of the rows fitted, where they are kept."""
    data = data_of(fitted)
    if data is None or x not in as_frame(data).columns:
        return
    values = np.unique(fitted_frame(fitted.design, data)[x].to_numpy(float))
    values = values[(values >= drawn.min()) & (values <= drawn.max())]
    values = values[:: max(1, len(values) // _MOST_IN_RUG)]
    style: Any = {"linestyle": "none", "marker": "|", "markersize": 7, "color": "0.45", "label": "_rug"}
    ax.plot(values, np.full(len(values), 0.012), transform=ax.get_xaxis_transform(), **style)


def _axes_of(found: Effects, x: str | None, by: str | None) -> tuple[str, str | None]:
    """The covariates of the axis and of the lines: those given, else those that vary."""
    frame = found.frame
    for argument, name in (("x", x), ("by", by)):
        if name is not None and name not in frame.columns:
            raise ArgumentError(f"{argument}={name!r} is no column of the rows; they have {', '.join(map(repr, frame.columns))}.")
    if found.levels and by is not None:
        raise ArgumentError(f"by={by!r}: the lines of an ordinal outcome are its levels; draw one plot for each value of {by!r}.")
    varying = [name for name in frame.columns if frame[name].nunique() > 1]
    others = [name for name in varying if name != by]
    x = x or next((name for name in others if _is_number(frame[name])), next(iter(others or frame.columns)))
    left = [name for name in varying if name not in (x, by)]
    if by is None and not found.levels and left:
        by = left[0]
    if frame.duplicated([name for name in (x, by) if name is not None]).any():
        differing = ", ".join(repr(name) for name in left if name != by) or "nothing else"
        raise ArgumentError(
            f"several rows have the same {x!r}{f' and {by!r}' if by else ''} and differ in {differing}; an effect plot shows two "
            "covariates (one for an ordinal outcome), so hold the others at one value."
        )
    return str(x), by


def _lines(found: Effects, x: str, by: str | None, kinds: tuple[str, ...], kind: int) -> list[_Line]:
    """A line for every level of an ordinal outcome, else for every value of ``by``."""
    frame, everything = found.frame, np.ones(len(found.frame), bool)
    groups: list[tuple[Any, int, np.ndarray]] = [("", 0, everything)]
    if found.levels:
        groups = [(level, k, everything) for k, level in enumerate(found.levels)]
    elif by is not None:
        groups = [(value, 0, (frame[by] == value).to_numpy()) for value in frame[by].unique()]
    several = len(kinds) > 1
    lines = []
    for group, (name, row, chosen) in enumerate(groups):
        label = ", ".join(text for text in (str(name), KIND_TEXTS[kinds[kind]] if several else "") if text)
        at = frame[x].to_numpy()[chosen]
        order = np.argsort(at, kind="stable") if _is_number(at) else np.arange(len(at))
        estimate, lower, upper = (part[row][chosen][order] for part in (found.estimate, found.lower, found.upper))
        lines.append(_Line(at[order], estimate, lower, upper, label, group, kind if several else None))
    return lines


def _draw(ax: Axes, lines: list[_Line]) -> None:
    is_number = _is_number(lines[0].x)
    ticks = list(dict.fromkeys(value for line in lines for value in line.x))
    for k, line in enumerate(lines):
        colour, marker = (looks[line.group % len(looks)] for looks in (COLOURS, _MARKERS))
        style: Any = _STYLES[(line.group if line.kind is None else line.kind) % len(_STYLES)]
        is_filled = not line.kind  # a second kind has hollow marks
        look: Any = {
            "color": colour,
            "marker": marker,
            "markersize": 5,
            "markerfacecolor": colour if is_filled else "white",
            "label": line.label,
        }
        if is_number:
            ax.fill_between(line.x, line.lower, line.upper, facecolor=colour, alpha=0.12, linewidth=0)
            ax.plot(line.x, line.estimate, linestyle=style, markevery=max(1, len(line.x) // _MARKS_TO_A_LINE), **look)
            for end in (line.lower, line.upper):
                ax.plot(line.x, end, linestyle=style, linewidth=0.5, color=colour, alpha=0.6)
        else:
            at = np.array([ticks.index(value) for value in line.x]) + min(0.12, 0.8 / len(lines)) * (k - 0.5 * (len(lines) - 1))
            ax.errorbar(
                at,
                line.estimate,
                yerr=np.stack([line.estimate - line.lower, line.upper - line.estimate]),
                linestyle="none",
                capsize=3,
                **look,
            )
    if not is_number:
        ax.set_xticks(range(len(ticks)), [str(value) for value in ticks])
        ax.set_xlim(-0.5, len(ticks) - 0.5)


def _is_number(column: Any) -> bool:
    return np.issubdtype(np.asarray(column).dtype, np.number)
