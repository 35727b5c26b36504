"""Every family where its predictor, its extra parameters and its outcomes are extreme, in both precisions, against mpmath.

The log density and its first two derivatives in eta and in one parameter at a time, over the product of their grids. Nothing is ever
NaN. Three rules say which cells are compared no further, and none is left out by name:

- a density so small (or large) that it drowns a unit of any other row in rounding is to drown it too; its derivatives are then free;
- where a family says that its density is held, or the outcome itself is too coarse for it (``HELD``), it is finite;
- a derivative beyond the same size is free.

Everything else agrees to ``TOLERANCE`` of the magnitude of the density, or of the derivative where that is larger, and to the rounding of
the product of an outcome and a parameter.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp

from glmmjax.families.conway_maxwell_poisson import ConwayMaxwellPoisson
from tests.families.cases.row import Row
from tests.families.test_families import ROWS, outcome, parameters, split
from tests.families.textbook import density, digits_lost

ETA = (-700.0, -50.0, -10.0, 0.0, 10.0, 50.0, 700.0)
PHI = (-700.0, -50.0, -5.0, 0.0, 5.0, 50.0, 700.0, 710.0)
SMALL = 2.0**-20  # exact in both precisions, like every number of the grids
DIGITS = 35  # that the differences keep
TOLERANCE = {"float64": (1e-9, 1e-9, 1e-9), "float32": (1e-4, 1e-4, 2e-3)}  # of the value and the two derivatives
DROWNING = 10.0  # a log density beyond this many times 1 / eps has no digit left for a unit
ORDERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))  # of the derivatives in (eta, parameter)
SPARSE = 11  # every so many cells are looked at in the fast run; it divides no grid
COLUMNS = (80, 896)  # two shapes for all grids, thinned and whole, so that an operation is compiled once for all families

ETA_OF_LINK = {
    "log": ETA, "logit": ETA, "probit": ETA, "cloglog": ETA, "cauchit": ETA,
    "identity": (-700.0, -10.0, 0.0, 0.5, 50.0, 700.0),
    "sqrt": (-700.0, -10.0, 0.5, 50.0, 700.0),
    "inverse": (SMALL, 0.5, 10.0, 50.0, 700.0),
}  # fmt: skip
BELOW_ZERO = (-700.0, -50.0, -10.0, -1.0, -SMALL * 16)


class Grid(NamedTuple):
    """The cells of one family: every array has one entry a cell."""

    y: np.ndarray
    x: np.ndarray  # (1 + n_parameters, cells): eta, phi, eta_zi
    moved: np.ndarray  # which row of x is varied beside eta
    exact: list[tuple[Any, ...]]  # true values in the order of ORDERS
    is_held: np.ndarray
    counts: np.ndarray  # sums of the columns of the outcome


def _eta(row: Row) -> tuple[float, ...]:
    family, link = row.family, row.family.link.name
    if getattr(family, "of", "rate") == "mean":
        return (-50.0, -10.0, 0.0, 4.0)  # a larger mean than the family's last count is held
    if link == "log" and family.has_trials:
        return BELOW_ZERO
    if link == "identity" and family.name.endswith("poisson"):
        return (SMALL, 0.5, 50.0, 700.0)
    return ETA_OF_LINK[link]


def _outcomes(row: Row) -> tuple[float, ...]:
    family = row.family
    if family.has_trials or family.is_binary or family.is_ordinal:
        return tuple(sorted({min(row.y), row.y[1], max(row.y)}))
    if family.is_discrete:
        return tuple(sorted({family.lowest, 1.0, min(1000.0, max(row.atoms)) if "conway" in family.name else 1000.0}))
    zeros = (0.0,) if 0.0 in row.atoms else ()
    if row.interval == (0.0, 1.0):
        return (*zeros, SMALL, 0.5, 1.0 - SMALL, *((1.0,) if 1.0 in row.atoms else ()))
    return (*zeros, SMALL, 1.0, 64.0 if family.name == "tweedie" else 1024.0) if min(row.y) >= 0 else (-1024.0, 0.0, 1.0)


def _phi(row: Row, j: int) -> tuple[float, ...]:
    """The grid of a parameter; a cutpoint and the first threshold are no logarithms, and a Tweedie power of 1 or 2 has no density."""
    names = row.family.phi_names
    if j >= len(names):
        return (-700.0, -50.0, 0.0, 50.0, 700.0)  # eta_zi
    if names[j] == "nu":
        return PHI[:5]  # with more, no count but the two next to the mean has a probability
    if names[j] == "power":
        return (-5.0, 0.0, 5.0)
    return PHI


def _log(y: float) -> float:
    return float(np.log(y)) if y > 0 else 0.0


def _tweedie_is_held(row: Row, y: float, x: np.ndarray) -> bool:
    power = 1.0 / (1.0 + np.exp(-x[2]))
    return max(power * (_log(y) - x[0]) if y else 0.0, (1.0 - power) * (x[0] - _log(y))) >= 50.0


# where the documentation of a family says that its density is held: (row, y, (eta, phi, eta_zi)) -> bool
HELD: dict[str, Callable[[Row, float, np.ndarray], bool]] = {
    "gaussian": lambda row, y, x: row.family.link.name == "log" and (x[0] >= 20.0 or x[1] < -17.0),
    "gamma": lambda row, y, x: row.family.link.name == "log" and _log(y) - x[0] >= 50.0,
    "inverse_gaussian": lambda row, y, x: row.family.link.name == "log" and _log(y) - x[0] >= 30.0,
    "exponential": lambda row, y, x: _log(y) - x[0] >= 50.0,
    "weibull": lambda row, y, x: np.exp(min(x[1], 700.0)) * (_log(y) - x[0]) >= 50.0,
    "tweedie": _tweedie_is_held,
    "unit_lindley": lambda row, y, x: x[0] < -500.0,
    "beta": lambda row, y, x: x[1] > 36.0,  # then the density of a proportion changes within its rounding
    "cumulative": lambda row, y, x: max(x[2:], default=0.0) > 50.0,
    "negative_binomial1": lambda row, y, x: x[0] > 500.0,
    "ordered_beta": lambda row, y, x: x[1] > 36.0 or x[3] > 50.0,
}
HELD["hurdle_beta"] = lambda row, y, x: y > 0 and HELD["beta"](row, y, x)
HELD["hurdle_gamma"] = lambda row, y, x: y > 0 and HELD["gamma"](row, y, x)


def _is_held(row: Row, y: float, x: np.ndarray) -> bool:
    rule = HELD.get(row.family.name)
    return rule is not None and bool(rule(row, y, x))


def _cells(row: Row) -> list[tuple[float, tuple[float, ...], int]]:
    base = parameters(row)
    cells = []
    for j in range(1, 1 + len(base)):
        for y, eta, value in itertools.product(_outcomes(row), _eta(row), _phi(row, j - 1)):
            cells.append((y, (eta, *base[: j - 1], value, *base[j:]), j))
    return cells or [(y, (eta,), 0) for y, eta in itertools.product(_outcomes(row), _eta(row))]


def _exact(row: Row, y: float, x: tuple[float, ...], moved: int) -> tuple[Any, ...]:
    """In the order of ``ORDERS``, by central differences: nine values of the density, which cost a third of what ``mp.diff`` takes."""
    f = density(row.family)
    columns = row.columns(np.asarray(y, float))
    seen = tuple(mp.mpf(float(c)) for c in columns) if isinstance(columns, tuple) else mp.mpf(y)
    n_phi = len(row.phi)
    lost = digits_lost(row.family, x[1 : 1 + n_phi])
    # a third derivative, which is the error of a first, has the size of the large parameter, and its third power in exp(k (log y - eta))
    digits = DIGITS + int(lost * (1.5 if row.family.name == "weibull" else 0.5))

    def moved_by(i, j):
        point = [mp.mpf(float(v)) for v in x]
        point[0] += i * change
        if moved:
            point[moved] += j * change
        return f(seen, point[0], point[1 : 1 + n_phi], *point[1 + n_phi :])

    with mp.workdps(lost + 2 * digits + DIGITS):
        change, steps = mp.mpf(10) ** -digits, (-1, 0, 1)
        v = {(i, j): moved_by(i, j) for i in steps for j in (steps if moved else (0,))}
        slope = lambda i, j: (v[i, j] - v[-i, -j]) / (2 * change)  # noqa: E731
        bend = lambda i, j: (v[i, j] - 2 * v[0, 0] + v[-i, -j]) / change**2  # noqa: E731
        if not moved:
            return (v[0, 0], slope(1, 0), mp.mpf(0), bend(1, 0), mp.mpf(0), mp.mpf(0))
        return (v[0, 0], slope(1, 0), slope(0, 1), bend(1, 0), (bend(1, 1) - bend(1, -1)) / 4, bend(0, 1))


@functools.cache
def _grid(index: int, stride: int) -> Grid:
    row = ROWS[index]
    cells = _cells(row)[::stride]
    y = np.array([y for y, _, _ in cells])
    held = np.array([_is_held(row, y, np.array(x)) for y, x, _ in cells])
    exact = [_exact(row, y, x, moved) for y, x, moved in cells]
    columns = row.columns(y)
    counts = np.sum(columns, axis=0) if isinstance(columns, tuple) else y
    return Grid(y, np.array([x for _, x, _ in cells]).T, np.array([moved for *_, moved in cells]), exact, held, counts)


def _computed(row: Row, grid: Grid) -> np.ndarray:
    """(len(ORDERS), cells) by automatic differentiation, in reverse mode and forward over it, as fits take them."""
    n = len(grid.y)
    fill = np.resize(np.arange(n), min(columns for columns in COLUMNS if columns >= n))
    y = outcome(row, grid.y[fill])
    x = [jnp.asarray(a[fill]) for a in grid.x]

    def total(x):
        value = row.family.log_density(y, x[0], *split(row, x[1:]))
        return value.sum(), value

    def slopes(direction):
        tangents = [jnp.full_like(a, float(k == direction)) for k, a in enumerate(x)]
        return jax.jvp(jax.grad(total, has_aux=True), (x,), (tangents,))

    (gradient, value), changes = slopes(0)[0], [slopes(k)[1][0] for k in range(len(x))]
    first, second = np.array(gradient, float), np.array(changes, float)  # (parameter, cells), (direction, parameter, cells)
    cell, moved = np.arange(len(fill)), grid.moved[fill]
    zero = np.where(moved > 0, 1.0, 0.0)
    values = [
        np.array(value, float), first[0], first[moved, cell] * zero, second[0, 0], second[0, moved, cell] * zero,
        second[moved, moved, cell] * zero,
    ]  # fmt: skip
    return np.array(values)[:, :n]


def _grids() -> list[Any]:
    """(row, stride): the whole grid of every family and link, and in the fast run a thinned one of the first row of a family."""
    seen, cases = set(), []
    for index, row in enumerate(ROWS):
        columns = tuple(np.ravel(row.columns(np.zeros(1))).tolist())
        key = (row.family, columns)
        if key not in seen:
            seen.add(key)
            name = f"{index}-{row.family.name}-{row.family.link.name}"
            cases.append(pytest.param(index, 1, id=name, marks=pytest.mark.slow))
            if all(type(ROWS[k].family) is not type(row.family) for k in range(index)):
                cases.append(pytest.param(index, SPARSE, id=f"{name}-thinned"))
    return cases


pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize(("index", "stride"), _grids())
def test_density_and_two_derivatives_at_the_limits(index, precision, stride):
    row, grid = ROWS[index], _grid(index, stride)
    with jax.enable_x64(precision == "float64"), np.errstate(all="ignore"):
        actual = _computed(row, grid)
    wrong = [
        f"y={grid.y[c]:g} x={grid.x[:, c]} d{ORDERS[k]}: {actual[k, c]:.12g}, not {mp.nstr(grid.exact[c][k], 12)}"
        for c in range(len(grid.y))
        for k in range(len(ORDERS))
        if not _agrees(actual[k, c], grid, c, k, precision)
    ]
    assert not wrong, f"{len(wrong)} of {actual.size} cells\n" + "\n".join(wrong[:40])


def _agrees(actual: float, grid: Grid, c: int, k: int, precision: str) -> bool:
    exact, format_ = grid.exact[c], np.finfo(precision)
    value = exact[0]
    if np.isnan(actual):
        return False
    if grid.is_held[c]:
        return bool(np.isfinite(actual)) or abs(value) > float(format_.max)
    if abs(value) > DROWNING / format_.eps:
        return k > 0 or bool(actual * mp.sign(value) > 1.0 / (DROWNING * format_.eps))
    if abs(exact[k]) > DROWNING / format_.eps:
        return k > 0
    rounding = 4.0 * format_.eps * np.abs(grid.counts[c]) * np.abs(grid.x[:, c]).max()
    scale = max(1, abs(value), abs(exact[k]))
    return bool(np.isfinite(actual)) and abs(mp.mpf(actual) - exact[k]) <= TOLERANCE[precision][sum(ORDERS[k])] * scale + abs(rounding)


@pytest.mark.parametrize("log_nu", [5.0, 6.0, 8.0])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_conway_maxwell_poisson_of_mean_one_has_equal_neighbours(precision, log_nu):
    """With a large nu only 0, 1 and 2 have mass, and a mean of 1 makes that of 0 and 2 equal: 2^(-nu / 2) of that of 1."""
    with jax.enable_x64(precision == "float64"):
        family, half = ConwayMaxwellPoisson(), -0.5 * np.exp(log_nu) * np.log(2.0)
        density = family.log_density(jnp.arange(3.0), jnp.zeros(3), jnp.array([log_nu]))
        np.testing.assert_allclose(density, [half, 0.0, half], rtol=TOLERANCE[precision][0], atol=1e-10)
