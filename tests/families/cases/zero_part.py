"""Zero-inflated and hurdle families."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.special
import scipy.stats

from glmmjax.families.hurdle_beta import HurdleBeta
from glmmjax.families.hurdle_gamma import HurdleGamma
from glmmjax.families.hurdle_lognormal import HurdleLognormal
from glmmjax.families.hurdle_negative_binomial import HurdleNegativeBinomial
from glmmjax.families.hurdle_poisson import HurdlePoisson
from glmmjax.families.zero_inflated_beta_binomial import ZeroInflatedBetaBinomial
from glmmjax.families.zero_inflated_binomial import ZeroInflatedBinomial
from glmmjax.families.zero_inflated_negative_binomial import ZeroInflatedNegativeBinomial
from glmmjax.families.zero_inflated_poisson import ZeroInflatedPoisson
from tests.families.cases.plain import BELOW_ZERO, PROBABILITY
from tests.families.cases.row import Row, counts, proportions

__all__ = ["ROWS"]

Density = Callable[..., np.ndarray]  # log density of ``(y, mu, phi)``
Inverse = Callable[[np.ndarray], np.ndarray]

TRIALS = 7
MEAN: dict[str, Inverse] = {"log": np.exp, "sqrt": np.square, "inverse": np.reciprocal, "identity": lambda eta: eta}


def _zero_inflated(part: Density, inverse: Inverse) -> Density:
    def reference(y, eta, phi, eta_zi):
        pi = scipy.special.expit(eta_zi)
        return np.log(np.where(y == 0, pi, 0.0) + (1.0 - pi) * np.exp(part(y, inverse(eta), phi)))

    return reference


def _hurdle(part: Density, inverse: Inverse) -> Density:
    """``part`` has its mass or density on y > 0, which it may share with zeros that are taken out here."""

    def reference(y, eta, phi, eta_zi):
        pi, mu = scipy.special.expit(eta_zi), inverse(eta)
        inside = np.where(y == 0, 0.5, y)
        positive = (1.0 - pi) * np.exp(part(inside, mu, phi))
        return np.log(np.where(y == 0, pi, positive))

    return reference


def _without_zero(part: Density) -> Density:
    return lambda y, mu, phi: part(np.ceil(y), mu, phi) - np.log(-np.expm1(part(0.0, mu, phi)))


def poisson(y, mu, phi):
    return scipy.stats.poisson.logpmf(y, mu)


def negative_binomial(y, mu, phi):
    return scipy.stats.nbinom.logpmf(y, phi[0], phi[0] / (phi[0] + mu))


def binomial(s, mu, phi):
    return scipy.stats.binom.logpmf(s, TRIALS, mu)


def beta_binomial(s, mu, phi):
    return scipy.stats.betabinom.logpmf(s, TRIALS, mu * phi[0], (1.0 - mu) * phi[0])


def bernoulli(y, mu, phi):
    return scipy.stats.bernoulli.logpmf(y, mu)


def lognormal(y, mu, phi):
    return scipy.stats.lognorm.logpdf(y, phi[0], scale=np.exp(mu))


def beta(y, mu, phi):
    return scipy.stats.beta.logpdf(y, mu * phi[0], (1.0 - mu) * phi[0])


def gamma(y, mu, phi):
    return scipy.stats.gamma.logpdf(y, phi[0], scale=mu / phi[0])


def _counts(family: type, link: str, reference: Density, phi: tuple[float, ...] = ()) -> Row:
    return Row(
        family=family(link),
        reference=reference,
        y=(0.0, 1.0, 4.0, 30.0),
        phi=phi,
        eta=(-1.5, -0.3, 0.4, 1.3) if link == "log" else (0.2, 0.9, 1.7, 3.0),
        atoms=counts(),
        bad=(-1.0, 0.5),
        beta=(0.8, 0.4) if link == "log" else (3.0, 0.5),
        deviation=0.6 if link == "log" else 0.3,
    )


def _successes(family: type, link: str, reference: Density, phi: tuple[float, ...] = ()) -> Row:
    return Row(
        family=family(link),
        reference=reference,
        y=(0.0, 3.0, 6.0, 7.0),
        phi=phi,
        eta=BELOW_ZERO if link == "log" else (-1.5, -0.3, 0.4, 1.3),
        atoms=tuple(np.arange(TRIALS + 1.0)),
        columns=proportions(TRIALS),
        bad=(-1.0, 0.5, 8.0),
        beta=(-2.0, 0.3) if link == "log" else (0.3, 0.5),
        deviation=0.2 if link == "log" else 0.6,
    )


def _measurements(family: type, link: str, reference: Density, phi: tuple[float, ...]) -> Row:
    return Row(
        family=family(link),
        reference=reference,
        y=(0.0, 0.02, 0.7, 3.0, 20.0),
        phi=phi,
        eta=(0.3, 0.6, 1.1, 2.0) if link == "inverse" else (-1.5, -0.3, 0.4, 1.3),
        atoms=(0.0,),
        interval=(0.0, np.inf),
        beta=(2.0, 0.3) if link == "inverse" else (0.3, 0.5),
        deviation=0.3 if link == "inverse" else 0.6,
    )


def _proportions(family: type, link: str, reference: Density, phi: tuple[float, ...]) -> Row:
    return Row(
        family=family(link),
        reference=reference,
        y=(0.0, 0.02, 0.3, 0.7, 0.99),
        phi=phi,
        eta=(-1.5, -0.7, -0.2, 0.3),  # a mean close to 1 has mass within a rounding error of 1
        atoms=(0.0,),
        interval=(0.0, 1.0),
        bad=(-0.1, 1.0, 1.5),
    )


def _names(family: type) -> list[str]:
    return [link().name for link in family.links]  # type: ignore[attr-defined]


ROWS: list[Row] = [
    Row(
        family=ZeroInflatedBinomial(),
        reference=_zero_inflated(bernoulli, scipy.special.expit),
        y=(0.0, 1.0),
        atoms=(0.0, 1.0),
        bad=(-1.0, 0.5, 2.0),
    ),
    *(_counts(ZeroInflatedPoisson, link, _zero_inflated(poisson, MEAN[link])) for link in _names(ZeroInflatedPoisson)),
    *(
        _counts(ZeroInflatedNegativeBinomial, link, _zero_inflated(negative_binomial, MEAN[link]), phi=(0.6,))
        for link in _names(ZeroInflatedNegativeBinomial)
    ),
    *(_successes(ZeroInflatedBinomial, link, _zero_inflated(binomial, PROBABILITY[link])) for link in _names(ZeroInflatedBinomial)),
    *(
        _successes(ZeroInflatedBetaBinomial, link, _zero_inflated(beta_binomial, PROBABILITY[link]), phi=(1.2,))
        for link in _names(ZeroInflatedBetaBinomial)
    ),
    *(_counts(HurdlePoisson, link, _hurdle(_without_zero(poisson), MEAN[link])) for link in _names(HurdlePoisson)),
    *(
        _counts(HurdleNegativeBinomial, link, _hurdle(_without_zero(negative_binomial), MEAN[link]), phi=(0.6,))
        for link in _names(HurdleNegativeBinomial)
    ),
    *(_measurements(HurdleLognormal, link, _hurdle(lognormal, MEAN[link]), phi=(-0.5,)) for link in _names(HurdleLognormal)),
    *(_measurements(HurdleGamma, link, _hurdle(gamma, MEAN[link]), phi=(0.6,)) for link in _names(HurdleGamma)),
    *(_proportions(HurdleBeta, link, _hurdle(beta, PROBABILITY[link]), phi=(1.8,)) for link in _names(HurdleBeta)),
]
