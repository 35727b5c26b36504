"""Conditional modes and covariances of the random effects, against R's exact computation at the same parameters."""

import json

import numpy as np
import pytest

import glmmjax as gj
from tests.reference_cases import FOLDER

CASES = [("o01_seed_binomial_ri", "intro_fit"), ("o02_seed_binomial_diag", "diagonal_fit"), ("o04_seed_poisson_ri", "poisson_fit")]


def stored_effects(name):
    return json.loads((FOLDER / f"p_{name}_postfit.json").read_text())["ranef"]


@pytest.mark.parametrize(("name", "fixture"), CASES)
def test_modes_are_those_of_r(name, fixture, request):
    fit, stored = request.getfixturevalue(fixture), stored_effects(name)
    assert list(map(str, fit.random_effects.index)) == stored["clusters"]
    assert fit.random_effects.index.name == "id"
    np.testing.assert_allclose(fit.random_effects, stored["modes"], atol=2e-5)


@pytest.mark.parametrize(("name", "fixture"), CASES)
def test_conditional_covariances_are_those_of_r(name, fixture, request):
    fit, stored = request.getfixturevalue(fixture), np.array(stored_effects(name)["variances"])
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
