"""Why a fit diverges: outcomes that are separated, found by linear programming, or the estimate that the data do not hold.

A direction v of the coefficients of a linear predictor separates when no row loses by it and some gain: ``x'v >= 0`` where the density of
the outcome only rises with the predictor, ``x'v <= 0`` where it only falls, ``x'v = 0`` where it has a maximum. The likelihood of every
cluster, whatever its random effects, then rises along v for ever (Albert and Anderson 1984, Biometrika 71, 1-10; Konis 2007, DPhil thesis,
Oxford; for counts Correia, Guimaraes and Zylkin 2019, arXiv:1903.01633).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glmmjax.design.design import Design
from glmmjax.families.base import Family
from glmmjax.fitted import FittedModel
from glmmjax.postfit.prediction.rows import own_outcome, own_rows

__all__ = ["Separation", "open_sides", "separating_direction", "separation", "why_it_diverges"]

_GRID = np.sinh(np.linspace(-7.25, 7.25, 59))  # of a linear predictor, up to 700: the tails of the Cauchy link are long
_FLAT = 1e-3  # change of a log density, over the last step of the grid, that is no change
_NO_ZEROS = -40.0  # predictor of a zero part without zeros
_CERTAIN = 0.05  # the logarithm of a probability is as near to 0
_NEVER = -1e300  # log density where there is none
_CONSTANT = "Intercept"


class Separation(NamedTuple):
    """A direction in which the likelihood of every row rises or stays.

    Attributes
    ----------
    part : "main" or "zero", the linear predictor
    names : names of the columns that take part
    direction : (k,) change of their coefficients
    gain : (n,) change of the predictor that raises the likelihood of a row, 0 in rows that are not separated
    """

    part: str
    names: tuple[str, ...]
    direction: np.ndarray
    gain: np.ndarray


def why_it_diverges(fitted: FittedModel) -> str:
    """One or two sentences on the cause; empty where none is known."""
    if fitted.design.is_streamed:
        return _running_off(fitted)
    found = separation(fitted)
    return _running_off(fitted) if found is None else _separation_text(fitted, found)


def separation(fitted: FittedModel) -> Separation | None:
    """The simplest separation of the rows of a fit: by the intercept, else by one column with it, else by several; None without one."""
    with jax.enable_x64(True):
        X = [np.asarray(columns).T for columns in own_rows(fitted).X]
    names = (fitted.design.fixed_names, fitted.design.zi_fixed_names)
    sides = open_sides(fitted.problem.family, own_outcome(fitted))
    for part, columns, labels, side in zip(("main", "zero"), X, names, sides, strict=False):
        for chosen in _subsets(columns):
            direction = separating_direction(columns[:, chosen], side)
            if direction is not None:
                taken = np.abs(direction) > 1e-6 * np.abs(direction).max()
                gain = np.nan_to_num(side) * (columns[:, chosen] @ direction)
                return Separation(part, tuple(np.array(labels)[chosen][taken]), direction[taken], np.where(gain > 1e-6, gain, 0.0))
    return None


def _subsets(columns: np.ndarray) -> list[list[int]]:
    """Columns that are tried together, from the simplest explanation on."""
    constant = [j for j in range(columns.shape[1]) if np.ptp(columns[:, j]) == 0.0]
    single = [[*constant, j] for j in range(columns.shape[1]) if j not in constant]
    return [*([constant] if constant else []), *single, list(range(columns.shape[1]))]


def open_sides(family: Family, outcome: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """For the main predictor, and that of the zero part, where the density of each of n outcomes has no maximum.

    (n,) each: 1 where it only rises with the predictor, -1 where it only falls, 0 where it has a maximum, NaN where it stays the same.
    """
    unique, where = np.unique(np.stack(outcome), axis=1, return_inverse=True)
    with jax.enable_x64(True):
        return [_side(_along(family, unique, e), is_certain=e == 0)[np.ravel(where)] for e in range(1 + family.has_zero_part)]


def _along(family: Family, outcome: np.ndarray, e: int) -> np.ndarray:
    """(k, grid) log density of k outcomes along predictor ``e``."""
    y = tuple(jnp.asarray(column)[:, None] for column in outcome)
    zero, moving = jnp.zeros((outcome.shape[1], len(_GRID))), jnp.asarray(_GRID)
    main, of_zeros = (zero + moving, zero + _NO_ZEROS) if e == 0 else (zero, zero + moving)
    others = (of_zeros,) * family.has_zero_part + (zero,) * family.has_dispersion
    phi = jnp.asarray(family.initial_phi(), float)
    density: Any = family.log_density(y if len(y) > 1 else y[0], main, phi, *others)
    values = np.asarray(density)
    return np.where(np.isnan(values), _NEVER, np.maximum(values, _NEVER))


def _side(along: np.ndarray, is_certain: bool) -> np.ndarray:
    change = np.diff(along, axis=1)
    small = 1e-9 * (1.0 + np.minimum(np.abs(along[:, 1:]), np.abs(along[:, :-1])))

    def is_open(change: np.ndarray, end: np.ndarray) -> np.ndarray:
        return (change >= -small).all(1) & (np.abs(end) < _CERTAIN if is_certain else change[:, -1] < _FLAT)

    is_same = (change == 0.0).all(1) & (along[:, 0] > _NEVER)
    rises, falls = is_open(change, along[:, -1]), is_open(-change[:, ::-1], along[:, 0])
    return np.where(is_same, np.nan, np.where(rises, 1.0, np.where(falls, -1.0, 0.0)))


def separating_direction(columns: np.ndarray, side: np.ndarray) -> np.ndarray | None:
    """(p,) a direction that separates the rows of ``columns`` (n, p) by their ``side`` (n,), in the most rows; None without one."""
    from scipy.optimize import linprog

    scale = np.maximum(np.abs(columns).max(0), 1e-300)
    X = columns / scale
    free = _unmoving(X[side == 0.0])
    moved = np.unique((side[:, None] * X)[np.abs(side) == 1.0], axis=0) @ free
    if not moved.size:
        return None
    found = linprog(-moved.sum(0), A_ub=-moved, b_ub=np.zeros(len(moved)), bounds=(-1.0, 1.0), method="highs")
    if found.x is None:
        return None
    gain = moved @ found.x
    return None if gain.min() < -1e-6 or gain.max() < 1e-4 else free @ found.x / scale


def _unmoving(rows: np.ndarray) -> np.ndarray:
    """(p, k) orthonormal directions that move none of the ``rows`` (n, p)."""
    if not len(rows):
        return np.eye(rows.shape[1])
    _, sizes, directions = np.linalg.svd(np.linalg.qr(rows, mode="r"))
    rank = int((sizes > 1e-9 * sizes.max(initial=0.0)).sum())
    return directions[rank:].T


def _separation_text(fitted: FittedModel, found: Separation) -> str:
    if found.part == "zero":
        where, advice = " in the zero part", "Try a zero part without it (zi_fixed)"
    else:
        where, advice = "", "Try penalized=True, which gives finite estimates"
    covariates = [name for name in found.names if name != _CONSTANT]
    runs = ", ".join(f"that of {_quoted(n)} to {'+' if v > 0 else '-'}infinity" for n, v in zip(found.names, found.direction, strict=True))
    if len(covariates) == 1:
        leave = f", or leave {_quoted(covariates[0])} out"
        side = dict(zip(found.names, found.direction, strict=True))[covariates[0]]
        runs = f"{_quoted(covariates[0])} runs to {'+' if side > 0 else '-'}infinity"
        return f"Separation{where}: {_where_text(fitted, found, covariates[0])}; the estimate of {runs}. {advice}{leave}."
    rows, n = np.flatnonzero(found.gain), len(found.gain)
    if not covariates:
        return f"Separation{where}: {_always(fitted, rows, found)} in all rows that tell of it; the estimates run off: {runs}. {advice}."
    by = f"a combination of {', '.join(map(_quoted, covariates))} separates {len(rows)} of {n} rows"
    return f"Separation{where}: {by}; the estimates run off: {runs}. {advice}, or leave some of them out."


def _where_text(fitted: FittedModel, found: Separation, name: str) -> str:
    """Where one column separates, at its upper end, its lower end, or both."""
    e, names = (0, fitted.design.fixed_names) if found.part == "main" else (1, fitted.design.zi_fixed_names)
    with jax.enable_x64(True):
        x = np.asarray(own_rows(fitted).X[e])[names.index(name)]
    is_dummy, taken, texts = set(np.unique(x)) <= {0.0, 1.0}, found.gain > 0, []
    sides = open_sides(fitted.problem.family, own_outcome(fitted))[e]
    rising = sides * found.direction[found.names.index(name)] > 0
    for rows, sign, end in ((taken & rising, ">=", np.min), (taken & ~rising, "<=", np.max)):
        if rows.any():
            edge = f"= {end(x[rows]):g}" if is_dummy else f"{sign} {end(x[rows]):.6g}"
            texts.append(f"{_always(fitted, np.flatnonzero(rows), found)} where {_quoted(name)} {edge}")
    return " and ".join(texts)


def _always(fitted: FittedModel, rows: np.ndarray, found: Separation) -> str:
    """What the outcome is in all ``rows``."""
    design, columns = fitted.design, own_outcome(fitted)
    values = np.unique(columns[0][rows])
    if found.part == "zero":
        return "the outcome is always 0" if (values == 0).all() else "the outcome is never 0"
    if len(columns) > 1:
        return f"there are no {'successes' if (values == 0).all() else 'failures'}"
    return f"the outcome is always {_label(design, values[0])}" if len(values) == 1 else "the outcome is at one end of its range"


def _label(design: Design, value: float) -> Any:
    if design.levels:
        return design.levels[int(value)]
    if design.success_level is None:
        return f"{value:g}"
    return design.success_level if value == 1.0 else f"other than {design.success_level}"


def _quoted(name: str) -> str:
    return f"`{name}`"


def _running_off(fitted: FittedModel) -> str:
    """The entry of theta of which the data tell least, on the scale of the predictors."""
    design, layout = fitted.design, fitted.problem.layout
    if not np.isfinite(fitted.information).all():
        return ""
    reach = np.ones(layout.size)
    if not design.is_streamed:
        with jax.enable_x64(True):
            for where, columns in zip(layout.by_predictor, own_rows(fitted).X, strict=True):
                reach[where] = np.maximum(np.abs(np.asarray(columns)).max(1), 1e-300)
    weakest = int(np.argmax(np.abs(np.linalg.eigh(fitted.information / np.outer(reach, reach))[1][:, 0])))
    others = (*fitted.problem.family.plain.phi_names[: layout.n_phi], *design.zi_fixed_names, *design.dispersion_names)
    if weakest < layout.p:
        name = _quoted(design.fixed_names[weakest])
    elif weakest < layout.random.stop:
        name = f"the variances of the random effects ({', '.join(design.random_names)})"
    else:
        name = _quoted((design.levels and "the thresholds") or others[weakest - layout.random.stop])
    return f"The data tell least of {name}: leave it out, hold it with initial_values from a simpler model, or take penalized=True."
