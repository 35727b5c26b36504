"""Predictions against R's exact computation at the same parameters, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, DesignError
from tests.reference_cases import load_case

pytestmark = pytest.mark.usefixtures("compile_quickly")

# means on which GLMMadaptive and we differ on purpose: its hurdle log-normal has predictions of log y
DIFFERENT_MEANS = ("o23",)


@pytest.fixture(scope="module")
def six(intro_binomial):
    return intro_binomial[intro_binomial["id"] <= 6]


def close(found, stored, rtol=1e-4):
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(stored, float), rtol=rtol, atol=1e-4)


def skip_different_means(case):
    if case.name in DIFFERENT_MEANS:
        pytest.skip("GLMMadaptive predicts the mean of log y of a hurdle log-normal, we that of y")


def test_fixed_effects_alone(postfit_case):
    fit, newdata = postfit_case.fit, postfit_case.newdata
    stored = postfit_case.p["predict"]
    if "mean_subject_link" in stored:
        close(fit.predict(newdata, scale="link"), stored["mean_subject_link"]["pred"])
    if "zero_part" in stored:
        close(fit.predict(newdata, kind="zero_part"), stored["zero_part"]["pred"])
    skip_different_means(postfit_case)
    close(fit.predict(newdata), stored["mean_subject_response"]["pred"])


def test_at_the_modes(postfit_case):
    fit, newdata = postfit_case.fit, postfit_case.newdata
    stored = postfit_case.p["predict"]
    if "subject_specific_zi_probs" in stored:
        close(fit.predict(newdata, kind="zero_part_subject_specific"), stored["subject_specific_zi_probs"], rtol=2e-3)
    skip_different_means(postfit_case)
    close(fit.predict(newdata, kind="subject_specific"), stored["subject_specific_response"], rtol=2e-3)


def test_marginal_means_are_the_exact_ones(postfit_case):
    skip_different_means(postfit_case)
    close(postfit_case.fit.predict(kind="marginal"), postfit_case.p["fitted"]["marginal_means_exact_engine"])


def test_dynamic_predictions(postfit_case):
    stored = postfit_case.p["predict"].get("dynamic")
    if stored is None:
        pytest.skip("no dynamic predictions stored")
    fit, newdata = postfit_case.fit, postfit_case.newdata
    time = newdata[stored["split"].split()[1]]
    history, future = newdata[time <= stored["cut"] + 1e-9], newdata[time > stored["cut"] + 1e-9]
    if stored["zi_probs2"]:
        close(fit.predict(history, future, kind="zero_part_subject_specific"), stored["zi_probs2"], rtol=2e-3)
    skip_different_means(postfit_case)
    close(fit.predict(history, future, kind="subject_specific"), stored["pred2"], rtol=2e-3)
    close(fit.predict(history, history, kind="subject_specific"), stored["pred"], rtol=2e-3)


def test_a_new_subject_is_predicted_as_a_known_one_with_the_same_history(intro_fit, six):
    renamed = six.assign(id=six["id"] + 1000)
    early, late = renamed["time"] < 4, renamed["time"] >= 4
    new = intro_fit.predict(renamed[early], renamed[late], kind="subject_specific")
    known = intro_fit.predict(six[early], six[late], kind="subject_specific")
    np.testing.assert_allclose(new, known, atol=1e-8)
    everything = intro_fit.predict(renamed, kind="subject_specific")
    np.testing.assert_allclose(everything, intro_fit.predict(six, kind="subject_specific"), atol=1e-7)


def test_order_labels_and_missing_values(intro_fit, six):
    rows = six.sample(frac=1.0, random_state=1).set_axis([f"r{k}" for k in range(len(six))])
    rows.loc["r3", "time"] = np.nan
    found = intro_fit.predict(rows, kind="subject_specific")
    assert list(found.index) == list(rows.index)
    assert found.name == "subject_specific"
    assert list(found.index[found.isna()]) == ["r3"]
    again = intro_fit.predict(rows.iloc[::-1], kind="subject_specific")
    np.testing.assert_allclose(again.iloc[::-1], found, atol=1e-10)
    assert intro_fit.predict(six.iloc[:0]).shape == (0,)


def test_rows_fitted_are_the_default(intro_fit, intro_binomial):
    for kind in ("mean_subject", "subject_specific", "marginal"):
        np.testing.assert_allclose(intro_fit.predict(kind=kind), intro_fit.predict(intro_binomial, kind=kind), atol=1e-9)


def test_without_random_effects_every_kind_is_the_same(no_effects_fit, six):
    found = [no_effects_fit.predict(six.drop(columns=["id", "y"]), kind=kind) for kind in ("mean_subject", "subject_specific", "marginal")]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-12)


def test_a_new_subject_needs_no_cluster_variable_without_random_effects(intro_fit, six):
    bare = six[["sex", "time"]]
    x = np.c_[np.ones(len(six)), six["sex"] == "female", six["time"], (six["sex"] == "female") * six["time"]].astype(float)
    eta = x @ intro_fit.fe_params.to_numpy()
    np.testing.assert_allclose(intro_fit.predict(bare), 1.0 / (1.0 + np.exp(-eta)), rtol=1e-10)
    z, w = np.polynomial.hermite_e.hermegauss(80)
    means = (1.0 / (1.0 + np.exp(-(eta[:, None] + np.sqrt(intro_fit.cov_re.iloc[0, 0]) * z)))) @ w / w.sum()
    np.testing.assert_allclose(intro_fit.predict(bare, kind="marginal"), means, rtol=1e-7)
    np.testing.assert_allclose(intro_fit.predict(bare, kind="marginal", scale="link"), np.log(means / (1 - means)), rtol=1e-6)


@pytest.mark.slow
def test_offsets_count_once():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(20), 4), "t": rng.uniform(1.0, 9.0, 80)})
    data["y"] = rng.poisson(data["t"] * np.exp(np.repeat(0.5 * rng.standard_normal(20), 4)))
    fit = gj.mixed_model("y ~ 1", random="~ 1 | g", data=data, family="poisson", offset=np.log(data["t"]).rename("log_t").to_numpy())
    with pytest.raises(ArgumentError, match="the fit has offset= as an array"):
        fit.predict(data)
    marginal = fit.fitted("marginal") / data["t"]  # GLMMadaptive counts the offset twice here
    np.testing.assert_allclose(marginal, np.exp(fit.fe_params.iloc[0] + 0.5 * fit.cov_re.iloc[0, 0]), rtol=1e-8)


@pytest.mark.slow
def test_levels_of_an_ordinal_outcome():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(np.arange(30), 5), "x": rng.standard_normal(150)})
    latent = data["x"] + np.repeat(rng.standard_normal(30), 5) + rng.logistic(size=150)
    data["y"] = pd.Categorical(np.digitize(latent, [-1.0, 1.0]), ordered=True)
    fit = gj.mixed_model("y ~ x", random="~ 1 | g", data=data, family="cumulative")
    for kind in ("mean_subject", "subject_specific", "marginal"):
        shares = fit.predict(data, kind=kind, scale="probability")
        assert list(shares.columns) == [0, 1, 2]
        np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-10)
        np.testing.assert_allclose(shares @ np.arange(3), fit.predict(data, kind=kind), rtol=1e-8)
    table = fit.predict(data, kind="subject_specific", scale="probability", interval=0.9)
    assert table.columns[:4].tolist() == [(0, "prediction"), (0, "std_error"), (0, "lower"), (0, "upper")]
    assert ((table.xs("lower", axis=1, level=1) >= 0) & (table.xs("upper", axis=1, level=1) <= 1)).all(axis=None)


@pytest.mark.slow
def test_hurdle_means_are_means_of_the_outcome():
    case = load_case("o21")
    fit = gj.mixed_model(**case.arguments)
    y = case.data[case.fixed.split("~")[0].strip()]
    assert abs(fit.fitted("marginal").mean() / y.mean() - 1.0) < 0.05  # GLMMadaptive's are a third too small


def test_an_offset_of_the_fit_is_a_column_of_new_data_and_counts_once():
    data = gj.datasets.load_intro_poisson().assign(log_exposure=lambda d: 0.1 * (d["time"] > 3))
    fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="poisson", offset="log_exposure")
    longer = data.iloc[:6].assign(log_exposure=[0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
    for kind in ("mean_subject", "subject_specific", "marginal"):
        ratio = fit.predict(longer, kind=kind) / fit.predict(longer.assign(log_exposure=0.0), kind=kind)
        np.testing.assert_allclose(np.log(ratio), longer["log_exposure"], atol=1e-10)
    with pytest.raises(DesignError, match=r"newdata with offset='log_exposure' names 'log_exposure', and newdata has no such column"):
        fit.predict(longer.drop(columns="log_exposure"))


def test_arguments_are_checked(intro_fit, six):
    with pytest.raises(ArgumentError, match="kind='mean' is not known; choose one of 'mean_subject', 'subject_specific', 'marginal'"):
        intro_fit.predict(six, kind="mean")
    with pytest.raises(ArgumentError, match="scale='log' is not known; choose one of 'response'"):
        intro_fit.predict(six, scale="log")
    with pytest.raises(
        ArgumentError, match="kind='zero_part' is the probability of a structural zero, and the binomial family has no zero"
    ):
        intro_fit.predict(six, kind="zero_part")
    with pytest.raises(
        ArgumentError, match="scale='probability' with kind='marginal' gives one column for each level of an ordinal outcome"
    ):
        intro_fit.predict(six, kind="marginal", scale="probability")
    with pytest.raises(DesignError, match=r"'time'.*newdata has"):
        intro_fit.predict(six.drop(columns="time"))
    with pytest.raises(DesignError, match="'sex' is 'other' in row 0, a level that the rows fitted do not have"):
        intro_fit.predict(six.assign(sex="other"))
    with pytest.raises(DesignError, match="'id'"):
        intro_fit.predict(six.drop(columns="id"), kind="subject_specific")
