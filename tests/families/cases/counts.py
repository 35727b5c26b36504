"""Counts and bounded counts with extra parameters, truncated counts, and the unit-Lindley distribution."""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats

from glmmjax.families.beta_binomial import BetaBinomial
from glmmjax.families.conway_maxwell_poisson import ConwayMaxwellPoisson
from glmmjax.families.generalized_poisson import GeneralizedPoisson
from glmmjax.families.negative_binomial import NegativeBinomial
from glmmjax.families.negative_binomial1 import NegativeBinomial1
from glmmjax.families.truncated_negative_binomial import TruncatedNegativeBinomial
from glmmjax.families.truncated_poisson import TruncatedPoisson
from glmmjax.families.unit_lindley import UnitLindley
from tests.families.cases.plain import PROBABILITY
from tests.families.cases.row import Row, counts, proportions

__all__ = ["ROWS"]

TRIALS = 7
COUNTS = (0.0, 1.0, 2.0, 4.0, 30.0)
POSITIVE = (1.0, 2.0, 3.0, 8.0, 30.0)


def _negative_binomial(y, eta, phi):
    return scipy.stats.nbinom.logpmf(y, phi[0], phi[0] / (phi[0] + np.exp(eta)))


def _negative_binomial1(y, eta, phi):
    return scipy.stats.nbinom.logpmf(y, np.exp(eta) / phi[0], 1.0 / (1.0 + phi[0]))


def _generalized_poisson(y, eta, phi):
    rate = 1.0 - 1.0 / np.sqrt(phi[0])
    theta = np.exp(eta) * (1.0 - rate)
    return np.log(theta) + (y - 1.0) * np.log(theta + rate * y) - theta - rate * y - scipy.special.gammaln(y + 1.0)


def _conway_maxwell_poisson(y, log_rate, phi, n=200):
    j = np.arange(n)[(..., *[None] * np.ndim(log_rate))]
    log_total = scipy.special.logsumexp(j * log_rate - phi[0] * scipy.special.gammaln(j + 1.0), axis=0)
    return y * log_rate - phi[0] * scipy.special.gammaln(y + 1.0) - log_total


def _conway_maxwell_poisson_of_mean(y, eta, phi):
    """By Brent's method on the mean, one predictor at a time."""
    j = np.arange(200.0)

    def log_rate(e):
        excess = lambda x: j @ np.exp(_conway_maxwell_poisson(j, x, phi)) - math.exp(e)  # noqa: E731
        return scipy.optimize.brentq(excess, -20.0, 20.0, xtol=1e-14, rtol=1e-14)

    return _conway_maxwell_poisson(y, np.vectorize(log_rate)(eta), phi)


def _without_zero(part):
    return lambda y, eta, phi: part(y, eta, phi) - np.log1p(-np.exp(part(0.0, eta, phi)))


def _poisson(y, eta, phi):
    return scipy.stats.poisson.logpmf(y, np.exp(eta))


def _unit_lindley(y, eta, phi):
    theta = np.exp(-eta)
    return 2.0 * np.log(theta) - np.log1p(theta) - 3.0 * np.log1p(-y) - theta * y / (1.0 - y)


def _counts(family, reference, phi: tuple[float, ...] = (), atoms: tuple[float, ...] = counts(), **changes) -> Row:
    return Row(family=family, reference=reference, y=COUNTS, phi=phi, atoms=atoms, bad=(-1.0, 0.5), beta=(0.8, 0.4))._replace(**changes)


def _beta_binomial(link: str, phi: float) -> Row:
    return Row(
        family=BetaBinomial(link),
        reference=lambda s, eta, phi: scipy.stats.betabinom.logpmf(
            s, TRIALS, PROBABILITY[link](eta) * phi[0], (1.0 - PROBABILITY[link](eta)) * phi[0]
        ),
        y=(0.0, 1.0, 3.0, 6.0, 7.0),
        phi=(phi,),
        atoms=tuple(np.arange(TRIALS + 1.0)),
        columns=proportions(TRIALS),
        bad=(-1.0, 0.5, 8.0),
    )


_FROM_ONE = counts()[1:]

ROWS: list[Row] = [
    _counts(NegativeBinomial(), _negative_binomial, (0.6,)),
    _counts(NegativeBinomial(), _negative_binomial, (4.0,)),
    _counts(NegativeBinomial1(), _negative_binomial1, (0.4,)),
    _counts(NegativeBinomial1(), _negative_binomial1, (-4.0,)),
    _counts(GeneralizedPoisson(), _generalized_poisson, (-0.5,)),
    _counts(GeneralizedPoisson(), _generalized_poisson, (-5.0,)),
    _counts(ConwayMaxwellPoisson(), _conway_maxwell_poisson_of_mean, (0.5,), counts(200), bad=(-1.0, 0.5, 200.0), deviation=0.4),
    _counts(ConwayMaxwellPoisson(), _conway_maxwell_poisson_of_mean, (-1.2,), counts(200), bad=(-1.0, 0.5, 200.0), deviation=0.4),
    _counts(
        ConwayMaxwellPoisson(of="rate", n_terms=101),
        lambda y, eta, phi: _conway_maxwell_poisson(y, eta, phi, 101),
        (0.5,),
        counts(101),
        bad=(-1.0, 0.5, 101.0),
        deviation=0.4,
    ),
    _counts(TruncatedPoisson(), _without_zero(_poisson), (), _FROM_ONE, y=POSITIVE, bad=(-1.0, 0.0, 1.5)),
    _counts(TruncatedNegativeBinomial(), _without_zero(_negative_binomial), (0.6,), _FROM_ONE, y=POSITIVE, bad=(-1.0, 0.0, 1.5)),
    _counts(TruncatedNegativeBinomial(), _without_zero(_negative_binomial), (-0.7,), _FROM_ONE, y=POSITIVE, bad=(-1.0, 0.0, 1.5)),
    *(_beta_binomial(link().name, phi) for link in BetaBinomial.links for phi in (1.2, 4.5)),
    Row(
        family=UnitLindley(),
        reference=_unit_lindley,
        y=(0.01, 0.2, 0.5, 0.7, 0.95),
        interval=(0.0, 1.0),
        bad=(-0.1, 0.0, 1.0, 1.2),
    ),
]
