"""Quantile residuals and their tests, against scipy, exact distribution functions, and models that are wrong."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.postfit.checking.residual_tests import binomial_p_value, kolmogorov_p_value, residual_tests, uniform_distances
from tests.postfit.model_checks import at_parameters, clustered_rows

pytestmark = pytest.mark.usefixtures("compile_quickly")


def test_kolmogorov_p_values():
    """Of one number u the distance is max(u, 1 - u); of two it is below d <= 3/4 with probability 2 (2 d - 1/2)^2 for d <= 1/2."""
    for d in (0.5, 0.6, 0.93):
        assert kolmogorov_p_value(d, 1) == pytest.approx(2 * (1 - d), abs=1e-12)
    for d in (0.3, 0.45):
        assert kolmogorov_p_value(d, 2) == pytest.approx(1 - 2 * (2 * d - 0.5) ** 2, abs=1e-12)
    k = np.arange(1, 60)
    t = 1.2  # the limit, Kolmogorov (1933)
    assert kolmogorov_p_value(t / 1e3, 10**6) == pytest.approx(2 * np.sum((-1.0) ** (k - 1) * np.exp(-2 * k**2 * t**2)), abs=2e-3)


def test_distances_are_those_of_scipy():
    values = np.random.default_rng(1).beta(1.2, 1.0, (57, 3))
    np.testing.assert_allclose(uniform_distances(values), [scipy.stats.kstest(column, "uniform").statistic for column in values.T])


@pytest.mark.parametrize(("count", "n", "p"), [(0, 800, 2 / 251), (6, 800, 2 / 251), (15, 800, 2 / 251), (3, 20, 0.1), (20, 20, 0.3)])
def test_binomial_p_values_are_sums(count, n, p):
    mass = np.array([math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])
    assert binomial_p_value(count, n, p) == pytest.approx(mass[mass <= mass[count] * (1 + 1e-7)].sum(), rel=1e-9)


def test_the_simulated_p_value_is_the_place_of_the_observed_statistic():
    outcomes = np.array([[9.0, 1.0, 2.0, 3.0], [9.0, 1.0, 2.0, 0.0]])  # the most variable data set, and the one without a zero
    tests = {test.name: test for test in residual_tests(outcomes / 10 + 0.05, outcomes == 9, outcomes, np.arange(2), True)}
    assert tests["dispersion"].p_value == pytest.approx(0.5)  # 2 * min(1 of 4, 4 of 4)
    assert tests["outliers"].statistic == 2
    assert (tests["zeros"].statistic, tests["zeros"].expected) == (0, pytest.approx(1 / 3))
    assert tests["zeros"].p_value == 1.0


@pytest.fixture(scope="module")
def poisson_rows():
    """Rows of a Poisson model without random effects, with outcomes of the model."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=400)
    return pd.DataFrame({"x": x, "y": rng.poisson(np.exp(0.5 + 0.7 * x))}, index=pd.Index(np.arange(400)[::-1], name="row"))


def test_residuals_lie_in_the_jumps_of_the_exact_distribution_function(poisson_rows):
    fit = at_parameters({"fixed": "y ~ x", "data": poisson_rows, "family": "poisson"}, [0.5, 0.7])
    found = fit.quantile_residuals(600)
    values, mu = found.values, np.exp(0.5 + 0.7 * poisson_rows["x"])
    low, high = (scipy.stats.poisson.cdf(poisson_rows["y"] - k, mu) for k in (1, 0))
    slack = 5 * np.sqrt(0.25 / 600)
    assert ((values > low - slack) & (values < high + slack)).all()
    assert list(values.index) == list(poisson_rows.index)
    assert scipy.stats.kstest(values, "uniform").pvalue > 1e-3
    assert (found.tests["p-value"] > 0.01).all()
    assert list(found.tests.index) == ["uniformity", "dispersion", "outliers", "zeros"]
    assert "400 rows from 600 simulations" in str(found)
    assert "<table" in found._repr_html_()


def test_censored_outcomes_have_uniform_residuals():
    rng = np.random.default_rng(5)
    x = rng.normal(size=500)
    true = 1.0 + x + 2.0 * rng.normal(size=500)
    limits = np.where(np.arange(500) % 2 == 0, -0.5, 2.0)
    status = np.select([(np.arange(500) % 2 == 0) & (true < limits), (np.arange(500) % 2 == 1) & (true > limits)], [1, 2], 0)
    data = pd.DataFrame({"x": x, "v": np.where(status > 0, limits, true), "status": status})
    fit = at_parameters({"fixed": "cbind(v, status) ~ x", "data": data, "family": "censored_normal"}, [1.0, 1.0], phi=[np.log(2.0)])
    found = fit.quantile_residuals(500)
    at_limit = scipy.stats.norm.cdf(data["v"], 1.0 + x, 2.0)
    slack = 5 * np.sqrt(0.25 / 500)
    assert (found.values[status == 1] < at_limit[status == 1] + slack).all()
    assert (found.values[status == 2] > at_limit[status == 2] - slack).all()
    np.testing.assert_allclose(found.values[status == 0], at_limit[status == 0], atol=slack)
    assert scipy.stats.kstest(found.values, "uniform").pvalue > 1e-3
    assert list(found.tests.index) == ["uniformity", "outliers"]


def test_times_after_the_end_of_observation_are_placed_above_it():
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"x": rng.normal(size=300), "t": rng.exponential(size=300), "seen": np.arange(300) % 2})
    fit = at_parameters({"fixed": "cbind(t, seen) ~ x", "data": data, "family": "exponential"}, [0.0, 0.0])
    values, reached = fit.quantile_residuals(500).values, -np.expm1(-data["t"])
    slack = 5 * np.sqrt(0.25 / 500)
    np.testing.assert_allclose(values[data["seen"] == 1], reached[data["seen"] == 1], atol=slack)
    assert (values[data["seen"] == 0] > reached[data["seen"] == 0] - slack).all()


def count_data(kind, seed, m=100, k=8):
    """Counts of the three kinds with the rows of the introductory example, whose compiled programs then serve."""
    rng = np.random.default_rng(seed)
    data = gj.datasets.load_intro_poisson()
    b = rng.normal(size=m)[pd.factorize(data["id"])[0]] * 0.6
    mean = np.exp(1.0 + 0.1 * data["time"] + b)
    factor = {"poisson": 1.0, "negative binomial": rng.gamma(2.0, 0.5, len(data)), "zero-inflated": rng.uniform(size=len(data)) > 0.2}[kind]
    return data.assign(y=rng.poisson(mean) * factor if kind == "zero-inflated" else rng.poisson(mean * factor)).astype({"y": int})


@pytest.mark.parametrize(
    ("kind", "rejected", "kept"),
    [
        ("poisson", [], ["uniformity", "dispersion", "outliers", "zeros"]),
        ("negative binomial", ["dispersion"], []),
        ("zero-inflated", ["zeros"], []),
    ],
)
@pytest.mark.usefixtures("poisson_fit")
def test_a_poisson_fit_is_rejected_for_other_counts(kind, rejected, kept):
    fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=count_data(kind, 4), family="poisson")
    p = fit.quantile_residuals(250).tests["p-value"]
    assert (p[rejected] < 0.01).all()
    assert (p[kept] > 0.05).all()


@pytest.mark.slow
def test_right_models_are_rejected_no_more_often_than_promised():
    p = []
    for seed in range(40):
        fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=count_data("poisson", seed), family="poisson")
        p.append(fit.quantile_residuals(250, seed=seed).tests["p-value"])
    share = (pd.DataFrame(p) < 0.05).mean()
    assert (share <= scipy.stats.binom.ppf(0.9999, 40, 0.05) / 40).all()
    given = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=count_data("poisson", 1), family="poisson")
    assert given.quantile_residuals(100, new_random_effects=False).tests.loc["dispersion", "p-value"] > 0.05


def test_ordinal_and_two_column_outcomes_have_residuals():
    data = clustered_rows(30, 4).assign(
        level=lambda d: pd.Categorical.from_codes(np.arange(len(d)) % 3, ["a", "b", "c"], ordered=True), n=5
    )
    ordinal = at_parameters(
        {"fixed": "level ~ x", "random": "~ 1 | id", "data": data, "family": "cumulative"}, [0.0], [[0.5]], phi=[-0.7, 0.3]
    )
    assert "zeros" not in ordinal.quantile_residuals(20).tests.index
    trials = at_parameters({"fixed": "cbind(y, n - y) ~ x", "random": "~ 1 | id", "data": data, "family": "binomial"}, [-2.0, 0.0], [[0.5]])
    assert trials.quantile_residuals(20).values.between(0, 1).all()


@pytest.mark.parametrize("n", [19, 250.0, True])
def test_too_few_simulations_are_refused(no_effects_fit, n):
    with pytest.raises(ArgumentError, match=r"n=.* must be a whole number >= 20 .*: residuals have a resolution"):
        no_effects_fit.quantile_residuals(n)
