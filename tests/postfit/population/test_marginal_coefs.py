"""Marginal coefficients: against exact values by another program, GLMMadaptive's draws, closed forms and finite differences."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import expit

import glmmjax as gj
from glmmjax.design import ModelArguments, streamed_design
from glmmjax.errors import ArgumentError, RowsNotKeptError
from glmmjax.families import Binomial
from glmmjax.postfit.population.marginal_coefs import _with_jacobian, marginal_coefficients
from glmmjax.postfit.prediction.rows import own_rows
from glmmjax.postfit.uncertainty.vcov import covariance
from tests.postfit.stated import stated_fit, stated_params

pytestmark = pytest.mark.usefixtures("compile_quickly")


def test_reference_values(postfit_case):
    """Exact by 61-point quadrature elsewhere; GLMMadaptive's within the error of its 3,000 draws for each cluster."""
    if postfit_case.name == "o23":
        pytest.skip("R's hurdle log-normal has means of log(y)")
    stored, found = postfit_case.p["marginal_coefs"], postfit_case.fit.marginal_coefs()
    np.testing.assert_allclose(found.params, postfit_case.betas(stored["exact_engine"]), atol=1e-4)
    for seed in ("GLMMadaptive_seed1", "GLMMadaptive_seed2001"):
        np.testing.assert_allclose(found.params, postfit_case.betas(stored[seed]), atol=0.03)
    if "std_errors_M500_K100_MC" in stored and postfit_case.fit.converged:
        table = stored["std_errors_M500_K100_MC"]
        errors = dict(zip(table["rows"], np.array(table["values"])[:, 1], strict=True))
        # standard deviations of 100 draws of theta, 7 % noise, with the error of 500 draws of b on top
        np.testing.assert_allclose(found.bse, postfit_case.betas(errors), rtol=0.4)


def test_closed_form_of_a_log_link(poisson_fit):
    """The intercept moves by D / 2, and its variance by what that takes from D."""
    found, fitted = poisson_fit.marginal_coefs(), poisson_fit.fitted_model
    sd, v = float(fitted.params.chol[0, 0]), covariance(fitted)
    shift = np.array([0.5 * sd**2, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(found.params, poisson_fit.fe_params + shift, atol=1e-10)
    slope = np.vstack([np.eye(4)[0] + 0.0, np.eye(4)[1:]]) @ np.hstack([np.eye(4), np.zeros((4, len(v) - 4))])
    slope[0, fitted.problem.layout.random] = sd
    np.testing.assert_allclose(found.cov, slope @ v @ slope.T, atol=1e-10)


def test_without_random_effects_they_are_the_fixed_effects(no_effects_fit):
    found = no_effects_fit.marginal_coefs()
    np.testing.assert_allclose(found.params, no_effects_fit.fe_params, atol=1e-10)
    np.testing.assert_allclose(found.cov, no_effects_fit.cov_params(), atol=1e-10)


def test_standard_errors_follow_all_parameters(intro_fit):
    """The Jacobian against finite differences, and the robust covariance in the place of the other."""
    fitted = intro_fit.fitted_model
    with jax.enable_x64(True):
        rows, theta, step = own_rows(fitted), jnp.asarray(fitted.theta), 1e-5
        moved = [
            (marginal_coefficients(fitted.problem, theta + d, rows) - marginal_coefficients(fitted.problem, theta - d, rows)) / (2 * step)
            for d in step * np.eye(len(theta))
        ]
    jacobian = np.stack(moved, axis=1)
    for robust in (False, True):
        np.testing.assert_allclose(
            intro_fit.marginal_coefs(robust=robust).cov, jacobian @ covariance(fitted, robust) @ jacobian.T, rtol=1e-6, atol=1e-9
        )


def test_a_second_call_compiles_nothing(intro_fit):
    intro_fit.marginal_coefs()
    compiled: Any = _with_jacobian
    before = len(compiled._executables)
    intro_fit.update(n_agq=11).marginal_coefs()
    assert len(compiled._executables) == before


def test_a_singular_fit_has_them(singular_fit):
    found = singular_fit.marginal_coefs()
    assert np.isfinite(found.table.to_numpy()).all()


def test_the_offset_is_no_part_of_the_coefficients():
    """GLMMadaptive adds it to the intercept."""
    rng, n = np.random.default_rng(1), 200
    data = pd.DataFrame({"id": np.repeat(np.arange(20), 10), "x": rng.normal(size=n), "exposure": rng.uniform(1, 9, n), "y": 1})
    params = stated_params(np.array([0.3, -0.2]), np.array([[0.6]]))
    fit = stated_fit(params, "y ~ x + offset(np.log(exposure))", "~ 1 | id", data=data, family="poisson")
    np.testing.assert_allclose(fit.marginal_coefs().params, [0.3 + 0.18, -0.2], atol=1e-10)


def test_hurdle_counts_have_the_mean_of_the_outcome():
    """(1 - pi) mu / (1 - exp(-mu)), where GLMMadaptive leaves the denominator out; two groups make the model saturated."""
    data = pd.DataFrame({"id": np.repeat(np.arange(10), 4), "x": np.tile([0.0, 0.0, 1.0, 1.0], 10), "y": np.tile([0, 1, 2, 3], 10)})
    params = stated_params(np.array([0.2, 0.5]), np.array([[0.7]]), gamma=np.array([-0.8, 0.4]))
    fit = stated_fit(params, "y ~ x", "~ 1 | id", data=data, family="hurdle_poisson", zi_fixed="~ x")

    def mean(x):
        def density(z):
            mu = np.exp(0.2 + 0.5 * x + 0.7 * z)
            return mu / -np.expm1(-mu) * stats.norm.pdf(z)

        return expit(0.8 - 0.4 * x) * integrate.quad(density, -12, 12)[0]

    low, high = np.log(mean(0.0)), np.log(mean(1.0))
    np.testing.assert_allclose(fit.marginal_coefs().params, [low, high - low], rtol=1e-8)


def test_what_is_returned(intro_fit):
    found = intro_fit.marginal_coefs(robust="CR1")
    reach = 1.6448536269514722 * found.bse
    np.testing.assert_allclose(found.conf_int(0.9), np.column_stack([found.params - reach, found.params + reach]))
    assert list(found.params.index) == list(intro_fit.fe_params.index) == list(found.cov.columns)
    np.testing.assert_allclose(found.bse, np.sqrt(np.diag(found.cov)))
    assert "CR1" in str(found)
    assert "logit" in found._repr_html_()
    with pytest.raises(ArgumentError, match="level=95 must be a number between 0 and 1"):
        found.conf_int(95)


def test_ordinal_outcomes_are_refused():
    data = pd.DataFrame({"id": np.repeat(np.arange(10), 3), "y": np.tile([0, 1, 2], 10), "x": 1.0 * np.arange(30)})
    fit = stated_fit(stated_params(np.array([0.1]), np.eye(1), phi=np.zeros(2)), "y ~ x", "~ 1 | id", data=data, family="cumulative")
    with pytest.raises(ArgumentError, match="marginal_means"):
        fit.marginal_coefs()


def test_a_streamed_fit_has_no_rows(intro_fit, intro_binomial):
    """Coefficients average over rows that are gone; means of new rows need none."""
    stream = gj.stream([intro_binomial], chunk_rows=1000)
    with jax.enable_x64(True), streamed_design(ModelArguments("y ~ sex * time", "~ 1 | id", stream, Binomial()), {}, gj.Options()) as found:
        fitted = dataclasses.replace(
            intro_fit.fitted_model, design=found[0], request=dataclasses.replace(intro_fit.fitted_model.request, data=stream)
        )
    refit: Any = None
    fit = gj.MixedModelResults(fitted, refit)
    with pytest.raises(RowsNotKeptError):
        fit.marginal_coefs()
    grid = {"sex": ["male", "female"], "time": 2.0}
    pd.testing.assert_frame_equal(fit.marginal_means(grid), intro_fit.marginal_means(grid))
    with pytest.raises(ArgumentError, match="newdata needs values for 'time'"):
        fit.marginal_means({"sex": "male"})
    with pytest.raises(ArgumentError, match="newdata=None stands for the rows fitted, which this fit does not keep"):
        fit.marginal_means(by="sex")


def test_without_standard_errors_only_the_coefficients_are_computed(intro_fit):
    alone = intro_fit.marginal_coefs(se=False)
    np.testing.assert_allclose(alone.params, intro_fit.marginal_coefs().params, rtol=1e-12)
    assert alone.bse.isna().all()
    assert alone.cov.isna().all(axis=None)
