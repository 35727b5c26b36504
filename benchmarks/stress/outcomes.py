"""How each family draws its outcomes, and what its extra parameters then are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from benchmarks.stress.densities import N_TRIALS

__all__ = ["OUTCOMES", "ZERO_PART", "Simulated"]

_MOST = 12.0  # of the predictor of a count, so that counts can be drawn
ZERO_PART = -0.8  # intercept of the zero part, a logit

Random = np.random.Generator
Draw = Callable[[Random, Any, Any], tuple[Any, list[float]]]


class Simulated(NamedTuple):
    """A family of the campaign.

    Attributes
    ----------
    draw : (generator, eta, predictor of the zero part) to outcomes and the extra parameters on their free scale
    intercept : of the predictor
    intercept_if_rare : where the outcome is rare
    top : the largest outcome of a row that separation pushes up; 0 where it is pushed down, None where it is not planted
    unit : how the outcome's unit enters: "identity", "log", or "" where it has none
    has_zero_part
    is_ordinal
    """

    draw: Draw
    intercept: float = 0.3
    intercept_if_rare: float = -4.0
    top: int | None = None
    unit: str = ""
    has_zero_part: bool = False
    is_ordinal: bool = False


def _binomial(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    return r.random(len(eta)) < expit(eta), []


def _trials(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    return r.binomial(N_TRIALS, expit(eta)), []


def _poisson(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    return r.poisson(np.exp(np.minimum(eta, _MOST))), []


def _negative_binomial(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    size = float(r.choice([0.5, 2.0, 50.0]))
    return r.poisson(r.gamma(size, np.exp(np.minimum(eta, _MOST)) / size)), [np.log(size)]


def _gaussian(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    return eta + r.normal(size=len(eta)), [0.0]


def _student_t(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    return eta + r.standard_t(4, len(eta)), [0.0]


def _gamma(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    return np.maximum(r.gamma(2.0, np.exp(np.clip(eta, -50, 50)) / 2.0), 1e-200), [np.log(2.0)]


def _beta(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    mean = expit(eta)
    drawn = r.beta(np.maximum(8 * mean, 1e-8), np.maximum(8 * (1 - mean), 1e-8))
    return np.clip(drawn, 1e-10, 1 - 1e-10), [np.log(8.0)]


def _cumulative(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    cuts = np.array([-1.5, 0.0, 1.5])
    return (r.random(len(eta))[:, None] > expit(cuts - eta[:, None])).sum(1), [-1.5, np.log(1.5), np.log(1.5)]


def _zero_inflated_poisson(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    extra = r.random(len(eta)) < expit(ZERO_PART + zero)
    return np.where(extra, 0, r.poisson(np.exp(np.minimum(eta, _MOST)))), []


def _hurdle_negative_binomial(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    extra, mean = r.random(len(eta)) < expit(ZERO_PART + zero), np.exp(np.minimum(eta, _MOST))
    y = r.poisson(r.gamma(2.0, mean / 2.0))
    for _ in range(200):
        again = y == 0
        y[again] = r.poisson(r.gamma(2.0, mean[again] / 2.0))
    return np.where(extra, 0, np.maximum(y, 1)), [np.log(2.0)]


def _conway_maxwell_poisson(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    return np.minimum(r.poisson(np.exp(np.minimum(eta, 3.5))), 190), [0.0]


def _tweedie(r: Random, eta: Any, zero: Any) -> tuple[Any, list[float]]:
    root = np.exp(0.5 * np.minimum(eta, 8.0))  # power 1.5, dispersion 1
    count = r.poisson(root / 0.5)
    return np.where(count > 0, root * 0.5 * r.gamma(np.maximum(count, 1)), 0.0), [0.0, 0.0]


OUTCOMES = {
    "binomial": Simulated(_binomial, top=1),
    "trials": Simulated(_trials, top=N_TRIALS),
    "poisson": Simulated(_poisson, top=0),
    "negative_binomial": Simulated(_negative_binomial, top=0),
    "gaussian": Simulated(_gaussian, 1.0, 1.0, unit="identity"),
    "student_t": Simulated(_student_t, 1.0, 1.0, unit="identity"),
    "gamma": Simulated(_gamma, 0.5, 0.5, unit="log"),
    "zero_inflated_poisson": Simulated(_zero_inflated_poisson, has_zero_part=True),
    "hurdle_negative_binomial": Simulated(_hurdle_negative_binomial, has_zero_part=True),
    "cumulative": Simulated(_cumulative, 0.0, 0.0, is_ordinal=True),
    "beta": Simulated(_beta, 0.0),
    "conway_maxwell_poisson": Simulated(_conway_maxwell_poisson, 0.5, 0.5),
    "tweedie": Simulated(_tweedie),
}
