"""Contrasts of means: against closed forms of the log and logit link, finite differences by hand, and known adjustments of p-values."""

import math

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.postfit.uncertainty.multiple_comparisons import adjusted_tests
from tests.postfit.stated import stated_fit, stated_params

pytestmark = pytest.mark.usefixtures("compile_quickly")

GRID = {"sex": ["male", "female"], "time": [0.0, 5.0]}


def test_ratios_of_a_log_link_are_free_of_the_random_effects(poisson_fit):
    """With a random intercept the ratio of marginal means is exp of the coefficients, with their standard errors."""
    found = poisson_fit.contrasts({"sex": ["male", "female"], "time": 2.0}, comparison="ratio").iloc[0]
    c = np.array([0.0, 1.0, 0.0, 2.0])
    log, error = c @ poisson_fit.fe_params, math.sqrt(c @ poisson_fit.cov_params().to_numpy() @ c)
    np.testing.assert_allclose(found["estimate"], math.exp(log), rtol=1e-9)
    np.testing.assert_allclose(found["std_error"], math.exp(log) * error, rtol=1e-7)
    np.testing.assert_allclose(found["z"], log / error, rtol=1e-7)
    np.testing.assert_allclose([found["lower"], found["upper"]], np.exp(log + 1.959963984540054 * error * np.array([-1, 1])), rtol=1e-7)
    np.testing.assert_allclose(found["p_value"], math.erfc(abs(log / error) / math.sqrt(2)), rtol=1e-6)


def test_odds_ratios_at_random_effects_of_zero(intro_fit):
    found = intro_fit.contrasts({"time": [0.0, 1.0], "sex": "male"}, comparison="odds_ratio", kind="mean_subject").iloc[0]
    np.testing.assert_allclose(found["estimate"], np.exp(intro_fit.fe_params["time"]), rtol=1e-9)
    np.testing.assert_allclose(found["z"], intro_fit.zvalues["time"], rtol=1e-8)
    on_link = intro_fit.contrasts({"time": [0.0, 1.0], "sex": "male"}, comparison="link", kind="mean_subject").iloc[0]
    np.testing.assert_allclose(
        [on_link["estimate"], on_link["std_error"]], [intro_fit.fe_params["time"], intro_fit.bse_fe["time"]], rtol=1e-8
    )


def test_differences_of_standardised_means(intro_fit, intro_binomial):
    """The error of a difference from that of averages: Var(a - b) = 2 Var(a) + 2 Var(b) - 4 Var((a + b) / 2)."""
    both = pd.concat([intro_binomial.assign(sex=sex) for sex in ("male", "female")])
    found = intro_fit.contrasts(both, by="sex")
    means, whole = intro_fit.marginal_means(both, by="sex"), intro_fit.marginal_means(both, average=True)
    assert list(found.index) == ["female - male"]
    np.testing.assert_allclose(found["estimate"], means["estimate"]["female"] - means["estimate"]["male"], rtol=1e-10)
    variance = 2 * (means["std_error"] ** 2).sum() - 4 * whole["std_error"].iloc[0] ** 2
    np.testing.assert_allclose(found["std_error"], math.sqrt(variance), rtol=1e-8)
    robust = intro_fit.contrasts(both, by="sex", robust="CR1")
    assert robust["std_error"].iloc[0] != found["std_error"].iloc[0]


def test_which_means_are_compared(intro_fit):
    assert list(intro_fit.contrasts(GRID).index) == [
        "male, 5.0 - male, 0.0",
        "female, 0.0 - male, 0.0",
        "female, 5.0 - male, 0.0",
        "female, 0.0 - male, 5.0",
        "female, 5.0 - male, 5.0",
        "female, 5.0 - female, 0.0",
    ]
    means = intro_fit.marginal_means(GRID)["estimate"].to_numpy()
    np.testing.assert_allclose(intro_fit.contrasts(GRID, "reference")["estimate"], means[1:] - means[0], rtol=1e-10)
    np.testing.assert_allclose(intro_fit.contrasts(GRID, "sequential")["estimate"], np.diff(means), rtol=1e-10)
    weights = np.array([[1.0, -1.0, -1.0, 1.0]])
    by_label = {("male", 0.0): 1, ("male", 5.0): -1, ("female", 0.0): -1, ("female", 5.0): 1}
    expected = (weights @ means)[0]
    for contrast in (weights, {"change": weights[0]}, {"change": by_label}, pd.DataFrame(weights, index=["change"])):
        found = intro_fit.contrasts(GRID, contrast)
        np.testing.assert_allclose(found["estimate"], [expected], rtol=1e-10)
        assert list(found.index) == (["contrast 1"] if isinstance(contrast, np.ndarray) else ["change"])


def test_single_rows_are_named_by_their_labels(intro_fit, intro_binomial):
    rows = intro_binomial.head(2).set_axis(["p", "q"])
    assert list(intro_fit.contrasts(rows).index) == ["q - p"]


def test_adjustments(intro_fit):
    plain = intro_fit.contrasts(GRID)
    for adjust, reach in [("holm", 2.638257273476751), ("fdr_bh", 2.638257273476751), ("tukey", 2.5689)]:
        # 2.638: normal quantile of 1 - 0.05 / 12; 2.569 = 3.633 / sqrt(2), the studentised range of four means in printed tables
        found = intro_fit.contrasts(GRID, adjust=adjust)
        wider = (found["upper"] - found["lower"]) / (plain["upper"] - plain["lower"])
        np.testing.assert_allclose(wider, reach / 1.959963984540054, rtol=1e-4)
    p = np.sort(plain["p_value"])
    np.testing.assert_allclose(np.sort(intro_fit.contrasts(GRID, adjust="bonferroni")["p_value"]), np.minimum(1, 6 * p))
    fdr = np.minimum.accumulate((6 / np.arange(1, 7) * p)[::-1])[::-1]
    np.testing.assert_allclose(np.sort(intro_fit.contrasts(GRID, adjust="fdr_bh")["p_value"]), fdr)


def test_dunnett_takes_the_correlations_of_the_contrasts(intro_fit):
    """On the link all times against the first one are the same test, so that nothing is adjusted."""
    times = {"sex": "male", "time": [0.0, 1.0, 5.0]}
    plain = intro_fit.contrasts(times, "reference", comparison="link")
    found = intro_fit.contrasts(times, "reference", comparison="link", adjust="dunnett")
    np.testing.assert_allclose(found["p_value"], plain["p_value"], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found["upper"], plain["upper"], rtol=1e-5)
    weights = np.array([[-1.0, 1, 0, 0], [-1, 0, 1, 0], [-1, 0, 0, 1]])
    fixed, X = intro_fit.cov_params().to_numpy(), np.array([[1, 0, 0, 0], [1, 0, 5, 0], [1, 1, 0, 0], [1, 1, 5, 5.0]])
    spread = weights @ X @ fixed @ X.T @ weights.T
    scale = np.sqrt(np.diagonal(spread))
    z = weights @ X @ intro_fit.fe_params.to_numpy() / scale
    expected, _ = adjusted_tests(z, lambda: spread / np.outer(scale, scale), 4, "dunnett", 0.95)
    found = intro_fit.contrasts(GRID, "reference", comparison="link", adjust="dunnett")
    np.testing.assert_allclose(found["p_value"], expected, atol=1e-5)
    assert (found["p_value"] >= intro_fit.contrasts(GRID, "reference", comparison="link")["p_value"]).all()


def test_within_strata(intro_fit, intro_binomial):
    found = intro_fit.contrasts(GRID, within="time", adjust="bonferroni")
    assert list(found.index) == [(0.0, "female - male"), (5.0, "female - male")]
    assert found.index.names == ["time", "contrast"]
    for time, row in zip((0.0, 5.0), found.itertuples(), strict=True):
        alone = intro_fit.contrasts({"sex": ["male", "female"], "time": time}).iloc[0]  # one test a stratum: nothing to adjust
        np.testing.assert_allclose([row.estimate, row.p_value, row.lower], alone[["estimate", "p_value", "lower"]], rtol=1e-10)
    both = pd.concat([intro_binomial.assign(sex=sex) for sex in ("male", "female")])
    by = intro_fit.contrasts(both, by="sex", within="time", kind="marginal")
    assert len(by) == intro_binomial["time"].nunique()
    one = both[both["time"] == both["time"].iloc[0]]
    np.testing.assert_allclose(by["estimate"].iloc[0], intro_fit.contrasts(one, by="sex", kind="marginal")["estimate"].iloc[0], rtol=1e-10)
    three = {"sex": ["male", "female"], "time": [0.0, 1.0, 5.0]}
    swapped = intro_fit.contrasts(three, {"late": {1.0: -1, 5.0: 1}}, within="sex")
    assert list(swapped.index) == [("male", "late"), ("female", "late")]
    with pytest.raises(ArgumentError, match=r"within=\['sex', 'time'\] leaves no column whose values are compared"):
        intro_fit.contrasts(GRID, within=["sex", "time"])


def test_the_kind_is_in_the_head(intro_fit):
    """At random effects of 0 by default, as emmeans and predict have it."""
    rows = {"sex": ["male", "female"], "time": 2.0}
    default = intro_fit.contrasts(rows)
    assert default.columns.name == intro_fit.marginal_means(rows).columns.name == intro_fit.effects(rows).columns.name == "mean_subject"
    pd.testing.assert_frame_equal(default, intro_fit.contrasts(rows, kind="mean_subject"))
    table = pd.DataFrame({"sex": ["male", "female"], "time": 2.0})
    assert intro_fit.predict(table).name == intro_fit.predict(table, interval=0.9).columns.name == "mean_subject"
    np.testing.assert_allclose(default["estimate"], np.diff(intro_fit.predict(table)), rtol=1e-10)
    assert intro_fit.contrasts(rows, kind="marginal").columns.name == "marginal"


def test_levels_of_an_ordinal_outcome():
    """Odds of the lowest level at random effects of 0: the proportional odds, exp(-beta)."""
    data = pd.DataFrame({"id": np.repeat(np.arange(8), 3), "x": np.linspace(-1, 1, 24), "y": np.tile([0, 1, 2], 8)})
    params = stated_params(np.array([0.8]), np.array([[1.2]]), phi=np.array([-0.5, 0.3]))
    fit = stated_fit(params, "y ~ x", "~ 1 | id", data=data, family="cumulative")
    found = fit.contrasts({"x": [0.0, 1.0]}, comparison="odds_ratio", kind="mean_subject")
    assert list(found.index) == [("1.0 / 0.0", level) for level in (0, 1, 2)]
    np.testing.assert_allclose(found["estimate"].iloc[[0, 2]], np.exp([-0.8, 0.8]), rtol=1e-9)
    np.testing.assert_allclose(found["std_error"].iloc[0], 0.1 * np.exp(-0.8), rtol=1e-8)
    differences = fit.contrasts({"x": [0.0, 1.0]})
    np.testing.assert_allclose(differences["estimate"].sum(), 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"comparison": "hazard_ratio"}, "comparison='hazard_ratio' is not known"),
        ({"adjust": "scheffe"}, "adjust='scheffe' is not known; choose one of None, 'tukey', 'dunnett'"),
        ({"adjust": "tukey", "contrast": "reference"}, "adjust='tukey' is for contrast='pairwise'; take adjust='single_step'"),
        ({"kind": "zero_part"}, "the binomial family has no zero part"),
        ({"contrast": "helmert"}, "contrast='helmert' is not known"),
        ({"contrast": np.ones((1, 3))}, r"shape \(1, 3\) and must hold finite weights, one column for each of the 4 means"),
        ({"contrast": {"a": {"other": 1.0}}}, "a weight for 'other'"),
        ({"contrast": 1 + 1j}, "must be text, a matrix of weights"),
        ({"newdata": {"sex": "male", "time": 0.0}}, "compares at least two means, and there is 1"),
    ],
)
def test_refusals(intro_fit, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        intro_fit.contrasts(**{"newdata": GRID, **arguments})


def test_means_outside_the_range_are_refused(poisson_fit, intro_fit, intro_binomial):
    with pytest.raises(ArgumentError, match="comparison='odds_ratio' needs means between 0 and 1"):
        poisson_fit.contrasts({"sex": ["male", "female"], "time": 9.0}, comparison="odds_ratio")
    with pytest.raises(ArgumentError, match="missing values, which no contrast can use"):
        intro_fit.contrasts(intro_binomial.head(2).assign(time=[np.nan, 1.0]))


def test_thousands_of_contrasts_need_no_matrix_of_them(monkeypatch):
    """Pairwise contrasts of 800 rows number 319,600; their correlations, 800 GB, are asked for by two adjustments alone."""
    data = gj.datasets.load_intro_binomial()
    fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    assert len(fit.contrasts(data.head(300))) == 300 * 299 // 2
    monkeypatch.setattr("glmmjax.values._MOST_BYTES", 8 * 1_000_000)  # fewer than the correlations, more than the weights
    with pytest.raises(ArgumentError, match=r"correlations of 1,225 contrasts takes .*take adjust='holm', or fewer rows"):
        fit.contrasts(data.head(50), adjust="single_step")
