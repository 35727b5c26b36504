"""Marginal means of rows and groups: against exact values by another program, closed forms, sums by hand and finite differences."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import glmmjax as gj
from glmmjax.errors import ArgumentError, DesignError
from glmmjax.families.links import Logit
from glmmjax.likelihood.population import population_mean
from glmmjax.postfit.population.marginal_means import _row_values
from glmmjax.postfit.prediction.rows import own_rows
from glmmjax.postfit.uncertainty.vcov import covariance
from tests.postfit.stated import stated_fit, stated_params

pytestmark = pytest.mark.usefixtures("compile_quickly")

DATA = pd.DataFrame(
    {
        "id": np.repeat(np.arange(8), 3),
        "x": np.linspace(-1.0, 1.0, 24),
        "arm": pd.Categorical(np.tile(["b", "a", "c"], 8), categories=["b", "a", "c"]),
        "y": np.tile([0, 1, 2], 8),
    }
)


def _ordinal(family, params):
    data = DATA.assign(x2=DATA["x"] ** 2)
    return stated_fit(params, "y ~ x + x2", "~ 1 | id", data=data, family=family)


def test_reference_means(postfit_case):
    if postfit_case.name == "o23":
        pytest.skip("R's hurdle log-normal has means of log(y)")
    fitted, stored = postfit_case.fit, postfit_case.p["fitted"]
    found = fitted.marginal_means(kind="marginal")["estimate"]
    if "marginal_means_exact_engine" in stored and not postfit_case.fit.fitted_model.problem.family.has_zero_part:
        np.testing.assert_allclose(found, stored["marginal_means_exact_engine"], rtol=2e-4)


def test_standard_errors_are_those_of_finite_differences(intro_fit, intro_binomial):
    fitted, rows = intro_fit.fitted_model, intro_binomial.head(5)
    found = intro_fit.marginal_means(rows, kind="marginal")
    step = 1e-5
    with jax.enable_x64(True):
        own = jax.tree.map(lambda leaf: leaf[..., :5], own_rows(fitted))

        mean = jax.jit(lambda theta: population_mean(fitted.problem.layout.params(theta), own, fitted.problem.family))
        jacobian = np.stack([(mean(fitted.theta + d) - mean(fitted.theta - d)) / (2 * step) for d in step * np.eye(len(fitted.theta))], 1)
    for robust in (False, "CR1"):
        error = np.sqrt(np.diag(jacobian @ covariance(fitted, robust) @ jacobian.T))
        np.testing.assert_allclose(intro_fit.marginal_means(rows, kind="marginal", robust=robust)["std_error"], error, rtol=1e-6)
    logit = Logit().link(jnp.asarray(found["estimate"].to_numpy()))
    reach = 1.959963984540054 * found["std_error"] / (found["estimate"] * (1 - found["estimate"]))
    np.testing.assert_allclose(found["lower"], 1 / (1 + np.exp(-(logit - reach.to_numpy()))), rtol=1e-5)
    assert list(found.index) == list(rows.index)


def test_standardised_means_are_averages(intro_fit, intro_binomial):
    """g-computation by hand: the mean of the means of all rows with the sex set, and its error from their joint covariance."""
    both = pd.concat([intro_binomial.assign(sex=sex) for sex in ("female", "male")])
    found = intro_fit.marginal_means(both, by="sex")
    single = intro_fit.marginal_means(both)["estimate"].to_numpy()
    assert list(found.index) == ["female", "male"]
    np.testing.assert_allclose(found["estimate"], [single[:800].mean(), single[800:].mean()], rtol=1e-12)
    np.testing.assert_array_equal(found["n"], [800, 800])
    whole = intro_fit.marginal_means(both, average=True)
    np.testing.assert_allclose(whole["estimate"], [single.mean()], rtol=1e-12)
    assert whole["std_error"].iloc[0] < found["std_error"].max()


def test_rows_fitted_stand_for_no_newdata(intro_fit, intro_binomial):
    own = intro_fit.marginal_means(by=["sex"])
    np.testing.assert_allclose(own["estimate"], intro_fit.marginal_means(intro_binomial, by="sex")["estimate"], rtol=1e-12)
    assert len(intro_fit.marginal_means()) == 800


def test_mean_subject_is_the_inverse_link(intro_fit, intro_binomial):
    rows = intro_binomial.head(3)
    found = intro_fit.marginal_means(rows, kind="mean_subject")
    x = np.column_stack([np.ones(3), rows["sex"] == "female", rows["time"], (rows["sex"] == "female") * rows["time"]]).astype(float)
    np.testing.assert_allclose(found["estimate"], 1 / (1 + np.exp(-x @ intro_fit.fe_params)), rtol=1e-10)
    error = np.sqrt(np.einsum("ij,jk,ik->i", x, intro_fit.cov_params(), x))
    np.testing.assert_allclose(found["std_error"], error * found["estimate"] * (1 - found["estimate"]), rtol=1e-8)


def test_values_to_combine(intro_fit):
    found = intro_fit.marginal_means({"sex": ["male", "female"], "time": [0, 2]})
    assert list(found.index) == [("male", 0), ("male", 2), ("female", 0), ("female", 2)]
    at_mean = intro_fit.marginal_means({"sex": ["female"]})
    time = intro_fit.fitted_model.request.data["time"].mean()
    np.testing.assert_allclose(at_mean["estimate"], intro_fit.marginal_means({"sex": "female", "time": time})["estimate"], rtol=1e-12)


def test_levels_of_an_ordinal_outcome():
    """The probit link attenuates by sqrt(1 + D)."""
    family, params = gj.families.Cumulative("probit"), stated_params(np.array([0.8, -0.4]), np.array([[1.2]]), phi=np.array([-0.5, 0.3]))
    fit = _ordinal(family, params)
    thresholds = np.array([-0.5, -0.5 + np.exp(0.3)])
    for x, kind, scale in ((0.0, "marginal", np.sqrt(2.44)), (1.0, "mean_subject", 1.0)):
        found = fit.marginal_means({"x": x, "x2": 0.0}, kind=kind)
        below = stats.norm.cdf((thresholds - 0.8 * x) / scale)
        np.testing.assert_allclose(found["estimate"], np.diff([0.0, *below, 1.0]), rtol=1e-9)
        assert list(found.index.get_level_values("level")) == [0, 1, 2]
        assert (found["lower"] > 0).all()
        assert (found["upper"] < 1).all()


def test_a_dispersion_model_and_a_log_normal_mean():
    """The mean of a log-normal outcome is exp(eta + D/2 + sd^2/2), here with sd depending on x."""
    data = DATA.assign(y=np.exp(DATA["x"]))
    params = stated_params(np.array([0.2, 0.5]), np.array([[0.6]]), delta=np.array([-0.5, 0.3]))
    fit = stated_fit(params, "y ~ x", "~ 1 | id", data=data, family="lognormal", dispersion="~ x")
    found = fit.marginal_means({"x": [0.5]}, kind="marginal")
    exact = np.exp(0.2 + 0.25 + 0.18 + 0.5 * np.exp(2 * (-0.5 + 0.15)))
    np.testing.assert_allclose(found["estimate"], [exact], rtol=1e-10)
    slope = np.array([1, 0.5, 0.6, np.exp(-0.7), 0.5 * np.exp(-0.7)])  # of the logarithm, in beta, the sd, delta
    np.testing.assert_allclose(found["std_error"] / exact, [0.1 * np.linalg.norm(slope)], rtol=1e-8)


def test_missing_values(intro_fit, intro_binomial):
    rows = intro_binomial.head(4).assign(time=[0.0, np.nan, 1.0, 2.0])
    found = intro_fit.marginal_means(rows)
    assert list(found["estimate"].isna()) == [False, True, False, False]
    with pytest.raises(ArgumentError, match="missing values in 1 of 4 rows"):
        intro_fit.marginal_means(rows, by="sex")


def test_a_second_call_compiles_nothing(intro_fit, intro_binomial):
    intro_fit.marginal_means(intro_binomial.head(5))
    compiled: Any = _row_values
    before = len(compiled._executables)
    intro_fit.marginal_means(intro_binomial.head(7), robust=True, level=0.5)
    assert len(compiled._executables) == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"kind": "subject_specific"},
            ArgumentError,
            "kind='subject_specific' is not known; choose one of 'mean_subject', 'marginal', 'zero_part'",
        ),
        ({"level": 95}, ArgumentError, "level=95 must be a number between 0 and 1"),
        ({"by": "sex", "average": True}, ArgumentError, "give one of the two"),
        ({"by": "centre"}, ArgumentError, "by='centre' names 'centre', and the rows have no such column"),
        ({"newdata": {"sec": ["male"]}}, ArgumentError, "did you mean 'sex'"),
        ({"newdata": {"sex": []}}, ArgumentError, r"newdata\['sex'\] holds no value"),
        ({"newdata": {"sex": ["other"]}}, DesignError, "a level that the rows fitted do not have"),
        ({"newdata": pd.DataFrame({"sex": ["male"]})}, DesignError, "'time'"),
        ({"newdata": pd.DataFrame({"sex": [], "time": []})}, ArgumentError, "no rows"),
        ({"robust": "HC1"}, ArgumentError, "robust"),
    ],
)
def test_refusals(intro_fit, arguments, error, message):
    with pytest.raises(error, match=message):
        intro_fit.marginal_means(**arguments)


def test_a_family_without_a_mean_is_refused():
    params, family = stated_params(np.zeros(2), np.eye(1), phi=np.zeros(1)), gj.families.StudentT(df=1.0)
    fit = stated_fit(params, "y ~ x", "~ 1 | id", data=DATA.assign(y=DATA["x"]), family=family)
    with pytest.raises(ArgumentError, match="has no mean"):
        fit.marginal_means()


def test_groups_of_the_rows_fitted_stand_in_the_order_of_their_levels():
    """Whatever row comes first: a text sorted, a categorical by its categories. Rows of the caller keep his order."""
    data = gj.datasets.load_intro_binomial()
    data = data.assign(text=data["sex"].astype(str), turned=data["sex"].cat.reorder_categories(["female", "male"]))
    for rows in (data.sort_values("text"), data.sort_values("text", ascending=False)):
        fit = gj.mixed_model("y ~ text", random=None, data=rows, family="binomial")
        assert list(fit.marginal_means(by="text").index) == ["female", "male"]
        assert list(fit.marginal_means(by="sex").index) == ["male", "female"]
        assert list(fit.marginal_means(by="turned").index) == ["female", "male"]
        assert list(fit.marginal_means(rows, by="text").index) == list(dict.fromkeys(rows["text"]))


def test_a_column_in_the_place_of_rows_is_told_where_it_goes(intro_fit):
    for method in (intro_fit.marginal_means, intro_fit.contrasts):
        with pytest.raises(ArgumentError, match=r"newdata='sex' must be None, or .*; the name of a column goes to by="):
            method("sex")
        method(by="sex")
