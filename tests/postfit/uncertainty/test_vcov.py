"""Standard errors: against R's exact Hessian, finite differences, and the same model without the direction that is lost."""

import json
import types
from typing import Any

import numpy as np
import pytest

from glmmjax.errors import ArgumentError
from glmmjax.likelihood.covariance import BlockDiagonal, unstructured
from glmmjax.likelihood.params import Theta
from glmmjax.postfit.uncertainty.random_covariance import LostEffect, lost_effects, moving_directions, spread, spread_errors
from glmmjax.postfit.uncertainty.vcov import fixed_covariance, standard_errors, theta_covariance
from tests.reference_cases import FOLDER

# the rule of 11 points, which the engine lays another way, is not settled: with 21 both move by half of this
QUADRATURE = {"o58": 6e-3}


def stub(chol, information, is_singular=False, structure=None, reach=1.0, p=2) -> Any:
    """The parts of a fit that these functions read, with p fixed effects."""
    chol = np.array(chol, float)
    structure = structure or unstructured(len(chol))
    return types.SimpleNamespace(
        params=types.SimpleNamespace(chol=chol),
        theta=np.concatenate([np.zeros(p), [chol[entry] for entry in structure.entries]]),
        information=np.array(information, float),
        is_singular=is_singular,
        design=types.SimpleNamespace(covariance=structure, random_reach=np.full(len(chol), reach)),
        problem=types.SimpleNamespace(layout=Theta(p, structure)),
        convergence=types.SimpleNamespace(limits=()),
    )


def positive_definite(size, seed=1):
    root = np.random.default_rng(seed).normal(size=(size, size))
    return root @ root.T + size * np.eye(size)


@pytest.mark.parametrize(("name", "fixture"), [("o01_seed_binomial_ri", "intro_fit"), ("o02_seed_binomial_diag", "diagonal_fit")])
def test_fixed_effects_have_the_covariance_of_the_exact_hessian(name, fixture, request):
    fit = request.getfixturevalue(fixture).fitted_model
    stored = json.loads((FOLDER / f"p_{name}_postfit.json").read_text())["vcov"]["engine"]
    np.testing.assert_allclose(fixed_covariance(fit), np.array(stored)[:4, :4], rtol=2e-4)


def test_standard_deviations_have_the_standard_errors_of_the_exact_hessian(intro_fit, diagonal_fit):
    # R's scale: the log standard deviation of a single effect, log variances of independent ones
    for fit, name, factor in ((intro_fit, "o01_seed_binomial_ri", 1.0), (diagonal_fit, "o02_seed_binomial_diag", 0.5)):
        stored = json.loads((FOLDER / f"p_{name}_postfit.json").read_text())["vcov"]["engine"]
        expected = factor * np.sqrt(np.diagonal(stored))[4:] * spread(fit.fitted_model).deviations
        errors: Any = spread_errors(fit.fitted_model, theta_covariance(fit.fitted_model))
        np.testing.assert_allclose(errors.deviations, expected, rtol=2e-4)


def test_delta_method_equals_finite_differences():
    structure = BlockDiagonal((2, 1))
    free = np.array([1.2, -0.4, 0.7, 0.5])
    covariance = np.linalg.inv(positive_definite(6))

    def fit_at(values):
        chol = np.zeros((3, 3))
        chol[tuple(zip(*structure.entries, strict=True))] = values
        return stub(chol, np.linalg.inv(covariance), structure=structure)

    def values_at(values):
        found = spread(fit_at(values))
        return np.array([*found.deviations, found.correlations[1, 0]])

    step = 1e-3
    slope = np.array([(values_at(free + step * e) - values_at(free - step * e)) / (2 * step) for e in np.eye(4)]).T
    expected = np.sqrt(np.diagonal(slope @ covariance[2:, 2:] @ slope.T))
    errors: Any = spread_errors(fit_at(free), covariance)
    np.testing.assert_allclose([*errors.deviations, errors.correlations[1, 0]], expected, rtol=1e-3)
    assert np.isnan(errors.correlations[2, 0])


def test_a_regular_fit_takes_the_whole_inverse():
    fit = stub([[1.0, 0.0], [0.5, 0.8]], positive_definite(5))
    np.testing.assert_allclose(theta_covariance(fit), np.linalg.inv(fit.information))
    np.testing.assert_allclose(standard_errors(fit) ** 2, np.diagonal(np.linalg.inv(fit.information)))


def test_correlation_one_leaves_out_the_zero_diagonal_entry():
    fit = stub([[1.0, 0.0], [0.5, 1e-9]], positive_definite(5), is_singular=True)
    rest = np.linalg.inv(fit.information[:4, :4])
    np.testing.assert_allclose(theta_covariance(fit)[:4, :4], rest)
    assert spread_errors(fit, theta_covariance(fit)) is None


def test_a_variance_of_zero_leaves_the_model_without_it():
    fit = stub([[0.0]], positive_definite(3), is_singular=True)
    np.testing.assert_allclose(fixed_covariance(fit), np.linalg.inv(fit.information[:2, :2]))


def test_a_rotation_inside_the_factor_is_left_out():
    # D = diag(0, 1) for every L = [[0, 0], [cos, sin]]: the information is 0 along the circle, and nothing else is lost
    fit = stub([[0.0, 0.0], [0.6, 0.8]], positive_definite(5), is_singular=True)
    around = np.array([0.0, 0.0, 0.0, -0.8, 0.6])
    flat = np.eye(5) - np.outer(around, around)
    fit.information = flat @ fit.information @ flat
    np.testing.assert_allclose(np.abs(moving_directions(fit).T @ around[2:]), 0.0, atol=1e-12)
    np.testing.assert_allclose(theta_covariance(fit), np.linalg.pinv(fit.information), rtol=1e-8, atol=1e-10)


def test_units_of_the_random_effects_do_not_matter():
    information, units = positive_definite(5), np.array([1.0, 1.0, 1.0, 1e-5, 1e-5])
    plain = stub([[1.0, 0.0], [0.5, 0.0]], information, is_singular=True)
    scaled = stub([[1.0, 0.0], [0.5e-5, 0.0]], information / np.outer(units, units), is_singular=True, reach=1e5)
    np.testing.assert_allclose(fixed_covariance(scaled), fixed_covariance(plain), rtol=1e-9)


def test_what_has_no_information_has_no_standard_error():
    information = positive_definite(3)
    information[1] = information[:, 1] = 0.0
    errors = standard_errors(stub([[1.0]], information))
    assert np.isnan(errors[1])
    assert np.isfinite(errors[[0, 2]]).all()
    assert np.isnan(standard_errors(stub([[1.0]], np.full((3, 3), np.nan)))).all()


@pytest.mark.parametrize(
    ("chol", "expected"),
    [
        ([[1.0, 0.0], [0.5, 0.5]], []),
        ([[0.0, 0.0], [0.6, 0.8]], [LostEffect(0, ())]),
        ([[1.0, 0.0], [-0.5, 0.0]], [LostEffect(1, (0,))]),
        ([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.3, 0.4, 0.0]], [LostEffect(2, (0, 1))]),
        ([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.4, 0.0]], [LostEffect(0, ()), LostEffect(2, (1,))]),
    ],
)
def test_lost_effects_are_named_with_what_determines_them(chol, expected):
    size = 2 + len(chol) * (len(chol) + 1) // 2
    assert lost_effects(stub(chol, positive_definite(size), is_singular=bool(expected))) == expected


def test_a_singular_fit_has_usable_standard_errors(singular_fit):
    # by symmetry the lost direction has no part in the rest of the Hessian
    information = singular_fit.fitted_model.information[:6, :6]
    np.testing.assert_allclose(fixed_covariance(singular_fit.fitted_model), np.linalg.inv(information)[:4, :4], rtol=1e-6)
    assert np.isfinite(singular_fit.bse_fe).all()


def test_covariances_of_all_parameters_are_labelled(intro_fit, diagonal_fit, poisson_fit):
    assert intro_fit.cov_params().equals(intro_fit.cov_params(robust=False, which="fixed"))
    fixed = ["Intercept", "sex[T.female]", "time", "sex[T.female]:time"]
    assert list(intro_fit.cov_params().columns) == fixed
    full = diagonal_fit.cov_params(which="all")
    assert list(full.index) == list(full.columns) == [*fixed, "L[Intercept,Intercept]", "L[time,time]"]
    np.testing.assert_allclose(full, np.linalg.inv(diagonal_fit.fitted_model.information), rtol=1e-8)
    with pytest.raises(ArgumentError, match=r"which='random' is not known; choose one of 'fixed' \(the fixed effects\), 'all' \("):
        poisson_fit.cov_params(which="random")


def test_covariance_of_r(postfit_case):
    # of the coefficients; D stands on other scales there
    order, layout = postfit_case.fixed_order, postfit_case.fit.fitted_model.problem.layout
    stored = postfit_case.p["vcov"]
    at = [*order, *(layout.zero.start + k for k in postfit_case.zero_order)]
    rows = [k for k, label in enumerate(stored["order"]) if not label.startswith(("D_", "phi_"))]
    expected = np.array(stored["engine"])[np.ix_(rows, rows)]
    found = postfit_case.fit.cov_params(which="all").to_numpy()[np.ix_(at, at)]
    scale = np.sqrt(np.outer(np.diagonal(expected), np.diagonal(expected)))
    np.testing.assert_allclose(found / scale, expected / scale, atol=QUADRATURE.get(postfit_case.name, 2e-4))
