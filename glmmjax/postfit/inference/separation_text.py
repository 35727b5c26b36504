"""A separation in words: where the outcome does not vary, which estimates run off and which way, and what to do."""

from __future__ import annotations

import numpy as np

from glmmjax.estimation.separation import Direction, sides
from glmmjax.fitted import FittedModel
from glmmjax.postfit.prediction.rows import own_outcome, to_caller_order

__all__ = ["separation_text"]


def separation_text(fitted: FittedModel, found: Direction) -> str:
    """What was seen and what to try."""
    design, change = fitted.design, found.change
    names = (design.fixed_names, design.zi_fixed_names)[found.e]
    columns = to_caller_order(design, [bucket.X[found.e] for bucket in design.clusters.buckets]).T
    is_constant = np.ptp(columns, axis=0) == 0.0
    moving = [int(k) for k in np.flatnonzero(change) if not is_constant[k]]
    running = moving or [int(k) for k in np.flatnonzero(change)]
    estimates = ", ".join(f"that of `{names[k]}` to {'+' if change[k] > 0 else '-'}infinity" for k in running)
    places = _places(fitted, found, columns, moving)
    leave = " or ".join(f"`{names[k]}`" for k in moving)
    if found.e > 0:
        advice = f"Try a zero part without {leave}"
    elif moving:
        advice = f"Try penalized=True, which keeps them finite, or leave out {leave}"
    else:
        advice = "Try penalized=StudentTPenalty(include_intercept=True), which keeps them finite"
    part = " in the zero part" if found.e else ""
    return f"no certificate: separation{part}: {places}. The estimates go to infinity: {estimates}. {advice}."


def _places(fitted: FittedModel, found: Direction, columns: np.ndarray, moving: list[int]) -> str:
    """Where the outcome does not vary, for the rows that move up and those that move down."""
    outcome = own_outcome(fitted)
    down, up = sides(fitted.problem.family, outcome if len(outcome) > 1 else outcome[0], found.e)
    names, change = (fitted.design.fixed_names, fitted.design.zi_fixed_names)[found.e], found.change
    gains = columns @ change
    gains[np.abs(gains) < 1e-6 * np.abs(gains).max()] = 0.0
    if (gains[~(down | up)] != 0.0).any():  # only an outcome of ordered levels has thresholds that move with its rows
        return f"the levels of the outcome do not overlap along {' and '.join(f'`{names[k]}`' for k in moving)}"
    texts = []
    for sign, side in ((1.0, up & ~down), (-1.0, down & ~up)):
        rows = side & (sign * gains > 0.0)
        if rows.any():
            texts.append(f"{_always(fitted, outcome, rows, found.e)} {_where(names, columns, change, moving, sign)}")
    return ", and ".join(texts)


def _always(fitted: FittedModel, outcome: tuple[np.ndarray, ...], rows: np.ndarray, e: int) -> str:
    """What the outcome is in all ``rows``."""
    design, values = fitted.design, np.unique(outcome[0][rows])
    if e > 0:
        return f"the outcome is {'always' if (values == 0).all() else 'never'} 0"
    if fitted.problem.family.has_trials and len(outcome) > 1:
        return f"there are no {'successes' if (values == 0).all() else 'failures'}"
    if len(values) > 1:
        return "the outcome is at one end of its range"
    if design.levels:
        return f"the outcome is always {design.levels[int(values[0])]}"
    if design.success_level is not None:
        return f"the outcome is {'always' if values[0] == 1.0 else 'never'} {design.success_level}"
    return f"the outcome is always {values[0]:g}"


def _where(names: tuple[str, ...], columns: np.ndarray, change: np.ndarray, moving: list[int], sign: float) -> str:
    """The rows that move up (sign 1) or down, in words."""
    if not moving:
        return "in every row"
    is_constant = np.ptp(columns, axis=0) == 0.0
    intercept = float(change[is_constant] @ columns[0, is_constant])
    if len(moving) == 1:
        k, slope = moving[0], change[moving[0]]
        is_above, values = sign * slope > 0, columns[:, moving[0]]
        if set(np.unique(values)) <= {0.0, 1.0}:
            return f"where `{names[k]}` = {1 if is_above else 0}"
        return f"wherever `{names[k]}` {'>' if is_above else '<'} {0.0 - intercept / slope:.6g}"
    size = np.abs(change[moving]).max()
    combination = " ".join(f"{change[k] / size:+.3g} `{names[k]}`" for k in moving)
    return f"wherever {combination} {'>' if sign > 0 else '<'} {0.0 - intercept / size:.6g}"
