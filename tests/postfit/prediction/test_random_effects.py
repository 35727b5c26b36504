"""Conditional modes and covariances of the random effects, against R's exact computation at the same parameters."""

import dataclasses
import json

import numpy as np
import pytest

import glmmjax as gj
from glmmjax import datasets
from glmmjax.errors import ArgumentError
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.postfit.prediction.random_effects import random_effects_covariance
from tests.reference_cases import FOLDER

CASES = [("o01_seed_binomial_ri", "intro_fit"), ("o02_seed_binomial_diag", "diagonal_fit"), ("o04_seed_poisson_ri", "poisson_fit")]


def stored_effects(name):
    return json.loads((FOLDER / f"p_{name}_postfit.json").read_text())["ranef"]


@pytest.mark.parametrize(("name", "fixture"), CASES)
def test_modes_are_those_of_r(name, fixture, request):
    fit, stored = request.getfixturevalue(fixture), stored_effects(name)
    assert list(map(str, fit.random_effects.index)) == stored["clusters"]
    assert fit.random_effects.index.name == "id"
    np.testing.assert_allclose(fit.random_effects, stored["modes_engine"], atol=2e-5)


@pytest.mark.parametrize(("name", "fixture"), CASES)
def test_conditional_covariances_are_those_of_r(name, fixture, request):
    fit, stored = request.getfixturevalue(fixture), np.array(stored_effects(name)["post_vars_engine"])
    found = fit.random_effects_cov
    assert list(found.columns) == [(a, b) for a in fit.cov_re.index for b in fit.cov_re.index]
    np.testing.assert_allclose(found.to_numpy().reshape(stored.shape), stored, atol=2e-5)


def test_covariances_of_a_singular_fit_are_finite_and_singular(singular_fit):
    covariances = singular_fit.random_effects_cov.to_numpy().reshape(-1, 2, 2)
    assert (np.diagonal(covariances, axis1=1, axis2=2) > 0).all()
    np.testing.assert_allclose(np.linalg.det(covariances), 0.0, atol=1e-9)


def test_modes_follow_the_row_order_of_the_caller(intro_fit, intro_binomial):
    shuffled = intro_binomial.sample(frac=1.0, random_state=3)
    other = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=shuffled, family="binomial")
    assert list(other.random_effects.index) == list(shuffled["id"].unique())
    np.testing.assert_allclose(other.random_effects.loc[intro_fit.random_effects.index], intro_fit.random_effects, atol=1e-8)
    same_order = other.random_effects_cov.loc[intro_fit.random_effects_cov.index]
    np.testing.assert_allclose(same_order, intro_fit.random_effects_cov, atol=1e-8)


def test_no_random_effects_give_empty_tables(no_effects_fit):
    assert no_effects_fit.random_effects.shape == (800, 0)
    assert no_effects_fit.random_effects_cov.shape == (800, 0)
    assert no_effects_fit.cov_re.shape == (0, 0)


def test_coefficients_of_clusters_are_those_of_r(postfit_case):
    stored = np.array(postfit_case.p["coef_main_first3"])
    found = postfit_case.fit.cluster_coefs()
    first = [list(map(str, found.index)).index(name) for name in postfit_case.p["ranef"]["clusters"][:3]]
    np.testing.assert_allclose(found.to_numpy()[np.ix_(first, postfit_case.fixed_order)], stored, atol=2e-3)


def test_zero_part_coefficients_have_names_of_their_own(postfit_case):
    names = list(postfit_case.fit.cluster_coefs().columns)
    design = postfit_case.fit.fitted_model.design
    assert names == [*design.fixed_names, *(f"zi_{name}" for name in design.zi_fixed_names)]


def test_means_and_covariances_by_quadrature_are_those_of_a_fine_grid(poisson_fit):
    data = datasets.load_intro_poisson()
    beta, sd = poisson_fit.fe_params.to_numpy(), np.sqrt(poisson_fit.cov_re.to_numpy()[0, 0])
    b = np.linspace(-8.0, 8.0, 40_001)
    table = poisson_fit.random_effects_table("mean")
    for label in (1, 7, 40):
        rows = data[data["id"] == label]
        female, time, y = rows["sex"].to_numpy() == "female", rows["time"].to_numpy(), rows["y"].to_numpy()
        eta = (beta[0] + beta[1] * female + beta[2] * time + beta[3] * female * time)[:, None] + b
        log_p = (y[:, None] * eta - np.exp(eta)).sum(0) - 0.5 * (b / sd) ** 2
        weight = np.exp(log_p - log_p.max())
        weight /= weight.sum()
        mean = (weight * b).sum()
        deviation = np.sqrt((weight * (b - mean) ** 2).sum())
        found = table.loc[(label, "Intercept")]
        np.testing.assert_allclose(found[["estimate", "std_error"]], [mean, deviation], rtol=1e-5)
        np.testing.assert_allclose(found[["lower", "upper"]], [mean - 1.959964 * deviation, mean + 1.959964 * deviation], rtol=1e-5)


def test_means_and_modes_of_two_effects(diagonal_fit):
    modes, means = diagonal_fit.random_effects_table("mode", 0.8), diagonal_fit.random_effects_table("mean")
    assert list(modes.index[:2]) == [(1, "Intercept"), (1, "time")]
    np.testing.assert_allclose(modes["estimate"], diagonal_fit.random_effects.to_numpy().ravel(), atol=1e-10)
    variances = diagonal_fit.random_effects_cov.to_numpy()[:, [0, 3]]
    np.testing.assert_allclose(modes["std_error"] ** 2, variances.ravel(), rtol=1e-8)
    np.testing.assert_allclose((modes["upper"] - modes["lower"]) / modes["std_error"], 2 * 1.2815516, rtol=1e-6)
    assert 0.9 < np.corrcoef(modes["estimate"], means["estimate"])[0, 1] < 1.0


def test_laplace_fits_have_posterior_variances_too(intro_fit):
    one_point = dataclasses.replace(intro_fit.fitted_model, quadrature=Quadrature(1))
    np.testing.assert_allclose(
        random_effects_covariance(one_point, "mean"), random_effects_covariance(intro_fit.fitted_model, "mean"), rtol=1e-2
    )


def test_arguments_are_checked(intro_fit, no_effects_fit):
    with pytest.raises(ArgumentError, match=r"kind='median' is not known; choose one of 'mode' \(conditional modes\), 'mean'"):
        intro_fit.random_effects_table("median")
    with pytest.raises(ArgumentError, match="level=95 must be a number between 0 and 1"):
        intro_fit.random_effects_table(level=95)
    assert no_effects_fit.random_effects_table().shape == (0, 4)
    np.testing.assert_array_equal(no_effects_fit.cluster_coefs().to_numpy()[0], no_effects_fit.fe_params)
