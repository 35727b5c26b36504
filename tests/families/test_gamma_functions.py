"""log Gamma, its ratios and their derivatives against mpmath: values and four derivatives over the range of arguments, in both precisions.

The error allowed is rounding, and the first term that Stirling's series leaves out, which bounds its error for any positive argument.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp

from glmmjax.families.gamma_functions import (
    log_gamma,
    log_gamma_excess,
    log_gamma_excess_exp,
    log_rising,
    log_rising_exp,
)

pytestmark = pytest.mark.usefixtures("compile_quickly")

HIGHEST = 4  # what the Hessian of a Laplace likelihood takes of a density
B_18 = 43867 / 798  # of the first term left out
SHIFT = 7.0  # the smallest argument of the series
ROUNDINGS = 32
COUNTS = (0.0, 1.0, 2.0, 5.0, 60.0, 1e4)
STIRLING = ((1,), (1, 1), (1, 3, 1), (1, 7, 6, 1))  # of the second kind, from which derivatives in a logarithm follow
POINTS = np.r_[np.logspace(-6.0, 8.0, 57), 1.4616321449683623, 6.9, 7.0, 7.1, 13.999, 14.0].astype(np.float32)
LOGS = np.r_[np.linspace(-30.0, 17.5, 41), -0.3, 1.7, 1.9, 2.0].astype(np.float32)


def of_gamma(x):
    return [mp.loggamma(x), *(mp.psi(k, x) for k in range(HIGHEST))]


def of_excess(x):
    return [a - b for a, b in zip(of_gamma(x), (x * mp.log(x) - x, mp.log(x), 1 / x, -1 / x**2, 2 / x**3), strict=True)]


def of_rising(a, n):
    return [above - below for above, below in zip(of_gamma(a + mp.mpf(n)), of_gamma(a), strict=True)]


def in_logarithm(derivatives, a):
    """Derivatives in log a from those in a."""
    return [derivatives[0], *(sum(s * a**j * derivatives[j] for j, s in enumerate(row, start=1)) for row in STIRLING)]


CASES: dict[str, tuple[Any, Any, np.ndarray]] = {  # function, its exact derivatives, arguments
    "gamma": (log_gamma, of_gamma, POINTS),
    "excess": (log_gamma_excess, of_excess, POINTS),
    "excess_exp": (log_gamma_excess_exp, lambda x: in_logarithm(of_excess(mp.exp(x)), mp.exp(x)), LOGS),
    **{f"rising_{n:g}": (functools.partial(log_rising, n=n), functools.partial(of_rising, n=n), POINTS) for n in COUNTS},
    **{
        f"rising_exp_{n:g}": (functools.partial(log_rising_exp, n=n), lambda x, n=n: in_logarithm(of_rising(mp.exp(x), n), mp.exp(x)), LOGS)
        for n in COUNTS
    },
}


@functools.cache
def exact(name):
    """(1 + HIGHEST, m), rounded to float64."""
    _, derivatives, points = CASES[name]
    with mp.workdps(80):
        return np.array([[float(d) for d in derivatives(mp.mpf(float(x)))] for x in points]).T


def orders(function, x):
    """Derivatives of orders 0 to HIGHEST by forward mode over forward mode."""
    found = lambda t: (function(t),)  # noqa: E731
    for _ in range(HIGHEST):
        found = functools.partial(_with_next, found)
    return found(x)


def _with_next(found, t):
    values, slopes = jax.jvp(found, (t,), (jnp.ones_like(t),))
    return (*values, slopes[-1])


def left_out(name):
    """(1 + HIGHEST, m) the first term that the series leaves out, at the two arguments of a ratio."""
    points = CASES[name][2].astype(float)
    a = np.exp(points) if "exp" in name else points
    at = np.maximum(SHIFT, a)
    terms = [2.0 * B_18 * math.factorial(16 + k) / math.factorial(18) / at ** (17 + k) for k in range(1 + HIGHEST)]
    return np.array(in_logarithm(terms, a) if "exp" in name else terms)


def rounding(name, exact):
    """(1 + HIGHEST, m) the size of what is summed, whose rounding errors remain."""
    points = CASES[name][2].astype(float)
    if name.startswith("rising_exp"):  # n log a, and n from there on
        n = float(name.rsplit("_", 1)[1])
        return np.maximum(np.abs(exact), np.stack([n * np.maximum(1.0, np.abs(points)), *[np.full(points.shape, n)] * HIGHEST]))
    if "exp" in name:
        return np.maximum(np.abs(exact), 1.0)
    first = np.maximum(1.0, points) if name == "excess" else np.ones_like(points)
    return np.maximum(np.abs(exact), np.stack([first, np.ones_like(points), *[np.zeros_like(points)] * (HIGHEST - 1)]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_value_and_four_derivatives(name, dtype):
    function, _, points = CASES[name]
    with jax.enable_x64(dtype is np.float64):
        found = np.array(orders(function, jnp.asarray(points, dtype)))
    assert found.dtype == dtype
    allowed = ROUNDINGS * np.finfo(dtype).eps * rounding(name, exact(name)) + left_out(name)
    worst = np.abs(found - exact(name)) / np.maximum(allowed, np.finfo(dtype).tiny)
    assert worst.max() <= 1.0, [(order, points[row.argmax()], row.max()) for order, row in enumerate(worst)]


@pytest.mark.parametrize("x", [-700.0, 200.0, 700.0])
def test_derivatives_in_a_logarithm_stay_finite_where_powers_leave_the_format(x):
    with jax.enable_x64(True):
        rising = np.array(orders(functools.partial(log_rising_exp, n=3.0), jnp.array(x)))
    expected = [3.0 * x, 3.0] if x > 0 else [x + math.log(2.0), 1.0]  # log a^3, and log(a 1 2)
    np.testing.assert_allclose(rising, [*expected, 0.0, 0.0, 0.0], rtol=1e-14, atol=1e-14)


def test_a_program_with_four_derivatives_evaluates_the_series_once():
    """A rule that gave one order and called itself for the next would evaluate it sixteen times."""
    with jax.enable_x64(True):
        program = jax.make_jaxpr(functools.partial(orders, functools.partial(log_rising_exp, n=3.0)))(jnp.ones(5))
    assert str(program).count("platform_index") == 1
