"""Score tests of added terms: closed form without random effects, against refits, and refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import glmmjax as gj
from glmmjax.design.added_terms import read_added_columns
from glmmjax.errors import ArgumentError, DesignError, FormulaError
from glmmjax.postfit.inference.score_test import score_test
from glmmjax.postfit.prediction.rows import own_rows

pytestmark = pytest.mark.usefixtures("compile_quickly")


def columns(fit, terms, data=None, env=None):
    record = fit.fitted_model
    own = np.asarray(own_rows(record).X[0]).T
    return read_added_columns(record.design, own, terms, record.request.data if data is None else data, "main", env or {})


def test_without_random_effects_it_is_the_closed_form_of_a_logistic_regression(no_effects_fit, intro_binomial):
    time = intro_binomial["time"].to_numpy()
    X = np.asarray(own_rows(no_effects_fit.fitted_model).X[0]).T
    Z = np.column_stack([time**2, time**3])
    mean = 1 / (1 + np.exp(-X @ no_effects_fit.fitted_model.theta))
    weight, score = mean * (1 - mean), Z.T @ (intro_binomial["y"].to_numpy() - mean)
    variance = (Z.T * weight) @ Z - (Z.T * weight) @ X @ np.linalg.solve((X.T * weight) @ X, (X.T * weight) @ Z)
    found = no_effects_fit.score_test("I(time**2) + I(time**3)")
    assert found.statistic == pytest.approx(score @ np.linalg.solve(variance, score), rel=1e-5)
    assert found.df == 2
    assert found.p_value == pytest.approx(chi2.sf(found.statistic, 2), rel=1e-9)
    np.testing.assert_allclose(found.table["variance"], np.diagonal(variance), rtol=1e-6)
    assert list(found.table.index) == ["I(time ** 2)", "I(time ** 3)"]
    assert "Score test of added terms\nchi2(2) = " in str(found)


def test_it_is_close_to_the_tests_of_a_refit(intro_fit, intro_binomial):
    # the likelihood ratio and Wald tests of the model with the term, a fit of this package to the same data: 1.7416 and 1.7299
    found = intro_fit.score_test("I(time**2)")
    assert found.statistic == pytest.approx(1.74, abs=0.03)
    by_array = intro_fit.score_test(intro_binomial["time"].to_numpy() ** 2)
    assert by_array.statistic == pytest.approx(found.statistic, rel=1e-9)
    assert list(by_array.table.index) == ["added"]


def test_factors_are_coded_as_in_a_refit(intro_fit, intro_binomial):
    data = intro_binomial.assign(arm=np.where(np.arange(800) % 3 == 0, "a", "b"))
    assert columns(intro_fit, "arm", data).names == ("arm[T.b]",)
    found = columns(intro_fit, "arm:sex", data)
    # arm:sex brings the main effect of arm, and the interaction beside sex
    assert found.values.shape == (800, 2)
    X = np.column_stack([np.asarray(own_rows(intro_fit.fitted_model).X[0]).T, found.values])
    assert np.linalg.matrix_rank(X) == 6
    base = 0.3
    assert columns(intro_fit, "I((time > base) * 1.0)", env={"base": base}).values.sum() == (intro_binomial["time"] > base).sum()


def test_rows_that_were_dropped_are_left_out(intro_binomial):
    data = intro_binomial.assign(y=intro_binomial["y"].astype(float), x=np.arange(800.0) ** 0.5)
    data.loc[[3, 77], "y"] = np.nan
    fit = gj.mixed_model("y ~ sex * time", data=data, family="binomial")
    for terms in ("x", data["x"], data["x"].dropna().drop([3, 77])):
        np.testing.assert_array_equal(columns(fit, terms).values[:, 0], data["x"].drop([3, 77]))
    with pytest.raises(DesignError, match=r"'x' is missing in 1 of the rows fitted, first in row 5\. Both models must have the same rows"):
        columns(fit, "x", data.assign(x=data["x"].where(data.index != 5)))
    with pytest.raises(ArgumentError, match="row labels of data repeat"):
        columns(fit, "x", data.set_axis(np.zeros(800, int), axis=0))


@pytest.mark.parametrize(
    ("terms", "error", "message"),
    [
        ("I(time**2) + (1 | id)", FormulaError, r"must be fixed effects .* anova\(..., boundary=True\)"),
        ("", FormulaError, "must be fixed effects"),
        ("tme", FormulaError, "names 'tme', and data have no such column: did you mean 'time'"),
        ("time", DesignError, "'time' add nothing, because the model has these columns"),
        ("I(2 * time - 1)", DesignError, "add nothing"),
        ("np.log(time)", DesignError, r"the added terms: 'np.log\(time\)' is -inf in row 0"),
        (np.ones(10), ArgumentError, r"shape \(10,\), and must have 800 rows"),
        (["a"] * 800, ArgumentError, "terms has type list, and must be text"),
        (np.full((800, 1), np.nan), DesignError, "the added terms: 'added' is nan"),
        (pd.DataFrame({"a": np.arange(800.0), "b": 2 * np.arange(800.0)}), DesignError, "'b' follow from other columns"),
    ],
)
def test_terms_that_cannot_be_added_are_refused(intro_fit, terms, error, message):
    with pytest.raises(error, match=message):
        score_test(intro_fit.fitted_model, terms)


def test_other_data_parts_and_penalised_fits_are_refused(intro_fit, penalized_fit, intro_binomial):
    with pytest.raises(ArgumentError, match="the data of the fit had 800 rows and now have 799"):
        columns(intro_fit, "I(time**2)", intro_binomial.iloc[1:])
    with pytest.raises(ArgumentError, match="part='zi' is no predictor of this model; choose one of 'fixed'"):
        intro_fit.score_test("time", part="zi")
    with pytest.raises(ArgumentError, match=r"score_test needs a maximum of the log-likelihood.*penalized=False"):
        penalized_fit.score_test("I(time**2)")


@pytest.mark.slow
def test_parts_of_a_zero_inflated_model_against_refits():
    from tests.reference_cases import load_case

    case = load_case("o17")
    fit = gj.mixed_model(**case.arguments)
    for part, keyword, terms in (("zero", "zi_fixed", "sex"), ("fixed", "fixed", "I(time**2)")):
        larger = fit.update(**{keyword: f"{case.arguments[keyword]} + {terms}"})
        found, ratio = fit.score_test(terms, part=part), gj.anova(fit, larger)
        assert found.df == 1
        assert found.statistic == pytest.approx(ratio.statistic, rel=0.1, abs=0.02)
        step = found.table["one_step"].iloc[0]
        estimate = larger.zi_params.iloc[-1] if part == "zero" else larger.fe_params["I(time ** 2)"]
        assert step == pytest.approx(estimate, rel=0.15, abs=0.02)


@pytest.mark.slow
def test_a_singular_fit_and_an_ordinal_one_against_refits(singular_fit):
    quadratic = singular_fit.update(fixed="y ~ sex * time + I(time**2)")
    assert singular_fit.score_test("I(time**2)").statistic == pytest.approx(gj.anova(singular_fit, quadratic).statistic, abs=0.15)
    generator = np.random.default_rng(5)
    group, x = np.repeat(np.arange(60), 6), generator.normal(size=360)
    data = {"y": np.digitize(generator.normal(size=60)[group] + 0.7 * x + generator.logistic(size=360), [-1.0, 0.5]), "x": x, "g": group}
    fit = gj.mixed_model("y ~ 1", random="~ 1 | g", data=data, family="cumulative")
    ratio = gj.anova(fit, fit.update(fixed="y ~ x"))
    assert fit.score_test("x").statistic == pytest.approx(ratio.statistic, rel=0.1)


def test_the_robust_test_is_the_closed_form_of_a_logistic_regression(no_effects_fit, intro_binomial):
    """Boos (1992): rows are the units of a model without random effects."""
    X = np.asarray(own_rows(no_effects_fit.fitted_model).X[0]).T
    Z = np.column_stack([intro_binomial["time"].to_numpy() ** 2, intro_binomial["time"].to_numpy() ** 3])
    mean = 1 / (1 + np.exp(-X @ no_effects_fit.fitted_model.theta))
    weight, residual = mean * (1 - mean), intro_binomial["y"].to_numpy() - mean
    explained = (Z.T * weight) @ X @ np.linalg.inv((X.T * weight) @ X)
    parts = residual[:, None] * (Z - X @ explained.T)
    score, meat = Z.T @ residual, parts.T @ parts
    found = no_effects_fit.score_test("I(time**2) + I(time**3)", robust=True)
    assert found.statistic == pytest.approx(score @ np.linalg.solve(meat, score), rel=1e-5)
    np.testing.assert_allclose(found.table["variance"], np.diagonal(meat), rtol=1e-6)
    plain = no_effects_fit.score_test("I(time**2) + I(time**3)")
    np.testing.assert_allclose(found.table["one_step"], plain.table["one_step"], rtol=1e-9)  # of the model, whatever the variance
    adjusted = no_effects_fit.score_test("I(time**2) + I(time**3)", robust="CR1")
    n = len(intro_binomial)
    assert adjusted.statistic == pytest.approx(found.statistic * (n - 1) / n, rel=1e-9)


def test_the_robust_test_of_a_mixed_model_is_close_to_the_robust_wald_test_of_a_refit(intro_fit):
    refit = intro_fit.update(fixed="y ~ sex * time + I(time**2)").wald_test("I(time ** 2) = 0", robust=True)
    assert intro_fit.score_test("I(time**2)", robust=True).statistic == pytest.approx(refit.statistic, abs=0.1)
    with pytest.raises(ArgumentError, match="robust='CR3' corrects the covariance of estimates"):
        intro_fit.score_test("I(time**2)", robust="CR3")
