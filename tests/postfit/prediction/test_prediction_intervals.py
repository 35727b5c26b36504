"""Intervals of predictions against brute force: fine grids, finite differences and exact predictive distributions."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from glmmjax import datasets
from glmmjax.errors import ArgumentError
from glmmjax.postfit.prediction.predict import IntervalSettings
from glmmjax.postfit.prediction.prediction_draws import subject_quantiles
from glmmjax.postfit.prediction.prediction_intervals import predict_with_intervals
from glmmjax.postfit.prediction.subjects import targets_for
from glmmjax.postfit.uncertainty.vcov import theta_covariance

pytestmark = pytest.mark.usefixtures("compile_quickly")

U = np.linspace(-9.0, 9.0, 3001)


@pytest.fixture(scope="module")
def four(intro_binomial):
    return intro_binomial[intro_binomial["id"] <= 4]


def columns(rows):
    female = (rows["sex"] == "female").to_numpy(float)
    time = rows["time"].to_numpy()
    return np.column_stack([np.ones(len(rows)), female, time, female * time])


def posterior_mean_and_variance(theta, history, row, log_density):
    """Of the linear predictor of ``row`` (4,), given a history, at theta = (beta, L), from the definition on a grid."""
    eta = (columns(history) @ theta[:4])[:, None] + theta[4] * U
    log_p = log_density(history["y"].to_numpy()[:, None], eta).sum(0) - 0.5 * U * U
    weight = np.exp(log_p - log_p.max())
    weight /= weight.sum()
    at = row @ theta[:4] + theta[4] * U
    mean = (weight * at).sum()
    return mean, (weight * (at - mean) ** 2).sum()


def bernoulli(y, eta):
    return y * eta - np.logaddexp(0.0, eta)


def test_intervals_of_subjects_have_both_terms_of_the_variance(intro_fit, four):
    history, future = four[four["time"] < 4], four[four["time"] >= 4]
    table = intro_fit.predict(history, future, kind="subject_specific", scale="link", interval=0.9)
    theta, known = intro_fit.fitted_model.theta, theta_covariance(intro_fit.fitted_model)
    for k, row in enumerate(columns(future)):
        own = history[history["id"] == future["id"].iloc[k]]
        mean, variance = posterior_mean_and_variance(theta, own, row, bernoulli)
        step = 1e-4
        ends = [[posterior_mean_and_variance(theta + sign * step * e, own, row, bernoulli)[0] for sign in (-1, 1)] for e in np.eye(5)]
        slope = np.diff(ends)[:, 0] / (2 * step)
        error = np.sqrt(variance + slope @ known @ slope)
        found = table.iloc[k]
        np.testing.assert_allclose(found["std_error"], error, rtol=2e-3)
        np.testing.assert_allclose([found["lower"], found["upper"]], mean + 1.644854 * error * np.array([-1, 1]), atol=5e-3)


def test_intervals_are_those_of_the_link_transformed(intro_fit, four):
    link = intro_fit.predict(four, kind="subject_specific", scale="link", interval=0.95)
    response = intro_fit.predict(four, kind="subject_specific", interval=0.95)
    np.testing.assert_allclose(response[["lower", "upper"]], 1 / (1 + np.exp(-link[["lower", "upper"]])), rtol=1e-8)
    np.testing.assert_allclose(response["prediction"], intro_fit.predict(four, kind="subject_specific"), rtol=1e-12)


def test_wald_errors_with_random_effects_0(intro_fit, four):
    found = intro_fit.predict(four[["sex", "time"]], scale="link", interval=0.95)
    x = columns(four)
    error = np.sqrt(np.einsum("ij,jk,ik->i", x, intro_fit.cov_params().to_numpy(), x))
    np.testing.assert_allclose(found["std_error"], error, rtol=1e-8)
    robust = intro_fit.predict(four[["sex", "time"]], scale="link", interval=0.95, robust="CR0")
    assert not np.allclose(robust["std_error"], error, rtol=1e-3)


def test_standard_errors_of_r(postfit_case):
    for kind, scale in (("mean_subject", "link"), ("zero_part", "link")):
        stored = postfit_case.p["predict"].get("zero_part" if kind == "zero_part" else "mean_subject_link")
        if stored is not None:
            found = postfit_case.fit.predict(postfit_case.newdata, kind=kind, scale=scale, interval=0.95)
            np.testing.assert_allclose(found["std_error"], stored["se.fit"], rtol=2e-3)


def test_marginal_intervals_by_finite_differences(intro_fit, four):
    z, w = np.polynomial.hermite_e.hermegauss(80)
    theta, known, x = intro_fit.fitted_model.theta, theta_covariance(intro_fit.fitted_model), columns(four)

    def logit_of_mean(theta):
        mean = (1 / (1 + np.exp(-((x @ theta[:4])[:, None] + theta[4] * z)))) @ w / w.sum()
        return np.log(mean / (1 - mean))

    slope = np.stack([(logit_of_mean(theta + 1e-5 * e) - logit_of_mean(theta - 1e-5 * e)) / 2e-5 for e in np.eye(5)], axis=1)
    error = np.sqrt(np.einsum("ij,jk,ik->i", slope, known, slope))
    found = intro_fit.predict(four, kind="marginal", scale="link", interval=0.95)
    np.testing.assert_allclose(found["std_error"], error, rtol=1e-5)
    np.testing.assert_allclose(found["upper"], logit_of_mean(theta) + 1.959964 * error, rtol=1e-6)


def test_quantiles_of_draws_are_those_of_the_exact_predictive_distribution(poisson_fit):
    data = datasets.load_intro_poisson()
    rows = data[data["id"].isin([1, 2, 3])]
    history, future = rows[rows["time"] < 2], rows[rows["time"] >= 2]
    fit, n = poisson_fit.fitted_model, 2000
    nothing = np.zeros((len(fit.theta),) * 2)  # the estimates as if they were known
    found = subject_quantiles(fit, targets_for(fit, history, future), nothing, IntervalSettings(0.9, n_draws=n, seed=1))
    for k, row in enumerate(columns(future)):
        own = history[history["id"] == future["id"].iloc[k]]
        eta = (columns(own) @ fit.theta[:4])[:, None] + fit.theta[4] * U
        log_p = stats.poisson.logpmf(own["y"].to_numpy()[:, None], np.exp(eta)).sum(0) - 0.5 * U * U
        weight = np.exp(log_p - log_p.max())
        weight /= weight.sum()
        rate = np.exp(row @ fit.theta[:4] + fit.theta[4] * U)
        cdf = lambda y, rate=rate, weight=weight: (weight * stats.poisson.cdf(y, rate)).sum()  # noqa: E731
        noise = 5 * np.sqrt(0.05 * 0.95 / n)
        assert cdf(found.lower[k] - 1) - noise < 0.05 < cdf(found.lower[k]) + noise
        assert cdf(found.upper[k] - 1) - noise < 0.95 < cdf(found.upper[k]) + noise
        second = (weight * (rate + rate**2)).sum() - (weight * rate).sum() ** 2
        np.testing.assert_allclose(found.deviation[k], np.sqrt(second), rtol=0.1)


def test_draws_repeat_with_their_seed_and_are_wider_than_the_mean(poisson_fit):
    rows = datasets.load_intro_poisson().iloc[:40]
    first, again, other = (
        poisson_fit.predict(rows, kind="subject_specific", interval=0.95, interval_for="outcome", seed=seed, n_draws=200)
        for seed in (1, 1, 2)
    )
    assert first.equals(again)
    assert not first.equals(other)
    mean = poisson_fit.predict(rows, kind="subject_specific", interval=0.95)
    assert ((first["upper"] - first["lower"]) > (mean["upper"] - mean["lower"])).all()
    new = poisson_fit.predict(rows, kind="marginal", interval=0.95, interval_for="outcome", n_draws=200)
    assert (new["upper"] - new["lower"]).mean() > 2 * (first["upper"] - first["lower"]).mean()


def test_rows_with_missing_values_and_without_rows(intro_fit, four):
    rows = four.copy()
    rows.iloc[2, rows.columns.get_loc("time")] = np.nan
    found = intro_fit.predict(rows, kind="subject_specific", interval=0.95)
    assert found.isna().any(axis=1).tolist() == [k == 2 for k in range(len(rows))]


def test_singular_fits_have_intervals(singular_fit, four):
    found = singular_fit.predict(four, kind="subject_specific", interval=0.95)
    assert np.isfinite(found).all(axis=None)
    assert (found["lower"] < found["upper"]).all()


def test_without_random_effects_a_subject_is_like_any_other(no_effects_fit, four):
    one, other = (no_effects_fit.predict(four, kind=kind, interval=0.95) for kind in ("subject_specific", "mean_subject"))
    np.testing.assert_allclose(one, other, rtol=1e-10)


def test_fits_without_a_covariance_name_the_parameter(intro_fit, four):
    information = intro_fit.fitted_model.information.copy()
    information[1, :] = information[:, 1] = 0.0
    information[1, 1] = -1.0
    uncertain = dataclasses.replace(intro_fit.fitted_model, information=information)
    with pytest.raises(ArgumentError, match=r"interval: the estimates of sex\[T.female\] have no standard error"):
        predict_with_intervals(uncertain, IntervalSettings(), four)


def test_arguments_are_checked(intro_fit, four):
    with pytest.raises(ArgumentError, match=r"interval=95 must be None, or a number between 0 and 1, such as 0\.95"):
        intro_fit.predict(four, interval=95)
    with pytest.raises(ArgumentError, match="interval_for='row' is not known; choose one of 'mean', 'outcome'"):
        intro_fit.predict(four, interval=0.9, interval_for="row")
    with pytest.raises(ArgumentError, match="n_draws=10 must be a whole number >= 100"):
        intro_fit.predict(four, interval=0.9, n_draws=10)
    with pytest.raises(
        ArgumentError, match="interval_for='outcome' is on the scale of the outcome, and kind='mean_subject' with scale='link'"
    ):
        intro_fit.predict(four, interval=0.9, interval_for="outcome", scale="link")
    with pytest.raises(ArgumentError, match="cluster id = 999 that the fit does not know"):
        intro_fit.predict(four.assign(id=999).drop(columns="y"), kind="subject_specific", interval=0.9)
