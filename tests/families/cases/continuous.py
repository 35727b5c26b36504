"""Families of continuous outcomes, with scipy's densities and, for the Tweedie, the compound Poisson sum that defines it."""

from __future__ import annotations

import numpy as np
import scipy.special
import scipy.stats

from glmmjax.families.beta import Beta
from glmmjax.families.censored_normal import CensoredNormal
from glmmjax.families.exponential import Exponential
from glmmjax.families.gamma import Gamma
from glmmjax.families.gaussian import Gaussian
from glmmjax.families.inverse_gaussian import InverseGaussian
from glmmjax.families.lognormal import Lognormal
from glmmjax.families.student_t import StudentT
from glmmjax.families.tweedie import Tweedie
from glmmjax.families.weibull import Weibull
from tests.families.cases.row import Row

__all__ = ["ROWS"]

POSITIVE = (0.02, 0.4, 1.0, 2.7, 9.0)
REAL = (-6.0, -0.8, 0.0, 0.3, 5.0)
PROPORTIONS = (1e-4, 0.1, 0.5, 0.83, 0.999)
HALF_LINE = (0.0, np.inf)
LINE = (-np.inf, np.inf)
NO_POSITIVE = (-1.0, 0.0)
RECIPROCAL = (0.2, 0.5, 1.1, 2.4)  # of the mean
NEAR_ONE = (0.9, 0.3)  # intercept and slope for an inverse link whose predictor stays positive


def gamma(mean):
    return lambda y, eta, phi: scipy.stats.gamma.logpdf(y, a=phi[0], scale=mean(eta) / phi[0])


def inverse_gaussian(mean):
    return lambda y, eta, phi: scipy.stats.invgauss.logpdf(y, mu=mean(eta) * phi[0], scale=1.0 / phi[0])


def beta(mean):
    return lambda y, eta, phi: scipy.stats.beta.logpdf(y, mean(eta) * phi[0], mean(-eta) * phi[0])


def beta_cloglog(y, eta, phi):
    return scipy.stats.beta.logpdf(y, -np.expm1(-np.exp(eta)) * phi[0], np.exp(-np.exp(eta)) * phi[0])


def gaussian(mean):
    return lambda y, eta, phi: scipy.stats.norm.logpdf(y, mean(eta), phi[0])


def student_t(y, eta, phi, df=None):
    return scipy.stats.t.logpdf(y, phi[1] if df is None else df, eta, phi[0])


def lognormal(y, eta, phi):
    return scipy.stats.lognorm.logpdf(y, s=phi[0], scale=np.exp(eta))


def weibull(y, eta, phi):
    return scipy.stats.weibull_min.logpdf(y, c=phi[0], scale=np.exp(eta))


def exponential(y, eta, phi):
    return scipy.stats.expon.logpdf(y, scale=np.exp(eta))


def tweedie(y, eta, phi):
    y, eta = np.broadcast_arrays(y, eta)
    dispersion, p = phi
    mu = np.exp(eta)
    rate = mu ** (2 - p) / (dispersion * (2 - p))
    shape, scale = (2 - p) / (p - 1), dispersion * (p - 1) * mu ** (p - 1)
    j = np.arange(1.0, 400.0).reshape(-1, *(1,) * y.ndim)
    terms = scipy.stats.poisson.logpmf(j, rate) + scipy.stats.gamma.logpdf(np.where(y > 0, y, 1.0), j * shape, scale=scale)
    return np.where(y > 0, scipy.special.logsumexp(terms, axis=0), -rate)


def observed(y):
    """(value, status) of uncensored values."""
    return y, np.zeros_like(y)


def event(y):
    """(time, status) of uncensored times."""
    return y, np.ones_like(y)


def censored_time(y):
    """(time, status) of times that were exceeded."""
    return y, np.zeros_like(y)


def left(y):
    """(value, status) of values that are lower."""
    return y, np.ones_like(y)


def right(y):
    """(value, status) of values that are higher."""
    return y, 2.0 * np.ones_like(y)


def between(y):
    """(value, status, upper) of values in an interval of width 0.7."""
    return y, 3.0 * np.ones_like(y), y + 0.7


def normal_interval(y, eta, phi):
    low, high = (y - eta) / phi[0], (y + 0.7 - eta) / phi[0]
    low, high = np.where(low + high > 0, -high, low), np.where(low + high > 0, -low, high)
    return np.log(scipy.special.ndtr(high) - scipy.special.ndtr(low))


def weibull_survival(y, eta, phi):
    return scipy.stats.weibull_min.logsf(y, c=phi[0], scale=np.exp(eta))


def reciprocal(eta):
    return 1.0 / eta


ROWS: list[Row] = [
    Row(Gaussian(), gaussian(np.positive), REAL, phi=(-0.3,), interval=LINE, bad=(np.nan, np.inf)),
    Row(Gaussian("log"), gaussian(np.exp), REAL, phi=(-0.3,), interval=LINE, bad=(np.nan, np.inf), beta=(0.8, 0.5), deviation=0.4),
    Row(Gaussian("sqrt"), gaussian(np.square), REAL, phi=(-0.3,), interval=LINE, bad=(np.nan, np.inf), beta=(1.5, 0.3), deviation=0.3),
    Row(
        Gaussian("inverse"), gaussian(reciprocal), REAL, phi=(-1.3,), eta=(0.7, *RECIPROCAL[2:]), interval=LINE, bad=(np.nan, np.inf),
        beta=NEAR_ONE, deviation=0.1,
    ),
    Row(StudentT(), lambda y, eta, phi: student_t(y, eta, phi, 4.0), REAL, phi=(-0.3,), interval=LINE, bad=(np.nan, np.inf)),
    Row(StudentT(df=None), student_t, REAL, phi=(-0.3, 1.7), interval=LINE, bad=(np.nan, np.inf)),
    Row(Lognormal(), lognormal, POSITIVE, phi=(-0.4,), interval=HALF_LINE, bad=NO_POSITIVE),
    Row(Gamma(), gamma(np.exp), POSITIVE, phi=(0.8,), interval=HALF_LINE, bad=NO_POSITIVE),
    Row(
        Gamma("inverse"), gamma(reciprocal), POSITIVE, phi=(1.2,), eta=RECIPROCAL, interval=HALF_LINE, bad=NO_POSITIVE,
        beta=NEAR_ONE, deviation=0.1,
    ),
    Row(InverseGaussian(), inverse_gaussian(np.exp), POSITIVE, phi=(-0.6,), interval=HALF_LINE, bad=NO_POSITIVE),
    Row(
        InverseGaussian("inverse"), inverse_gaussian(reciprocal), POSITIVE, phi=(-0.6,), eta=RECIPROCAL, interval=HALF_LINE,
        bad=NO_POSITIVE, beta=NEAR_ONE, deviation=0.1,
    ),
    Row(Weibull(), weibull, POSITIVE, phi=(0.4,), interval=HALF_LINE, bad=NO_POSITIVE),
    Row(Weibull(), weibull, POSITIVE, phi=(0.4,), interval=HALF_LINE, columns=event, bad=NO_POSITIVE),
    Row(Exponential(), exponential, POSITIVE, interval=HALF_LINE, bad=NO_POSITIVE),
    Row(Exponential(), exponential, POSITIVE, interval=HALF_LINE, columns=event, bad=NO_POSITIVE),
    Row(CensoredNormal(), gaussian(np.positive), REAL, phi=(-0.3,), interval=LINE, columns=observed, bad=(np.nan, np.inf)),
    # censored outcomes: probabilities, not densities
    Row(CensoredNormal(), lambda y, eta, phi: scipy.stats.norm.logcdf(y, eta, phi[0]), REAL, phi=(-0.3,), columns=left, bad=()),
    Row(CensoredNormal(), lambda y, eta, phi: scipy.stats.norm.logsf(y, eta, phi[0]), REAL, phi=(-0.3,), columns=right, bad=()),
    Row(CensoredNormal(), normal_interval, REAL, phi=(-0.3,), columns=between, bad=()),
    Row(Weibull(), weibull_survival, POSITIVE, phi=(0.4,), columns=censored_time, bad=NO_POSITIVE),
    Row(
        Exponential(), lambda y, eta, phi: scipy.stats.expon.logsf(y, scale=np.exp(eta)), POSITIVE, columns=censored_time, bad=NO_POSITIVE,
    ),
    Row(Beta(), beta(scipy.special.expit), PROPORTIONS, phi=(1.9,), interval=(0.0, 1.0), bad=(-0.1, 0.0, 1.0)),
    Row(Beta("probit"), beta(scipy.special.ndtr), PROPORTIONS, phi=(1.9,), interval=(0.0, 1.0), bad=(-0.1, 0.0, 1.0)),
    Row(
        Beta("cloglog"), beta_cloglog, PROPORTIONS, phi=(1.9,), eta=(-1.5, -0.3, 0.4, 0.8), interval=(0.0, 1.0), bad=(-0.1, 0.0, 1.0),
    ),
    Row(Tweedie(), tweedie, (0.0, 0.02, 0.4, 1.0, 2.7, 9.0), phi=(0.1, 0.3), atoms=(0.0,), interval=HALF_LINE),
]  # fmt: skip
