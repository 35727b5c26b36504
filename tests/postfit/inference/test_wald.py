"""Wald tests of linear hypotheses: R's, closed forms, the same hypothesis in every form, and refusals."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import glmmjax as gj
from glmmjax.design.hypotheses import read_hypotheses
from glmmjax.errors import ArgumentError
from glmmjax.postfit.inference.wald import wald_test
from glmmjax.postfit.uncertainty.vcov import covariance

NAMES = ("Intercept", "sex[T.female]", "time", "sex[T.female]:time", "zi_Intercept")


def test_all_but_the_intercept_is_the_test_of_r(postfit_case):
    L = np.eye(len(postfit_case.fixed_order))[1:]
    for stored, robust, close in (("anova_L", False, 2e-3), ("anova_L_sandwich", "CR0", 4e-3)):
        expected = postfit_case.p[stored]
        if "error" in expected:
            continue
        found = postfit_case.fit.wald_test(L, robust)
        assert found.statistic == pytest.approx(expected["Chisq"], rel=close)
        assert found.df == expected["df"]
        assert found.p_value == pytest.approx(chi2.sf(found.statistic, found.df), rel=1e-9)


def test_the_same_hypotheses_in_every_form(intro_fit):
    L = np.zeros((2, 4))
    L[0, 1], L[1, 3] = 1.0, 1.0
    forms = [
        L,
        L.tolist(),
        pd.DataFrame(L),
        "sex[T.female] = 0, sex[T.female]:time = 0",
        ["sex[T.female]", "sex[T.female]:time = 0"],
        {"sex[T.female]": 0, "sex[T.female]:time": 0},
        np.column_stack([L, np.zeros(2)]),
    ]
    statistics = [intro_fit.wald_test(form).statistic for form in forms]
    beta, V = intro_fit.fe_params.to_numpy()[[1, 3]], intro_fit.cov_params().to_numpy()[np.ix_([1, 3], [1, 3])]
    np.testing.assert_allclose(statistics, beta @ np.linalg.solve(V, beta), rtol=1e-9)


def test_one_hypothesis_is_the_square_of_z(intro_fit):
    assert intro_fit.wald_test([0, 0, 1, 0]).statistic == pytest.approx(intro_fit.zvalues["time"] ** 2)
    found = intro_fit.wald_test("time + sex[T.female]:time = 0.3")
    assert found.p_value == pytest.approx(found.table["p_value"].iloc[0])
    assert found.table.loc["time + sex[T.female]:time = 0.3", "value"] == 0.3
    assert found.table["estimate"].iloc[0] == pytest.approx(intro_fit.fe_params["time"] + intro_fit.fe_params["sex[T.female]:time"])


def test_text_and_html_show_the_joint_test(intro_fit):
    found = intro_fit.wald_test("2 * time = 1, -sex[T.female] = time", robust="CR1")
    assert "Wald test of linear hypotheses (robust covariance CR1)" in str(found)
    assert f"chi2(2) = {found.statistic:.4f}" in repr(found)
    assert "2 time = 1" in str(found)
    assert "-sex[T.female] - time = 0" in found._repr_html_()


def test_other_parameters_have_names_too(intro_fit):
    found = intro_fit.wald_test("L[Intercept,Intercept] = 2")
    V = covariance(intro_fit.fitted_model)
    assert found.statistic == pytest.approx((intro_fit.fitted_model.theta[4] - 2) ** 2 / V[4, 4])


def test_names_of_the_parts_are_read():
    found = read_hypotheses("zi_Intercept = time, sex[T.female]:time = 2", NAMES, 4)
    np.testing.assert_array_equal(found.matrix, [[0, 0, -1, 0, 1], [0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(found.values, [0, 2])
    assert found.texts == ("-time + zi_Intercept = 0", "sex[T.female]:time = 2")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("tme = 0", "hypotheses='tme = 0' cannot be read: .* Did you mean 'time'.*; the names are 'Intercept', "),
        ({"tme": 1}, "Did you mean 'time'"),
        ("time =", "hypotheses='time =' cannot be read"),
        ("", "hypotheses is empty; write one or more"),
        ([], "hypotheses is empty"),
        (np.eye(3), r"shape \(3, 3\), and must have 4 columns, one for each fixed effect .*'sex\[T.female\]:time'\), or 5"),
        (3, r"shape \(\), and must have 4 columns"),
        (np.zeros((2, 2, 4)), r"shape \(2, 2, 4\)"),
        (np.zeros((0, 4)), "hypotheses has none"),
        ("time = 0, 2 * time = 1", "2 rows of rank 1: some follow from the others or contradict them"),
        (np.zeros((1, 4)), "1 rows of rank 0"),
        ([[np.nan, 0, 0, 0]], "a value that is not finite"),
        ([["a", "b"]], "hypotheses has type list, and must be text"),
        ([[1, 0], [1]], "hypotheses has type list, and must be text"),
    ],
)
def test_what_is_no_hypothesis_is_refused(wrong, message):
    with pytest.raises(ArgumentError, match=message):
        read_hypotheses(wrong, NAMES, 4)


def test_parameters_without_standard_errors_are_refused(intro_fit, singular_fit):
    with pytest.raises(ArgumentError, match=r"on L\[time,time\], not all of which have a standard error: D is singular"):
        singular_fit.wald_test("L[time,time] = 1")
    assert singular_fit.wald_test("time = 0").statistic == pytest.approx(singular_fit.zvalues["time"] ** 2)
    lost = dataclasses.replace(intro_fit.fitted_model, information=np.full((5, 5), np.nan))
    with pytest.raises(ArgumentError, match="the fit has no certificate of a maximum"):
        wald_test(lost, "time = 0")


def test_a_robust_covariance_of_too_low_rank_is_refused(intro_fit, monkeypatch):
    from glmmjax.postfit.inference import wald

    direction: Any = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    monkeypatch.setattr(wald, "covariance", lambda fitted, robust: np.outer(direction, direction))
    with pytest.raises(ArgumentError, match="covariance matrix of the 3 hypotheses is singular"):
        intro_fit.wald_test(np.eye(4)[1:], robust=True)


def test_the_name_of_a_factor_ends_in_the_hypothesis_on_all_of_its_levels():
    fit = gj.mixed_model("cbind(incidence, noninc) ~ period", random=None, data=gj.datasets.load_cbpp(), family="binomial")
    with pytest.raises(ArgumentError, match="For the whole of 'period' write") as refused:
        fit.wald_test("period")
    advice = str(refused.value).split("write '")[1].split("'.")[0]
    assert fit.wald_test(advice).df == 3
