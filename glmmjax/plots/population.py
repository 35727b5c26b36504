"""Effect plots: means along a covariate with pointwise bands, at random effects of 0, over the population, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.plots.axes import COLOURS, axes
from glmmjax.postfit.population.effects import Effects, effects

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_effects"]

_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_MARKS_TO_A_LINE = 8
_MOST_INSIDE = 4  # lines in a legend inside the axes
_KIND_TEXT = {"mean_subject": "random effects 0", "marginal": "population average"}


class _Line(NamedTuple):
    """One line of the plot, in the order of x."""

    x: np.ndarray  # (k,)
    estimate: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    label: str
    group: int  # number of the level, or of the value of ``by``
    kind: int | None  # number of the kind; None for a single one


def plot_effects(
    fitted: FittedModel, newdata: Any, x: Any, by: Any, *, kind: Any, scale: str, robust: bool | str, level: float, ax: Any
) -> Axes:
    """Draw effects; the arguments are those of ``MixedModelResults.plot_effects``."""
    kinds = (kind,) if isinstance(kind, str) else tuple(kind)
    found = [effects(fitted, newdata, name, scale, robust, level) for name in kinds]
    x, by = _axes_of(found[0], x, by)
    lines = sorted((line for k, one in enumerate(found) for line in _lines(one, x, by, kinds, k)), key=lambda line: line.group)
    ax = axes(ax)
    _draw(ax, lines)
    ax.set_xlabel(x)
    ax.set_ylabel(_label(fitted, scale, kinds))
    if len(lines) > 1:
        place: Any = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0.0} if len(lines) > _MOST_INSIDE else {}
        ax.legend(title=fitted.design.outcome_name if fitted.design.levels else by, handlelength=3.5, **place)
    return ax


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
        label = ", ".join(text for text in (str(name), _KIND_TEXT[kinds[kind]] if several else "") if text)
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


def _label(fitted: FittedModel, scale: str, kinds: tuple[str, ...]) -> str:
    """Label of the vertical axis."""
    family, outcome = fitted.problem.family, fitted.design.outcome_name
    if family.is_ordinal:
        return "probability" if scale == "response" else "logit of probability"
    if scale == "link":
        is_predictor = set(kinds) == {"mean_subject"} and not family.has_zero_part
        return "linear predictor" if is_predictor else f"{family.mean_link.name} of mean of {outcome}"
    return f"mean of {outcome}"


def _is_number(column: Any) -> bool:
    return np.issubdtype(np.asarray(column).dtype, np.number)
