"""Empirical distribution functions of simulated data, and expected frequencies, against closed forms and direct integration."""

import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.postfit.checking.predictive_checks import predictive_ecdf
from glmmjax.postfit.checking.rootogram import rootogram
from glmmjax.postfit.checking.simulate import SimulationSettings
from tests.postfit.model_checks import at_parameters, clustered_rows, normal_rule

pytestmark = pytest.mark.usefixtures("compile_quickly")


def test_distribution_functions_are_the_shares_at_or_below(poisson_fit):
    found, y = predictive_ecdf(poisson_fit.fitted_model, SimulationSettings(20)), gj.datasets.load_intro_poisson()["y"].to_numpy()
    simulated = poisson_fit.simulate(20).to_numpy()
    np.testing.assert_allclose(found.observed, [(y <= value).mean() for value in found.grid])
    np.testing.assert_allclose(found.simulated[7], [(simulated[:, 7] <= value).mean() for value in found.grid])
    assert found.is_step
    assert found.observed[-1] == 1.0
    assert len(found.grid) <= 512


def test_continuous_outcomes_have_a_grid_of_quantiles():
    data = clustered_rows().assign(v=lambda d: d["x"] + np.random.default_rng(3).normal(size=len(d)))
    fit = at_parameters({"fixed": "v ~ x", "data": data, "family": "gaussian"}, [0.0, 1.0], phi=[0.0])
    found = predictive_ecdf(fit.fitted_model, SimulationSettings(200))
    sd = np.sqrt(1.0 + data["x"].var())
    expected = scipy.stats.norm.cdf(found.grid[:, None], data["x"].to_numpy(), 1.0).mean(1)
    np.testing.assert_allclose(found.simulated.mean(0), expected, atol=5 * np.sqrt(0.25 / (200 * len(data))))
    assert not found.is_step
    assert np.ptp(found.grid) > 4 * sd


def test_proportions_of_trials_without_trials_are_left_out():
    data = clustered_rows(10, 4).assign(n=lambda d: np.arange(len(d)) % 4)
    fit = at_parameters({"fixed": "cbind(y * (n > 0), n - y * (n > 0)) ~ x", "data": data, "family": "binomial"}, [0.0, 0.0])
    found = predictive_ecdf(fit.fitted_model, SimulationSettings(20))
    assert found.grid.min() >= 0
    assert found.grid.max() <= 1
    assert found.observed[-1] == 1.0


def test_censored_values_have_no_distribution_function():
    data = clustered_rows(10, 4)
    fit = at_parameters({"fixed": "cbind(x, y) ~ 1", "data": data, "family": "censored_normal"}, [0.0], phi=[0.0])
    with pytest.raises(ArgumentError, match=r"'cbind\(x, y\)' is censored.*quantile_residuals"):
        fit.plot_predictive()


def test_expected_frequencies_are_those_of_direct_integration(poisson_fit):
    data, fitted = gj.datasets.load_intro_poisson(), poisson_fit.fitted_model
    found = rootogram(fitted, 40)
    np.testing.assert_array_equal(found.observed, [(data["y"] == k).sum() for k in range(41)])
    x = np.column_stack(list(poisson_fit.quantile_residuals(20).record.columns.values()))
    u = np.linspace(-9, 9, 6001)
    weight = scipy.stats.norm.pdf(u) * (u[1] - u[0])
    mu = np.exp(x @ np.asarray(fitted.params.beta))[:, None] * np.exp(fitted.params.chol[0, 0] * u)
    for k in (0, 3, 17, 40):
        np.testing.assert_allclose(found.expected[k], scipy.stats.poisson.pmf(k, mu).sum(0) @ weight, rtol=1e-6)


def test_expected_frequencies_of_trials_levels_and_zero_parts_sum_to_the_rows():
    z, weight = normal_rule()
    data = clustered_rows(10, 4).assign(
        n=3, level=lambda d: pd.Categorical.from_codes(np.arange(len(d)) % 3, ["a", "b", "c"], ordered=True)
    )
    x = data["x"].to_numpy()[:, None]
    trials = at_parameters({"fixed": "cbind(y, n - y) ~ x", "random": "~ 1 | id", "data": data, "family": "binomial"}, [0.1, 0.2], [[0.9]])
    p = scipy.special.expit(0.1 + 0.2 * x + 0.9 * z)
    expected = [(scipy.stats.binom.pmf(k, 3, p) @ weight).sum() for k in range(5)]
    np.testing.assert_allclose(rootogram(trials.fitted_model, 4).expected, expected, atol=1e-6)
    ordinal = at_parameters(
        {"fixed": "level ~ x", "random": "~ 1 | id", "data": data, "family": "cumulative"}, [0.2], [[0.9]], phi=[-0.5, 0.3]
    )
    assert rootogram(ordinal.fitted_model).expected.sum() == pytest.approx(40)
    arguments = {"fixed": "y ~ x", "data": data, "family": "zero_inflated_poisson", "zi_fixed": "~ 1"}
    zip_fit = at_parameters(arguments, [0.3, 0.1], gamma=[-0.4])
    pi, mu = scipy.special.expit(-0.4), np.exp(0.3 + 0.1 * x[:, 0])
    np.testing.assert_allclose(rootogram(zip_fit.fitted_model, 5).expected[0], (pi + (1 - pi) * np.exp(-mu)).sum())


@pytest.mark.parametrize("max_count", [-1, 2.5, True])
def test_a_wrong_largest_count_is_refused(poisson_fit, max_count):
    with pytest.raises(ArgumentError, match=r"max_count=.* must be None \(the largest outcome observed.*\), or a whole number >= 0"):
        poisson_fit.plot_rootogram(max_count)
