"""Several fits in one table: each test is that of ``anova``, criteria are their definitions, and other rows are warned of."""

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, DesignWarning

COMPARE: Any = gj.compare_models  # for calls that a type checker refuses too


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    n = 60
    return pd.DataFrame({"y": rng.poisson(2, n), "x": rng.normal(size=n), "z": rng.normal(size=n), "id": np.repeat(np.arange(12), 5)})


def with_likelihood(fit, value):
    """The fit as if its maximum were ``value``."""
    return gj.MixedModelResults(dataclasses.replace(fit.fitted_model, log_likelihood=value, objective=value), fit._refit)


@pytest.fixture
def three(as_if_fitted, frame):
    """Nested models with 2, 3 and 4 parameters."""
    terms = {"1": -120.0, "x": -117.5, "x + z": -117.4}
    fits = [as_if_fitted(f"y ~ {t}", random="~ 1 | id", data=frame, family="poisson") for t in terms]
    return [with_likelihood(fit, value) for fit, value in zip(fits, terms.values(), strict=True)]


def test_the_table_by_its_definitions(three):
    small, middle, large = three
    table = gj.compare_models(large, small, middle).table  # in any order
    assert list(table.index) == ["fit1", "fit2", "fit0"]
    assert list(table.columns) == ["N", "clusters", "npar", "log.Lik", "AIC", "dAIC", "BIC", "LRT", "df", "p-value"]
    assert table["N"].to_list() == [60, 60, 60]
    assert table["clusters"].to_list() == [12, 12, 12]
    assert table["npar"].to_list() == [2, 3, 4]
    np.testing.assert_allclose(table["AIC"], [244.0, 241.0, 242.8])
    np.testing.assert_allclose(table["dAIC"], [3.0, 0.0, 1.8])
    np.testing.assert_allclose(table["BIC"], [240 + 2 * math.log(12), 235 + 3 * math.log(12), 234.8 + 4 * math.log(12)])
    np.testing.assert_allclose(table["LRT"], [np.nan, 5.0, 0.2])
    # P(chi2_1 > x) = erfc(sqrt(x / 2))
    np.testing.assert_allclose(table["p-value"], [np.nan, math.erfc(math.sqrt(2.5)), math.erfc(math.sqrt(0.1))])


def test_each_test_is_that_of_anova(three):
    table = gj.compare_models(*three).table
    for k in (1, 2):
        assert table["p-value"].iloc[k] == gj.anova(three[k - 1], three[k]).p_value
    assert gj.compare_models(*three[:2]).table["LRT"].iloc[1] == gj.anova(*three[:2]).statistic


def test_a_boundary_is_passed_on(as_if_fitted, frame, three):
    none = with_likelihood(as_if_fitted("y ~ x", data=frame, family="poisson"), -119.0)
    pair = (none, three[1])
    assert gj.compare_models(*pair, boundary=True).table["p-value"].iloc[1] == gj.anova(*pair, boundary=True).p_value
    shown = " ".join(str(gj.compare_models(*pair, three[2])).split())
    assert "fit0 and fit1: BIC counts the 12 clusters in both rows." in shown
    assert gj.compare_models(*pair).table["BIC"].iloc[0] == pytest.approx(238 + 2 * math.log(12))


def test_models_that_are_not_nested_have_a_reason_in_the_place_of_a_test(as_if_fitted, frame, three):
    other = with_likelihood(as_if_fitted("y ~ z", random="~ 1 | id", data=frame, family="negative_binomial"), -116.0)
    found = gj.compare_models(three[0], other, three[1], names=["null", "other", "x"])
    text = " ".join(str(found).split())
    assert found.table["AIC"].notna().all()
    assert re.search(r"x and other: No test: the models are not nested", text)
    assert "negative_binomial(log)" in text


def test_fits_of_other_rows_are_warned_of_and_not_tested(as_if_fitted, frame, three):
    missing = frame.assign(z=frame["z"].where(frame.index > 6))
    fewer = with_likelihood(as_if_fitted("y ~ x + z", random="~ 1 | id", data=missing, family="poisson"), -100.0)
    with pytest.warns(DesignWarning, match=r"different numbers of rows \(fit0 60, fit1 53\).*AIC and BIC cannot be compared") as caught:
        found = gj.compare_models(three[1], fewer)
    assert caught[0].filename == __file__
    assert found.table[["LRT", "p-value", "dAIC"]].isna().all(axis=None)
    assert found.table["N"].to_list() == [60, 53]
    assert "drop the rows with missing values" in " ".join(str(found).split())


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda fits: COMPARE(fits[0]), "takes two or more fits, .* and 1 came"),
        (lambda fits: COMPARE(*fits[:2], 3), "and 3 is none"),
        (lambda fits: COMPARE(fits), "is none; compare_models"),
        (lambda fits: COMPARE(*fits, names=["a", "b"]), "must be 3 different texts in a list"),
        (lambda fits: COMPARE(*fits, names=["a", "b", "b"]), "must be 3 different texts"),
        (lambda fits: COMPARE(*fits, names="abc"), "names='abc' must be 3 different texts"),
        (lambda fits: COMPARE(*fits, boundary=1), "boundary=1 is not known"),
    ],
)
def test_what_it_refuses(three, call, match):
    with pytest.raises(ArgumentError, match=match):
        call(three)


def test_penalised_fits_and_other_outcomes_are_refused_by_name(as_if_fitted, frame, three):
    penalised = as_if_fitted("y ~ x", random="~ 1 | id", data=frame, family="poisson", penalized=True)
    with pytest.raises(ArgumentError, match="shrunk is a penalised fit"):
        gj.compare_models(three[0], penalised, names=["plain", "shrunk"])
    other = as_if_fitted("y ~ x", random="~ 1 | id", data=frame.assign(y=frame["y"] + 1), family="poisson")
    with pytest.raises(ArgumentError, match=r"first \(y\) and second \(y\) have different outcomes"):
        gj.compare_models(three[0], other, names=["first", "second"])


def test_pages_for_documents(three):
    found = gj.compare_models(*three, names=["null", "x", "x_and_z"])
    lines = str(found).splitlines()
    assert lines[:2] == ["Comparison of models:", "null: y ~ 1, ~ 1 | id"]
    assert lines[4].split() == ["N", "clusters", "npar", "log.Lik", "AIC", "dAIC", "BIC", "LRT", "df", "p-value"]
    assert lines[6].split()[0] == "x"
    assert lines[6].split()[-3:] == ["5.00", "1", "0.0253"]
    assert r"x\_and\_z" in found.page.to_latex()
    assert "| null |" in found.page.to_markdown()
    assert found._repr_html_() == found.page.to_html()


def test_all_results_have_one_html_renderer(three, intro_fit):
    head = '<div class="glmmjax-summary" style='
    shown = [intro_fit, intro_fit.summary(), gj.anova(*three[:2]), gj.compare_models(*three), intro_fit.wald_test("time = 0")]
    assert all(one._repr_html_().startswith(head) for one in shown)
