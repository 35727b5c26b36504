"""Columns padded up to classes change no number and no code, and another formula compiles nothing."""

import contextlib
import warnings

import jax
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ConvergenceWarning
from glmmjax.estimation import padding as module
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.padding import column_class, padding
from glmmjax.estimation.penalty import log_penalty, penalty_numbers
from glmmjax.families import Binomial, ZeroInflatedNegativeBinomial
from glmmjax.likelihood.covariance import unstructured
from glmmjax.likelihood.params import Theta
from glmmjax.options import StudentTPenalty
from tests.compiled import compiled

pytestmark = pytest.mark.usefixtures("compile_quickly")
EVERY_PART = {"random": None, "zi_fixed": "~ x", "dispersion": "~ x", "family": "zero_inflated_negative_binomial"}


@pytest.fixture(scope="module")
def data():
    """60 clusters of 6 rows with several outcomes."""
    rng = np.random.default_rng(3)
    cluster, x, z = np.repeat(np.arange(60), 6), rng.normal(size=360), rng.normal(size=360)
    b = rng.normal(size=60)[cluster]
    grouped = rng.random(360) < 1 / (1 + np.exp(-(x + b)))
    counts = np.where(rng.random(360) < 0.3, 0, rng.negative_binomial(2, 1 / (1 + np.exp(0.5 * x + 0.5 * b + 0.5))))
    found = {"id": cluster, "x": x, "z": z, "grouped": grouped * 1.0, "count": counts}
    return pd.DataFrame({**found, "alone": np.tile([0.0, 1.0], 180), "separated": (x > 0.3) * 1.0})


@contextlib.contextmanager
def exact_columns(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "_LARGE_WORK", 0)
        yield


def fitted(data, fixed, random="~ 1 | id", family="binomial", **others):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return gj.mixed_model(fixed, random=random, data=data, family=family, **others).fitted_model


@pytest.mark.parametrize(
    ("fixed", "others", "code"),
    [
        ("grouped ~ x + z", {}, Code.CONVERGED),
        ("alone ~ x + z", {}, Code.CONVERGED_ON_BOUNDARY),
        ("separated ~ x + z", {}, Code.DIVERGING),
        pytest.param("grouped ~ x + z", {"penalized": StudentTPenalty(mean=1.0, scale=0.5)}, Code.CONVERGED, marks=pytest.mark.slow),
        pytest.param("count ~ x + z", EVERY_PART, Code.CONVERGED, marks=pytest.mark.slow),
    ],
    ids=["plain", "singular", "separated", "penalty", "every part"],
)
def test_a_fit_is_the_same_with_and_without_padding(data, monkeypatch, fixed, others, code):
    padded = fitted(data, fixed, **others)
    with exact_columns(monkeypatch), compiled() as programs:
        exact = fitted(data, fixed, **others)
    assert {about["fun_name"] for about in programs} <= {"jit(begin_fit)", "jit(run_phase)"}  # and no single operations
    assert padded.convergence.code is exact.convergence.code is code
    assert padded.convergence.message == exact.convergence.message
    np.testing.assert_allclose(padded.log_likelihood, exact.log_likelihood, rtol=1e-10, atol=1e-10)
    if code is Code.DIVERGING:
        return  # where its estimates stop on their way to infinity is a matter of rounding
    np.testing.assert_allclose(padded.theta, exact.theta, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(padded.objective, exact.objective, rtol=1e-10)
    np.testing.assert_allclose(padded.modes, exact.modes, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(padded.information, exact.information, rtol=1e-9, atol=1e-9 * np.abs(exact.information).max())
    if code is Code.CONVERGED:
        error, exact_error = (np.sqrt(np.diagonal(np.linalg.inv(fit.information))) for fit in (padded, exact))
        np.testing.assert_allclose(error, exact_error, rtol=1e-10)


def test_another_formula_compiles_nothing(data):
    fitted(data, "grouped ~ x")
    with compiled() as programs:
        for formula in ("grouped ~ x + z", "grouped ~ z", "grouped ~ 0 + x", "alone ~ x * z", "grouped ~ 1"):
            fitted(data, formula)
    assert not programs


def test_other_terms_of_the_zero_part_and_the_dispersion_compile_nothing(data):
    fitted(data, "count ~ x + z", **EVERY_PART)
    with compiled() as programs:
        fitted(data, "count ~ x", **{**EVERY_PART, "zi_fixed": "~ 1", "dispersion": "~ x + z"})
    assert not programs


def test_refits_are_the_same_with_and_without_padding(data, monkeypatch):
    fit = gj.mixed_model("grouped ~ x + z", random="~ 1 | id", data=data, family="binomial")
    with compiled() as programs:
        padded = fit.bootstrap(3, kind="cluster", seed=1)
    assert "run_phase" not in [about.get("fun_name") for about in programs]
    with exact_columns(monkeypatch):
        exact = fit.bootstrap(3, kind="cluster", seed=1)
    assert padded.converged.all()
    np.testing.assert_allclose(padded.params, exact.params, rtol=1e-8)


def test_positions_of_every_part():
    layout = Theta(5, unstructured(2), n_phi=1, p_zi=2, p_disp=1)
    wide = padding(Problem(ZeroInflatedNegativeBinomial(), layout), (), 1)
    assert wide.problem.layout == Theta(8, unstructured(2), n_phi=1, p_zi=4, p_disp=4)
    theta = np.arange(1.0, 13.0)
    assert wide.vector(theta).tolist() == [1, 2, 3, 4, 5, 0, 0, 0, 6, 7, 8, 9, 10, 11, 0, 0, 12, 0, 0, 0]
    np.testing.assert_array_equal(wide.cut(wide.vector(theta)), theta)
    information = np.outer(theta, theta)
    np.testing.assert_array_equal(wide.cut_matrix(wide.matrix(information)), information)
    assert np.diagonal(wide.matrix(information))[~wide.is_real].tolist() == [1.0] * 8
    assert wide.cut_positions((9, 10, 13, 14, 15, 16)) == (6, 7, 10, 11)


def test_a_part_that_a_model_does_not_have_gets_no_columns():
    wide = padding(Problem(Binomial(), Theta(0, unstructured(1))), (), 1)
    assert wide.problem.layout == Theta(4, unstructured(1))


@pytest.mark.parametrize("penalty", [StudentTPenalty(mean=1.0, scale=0.5), StudentTPenalty(joint=True, mean=1.0)])
def test_a_penalty_does_not_count_padding(penalty):
    beta, padded = np.array([0.5, -1.0]), np.array([0.5, -1.0, 0.0, 0.0])
    with jax.enable_x64(True):
        numbers = penalty_numbers(penalty, float)
        expected, slope = jax.value_and_grad(log_penalty)(beta, numbers, penalty, (True, False))
        found, padded_slope = jax.value_and_grad(log_penalty)(padded, numbers, penalty, (True, False, False, False), np.arange(4) < 2)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    np.testing.assert_allclose(padded_slope, [*slope, 0.0, 0.0], rtol=1e-14)


def test_classes():
    assert [column_class(n) for n in (0, 1, 4, 5, 8, 9, 16, 17, 25)] == [4, 4, 4, 8, 8, 16, 16, 24, 32]
