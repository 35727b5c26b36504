"""Simulated outcomes against closed forms, direct integration, and what was asked for."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats

import glmmjax as gj
from glmmjax.design import StreamedRows
from glmmjax.errors import ArgumentError, DesignError, RowsNotKeptError
from glmmjax.postfit.checking.simulate import drawn_parameters
from glmmjax.postfit.uncertainty.vcov import theta_covariance
from tests.postfit.model_checks import SIGMAS, assert_mean, assert_share, at_parameters, clustered_rows, normal_rule

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(scope="module")
def poisson_slope():
    """Random intercept and slope with moderate variances, so that moments of a log-normal mean are within reach."""
    arguments = {"fixed": "y ~ x", "random": "~ x | id", "data": clustered_rows(), "family": "poisson"}
    return at_parameters(arguments, [0.5, 0.3], [[0.5, 0.0], [-0.2, 0.3]])


@pytest.mark.slow
def test_moments_with_new_random_effects_are_those_of_the_log_normal_mixture(poisson_slope):
    beta, chol = (np.array(a) for a in poisson_slope.params[:2])
    x = clustered_rows()["x"].to_numpy()
    y = poisson_slope.simulate(1000).to_numpy().astype(float)
    z, d = np.column_stack([np.ones_like(x), x]), chol @ chol.T
    mean = np.exp(z @ beta + 0.5 * np.einsum("ij,jk,ik->i", z, d, z))
    assert_mean(y, mean)
    covariance = np.expm1(z @ d @ z.T) * np.outer(mean, mean)
    away = y - mean[:, None]
    assert_mean(away[0::5] * away[1::5], covariance[np.arange(0, 300, 5), np.arange(1, 300, 5)])  # two rows of a cluster
    assert_mean(away**2, np.diagonal(covariance) + mean)
    assert_mean((away[:5] * away[5:10]), np.zeros(5))  # rows of two clusters


def test_zero_fraction_is_that_of_direct_integration(poisson_fit):
    y = poisson_fit.simulate(200, seed=3).to_numpy()
    sd, beta = poisson_fit.params.chol[0, 0], np.array(poisson_fit.params.beta)
    z, weight = normal_rule(120)
    eta = beta[0] + sd * z  # of the rows at time 0 of the reference sex, the first row
    expected = weight @ np.exp(-np.exp(eta))
    rows = np.flatnonzero(gj.datasets.load_intro_poisson().eval("time == 0 and sex == 'male'"))
    assert_mean((y[rows] == 0).mean(0), expected)


@pytest.fixture(scope="module")
def binary():
    arguments = {"fixed": "y ~ x", "random": "~ 1 | id", "data": clustered_rows(30, 4), "family": "binomial"}
    return at_parameters(arguments, [0.3, 0.5], [[1.3]])


@pytest.fixture(scope="module")
def posterior_probabilities():
    """Of the rows of ``binary`` given the outcomes of their cluster, by direct integration."""
    data, grid = clustered_rows(30, 4), np.linspace(-9.0, 9.0, 2001)
    p = scipy.special.expit(0.3 + 0.5 * data["x"].to_numpy()[:, None] + 1.3 * grid)
    joint = np.log(np.where(data["y"].to_numpy()[:, None] == 1, p, 1 - p)).reshape(30, 4, -1).sum(1) - 0.5 * grid**2
    weight = np.repeat(np.exp(joint) / np.exp(joint).sum(1, keepdims=True), 4, axis=0)
    return (p * weight).sum(1)


@pytest.mark.slow
def test_draws_given_the_data_have_the_posterior_mean_of_direct_integration(binary, posterior_probabilities):
    assert_share(binary.simulate(1500, new_random_effects=False), posterior_probabilities)
    own = clustered_rows(30, 4)
    assert_share(binary.simulate(1500, "posterior", newdata=own[own["id"] < 10]), posterior_probabilities[:40])


def test_new_clusters_with_outcomes_are_drawn_given_these(binary, posterior_probabilities):
    new = clustered_rows(30, 4).assign(id=lambda d: d["id"] + 100)
    assert_share(binary.simulate(1500, "posterior", newdata=new), posterior_probabilities)


def _fixed_part(fit, data):
    female = (data["sex"] == "female").to_numpy(float)
    columns = {"Intercept": np.ones(len(data)), "sex[T.female]": female, "time": data["time"], "sex[T.female]:time": female * data["time"]}
    return np.column_stack([columns[name] for name in fit.fe_params.index]) @ fit.fe_params.to_numpy()


def test_draws_at_modes_and_at_zero_have_their_means(intro_fit, intro_binomial):
    fixed = _fixed_part(intro_fit, intro_binomial)
    effects = intro_fit.random_effects["Intercept"].loc[intro_binomial["id"]].to_numpy()
    assert_share(intro_fit.simulate(400, "zero"), scipy.special.expit(fixed))
    assert_share(intro_fit.simulate(400, "mode"), scipy.special.expit(fixed + effects))


def test_without_random_effects_every_kind_is_the_same(no_effects_fit):
    pd.testing.assert_frame_equal(no_effects_fit.simulate(3), no_effects_fit.simulate(3, False))


def test_a_seed_repeats_itself_whatever_the_number_of_simulations(poisson_fit):
    three = poisson_fit.simulate(3, seed=5)
    pd.testing.assert_frame_equal(three, poisson_fit.simulate(5, seed=5)[[0, 1, 2]], check_column_type=False)
    assert not three.equals(poisson_fit.simulate(3, seed=6))
    assert three.dtypes.eq("int64").all()
    assert three.columns.name == "simulation"


def test_drawn_parameters_have_the_covariance_of_the_estimates(intro_fit):
    fitted = intro_fit.fitted_model
    drawn, v = drawn_parameters(fitted, 50_000, 1), theta_covariance(fitted)
    scale = np.sqrt(np.diagonal(v))
    np.testing.assert_allclose((drawn.mean(0) - fitted.theta) / scale, 0.0, atol=SIGMAS / np.sqrt(50_000))
    np.testing.assert_allclose(np.cov(drawn.T) / np.outer(scale, scale), v / np.outer(scale, scale), atol=SIGMAS * np.sqrt(2 / 50_000))
    assert np.isfinite(drawn_parameters(fitted, 10, 1, robust="CR0")).all()


def test_parameter_uncertainty_adds_the_variance_of_the_estimates(no_effects_fit):
    """The mean outcome of a data set then has the variance of a drawn data set plus that of its expectation, by the delta method."""
    n = 500
    plain, wider = (no_effects_fit.simulate(n, parameter_uncertainty=drawn).mean().to_numpy() for drawn in (False, True))
    design = no_effects_fit.fitted_model
    p = scipy.special.expit(_fixed_part(no_effects_fit, gj.datasets.load_intro_binomial()))
    x = np.column_stack([np.asarray(v) for v in no_effects_fit.quantile_residuals(20).record.columns.values()])
    slope = (p * (1 - p)) @ x / len(p)
    added = slope @ theta_covariance(design) @ slope
    expected = (p * (1 - p)).mean() / len(p)
    np.testing.assert_allclose(plain.var(), expected, rtol=SIGMAS * np.sqrt(2 / n))
    np.testing.assert_allclose(wider.var(), expected + added, rtol=SIGMAS * np.sqrt(2 / n))


def test_a_singular_fit_draws_its_parameters(singular_fit):
    drawn = drawn_parameters(singular_fit.fitted_model, 5, 0)
    assert np.isfinite(drawn).all()
    assert np.ptp(drawn, axis=0)[0] > 0


def test_an_uncertified_fit_has_no_parameters_to_draw(no_effects_fit):
    information = np.diag([1.0, 1.0, -1.0, 1.0])
    never: Any = None
    fit = gj.MixedModelResults(dataclasses.replace(no_effects_fit.fitted_model, information=information), never)
    with pytest.raises(ArgumentError, match=r"parameter_uncertainty=True: 1 of the 4 parameters have no variance.*fit\.convergence"):
        fit.simulate(parameter_uncertainty=True)


def test_two_columns_give_successes_of_the_trials_in_the_callers_order():
    data = clustered_rows(40, 5).assign(n=lambda d: np.tile([1, 4, 9, 30, 0], 40), s=0).sample(frac=1.0, random_state=2)
    fit = at_parameters({"fixed": "cbind(s, n - s) ~ x", "random": "~ 1 | id", "data": data, "family": "binomial"}, [0.2, 0.5], [[0.6]])
    drawn = fit.simulate(400)
    assert list(drawn.index) == list(data.index)
    assert (drawn.to_numpy() <= data["n"].to_numpy()[:, None]).all()
    z, weight = normal_rule()
    p = scipy.special.expit(0.2 + 0.5 * data["x"].to_numpy()[:, None] + 0.6 * z) @ weight
    assert_mean(drawn.to_numpy().astype(float), data["n"].to_numpy() * p)


def test_an_ordinal_outcome_is_drawn_as_its_levels():
    levels = ["low", "mid", "high"]
    data = clustered_rows().assign(y=lambda d: pd.Categorical.from_codes(np.arange(len(d)) % 3, levels, ordered=True))
    fit = at_parameters({"fixed": "y ~ x", "random": "~ 1 | id", "data": data, "family": "cumulative"}, [0.4], [[0.8]], phi=[-0.5, 0.3])
    drawn = fit.simulate(800)
    assert drawn[0].cat.categories.tolist() == levels
    assert drawn[0].cat.ordered
    z, weight = normal_rule()
    below = scipy.special.expit(-0.5 - 0.4 * data["x"].to_numpy()[:, None] - 0.8 * z) @ weight
    assert_mean((drawn == "low").to_numpy().astype(float), below)


@pytest.mark.slow
def test_zero_part_offset_and_dispersion_enter():
    data = clustered_rows().assign(t=lambda d: 1.0 + d["id"] % 3, y=0)
    arguments = {
        "fixed": "y ~ x", "random": "~ 1 | id", "data": data, "family": "zero_inflated_negative_binomial",
        "offset": "t", "zi_fixed": "~ x", "dispersion": "~ x",
    }  # fmt: skip
    fit = at_parameters(arguments, [-1.0, 0.2], [[0.3]], gamma=[-0.5, 0.4], delta=[1.0, -0.3])
    x, t = data["x"].to_numpy(), data["t"].to_numpy()
    y = fit.simulate(800).to_numpy().astype(float)
    mean, size = np.exp(-1.0 + 0.2 * x + t + 0.5 * 0.09), np.exp(1.0 - 0.3 * x)
    extra = scipy.special.expit(-0.5 + 0.4 * x)
    assert_mean(y, (1 - extra) * mean)
    second = mean**2 * np.exp(0.09) * (1 + 1 / size) + mean
    assert_mean(y**2, (1 - extra) * second)


def test_new_rows_take_known_and_new_clusters_and_keep_their_order(intro_fit, intro_binomial):
    new = intro_binomial.iloc[[9, 3, 700]].assign(id=[5000, 1, 5000], time=[1.0, np.nan, 2.0]).drop(columns="y")
    drawn = intro_fit.simulate(200, newdata=new)
    assert list(drawn.index) == list(new.index)
    assert drawn.iloc[1].isna().all()
    assert np.corrcoef(drawn.iloc[0], drawn.iloc[2])[0, 1] > 0.2  # rows of one new cluster share its random effect
    with pytest.raises(ArgumentError, match="5000"):
        intro_fit.simulate(newdata=new, new_random_effects=False)


def test_a_streamed_fit_is_simulated_for_new_rows_only(intro_fit, intro_binomial):
    fitted, never = intro_fit.fitted_model, None
    design = dataclasses.replace(fitted.design, rows=StreamedRows(np.asarray(fitted.design.clusters.slots), b"", b""))
    streamed = gj.MixedModelResults(dataclasses.replace(fitted, design=design), never)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(streamed.simulate(3, newdata=intro_binomial[:80]), intro_fit.simulate(3, newdata=intro_binomial[:80]))
    with pytest.raises(RowsNotKeptError):
        streamed.simulate()
    with pytest.raises(RowsNotKeptError):
        streamed.simulate(new_random_effects=False, newdata=intro_binomial[:80])
    for method in (streamed.quantile_residuals, streamed.scoring_rules, streamed.plot_rootogram, streamed.plot_predictive):
        with pytest.raises(RowsNotKeptError):
            method()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, r"n=0 must be a whole number >= 1"),
        ({"n": 2.0}, r"n=2\.0 must be a whole number"),
        ({"seed": -1}, r"seed=-1 must be a whole number >= 0"),
        ({"new_random_effects": "old"}, r"new_random_effects='old' is not known.* True, .*'new' \(as True: drawn .*'mode' \(the .*'zero'"),
        ({"parameter_uncertainty": True, "robust": "CR9"}, r"CR9"),
    ],
)
def test_wrong_arguments_are_refused(intro_fit, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        intro_fit.simulate(**arguments)


def test_new_rows_without_a_column_are_refused(intro_fit, intro_binomial):
    with pytest.raises(DesignError, match="time"):
        intro_fit.simulate(newdata=intro_binomial.drop(columns="time"))


def test_a_family_without_draws_says_what_it_lacks():
    family = gj.families.Custom(lambda y, eta, phi: -0.5 * (y - eta) ** 2)
    fit = at_parameters({"fixed": "y ~ x", "data": clustered_rows(), "family": family}, [0.0, 1.0])
    with pytest.raises(ArgumentError, match="cannot be simulated from; give it Custom"):
        fit.simulate()


def test_a_family_with_draws_of_its_own():
    density = lambda y, eta, phi: -0.5 * (y - eta) ** 2 - 0.5 * jnp.log(2 * jnp.pi)  # noqa: E731
    family = gj.families.Custom(density, sample=lambda key, y, eta, phi: eta + 1.0 + 0.0 * y)
    fit = at_parameters({"fixed": "y ~ x", "data": clustered_rows(), "family": family}, [0.0, 2.0])
    np.testing.assert_allclose(fit.simulate()[0], 1.0 + 2.0 * clustered_rows()["x"])


@pytest.mark.slow
def test_draws_of_two_correlated_effects_have_the_moments_of_quadrature(diagonal_fit):
    import jax

    from glmmjax.likelihood.conditional import conditional_covariances, conditional_means
    from glmmjax.postfit.prediction.posterior_draws import posterior_draws
    from glmmjax.postfit.prediction.subjects import posterior_rule, subjects_for

    fitted, n = diagonal_fit.fitted_model, 4000
    given, rule = subjects_for(fitted).given, posterior_rule(fitted)
    with jax.enable_x64(True):
        keys = jax.random.key_data(jax.random.split(jax.random.key(0), n))[None]
        drawn = np.asarray(posterior_draws(fitted.problem, jnp.asarray(fitted.theta)[None], keys, fitted.design.clusters))[0]
        mean, covariance = np.asarray(conditional_means(given, rule)), np.asarray(conditional_covariances(given, rule))
    away = drawn - mean
    error = drawn.std(0) / np.sqrt(n)
    assert (np.abs(away.mean(0)) < SIGMAS * error).all()
    products = np.einsum("nam,nbm->abmn", away, away)
    assert (np.abs(products.mean(-1) - covariance) < SIGMAS * products.std(-1) / np.sqrt(n) + 0.01).all()
