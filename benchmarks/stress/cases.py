"""A data set as a function of (seed, index), with its formulas, its truth, and the two scales of its covariate."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import glmmjax as gj
from benchmarks.stress.densities import N_TRIALS
from benchmarks.stress.grid import GRID, N_EFFECTS, SHAPES, STRUCTURE_WEIGHTS, family_of
from benchmarks.stress.outcomes import OUTCOMES, ZERO_PART, Simulated

__all__ = ["Case", "Natural", "case", "lower", "triple_of"]

Array = Any
_RANDOM = {"q1": "~ 1 | id", "q1z": "~ 1 | id", "q2": "~ x | id", "q2d": "~ x || id", "q3": "~ x + w | id"}
_WITH_SLOPE = ("q2", "q2d", "q3")


class Natural(NamedTuple):
    """Parameters on the standardised covariate and on the outcome in units of its scale.

    Attributes
    ----------
    beta : (p,)
    chol : (q, q) lower factor of the covariance of the random effects
    phi : extra parameters of the family on their free scale
    gamma : coefficients of the zero part
    """

    beta: Array
    chol: Array
    phi: Array
    gamma: Array


@dataclasses.dataclass(frozen=True)
class Case:
    """One data set, on the standardised covariate x0 and on the one that is fitted, x = scale x0 + shift.

    Attributes
    ----------
    seed, index
    family, structure, shape : keys of the grid
    sd : standard deviation of the random intercept
    corr : correlation of the random effects
    intercept : of the predictor
    scale, shift : of the covariate that is fitted
    is_separated : whether separation was planted
    unit : of the outcome
    data : columns id, x, x0, w, y (and f)
    X : (n, 3) intercept, x0, w
    truth
    """

    seed: int
    index: int
    family: str
    structure: str
    shape: str
    sd: float
    corr: float
    intercept: float
    scale: float
    shift: float
    is_separated: bool
    unit: float
    data: pd.DataFrame
    X: Array
    truth: Natural

    @property
    def kind(self) -> Simulated:
        """The family's entry."""
        return OUTCOMES[self.family]

    @property
    def q(self) -> int:
        """Number of random effects."""
        return N_EFFECTS[self.structure]

    @property
    def slope(self) -> int:
        """Where the coefficient of x stands."""
        return 0 if self.kind.is_ordinal else 1

    @property
    def has_slope(self) -> bool:
        """Whether x has a random effect."""
        return self.structure in _WITH_SLOPE

    @property
    def fixed(self) -> str:
        """Outcome and fixed effects."""
        return "cbind(y, f) ~ x + w" if self.family == "trials" else "y ~ x + w"

    @property
    def random(self) -> str:
        """Random effects."""
        return _RANDOM[self.structure]

    @property
    def gj_family(self) -> str:
        """The name of the family in glmmjax."""
        return "binomial" if self.family == "trials" else self.family

    def fit(self, **changes: Any) -> gj.MixedModelResults:
        """The fit that is on trial."""
        given: dict[str, Any] = {"data": self.data, "family": self.gj_family}
        if self.kind.has_zero_part:
            given["zi_fixed"] = "~ 1"
        if self.structure == "q1z":
            given["zi_random"] = "~ 1 | id"
        return gj.mixed_model(self.fixed, self.random, **given | changes)

    def given(self, natural: Natural) -> dict[str, Array]:
        """``initial_values=`` of the fit."""
        beta, chol, phi, gamma = (np.array(part, float) for part in natural)
        if self.kind.unit == "identity":
            beta, chol = beta * self.unit, chol * self.unit
            phi[0] += np.log(self.unit)
        # the intercept, or the first threshold, takes the shift of the covariate
        moved = beta[self.slope] * self.shift / self.scale
        if self.kind.is_ordinal:
            phi[0] += moved
        else:
            beta[0] -= moved - (np.log(self.unit) if self.kind.unit == "log" else 0.0)
        beta[self.slope] /= self.scale
        if self.has_slope:
            change = np.eye(self.q)
            change[1, 1], change[0, 1] = 1 / self.scale, -self.shift / self.scale
            chol = lower(change @ chol)
        values = {"beta": beta, "chol": chol, "phi": phi, "gamma": gamma}
        return {name: value for name, value in values.items() if value.size or name in ("beta", "chol")}


def lower(root: Array) -> Array:
    """Lower factor of root root'."""
    upper: Any = np.linalg.qr(root.T, mode="r")
    return (upper * np.where(np.diagonal(upper) < 0, -1.0, 1.0)[:, None]).T


def triple_of(seed: int, index: int) -> tuple[str, str, str]:
    """(family, structure, shape) of a data set."""
    return _triple(np.random.default_rng([seed, index]), index)


def case(seed: int, index: int) -> Case:
    """The data set with this number."""
    r = np.random.default_rng([seed, index])
    family, structure, shape = _triple(r, index)
    kind, ids = OUTCOMES[family], _clusters(r, shape)
    sd = float(r.choice([0.0, 0.05, 0.7, 4.0], p=[0.2, 0.15, 0.4, 0.25]))
    corr = float(r.choice([0.0, 0.5, 0.97, -0.97]))
    is_rare = r.random() < 0.25
    is_separated = bool(kind.top is not None and r.random() < 0.08)
    scale, shift, X = _covariates(r, ids, structure)
    unit = float(r.choice([1.0, 1e-3, 1e3], p=[0.6, 0.2, 0.2])) if kind.unit else 1.0
    intercept = kind.intercept_if_rare if is_rare else kind.intercept
    beta, chol = np.array([intercept, 0.5, -0.4]), _chol(structure, sd, corr)
    b = (r.normal(size=(ids[-1] + 1, len(chol))) @ chol.T)[ids]
    in_zero_part = b[:, 1] if structure == "q1z" else 0.0
    inside = b[:, :1] if structure == "q1z" else b
    y, phi = kind.draw(r, X @ beta + (X[:, : inside.shape[1]] * inside).sum(1), in_zero_part)
    if is_separated:
        y = np.where(X[:, 2] == 1, kind.top, y)
    truth = Natural(beta, chol, np.array(phi), np.full(int(kind.has_zero_part), ZERO_PART))
    y = np.asarray(y, float) * unit
    if kind.is_ordinal:
        y = np.unique(y, return_inverse=True)[1]
        truth = truth._replace(phi=truth.phi[: int(y.max())], beta=beta[1:])
    frame = pd.DataFrame({"id": ids, "x": scale * X[:, 1] + shift, "x0": X[:, 1], "w": X[:, 2], "y": y})
    if family == "trials":
        frame["f"] = N_TRIALS - y
    return Case(seed, index, family, structure, shape, sd, corr, intercept, scale, shift, is_separated, unit, frame, X, truth)


def _triple(r: np.random.Generator, index: int) -> tuple[str, str, str]:
    family = family_of(index)
    structures = GRID[family]
    weights = np.array([STRUCTURE_WEIGHTS[name] for name in structures])
    structure = str(r.choice(list(structures), p=weights / weights.sum()))
    return family, structure, str(r.choice(structures[structure]))


def _clusters(r: np.random.Generator, shape: str) -> Array:
    """(n,) number of the cluster of each row; the first has the full length."""
    least, most, width = SHAPES[shape]
    m = int(r.integers(least, most + 1))
    sizes = np.full(m, width)
    if r.random() < 0.7:
        sizes = r.integers(1, width + 1, m)
        sizes[0] = width
    return np.repeat(np.arange(m), sizes)


def _covariates(r: np.random.Generator, ids: Array, structure: str) -> tuple[float, float, Array]:
    """(scale, shift, X): x0 is normal or a calendar year, w is binary (of rows or of clusters) or, with a random effect, normal."""
    n, m = len(ids), ids[-1] + 1
    kind = r.choice(["none", "scale", "year"], p=[0.6, 0.25, 0.15])
    scale, shift = 1.0, 0.0
    x0: Array = r.normal(size=n)
    if kind == "scale":
        scale = float(r.choice([1e-6, 1e-3, 1e3, 1e6]))
    if kind == "year" and structure != "q2d":  # independent effects are a model that a shift changes
        scale, shift = 6.0, 2010.0
        x0 = (r.integers(2000, 2021, n) - shift) / scale
    of_rows = structure == "q3" or r.random() < 0.5
    w = r.normal(size=n) if structure == "q3" else r.integers(0, 2, n if of_rows else m) * 1.0
    w = w if of_rows else w[ids]
    if np.ptp(w) == 0:
        w[: max(1, n // 2)] = 1 - w[0]
    return scale, shift, np.column_stack([np.ones(n), x0, w])


def _chol(structure: str, sd: float, corr: float) -> Array:
    """(q, q) lower factor of the true covariance."""
    q = N_EFFECTS[structure]
    correlation: Any = np.eye(q)
    if structure in ("q2", "q1z"):
        correlation[0, 1] = correlation[1, 0] = corr
    if structure == "q3":
        correlation = np.full((3, 3), abs(corr)) + (1 - abs(corr)) * np.eye(3)
        if corr < 0:
            flip = np.diag([1.0, -1.0, 1.0])
            correlation = flip @ correlation @ flip
    deviations = sd * np.array([1.0, 0.6, 0.6][:q])
    return deviations[:, None] * np.linalg.cholesky(correlation)
