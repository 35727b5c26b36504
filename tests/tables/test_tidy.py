"""Tables with the column names of R's broom: their numbers are those of the other methods, and what has no number is NaN."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax import datasets
from glmmjax.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("compile_quickly")

COLUMNS = ["effect", "component", "group", "term", "estimate", "std.error", "statistic", "p.value"]


@pytest.fixture
def zero_fit(as_if_fitted):
    """A zero part with random effects and an extra parameter; the numbers need no maximum here."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"id": np.repeat(np.arange(10), 4), "x": rng.normal(size=40), "y": rng.poisson(1.0, 40)})
    parts = {"zi_fixed": "~ x", "zi_random": "~ 1 | id"}
    return as_if_fitted("y ~ x", random="~ 1 | id", **parts, data=frame, family="zero_inflated_negative_binomial", n_agq=3)


def test_coefficients(intro_fit):
    frame = intro_fit.tidy(conf_int=True)
    assert list(frame) == [*COLUMNS, "conf.low", "conf.high"]
    assert frame["term"].tolist() == list(intro_fit.fe_params.index)
    assert set(frame["effect"]) == {"fixed"}
    assert set(frame["component"]) == {"cond"}
    for column, expected in (("estimate", intro_fit.fe_params), ("std.error", intro_fit.bse_fe), ("p.value", intro_fit.pvalues)):
        np.testing.assert_allclose(frame[column], expected)
    np.testing.assert_allclose(frame["statistic"], intro_fit.zvalues)
    np.testing.assert_allclose(frame["conf.low"], intro_fit.fe_params - 1.959964 * intro_fit.bse_fe, rtol=1e-6)
    narrow = intro_fit.tidy(conf_int=True, level=0.5)
    np.testing.assert_allclose(narrow["conf.high"], intro_fit.fe_params + 0.6744898 * intro_fit.bse_fe, rtol=1e-6)


def test_odds_ratios(intro_fit):
    plain, frame = intro_fit.tidy(conf_int=True, effects="all"), intro_fit.tidy(conf_int=True, effects="all", exponentiate=True)
    fixed = frame["effect"] == "fixed"
    for column in ("estimate", "conf.low", "conf.high"):
        np.testing.assert_allclose(frame.loc[fixed, column], np.exp(plain.loc[fixed, column]))
    np.testing.assert_allclose(frame.loc[fixed, "std.error"], plain.loc[fixed, "std.error"] * np.exp(plain.loc[fixed, "estimate"]))
    pd.testing.assert_frame_equal(frame.loc[~fixed], plain.loc[~fixed])
    pd.testing.assert_series_equal(frame["statistic"], plain["statistic"])


def test_parameters_of_the_random_effects(diagonal_fit, singular_fit):
    frame = diagonal_fit.tidy(effects="ran_pars", conf_int=True)
    assert frame["term"].tolist() == ["sd(Intercept)", "sd(time)"]
    assert set(frame["group"]) == {"id"}
    np.testing.assert_allclose(frame["estimate"], np.sqrt(np.diagonal(diagonal_fit.cov_re)))
    np.testing.assert_allclose(frame["std.error"], diagonal_fit.bse_re)
    assert frame["statistic"].isna().all()
    np.testing.assert_allclose(frame["conf.low"], diagonal_fit.conf_int("random")["lower"])
    undefined = singular_fit.tidy(effects="all", conf_int=True)
    assert undefined.loc[undefined["effect"] == "ran_pars", ["std.error", "conf.low"]].isna().all(axis=None)
    assert undefined.loc[undefined["effect"] == "fixed", ["std.error", "conf.low"]].notna().all(axis=None)
    assert undefined["term"].tolist()[-1] == "corr(Intercept, time)"


def test_robust_standard_errors(intro_fit):
    frame = intro_fit.tidy(robust="CR0", effects="all", conf_int=True)
    errors = np.sqrt(np.diagonal(intro_fit.cov_params(robust="CR0")))
    np.testing.assert_allclose(frame["std.error"][:4], errors)
    np.testing.assert_allclose(frame["conf.low"][:4], intro_fit.conf_int(robust="CR0")["lower"])
    assert frame["std.error"].iloc[4] != pytest.approx(intro_fit.bse_re.iloc[0], rel=1e-3)


def test_parts_of_a_model_are_told_apart(zero_fit):
    frame = zero_fit.tidy(effects="all")
    kinds = list(zip(frame["effect"], frame["component"], frame["term"], strict=True))
    assert kinds == [
        ("fixed", "cond", "Intercept"),
        ("fixed", "cond", "x"),
        ("ran_pars", "cond", "sd(Intercept)"),
        ("ran_pars", "zi", "sd(zi_Intercept)"),
        ("ran_pars", "cond", "corr(Intercept, zi_Intercept)"),
        ("extra", "disp", zero_fit.phi.index[0]),
        ("fixed", "zi", "Intercept"),
        ("fixed", "zi", "x"),
    ]
    np.testing.assert_allclose(frame.loc[frame["effect"] == "extra", "estimate"], zero_fit.phi)
    assert zero_fit.tidy()["component"].tolist() == ["cond", "cond", "zi", "zi"]


def test_random_effects_of_the_clusters(diagonal_fit):
    frame = diagonal_fit.tidy(effects="ran_vals", conf_int=True)
    assert len(frame) == 200
    wide = frame.pivot(index="level", columns="term", values="estimate")[["Intercept", "time"]]
    np.testing.assert_allclose(wide, diagonal_fit.random_effects)
    variances = diagonal_fit.random_effects_cov[[("Intercept", "Intercept"), ("time", "time")]]
    np.testing.assert_allclose(frame["std.error"], np.sqrt(variances.to_numpy().ravel()))
    np.testing.assert_allclose(frame["conf.high"] - frame["estimate"], 1.959964 * frame["std.error"], rtol=1e-6)


def test_unusable_arguments_are_refused(intro_fit, no_effects_fit):
    with pytest.raises(
        ArgumentError, match=r"effects='random' is not known; choose one of 'fixed', 'ran_pars', 'extra', 'ran_vals', 'all'"
    ):
        intro_fit.tidy(effects="random")
    with pytest.raises(ArgumentError, match="effects='ran_vals': the model has no random effects"):
        no_effects_fit.tidy(effects="ran_vals")
    with pytest.raises(ArgumentError, match="level=2 must be a number between 0 and 1"):
        intro_fit.tidy(conf_int=True, level=2)


def test_one_row_of_a_fit(intro_fit, no_effects_fit):
    row = intro_fit.glance().iloc[0]
    assert (row["nobs"], row["n.groups"], row["df"], row["df.residual"]) == (800, 100, 5, 795)
    assert (row["family"], row["link"], row["nAGQ"]) == ("binomial", "logit", 11)
    assert (row["logLik"], row["AIC"], row["BIC"]) == (intro_fit.llf, intro_fit.aic, intro_fit.bic)
    assert row["deviance"] == -2 * intro_fit.llf
    assert (row["converged"], row["singular"]) == (True, False)
    stacked = pd.concat([intro_fit.glance(), no_effects_fit.glance()], ignore_index=True)
    assert stacked["n.groups"].isna().tolist() == [False, True]


def test_rows_with_what_the_model_says_of_them(intro_fit, intro_binomial):
    frame = intro_fit.augment()
    assert list(frame) == [*intro_binomial.columns, ".fitted", ".fixed", ".resid"]
    pd.testing.assert_frame_equal(frame[intro_binomial.columns], intro_binomial)
    female = (intro_binomial["sex"] == "female").to_numpy(float)
    columns = np.column_stack([np.ones(800), female, intro_binomial["time"], female * intro_binomial["time"]])
    eta = columns @ intro_fit.fe_params.to_numpy()
    np.testing.assert_allclose(frame[".fixed"], 1 / (1 + np.exp(-eta)))
    b = intro_fit.random_effects["Intercept"].loc[intro_binomial["id"]].to_numpy()
    np.testing.assert_allclose(frame[".fitted"], 1 / (1 + np.exp(-eta - b)), rtol=1e-6)
    np.testing.assert_allclose(frame[".resid"], intro_binomial["y"] - frame[".fitted"])
    part = intro_fit.augment(intro_binomial[["sex", "time"]].iloc[5:9])
    assert list(part) == ["sex", "time", ".fitted", ".fixed"]
    np.testing.assert_allclose(part[".fitted"], frame[".fixed"].iloc[5:9])
    assert part.index.tolist() == [5, 6, 7, 8]


def test_dropped_rows_are_left_out(as_if_fitted, intro_binomial):
    holes = intro_binomial.assign(time=intro_binomial["time"].where(intro_binomial.index % 2 == 0))
    frame = as_if_fitted("y ~ time", data=holes, family="binomial").augment()
    assert frame.index.tolist() == list(range(0, 800, 2))
    assert frame.notna().all(axis=None)


def test_residuals_of_proportions(as_if_fitted):
    data = datasets.load_cbpp()
    frame = as_if_fitted("cbind(incidence, noninc) ~ period", random="~ 1 | herd", data=data, family="binomial").augment()
    share = data["incidence"] / (data["incidence"] + data["noninc"])
    np.testing.assert_allclose(frame[".resid"], share - frame[".fitted"])


def test_a_fit_without_certificate_has_no_errors(intro_fit):
    fitted = dataclasses.replace(intro_fit.fitted_model, information=np.full_like(intro_fit.fitted_model.information, np.nan))
    frame = gj.MixedModelResults(fitted, intro_fit._refit).tidy(effects="all")
    assert frame[["std.error", "statistic", "p.value"]].isna().all(axis=None)
