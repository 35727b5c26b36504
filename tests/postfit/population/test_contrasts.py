"""Contrasts of means: against closed forms of the log and logit link, finite differences by hand, and known adjustments of p-values."""

import math

import numpy as np
import pandas as pd
import pytest

from glmmjax.errors import ArgumentError
from glmmjax.postfit.population.contrasts import adjusted
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
    """Holm's steps by hand: 4 x 0.01, 3 x 0.02, 2 x 0.03, 1 x 0.04 and no smaller than the one before."""
    p = np.array([0.04, 0.01, 0.03, 0.02])
    np.testing.assert_allclose(adjusted(p, "bonferroni"), [0.16, 0.04, 0.12, 0.08])
    np.testing.assert_allclose(adjusted(p, "holm"), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_array_equal(adjusted(p, None), p)
    plain, holm = intro_fit.contrasts(GRID), intro_fit.contrasts(GRID, adjust="holm")
    np.testing.assert_allclose(holm["p_value"], adjusted(plain["p_value"].to_numpy(), "holm"))
    wider = (holm["upper"] - holm["lower"]) / (plain["upper"] - plain["lower"])
    np.testing.assert_allclose(wider, 2.638257273476751 / 1.959963984540054, rtol=1e-10)  # normal quantile of 1 - 0.05 / 12


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
        ({"adjust": "tukey"}, "adjust='tukey' is not known; choose one of None, 'bonferroni', 'holm'"),
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
