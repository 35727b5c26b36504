"""Binomial and Poisson outcomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special
import scipy.stats

from glmmjax.families import Binomial, Poisson
from tests.families.cases.row import Row, counts, proportions

__all__ = ["ROWS"]

BELOW_ZERO = (-1.5, -0.9, -0.4, -0.2)  # the log link of a probability

PROBABILITY = {
    "logit": scipy.special.expit,
    "probit": scipy.stats.norm.cdf,
    "cloglog": lambda eta: -np.expm1(-np.exp(eta)),
    "cauchit": scipy.stats.cauchy.cdf,
    "log": np.exp,
}
MEAN: dict[str, Any] = {"log": np.exp, "sqrt": np.square, "identity": lambda eta: eta}


def _bernoulli(link: str) -> Row:
    return Row(
        family=Binomial(link),
        reference=lambda y, eta, phi: scipy.stats.bernoulli.logpmf(y, PROBABILITY[link](eta)),
        y=(0.0, 1.0),
        eta=BELOW_ZERO if link == "log" else (-1.5, -0.3, 0.4, 1.3),
        atoms=(0.0, 1.0),
        bad=(-1.0, 0.5, 2.0),
        beta=(-2.0, 0.3) if link == "log" else (0.3, 0.5),
        deviation=0.2 if link == "log" else 0.6,
    )


def _trials(link: str) -> Row:
    return _bernoulli(link)._replace(
        reference=lambda y, eta, phi: scipy.stats.binom.logpmf(y, 7, PROBABILITY[link](eta)),
        y=(0.0, 3.0, 6.0, 7.0),
        atoms=tuple(np.arange(8.0)),
        columns=proportions(7),
        bad=(-1.0, 0.5, 8.0),
    )


def _poisson(link: str) -> Row:
    return Row(
        family=Poisson(link),
        reference=lambda y, eta, phi: scipy.stats.poisson.logpmf(y, MEAN[link](eta)),
        y=(0.0, 1.0, 4.0, 30.0),
        eta=(-1.5, -0.3, 0.4, 1.3) if link == "log" else (0.2, 0.9, 1.7, 3.0),
        atoms=counts(),
        bad=(-1.0, 0.5),
        beta=(0.3, 0.5) if link == "log" else (3.0, 0.5),
        deviation=0.6 if link == "log" else 0.3,
    )


ROWS = [
    *(_bernoulli(link().name) for link in Binomial.links),
    *(_trials(link().name) for link in Binomial.links),
    *(_poisson(link().name) for link in Poisson.links),
]
