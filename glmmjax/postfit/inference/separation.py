"""Why a fit has no maximum: separation, with the covariate that separates and the direction, or else the estimates that run off.

A vector d separates the data when no row loses as the coefficients move along d and some row gains for ever: rows whose outcome lies at
neither end of its range stay where they are, the others move towards their end. Random effects change nothing of that, because it holds
whatever they are. With A the gains of the rows by direction, such a d exists unless ``A'w = 0`` for some positive weights w (Stiemke's
theorem). Non-negative least squares make ``|A'(1 + w)|`` smallest (Lawson and Hanson 1974, chapter 23), and what is left is such a d. The
linear program of Konis (2007), which needs a solver, answers the same question; for counts see Correia, Guimaraes and Zylkin (2019).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from glmmjax.estimation.convergence import Code, Convergence
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.clusters import outcome_columns
from glmmjax.postfit.inference.wald import theta_names
from glmmjax.postfit.prediction.rows import to_caller_order
from glmmjax.postfit.uncertainty.vcov import standard_errors

__all__ = ["explained", "separating_direction"]

_STEPS = 1000
_TINY = 0.01  # standard errors
_ZERO = 1e-8  # of the largest entry
_MOST_CELLS = 20_000_000  # rows times columns that are searched


def explained(fitted: FittedModel) -> FittedModel:
    """The fit, with what separates its data, or what diverges, in the message of a fit without certificate.

    A fit that looks certified is no maximum where its data are separated: a search can stop where all that is left to gain is tiny.
    """
    convergence = fitted.convergence
    if convergence.code is Code.QUADRATURE_NOT_SETTLED or (convergence.has_converged and not _is_suspect(fitted)):
        return fitted
    text = _separation_text(fitted)
    if convergence.has_converged:
        return fitted if text is None else dataclasses.replace(fitted, convergence=_diverging(convergence, text))
    if text is None and convergence.code is Code.DIVERGING:
        text = f"{convergence.message} What runs off is {', '.join(_running(fitted))}."
    return fitted if text is None else dataclasses.replace(fitted, convergence=dataclasses.replace(convergence, message=text))


def _diverging(convergence: Convergence, text: str) -> Convergence:
    return dataclasses.replace(convergence, code=Code.DIVERGING, message=text, limits=())


def _is_suspect(fitted: FittedModel) -> bool:
    """Whether a coefficient is tiny beside its standard error, as one that runs off is; of ordinary ones one in a hundred is so too."""
    if fitted.problem.penalty is not None:
        return False
    fixed = fitted.problem.layout.fixed
    return not bool((np.abs(fitted.theta[fixed]) > _TINY * standard_errors(fitted)[fixed]).all())


def separating_direction(columns: np.ndarray, down: np.ndarray, up: np.ndarray) -> np.ndarray | None:
    """(p,) a direction of the coefficients along which no row loses and some gain for ever; None where there is none.

    Parameters
    ----------
    columns : (n, p) of full rank.
    down, up : (n,) bool: whether the outcome gains for ever as its predictor falls, and as it rises; a row with both says nothing.
    """
    scale = np.abs(columns).max(axis=0)
    x = columns / np.where(scale > 0, scale, 1.0)
    free, inner = down & up, ~(down | up)
    still = _null_space(x[inner])
    gains = np.where(up, 1.0, -1.0)[:, None] * (x @ still)
    gains = gains[(down | up) & ~free]
    sizes = np.sqrt((gains**2).sum(1))
    gains = gains[sizes > _ZERO] / sizes[sizes > _ZERO, None]
    if not gains.size:
        return None
    left = _left_over(gains)
    by_row = gains @ left
    if by_row.min() < -_ZERO * by_row.max() or by_row.max() < _ZERO:
        return None
    direction = still @ left
    direction[np.abs(direction) < 1e-7 * np.abs(direction).max()] = 0.0
    return direction / np.where(scale > 0, scale, 1.0)


def _left_over(gains: np.ndarray) -> np.ndarray:
    """(k,) the vector ``gains' (1 + w)`` of smallest length over weights w >= 0, by active sets."""
    total, weights, active = gains.sum(0), np.zeros(len(gains)), np.zeros(len(gains), bool)
    left = total
    for _ in range(_STEPS):
        slopes = np.where(active, np.inf, gains @ left)
        if slopes.min() > -_ZERO * max(float(np.abs(left).max()), 1e-300) or np.abs(left).max() < _ZERO:
            return left
        active[np.argmin(slopes)] = True
        while True:
            wanted = np.zeros(len(gains))
            wanted[active] = np.linalg.lstsq(gains[active].T, -total, rcond=None)[0]
            if (wanted[active] > 0).all():
                break
            falling = active & (wanted <= 0)
            share = (weights[falling] / np.maximum(weights[falling] - wanted[falling], 1e-300)).min()
            weights += share * (wanted - weights)
            active &= weights > 1e-12 * weights.max(initial=0.0)
            weights[~active] = 0.0
        weights = wanted
        left = total + gains.T @ weights
    return left


def _null_space(rows: np.ndarray) -> np.ndarray:
    """(p, k) vectors that ``rows`` (r, p) map to 0."""
    if not len(rows):
        return np.eye(rows.shape[1])
    _, sizes, right = np.linalg.svd(np.linalg.qr(rows, mode="r"))
    rank = int((sizes > 1e-10 * max(sizes.max(initial=0.0), 1e-300)).sum())
    return right[rank:].T


def _separation_text(fitted: FittedModel) -> str | None:
    design, family = fitted.design, fitted.problem.family
    if design.is_streamed or not design.fixed_names or len(design.row_labels) * len(design.fixed_names) > _MOST_CELLS:
        return None
    columns = to_caller_order(design, [bucket.X[0] for bucket in design.clusters.buckets]).T
    outcome = tuple(to_caller_order(design, blocks) for blocks in outcome_columns(design.clusters))
    down, up = (np.broadcast_to(ends, len(columns)) for ends in family.runs_off(outcome if len(outcome) > 1 else outcome[0]))
    if not (down | up).any():
        return None
    constant = np.flatnonzero(np.ptp(columns, axis=0) == 0)[:1]
    # the fewest columns that separate: one alone, one beside the intercept, all of them
    singles = [[k] for k in range(columns.shape[1])]
    pairs = [[int(k0), k] for k0 in constant for k in range(columns.shape[1]) if k != k0]
    for used in (*singles, *pairs, list(range(columns.shape[1]))):
        found = separating_direction(columns[:, used], down, up)
        if found is not None:
            direction = np.zeros(columns.shape[1])
            direction[used] = found
            return _text(fitted, columns, direction, family.ends)
    return None


def _text(fitted: FittedModel, columns: np.ndarray, direction: np.ndarray, ends: tuple[str, str]) -> str:
    names = fitted.design.fixed_names
    is_constant = np.ptp(columns, axis=0) == 0
    moving = [int(k) for k in np.flatnonzero(direction) if not is_constant[k]]
    intercepts = float(direction[is_constant] @ columns[0, is_constant])
    gains = columns @ direction
    gains[np.abs(gains) < 1e-6 * np.abs(gains).max()] = 0.0
    places = []
    for sign, end in ((1.0, ends[1]), (-1.0, ends[0])):
        if (sign * gains > 0).any():
            places.append(f"the outcome is {end} {_where(names, direction, moving, intercepts, sign)}")
    running = moving or [int(k) for k in np.flatnonzero(direction)]
    estimates = ", ".join(f"that of `{names[k]}` to {'+' if direction[k] > 0 else '-'}infinity" for k in running)
    penalty = "penalized=True" if moving else "penalized=StudentTPenalty(include_intercept=True)"
    drop = f", or leave out {' or '.join(f'`{names[k]}`' for k in moving)}" if moving else ""
    return (
        f"no certificate: separation: {', and '.join(places)}. The estimates go to infinity: {estimates}. "
        f"Try {penalty}, which keeps them finite{drop}."
    )


def _where(names: tuple[str, ...], direction: np.ndarray, moving: list[int], intercept: float, sign: float) -> str:
    """The rows that move up (sign 1) or down, in words."""
    if not moving:
        return "in every row"
    if len(moving) == 1:
        slope = direction[moving[0]]
        return f"wherever `{names[moving[0]]}` {'>' if sign * slope > 0 else '<'} {0.0 - intercept / slope:.6g}"
    size = np.abs(direction[moving]).max()
    combination = " ".join(f"{direction[k] / size:+.3g} `{names[k]}`" for k in moving)
    return f"wherever {combination} {'>' if sign > 0 else '<'} {0.0 - intercept / size:.6g}"


def _running(fitted: FittedModel) -> list[str]:
    """Estimates without a standard error, or that with the largest one."""
    with np.errstate(invalid="ignore"):
        errors = standard_errors(fitted)
    names, lost = theta_names(fitted), ~np.isfinite(errors)
    chosen = np.flatnonzero(lost) if lost.any() else [int(np.argmax(errors))]
    return [names[k] for k in chosen]
