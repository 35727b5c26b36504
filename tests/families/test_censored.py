"""Censored outcomes: probabilities in both tails and their derivatives, the three-column form, draws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from glmmjax.families.censored_normal import CensoredNormal
from glmmjax.families.tails import log_normal_cdf
from glmmjax.families.weibull import Weibull

pytestmark = pytest.mark.usefixtures("compile_quickly")

X = np.array([-300.0, -40.0, -12.01, -11.99, -5.0, -1.0, 0.0, 0.7, 3.0, 8.0])


@pytest.fixture(autouse=True)
def _in_float64():
    with jax.enable_x64(True):
        yield


def derivatives(f, x, order):
    for _ in range(order):
        f = functools.partial(slope, f)
    return np.asarray(f(jnp.asarray(x)))


def slope(f, x):
    return jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


def test_log_normal_cdf_is_that_of_scipy():
    np.testing.assert_allclose(derivatives(log_normal_cdf, X, 0), scipy.special.log_ndtr(X), rtol=1e-12)


@pytest.mark.slow
def test_log_normal_cdf_has_three_derivatives_in_both_tails():
    lower = X[X < 0]
    hazard = np.sqrt(2 / np.pi) / scipy.special.erfcx(-lower / np.sqrt(2))  # without cancellation
    np.testing.assert_allclose(derivatives(log_normal_cdf, lower, 1), hazard, rtol=1e-12)
    np.testing.assert_allclose(derivatives(log_normal_cdf, lower, 2), -hazard * (lower + hazard), rtol=2e-9, atol=1e-12)
    upper = np.array([3.0, 8.0, 20.0])
    density = scipy.stats.norm.pdf(upper)
    hazard = density / scipy.stats.norm.cdf(upper)
    np.testing.assert_allclose(derivatives(log_normal_cdf, upper, 1), hazard, rtol=1e-12)
    np.testing.assert_allclose(derivatives(log_normal_cdf, upper, 2), -hazard * (upper + hazard), rtol=1e-12)
    far = np.array([-3e11, -1e5])
    np.testing.assert_allclose(derivatives(log_normal_cdf, far, 2), -1.0, rtol=1e-9)
    np.testing.assert_allclose(derivatives(log_normal_cdf, far, 3), 0.0, atol=1e-10)


@pytest.mark.parametrize(("value", "upper"), [(-0.5, 0.5), (9.0, 9.5), (-31.0, -30.0), (30.0, 31.0), (0.2, 0.2 + 1e-7), (-50.0, 40.0)])
def test_interval_probability_is_exact_in_both_tails(value, upper):
    low, high = (-upper, -value) if value + upper > 0 else (value, upper)
    log_low, log_high = scipy.special.log_ndtr([low, high])
    width = upper - value
    # of a narrow interval, from its midpoint: Phi' times the width
    narrow = scipy.stats.norm.logpdf(0.5 * (value + upper)) + np.log(width)
    expected = narrow if width < 1e-6 else log_high + np.log(-np.expm1(log_low - log_high))
    y = tuple(map(jnp.asarray, (value, 3.0, upper)))
    f = lambda eta: CensoredNormal().log_density(y, eta, jnp.zeros(1))  # noqa: E731
    assert float(f(0.0)) == pytest.approx(expected, rel=1e-9)
    step = 1e-4
    assert float(jax.grad(f)(0.0)) == pytest.approx(float(f(step) - f(-step)) / (2 * step), rel=1e-5, abs=1e-5)


def test_upper_limits_count_for_intervals_only():
    family, eta, phi = CensoredNormal(), jnp.asarray(0.4), jnp.asarray([-0.2])
    for status in (0.0, 1.0, 2.0):
        pair = tuple(map(jnp.asarray, (1.3, status)))
        for upper in (-7.0, 1.3, 50.0):
            f, g = (lambda e, y=y: family.log_density(y, e, phi) for y in (pair, (*pair, jnp.asarray(upper))))
            assert [float(h(eta)) for h in (f, jax.grad(f))] == pytest.approx([float(h(eta)) for h in (g, jax.grad(g))], rel=1e-12)


def test_support_of_censored_outcomes():
    value, upper = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), np.array([2.0, 1.0, 0.5, np.nan, np.inf, 2.0])
    status = np.array([3.0, 3.0, 0.0, 0.0, 1.0, 4.0])
    assert CensoredNormal().in_support((value, status, upper)).tolist() == [True, False, True, False, False, False]
    assert CensoredNormal().in_support((value, status)).tolist() == [False, False, True, True, True, False]
    assert Weibull().in_support((value, np.array([0.0, 1.0, 2.0, np.nan, -1.0, 0.5]))).tolist() == [True, True, False, False, False, False]


def test_draws_of_censored_families_are_uncensored():
    key, y = jax.random.key(0), (jnp.ones(5), jnp.full(5, 3.0), jnp.full(5, 2.0))
    value, status, upper = CensoredNormal().sample(key, y, jnp.zeros(5), jnp.zeros(1))
    assert (status == 0).all()
    assert (value == upper).all()
    time, status = Weibull().sample(key, (jnp.ones(5), jnp.zeros(5)), jnp.zeros(5), jnp.zeros(1))
    assert (time > 0).all()
    assert (status == 1).all()
