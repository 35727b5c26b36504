"""Log densities in NumPy, written from the textbook and not from the package: what the package is judged by.

Each takes outcomes (n, 1), the predictor (n, nodes), the extra parameters on their free scale, and the predictor of the zero part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import betaln, expit, gammaln, log_expit

__all__ = ["DENSITIES", "N_TRIALS"]

N_TRIALS = 12
_MOST = 700.0  # of an exponent
_TINY = 1e-300

Array = Any
Density = Callable[[Array, Array, Array, Array], Array]


def _softplus(x: Array) -> Array:
    # faster than logaddexp(0, x), and as exact
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _binomial(y: Array, eta: Array, phi: Array, zero: Array) -> Array:
    return y * eta - _softplus(eta)


def _trials(y: Array, eta: Array, phi: Array, zero: Array) -> Array:
    return gammaln(N_TRIALS + 1) - gammaln(y + 1) - gammaln(N_TRIALS - y + 1) + y * eta - N_TRIALS * _softplus(eta)


def _poisson(y: Array, eta: Array, phi: Array, zero: Array) -> Array:
    return y * eta - np.exp(np.minimum(eta, _MOST)) - gammaln(y + 1)


def _zero_inflated_poisson(y: Array, eta: Array, phi: Array, zero: Array) -> Array:
    seen = log_expit(-zero) + _poisson(y, eta, phi, zero)
    return np.where(y == 0, np.logaddexp(log_expit(zero), seen), seen)


def _negative_binomial(y: Array, eta: Array, phi: Array, zero: Array) -> Array:
    size, least = np.exp(phi[0]), np.maximum(y, 1)
    rising = np.where(y > 0, gammaln(least) - betaln(size, least), 0.0)  # log Gamma(size + y) - log Gamma(size)
    return rising - gammaln(y + 1) + y * (eta - phi[0]) - (size + y) * _softplus(eta - phi[0])


def _hurdle_negative_binomial(y: Array, eta: Array, phi: Array, zero: Array) -> Array:
    log_none = -np.exp(phi[0]) * _softplus(eta - phi[0])
    some = np.log(-np.expm1(np.minimum(log_none, -_TINY)))
    return np.where(y == 0, log_expit(zero), log_expit(-zero) + _negative_binomial(y, eta, phi, zero) - some)


def _gaussian(y: Array, eta: Array, phi: Array, zero: Array) -> Array:
    return -0.5 * ((y - eta) * np.exp(-phi[0])) ** 2 - phi[0] - 0.5 * np.log(2 * np.pi)


def _student_t(y: Array, eta: Array, phi: Array, zero: Array) -> Array:
    r = (y - eta) * np.exp(-phi[0])  # 4 degrees of freedom
    return gammaln(2.5) - gammaln(2.0) - 0.5 * np.log(4 * np.pi) - phi[0] - 2.5 * np.log1p(r * r / 4)


def _gamma(y: Array, eta: Array, phi: Array, zero: Array) -> Array:
    shape = np.exp(phi[0])
    return shape * (phi[0] + np.log(y) - eta) - shape * np.exp(np.minimum(np.log(y) - eta, _MOST)) - np.log(y) - gammaln(shape)


def _beta(y: Array, eta: Array, phi: Array, zero: Array) -> Array:
    precision = np.exp(phi[0])
    a, b = np.maximum(precision * expit(eta), _TINY), np.maximum(precision * expit(-eta), _TINY)
    return gammaln(precision) - gammaln(a) - gammaln(b) + (a - 1) * np.log(y) + (b - 1) * np.log1p(-y)


def _cumulative(y: Array, eta: Array, phi: Array, zero: Array) -> Array:
    cuts = np.concatenate([[-np.inf], np.cumsum(np.concatenate([phi[:1], np.exp(phi[1:])])), [np.inf]])
    level = y.astype(int)
    low, high = cuts[level] - eta, cuts[level + 1] - eta
    inner = np.isfinite(low) & np.isfinite(high)
    width = np.where(inner, np.minimum(np.where(inner, low - high, -1.0), -_TINY), -1.0)
    return log_expit(-low) + log_expit(high) + np.where(inner, np.log(-np.expm1(width)), 0.0)


# Conway-Maxwell-Poisson and Tweedie densities are sums that tests/families compares with mpmath; here they have none
DENSITIES: dict[str, Density] = {
    "binomial": _binomial,
    "trials": _trials,
    "poisson": _poisson,
    "zero_inflated_poisson": _zero_inflated_poisson,
    "negative_binomial": _negative_binomial,
    "hurdle_negative_binomial": _hurdle_negative_binomial,
    "gaussian": _gaussian,
    "student_t": _student_t,
    "gamma": _gamma,
    "beta": _beta,
    "cumulative": _cumulative,
}
