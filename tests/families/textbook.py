"""Log densities as textbooks write them, for mpmath numbers: ``density(family)(y, eta, phi, *eta_zi)`` with ``phi`` on the free scale.

Nothing of the families' code is used, and nothing is rearranged against overflow: mpmath has no largest number, and the digits that a
difference loses are added to the precision.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from mpmath import mp

__all__ = ["density", "digits_lost"]

Density = Callable[..., Any]
# the parameter (its place in phi, and the sign of its logarithm) that makes the terms of a formula large, so that their differences lose
# digits; the other formulas lose none
LARGE: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("beta", "hurdle_beta", "ordered_beta", "gamma", "hurdle_gamma", "weibull"), (0, 1)),
    **dict.fromkeys(("tweedie", "inverse_gaussian"), (0, -1)),
    "student_t": (-1, 1),
}
WIDTH_DIGITS = 320  # of the ends of an interval of width exp(-700)


def density(family: Any) -> Density:
    """``log_density(y, eta, phi, *eta_zi)`` of a family with its link, at the working precision."""
    return functools.partial(FORMULAS[family.name], family)


def digits_lost(family: Any, phi: Any) -> int:
    """Decimal digits that cancel in the formula of a family, and in central differences of it."""
    if family.name not in LARGE:
        return 0
    place, sign = LARGE[family.name]
    return int(max(0.0, sign * phi[place]) / mp.log(10)) + 10


def with_narrow_intervals(formula):
    """With the digits that differences of close thresholds take."""

    @functools.wraps(formula)
    def precise(*arguments):
        with mp.workdps(mp.dps + WIDTH_DIGITS):
            return formula(*arguments)

    return precise


def log_gamma(x):
    """Kept, because the same argument comes with every predictor and every outcome."""
    return _log_gamma(x, mp.prec)


@functools.lru_cache(200_000)
def _log_gamma(x, precision):
    return mp.loggamma(x)


# ---- links: (mean, 1 - mean), each without cancellation, or their logarithms


def _normal(x):
    return log_normal_cdf(x), log_normal_cdf(-x)


def log_normal_cdf(x):
    """By the asymptotic series where the tail is far out: erfc of a huge number takes forever."""
    if x > 100:
        return -mp.exp(log_normal_cdf(-x)) if x < 1e4 else mp.mpf(0)
    if x > -100:
        return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)
    total, term, k = mp.mpf(0), mp.mpf(1), 0
    while abs(term) > mp.eps and k < 400:
        total, term, k = total + term, -term * (2 * k + 1) / x**2, k + 1
    return -(x**2) / 2 - mp.log(-x) - mp.log(2 * mp.pi) / 2 + mp.log(total)


def _log_minus_expm1(hazard):
    """log(1 - exp(-hazard)); mpmath's own fails for a number with more digits than it can count."""
    if hazard < 1e6:
        return mp.log(-mp.expm1(-hazard))
    return -mp.exp(-hazard) if hazard < 1e30 else mp.mpf(0)


LOG_PROBABILITIES: dict[str, Density] = {
    "logit": lambda eta: (-mp.log1p(mp.exp(-eta)), -mp.log1p(mp.exp(eta))),
    "probit": _normal,
    "cloglog": lambda eta: (_log_minus_expm1(mp.exp(eta)), -mp.exp(eta)),
    "cauchit": lambda eta: (mp.log(mp.atan2(1, -eta) / mp.pi), mp.log(mp.atan2(1, eta) / mp.pi)),
    "log": lambda eta: (eta, mp.log(-mp.expm1(eta))),
}
MEAN: dict[str, Density] = {
    "identity": lambda eta: eta,
    "log": mp.exp,
    "sqrt": lambda eta: eta**2,
    "inverse": lambda eta: 1 / eta,
    "logit": lambda eta: mp.exp(eta) / (1 + mp.exp(eta)),
}


def log_probabilities(family, eta):
    return LOG_PROBABILITIES[family.link.name](eta)


def mean(family, eta):
    return MEAN[family.link.name](eta)


# ---- counts


def log_rising(a, n):
    return _log_rising(a, int(n), mp.prec)


@functools.lru_cache(200_000)
def _log_rising(a, n, precision):
    return mp.log(mp.fprod(a + j for j in range(n)))


def poisson(family, y, eta, phi):
    mu = mean(family, eta)
    return y * mp.log(mu) - mu - log_gamma(y + 1)


def negative_binomial(family, y, eta, phi):
    mu, k = mean(family, eta), mp.exp(phi[0])
    return log_rising(k, y) - log_gamma(y + 1) + y * mp.log(mu / (k + mu)) - k * mp.log1p(mu / k)


def negative_binomial1(family, y, eta, phi):
    mu, alpha = mean(family, eta), mp.exp(phi[0])
    return log_rising(mu / alpha, y) - log_gamma(y + 1) + y * mp.log(alpha / (1 + alpha)) - mu / alpha * mp.log1p(alpha)


def generalized_poisson(family, y, eta, phi):
    rate = mp.exp(phi[0]) / (1 + mp.exp(phi[0]))
    theta = mp.exp(eta) / (1 + mp.exp(phi[0]))
    return mp.log(theta) + (y - 1) * mp.log(theta + rate * y) - theta - rate * y - log_gamma(y + 1)


def truncated(part):
    return lambda family, y, eta, phi: part(family, y, eta, phi) - mp.log(-mp.expm1(part(family, mp.mpf(0), eta, phi)))


def log_binomial(s, f):
    return log_gamma(s + f + 1) - log_gamma(s + 1) - log_gamma(f + 1)


def times(count, logarithm):
    """0 log 0 = 0."""
    return count * logarithm if count else mp.mpf(0)


def binomial(family, y, eta, phi):
    s, f = y if isinstance(y, tuple) else (y, 1 - y)
    log_mu, log_nu = log_probabilities(family, eta)
    return log_binomial(s, f) + times(s, log_mu) + times(f, log_nu)


def beta_binomial(family, y, eta, phi):
    s, f = y
    a, b = (mp.exp(phi[0] + x) for x in log_probabilities(family, eta))
    return log_binomial(s, f) + log_rising(a, s) + log_rising(b, f) - log_rising(mp.exp(phi[0]), s + f)


def conway_maxwell_poisson(family, y, eta, phi):
    nu = mp.exp(phi[0])
    j = range(family.n_terms)
    log_factorials = [log_gamma(mp.mpf(k + 1)) for k in j]

    def terms(log_rate):
        return [mp.exp(k * log_rate - nu * log_factorials[k]) for k in j]

    log_rate = eta
    if family.of == "mean":
        log_rate = log_rate_of_mean(family.n_terms, eta, nu, mp.prec)
    return y * log_rate - nu * log_gamma(y + 1) - mp.log(mp.fsum(terms(log_rate)))


@functools.lru_cache(10_000)
def log_rate_of_mean(n, log_mean, nu, precision):
    """By Newton's method inside a bracket."""
    close = mp.mpf(2) ** (20 - precision)
    with mp.workprec(2 * precision):  # variances are differences of moments that nearly cancel
        low, high = mp.mpf(-2000), nu * mp.log(n) + 1
        x = log_mean + (nu - 1) * mp.log1p(mp.exp(log_mean))
        for _ in range(200):
            t = [mp.exp(k * x - nu * log_gamma(mp.mpf(k + 1))) for k in range(n)]
            total = mp.fsum(t)
            first, second = (mp.fsum(k**p * term for k, term in enumerate(t)) / total for p in (1, 2))
            lacking = log_mean - mp.log(first)
            low, high = (x, high) if lacking > 0 else (low, x)
            step = lacking * first / (second - first**2)
            if abs(step) <= close * max(1, abs(x)):
                return x + step
            x = x + step if low < x + step < high else (low + high) / 2
    raise ArithmeticError(f"no rate for the mean exp({log_mean}) and nu = {nu}")


# ---- measurements


def normal(residual, log_sd):
    return -(residual**2) * mp.exp(-2 * log_sd) / 2 - log_sd - mp.log(2 * mp.pi) / 2


def gaussian(family, y, eta, phi):
    return normal(y - mean(family, eta), phi[0])


def student_t(family, y, eta, phi):
    nu = mp.exp(phi[1]) if family.df is None else mp.mpf(family.df)
    gammas = log_gamma((nu + 1) / 2) - log_gamma(nu / 2)
    return gammas - mp.log(nu * mp.pi) / 2 - phi[0] - (nu + 1) / 2 * mp.log1p((y - eta) ** 2 * mp.exp(-2 * phi[0]) / nu)


def lognormal(family, y, eta, phi):
    return normal(mp.log(y) - eta, phi[0]) - mp.log(y)


def gamma(family, y, eta, phi):
    k, mu = mp.exp(phi[0]), mean(family, eta)
    return k * mp.log(k * y / mu) - k * y / mu - mp.log(y) - log_gamma(k)


def inverse_gaussian(family, y, eta, phi):
    d, mu = mp.exp(phi[0]), mean(family, eta)
    return -((y / mu - 1) ** 2) / (2 * d * y) - mp.log(2 * mp.pi * d * y**3) / 2


def weibull(family, y, eta, phi):
    time, status = y if isinstance(y, tuple) else (y, mp.mpf(1))
    k = mp.exp(phi[0])
    t = k * (mp.log(time) - eta)
    return status * (phi[0] + t - mp.log(time)) - mp.exp(t)


def exponential(family, y, eta, phi):
    return weibull(family, y, eta, [mp.mpf(0)]) + (mp.log(y[0]) * 0 if isinstance(y, tuple) else 0)


def tweedie(family, y, eta, phi):
    d, above_1 = mp.exp(phi[0]), 1 / (1 + mp.exp(-phi[1]))
    p, mu = 1 + above_1, mp.exp(eta)
    from_mean = (y * mu ** (1 - p) / (1 - p) - mu ** (2 - p) / (2 - p)) / d
    if y == 0:
        return from_mean
    most = y ** (2 - p) / (d * (2 - p))
    if most > 1e18:  # the saddlepoint form; its relative error is of the order of 1 / most
        return from_mean - (y ** (2 - p) / (1 - p) - y ** (2 - p) / (2 - p)) / d - mp.log(2 * mp.pi * d * y**p) / 2
    alpha = (2 - p) / (p - 1)
    last = int(most + 30 * mp.sqrt(most) + 120)
    log_z = alpha * (mp.log(y) - mp.log(p - 1)) - (1 + alpha) * mp.log(d) - mp.log(2 - p)
    terms = [mp.exp(j * log_z - log_gamma(j + 1) - log_gamma(alpha * j)) for j in range(1, last)]
    return from_mean - mp.log(y) + mp.log(mp.fsum(terms))


# ---- proportions and levels


def beta_of(log_means, y, log_precision):
    log_mu, log_nu = log_means
    a, b = mp.exp(log_precision + log_mu), mp.exp(log_precision + log_nu)
    return (a - 1) * mp.log(y) + (b - 1) * mp.log1p(-y) - log_gamma(a) - log_gamma(b) + log_gamma(mp.exp(log_precision))


def beta(family, y, eta, phi):
    return beta_of(log_probabilities(family, eta), y, phi[0])


@with_narrow_intervals
def ordered_part(y, eta, phi):
    """Log probability of a 0, of a 1, or of a number in between."""
    first, second = (LOG_PROBABILITIES["logit"](eta - cut) for cut in (phi[1], phi[1] + mp.exp(phi[2])))
    if y == 0:
        return first[1]
    return second[0] if y == 1 else log_sub_exp(first, second)


def ordered_beta(family, y, eta, phi):
    inside = beta_of(LOG_PROBABILITIES["logit"](eta), y, phi[0]) if 0 < y < 1 else 0
    return ordered_part(y, eta, phi) + inside


def unit_lindley(family, y, eta, phi):
    theta = mp.exp(-eta)
    return 2 * mp.log(theta) - mp.log1p(theta) - 3 * mp.log1p(-y) - theta * y / (1 - y)


def log_sub_exp(larger, smaller):
    """log(P - Q) from (log P, log(1 - P)) and (log Q, log(1 - Q)), in the tail where both are small."""
    if smaller[0] > smaller[1]:
        larger, smaller = smaller[::-1], larger[::-1]
    return larger[0] + _log_minus_expm1(larger[0] - smaller[0])


@with_narrow_intervals
def cumulative(family, y, eta, phi):
    thresholds = [phi[0]]
    for log_distance in phi[1:]:
        thresholds.append(thresholds[-1] + mp.exp(log_distance))
    k = int(y)
    if k == 0:
        return log_probabilities(family, thresholds[0] - eta)[0]
    if k == len(thresholds):
        return log_probabilities(family, thresholds[-1] - eta)[1]
    return log_sub_exp(*(log_probabilities(family, thresholds[j] - eta) for j in (k, k - 1)))


@with_narrow_intervals
def censored_normal(family, y, eta, phi):
    r = (y[0] - eta) * mp.exp(-phi[0])
    if y[1] == 0:
        return normal(y[0] - eta, phi[0])
    if y[1] == 1:
        return log_normal_cdf(r)
    if y[1] == 2:
        return log_normal_cdf(-r)
    return log_sub_exp(_normal((y[2] - eta) * mp.exp(-phi[0])), _normal(r))


# ---- zero parts


def zero_inflated(part):
    def formula(family, y, eta, phi, eta_zi):
        count = y[0] if isinstance(y, tuple) else y
        log_pi, log_rest = LOG_PROBABILITIES["logit"](eta_zi)
        inside = log_rest + part(family, y, eta, phi)
        if count:
            return inside
        larger, smaller = max(log_pi, inside), min(log_pi, inside)
        return larger + mp.log1p(mp.exp(smaller - larger))

    return formula


def hurdle(part):
    def formula(family, y, eta, phi, eta_zi):
        log_pi, log_rest = LOG_PROBABILITIES["logit"](eta_zi)
        return log_rest + part(family, y, eta, phi) if y else log_pi

    return formula


FORMULAS: dict[str, Density] = {
    formula.__name__: formula
    for formula in (
        poisson, negative_binomial, negative_binomial1, generalized_poisson, binomial, beta_binomial, conway_maxwell_poisson, gaussian,
        student_t, lognormal, gamma, inverse_gaussian, weibull, exponential, tweedie, beta, ordered_beta, unit_lindley, cumulative,
        censored_normal,
    )
}  # fmt: skip
FORMULAS |= {f"truncated_{part.__name__}": truncated(part) for part in (poisson, negative_binomial)}
FORMULAS |= {f"zero_inflated_{part.__name__}": zero_inflated(part) for part in (poisson, negative_binomial, binomial, beta_binomial)}
FORMULAS |= {f"hurdle_{part.__name__}": hurdle(part) for part in (beta, gamma, lognormal)}
FORMULAS |= {f"hurdle_{part.__name__}": hurdle(truncated(part)) for part in (poisson, negative_binomial)}
