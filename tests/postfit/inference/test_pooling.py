"""Rubin's rules against what R's mice 3.15 prints, and what ``gj.pool`` refuses."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.postfit.inference.pooling import pooled

Q = np.array([0.52, 0.61, 0.47, 0.58, 0.55])
U = np.array([0.011, 0.013, 0.0105, 0.0121, 0.0118])


# mice::pool.scalar(Q, U, n = 80, k = 3) and mice::pool.scalar(Q, U)
@pytest.mark.parametrize(
    ("complete_df", "df", "fmi"), [(77.0, 32.55897874608, 0.27460757778), (float("inf"), 74.717241254347, 0.251156673079)]
)
def test_the_numbers_of_mice(complete_df, df, fmi):
    found = pooled(Q[:, None], np.sqrt(U)[:, None], complete_df)
    np.testing.assert_allclose(found.estimates, 0.546, rtol=1e-12)
    np.testing.assert_allclose(found.errors**2, 0.015196, rtol=1e-10)
    np.testing.assert_allclose(found.increase, 0.30102739726, rtol=1e-10)
    np.testing.assert_allclose(found.df, df, rtol=1e-10)
    np.testing.assert_allclose(found.missing_information, fmi, rtol=1e-10)


def test_equal_imputations_are_one_fit(intro_fit):
    table = gj.pool([intro_fit, intro_fit, intro_fit])
    single = intro_fit.tidy(effects="fixed", conf_int=True)
    for name in ("estimate", "std.error", "p.value", "conf.low", "conf.high"):
        np.testing.assert_allclose(table[name], single[name], rtol=1e-6, atol=1e-12)
    assert np.isinf(table["df"]).all()
    assert (table["fmi"] == 0).all()


def imputed(m: int = 4) -> pd.DataFrame:
    data, draws = gj.datasets.load_intro_binomial(), np.random.default_rng(1)
    return pd.concat([data.assign(x=data["time"] + draws.normal(0, 2, len(data)), imputation=k) for k in range(m)])


@pytest.mark.slow
def test_fits_in_one_call_are_pooled_as_single_ones():
    data = imputed(3)
    many = gj.fit_many("y ~ x", "~ 1 | id", data=data, by="imputation", family="binomial")
    singles = [gj.mixed_model("y ~ x", "~ 1 | id", data=part, family="binomial") for _, part in data.groupby("imputation")]
    pd.testing.assert_frame_equal(gj.pool(many, complete_df=98), gj.pool(singles, complete_df=98), rtol=1e-6)
    estimates = np.array([fit.fe_params["x"] for fit in singles])
    total = np.mean([fit.bse_fe["x"] ** 2 for fit in singles]) + 4 / 3 * estimates.var(ddof=1)
    row = gj.pool(singles).set_index("term").loc["x"]
    np.testing.assert_allclose([row["estimate"], row["std.error"] ** 2], [estimates.mean(), total], rtol=1e-10)


def test_fits_that_cannot_be_pooled_are_refused(intro_fit):
    other = intro_fit.update(fixed="y ~ sex")
    cases: list[tuple[Any, str]] = [
        ([intro_fit], "fits has 1 fit; pooling takes two or more"),
        ([], "fits has 0 fit"),
        ([intro_fit, 3], "fits has 3 at place 1"),
        ("fits", "fits has 'fits' at place 0"),
        ([intro_fit, intro_fit.update(family=gj.families.Binomial(link="probit"))], r"y by binomial\(probit\) .* at place 1"),
        ([intro_fit, other], "fits are of different models: .* at place 0, y by binomial\\(logit\\) with Intercept, .* at place 1"),
    ]
    for fits, words in cases:
        with pytest.raises(ArgumentError, match=words):
            gj.pool(fits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = gj.datasets.load_intro_binomial()
        unfinished = intro_fit.update(data=data.assign(y=(data["sex"] == "female").astype(float)))
    with pytest.raises(ArgumentError, match="1 of the fits have no certificate of a maximum, such as 1"):
        gj.pool([intro_fit, unfinished])


def test_outcomes_of_one_name_are_pooled():
    data = gj.datasets.load_intro_binomial()
    twice = pd.concat([data["y"], data["y"]], axis=1)
    many = gj.fit_many("~ time", "~ 1 | id", data=data, outcomes=twice, family="binomial")
    np.testing.assert_allclose(gj.pool(many)["estimate"], many.fe_params.iloc[0], rtol=1e-12)
