"""The numbers behind effect plots: against GLMMadaptive's, the linear predictor, and marginal means."""

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, DesignError
from tests.postfit.stated import stated_fit, stated_params

pytestmark = pytest.mark.usefixtures("compile_quickly")

GRID = {"sex": ["male", "female"], "time": [0.0, 1.0, 2.0, 3.0, 4.0]}


def test_reference_effects(postfit_case):
    """On the link scale by the delta method; with a zero part R's limits are quantiles of 200 draws."""
    stored = postfit_case.p.get("effectPlotData")
    if stored is None or postfit_case.name == "o23" or not stored["newdata"].startswith("expand.grid(time=0:4, sex=c(male,female))"):
        pytest.skip("no effects of these rows are stored, or they are of log(y)")
    found = postfit_case.fit.effects(GRID, scale="link")
    tolerance = 0.2 if stored["random"] else 2e-3
    np.testing.assert_allclose(found["estimate"], stored["pred"], atol=1e-3)
    np.testing.assert_allclose(found["lower"], stored["low"], atol=tolerance)
    np.testing.assert_allclose(found["upper"], stored["upp"], atol=tolerance)


def test_a_grid_holds_other_covariates_and_varies_the_first_slowest(intro_fit, intro_binomial):
    found = intro_fit.effects({"time": [0.0, 1.0], "sex": ["male", "female"]})
    assert list(zip(found["time"], found["sex"], strict=True)) == [(0.0, "male"), (0.0, "female"), (1.0, "male"), (1.0, "female")]
    held = intro_fit.effects({"time": range(3)})
    assert set(held["sex"]) == {intro_binomial["sex"].value_counts().idxmax()}
    assert intro_fit.effects({"sex": "female"})["time"].iloc[0] == pytest.approx(intro_binomial["time"].mean())


def test_rows_keep_their_columns_and_labels(intro_fit, intro_binomial):
    rows = intro_binomial.head(4).assign(time=[0.0, np.nan, 1.0, 2.0]).set_axis(list("abcd"))
    found = intro_fit.effects(rows)
    assert list(found.columns) == [*rows.columns, "estimate", "std_error", "lower", "upper"]
    assert list(found.index) == list("abcd")
    assert list(found["estimate"].isna()) == list(found["lower"].isna()) == [False, True, False, False]


def test_marginal_effects_are_marginal_means(intro_fit):
    found, means = intro_fit.effects(GRID, kind="marginal"), intro_fit.marginal_means(GRID, kind="marginal")
    for name in ("estimate", "std_error", "lower", "upper"):
        np.testing.assert_allclose(found[name], means[name], rtol=1e-12)
    on_link = intro_fit.effects(GRID, kind="marginal", scale="link")
    np.testing.assert_allclose(1 / (1 + np.exp(-on_link[["estimate", "lower", "upper"]])), found[["estimate", "lower", "upper"]], rtol=1e-9)


def test_robust_errors_of_the_linear_predictor(intro_fit):
    found = intro_fit.effects({"sex": "male", "time": [0.0, 3.0]}, scale="link", robust=True)
    x = np.array([[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 3.0, 0.0]])
    v = intro_fit.cov_params(robust=True).to_numpy()
    np.testing.assert_allclose(found["std_error"], np.sqrt(np.diag(x @ v @ x.T)), rtol=1e-9)


def test_levels_of_an_ordinal_outcome():
    data = pd.DataFrame({"id": np.repeat(np.arange(8), 3), "x": np.linspace(-1, 1, 24), "y": np.tile([0, 1, 2], 8)})
    params = stated_params(np.array([0.8]), np.array([[1.2]]), phi=np.array([-0.5, 0.3]))
    fit = stated_fit(params, "y ~ x", "~ 1 | id", data=data, family="cumulative")
    found = fit.effects({"x": [0.0, 1.0]})
    assert list(found["level"]) == [0, 1, 2, 0, 1, 2]
    assert list(found["x"]) == [0.0] * 3 + [1.0] * 3
    on_link = fit.effects({"x": [0.0, 1.0]}, scale="link")
    lowest = on_link[on_link["level"] == 0]
    np.testing.assert_allclose(lowest["estimate"], [-0.5, -1.3], rtol=1e-9)  # threshold minus predictor
    np.testing.assert_allclose(lowest["std_error"], [0.1, 0.1 * np.sqrt(2)], rtol=1e-8)
    np.testing.assert_allclose(found.groupby("x")["estimate"].sum(), 1.0, rtol=1e-12)


def test_the_zero_part():
    """Probability and logit at random effects of 0; the differences of contrasts from them."""
    data = pd.DataFrame({"id": np.repeat(np.arange(8), 3), "x": np.linspace(-1, 1, 24), "y": np.tile([0, 1, 2], 8)})
    params = stated_params(np.array([0.3, 0.2]), np.array([[0.5]]), gamma=np.array([-0.4, 0.9]))
    fit = stated_fit(params, "y ~ x", "~ 1 | id", data=data, family="zero_inflated_poisson", zi_fixed="~ x")
    found, on_link = (fit.effects({"x": [0.0, 1.0]}, kind="zero_part", scale=scale) for scale in ("response", "link"))
    assert found.columns.name == "zero_part"
    zero = 1 / (1 + np.exp([0.4, -0.5]))
    np.testing.assert_allclose(found["estimate"], zero, rtol=1e-10)
    np.testing.assert_allclose(on_link["estimate"], [-0.4, 0.5], rtol=1e-10)
    error = 0.1 * np.sqrt([1.0, 2.0])  # each estimate has the standard error 0.1
    np.testing.assert_allclose(on_link["std_error"], error, rtol=1e-8)
    np.testing.assert_allclose(found["std_error"], zero * (1 - zero) * error, rtol=1e-8)
    np.testing.assert_allclose(found["upper"], 1 / (1 + np.exp(-(np.array([-0.4, 0.5]) + 1.959963984540054 * error))), rtol=1e-8)
    np.testing.assert_allclose(fit.contrasts({"x": [0.0, 1.0]}, kind="zero_part", comparison="link")["estimate"], [0.9], rtol=1e-10)
    np.testing.assert_allclose(fit.marginal_means({"x": [0.0, 1.0]}, kind="zero_part")["estimate"], zero, rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"kind": "zero_part"},
            ArgumentError,
            "kind='zero_part' is the probability of a structural zero, and the binomial family has no zero part",
        ),
        ({"scale": "probability"}, ArgumentError, "scale='probability' is not known; choose one of 'response', 'link'"),
        ({"newdata": {"id": [1]}}, ArgumentError, "values for 'id', which is no covariate of the model"),
        ({"newdata": {"sex": ["unknown"]}}, DesignError, "a level that the rows fitted do not have"),
        ({"newdata": pd.DataFrame({"sex": ["male"], "time": [np.nan]})}, ArgumentError, "no row without missing values"),
        ({"level": 0}, ArgumentError, "level=0 must be a number between 0 and 1"),
    ],
)
def test_refusals(intro_fit, arguments, error, message):
    with pytest.raises(error, match=message):
        intro_fit.effects(**{"newdata": GRID, **arguments})


def test_the_name_of_a_covariate_stands_for_its_range_or_levels(intro_fit):
    along = intro_fit.effects("time")
    assert (along["time"].iloc[0], along["time"].iloc[-1], len(along)) == (0.0, gj.datasets.load_intro_binomial()["time"].max(), 50)
    pd.testing.assert_frame_equal(intro_fit.effects("sex"), intro_fit.effects({"sex": ["male", "female"]}))
    with pytest.raises(ArgumentError, match="'week', which is no covariate of the model"):
        intro_fit.effects("week")
