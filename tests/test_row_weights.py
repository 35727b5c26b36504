"""Row weights: a row of weight w is w equal rows, in the fit and in what comes after it; methods that cannot take them say so."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, DesignError

pytestmark = pytest.mark.usefixtures("compile_quickly")


def _rows() -> pd.DataFrame:
    """20 clusters of 6 rows with frequencies 1 to 3."""
    rng, m, k = np.random.default_rng(3), 20, 6
    data = pd.DataFrame(
        {
            "id": np.repeat(np.arange(m), k),
            "part": np.tile([0, 0, 0, 1, 1, 1], m),
            "x": rng.normal(size=m * k),
            "w": rng.integers(1, 4, m * k),
        }
    )
    eta = 0.3 + 0.5 * data["x"] + np.repeat(rng.normal(size=m), k)
    count = rng.poisson(np.exp(eta))
    return data.assign(
        binary=rng.binomial(1, 1 / (1 + np.exp(-eta))),
        count=count,
        zeros=np.where(rng.uniform(size=m * k) < 0.4, 0, count),
        positive=rng.gamma(2.0, np.exp(eta) / 2),
        level=pd.Categorical(np.digitize(eta + rng.logistic(size=m * k), [-1, 1]), ordered=True),
    )


ROWS = _rows()
REPEATED = ROWS.loc[ROWS.index.repeat(ROWS["w"])].reset_index(drop=True)
MODELS: dict[str, Any] = {
    "binomial": {"fixed": "binary ~ x", "random": "~ 1 | id"},
    "poisson": {"fixed": "count ~ x", "random": "~ x | id"},
    "gamma": {"fixed": "positive ~ x", "random": "~ 1 | id", "dispersion": "~ x"},
    "zero_inflated_poisson": {"fixed": "zeros ~ x", "random": "~ 1 | id", "zi_fixed": "~ x"},
    "cumulative": {"fixed": "level ~ x", "random": "~ 1 | id"},
    "lognormal": {"fixed": "positive ~ x"},
    "gaussian": {"fixed": "np.log(positive) ~ x", "random": "~ 1 | id/part"},
}


def both(family):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gj.errors.ConvergenceWarning)
        common: Any = {**MODELS[family], "family": family, "n_agq": 7}
        return gj.mixed_model(**common, data=ROWS, row_weights="w"), gj.mixed_model(**common, data=REPEATED)


@pytest.fixture(scope="module")
def pair():
    return both("binomial")


@pytest.mark.parametrize(
    "family", [name if name in ("binomial", "poisson", "lognormal") else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_a_weight_is_a_number_of_equal_rows(family):
    weighted, repeated = both(family)
    assert weighted.llf == pytest.approx(repeated.llf, abs=1e-8)
    assert weighted.bic == pytest.approx(repeated.bic, abs=1e-8)
    np.testing.assert_allclose(weighted.fitted_model.theta, repeated.fitted_model.theta, atol=1e-8)
    errors = [np.sqrt(np.diagonal(fit.cov_params(which="all"))) for fit in (weighted, repeated)]
    np.testing.assert_allclose(errors[0], errors[1], rtol=1e-8)


def test_cells_of_equal_rows_are_bernoulli_rows():
    """And a proportion of them has the same estimates; its log-likelihood has the binomial coefficients beside."""
    data = pd.DataFrame({"id": np.repeat(np.arange(15), 2), "x": np.tile([0.0, 1.0], 15)})
    rng = np.random.default_rng(5)
    ones = rng.binomial(8, 1 / (1 + np.exp(-(data["x"] - 0.4 + np.repeat(rng.normal(size=15), 2)))))
    cells = pd.concat([data.assign(y=1, w=ones), data.assign(y=0, w=8 - ones)])
    rows = cells.iloc[np.repeat(np.arange(60), cells["w"])]
    common: Any = {"random": "~ 1 | id", "family": "binomial", "n_agq": 11}
    weighted = gj.mixed_model("y ~ x", data=cells, row_weights=cells["w"].to_numpy(), **common)
    bernoulli = gj.mixed_model("y ~ x", data=rows, **common)
    trials = gj.mixed_model("cbind(s, 8 - s) ~ x", data=data.assign(s=ones), **common)
    assert weighted.llf == pytest.approx(bernoulli.llf, abs=1e-8)
    np.testing.assert_allclose(weighted.fe_params, bernoulli.fe_params, atol=1e-8)
    np.testing.assert_allclose(weighted.fe_params, trials.fe_params, atol=1e-6)
    np.testing.assert_allclose(weighted.bse_fe, trials.bse_fe, rtol=1e-5)


def test_methods_after_the_fit_count_rows_as_often(pair):
    weighted, repeated = pair
    np.testing.assert_allclose(weighted.cov_params(robust="CR1"), repeated.cov_params(robust="CR1"), rtol=1e-7)
    np.testing.assert_allclose(weighted.cov_params(robust=True), repeated.cov_params(robust=True), rtol=1e-7)
    np.testing.assert_allclose(weighted.marginal_coefs().table, repeated.marginal_coefs().table, rtol=1e-7)
    for kind in ("mean_subject", "marginal"):
        ours, theirs = (fit.marginal_means(average=True, kind=kind) for fit in pair)
        np.testing.assert_allclose(ours[["estimate", "std_error"]], theirs[["estimate", "std_error"]], rtol=1e-7)
    np.testing.assert_allclose(weighted.r2(), repeated.r2(), rtol=1e-7)
    np.testing.assert_allclose(weighted.icc(), repeated.icc(), rtol=1e-7)
    np.testing.assert_allclose(weighted.random_effects, repeated.random_effects, atol=1e-7)
    np.testing.assert_allclose(weighted.cooks_distance(), repeated.cooks_distance(), rtol=1e-4)
    assert weighted.score_test("I(x**2)").statistic == pytest.approx(repeated.score_test("I(x**2)").statistic, rel=1e-6)
    assert f"{len(ROWS)} rows stand for {ROWS['w'].sum()}" in str(weighted.summary())


def test_rows_of_weight_0_are_left_out():
    """Of the last cluster too, which keeps its place: its random effects have their distribution in the population."""
    data = ROWS.assign(w=np.where((ROWS.index % 4 == 0) | (ROWS["id"] == 19), 0, ROWS["w"]))
    common: Any = {**MODELS["binomial"], "family": "binomial", "n_agq": 11}
    weighted = gj.mixed_model(**common, data=data, row_weights="w")
    repeated = gj.mixed_model(**common, data=data.loc[data.index.repeat(data["w"])])
    assert weighted.llf == pytest.approx(repeated.llf, abs=1e-7)
    np.testing.assert_allclose(weighted.fe_params, repeated.fe_params, atol=1e-5)  # both within their certificates
    np.testing.assert_allclose(weighted.random_effects.iloc[:-1], repeated.random_effects, atol=1e-5)
    np.testing.assert_allclose(weighted.random_effects.iloc[-1], 0.0, atol=1e-8)
    np.testing.assert_allclose(weighted.random_effects_cov.iloc[-1], weighted.cov_re.to_numpy().ravel(), rtol=1e-6)


@pytest.mark.parametrize(
    "method",
    [
        lambda fit: fit.simulate(),
        lambda fit: fit.quantile_residuals(),
        lambda fit: fit.plot_predictive(),
        lambda fit: fit.plot_rootogram(),
        lambda fit: fit.bootstrap(n=2),
        lambda fit: gj.permutation_test(fit, "x", n_permutations=99),
        lambda fit: gj.power(fit, {"x": 0.5}, n_sim=2),
    ],
)
def test_methods_of_single_rows_refuse(pair, method):
    with pytest.raises(ArgumentError, match=r"in this fit a row stands for several \(row_weights\)"):
        method(pair[0])


def test_rows_as_units_are_refused():
    fit = gj.mixed_model("positive ~ x", data=ROWS, row_weights="w", family="lognormal")
    with pytest.raises(ArgumentError, match="without random effects each row is one"):
        fit.cov_params(robust=True)


def test_fits_with_other_row_weights_are_of_other_data(pair):
    weighted, _ = pair
    other = gj.mixed_model("binary ~ 1", random="~ 1 | id", data=ROWS, family="binomial", n_agq=7)
    with pytest.raises(ArgumentError, match="weights"):
        gj.anova(other, weighted)


def test_saved_and_updated_fits_keep_them(pair, tmp_path):
    weighted, _ = pair
    weighted.save(tmp_path / "fit.glmm")
    loaded = gj.load(tmp_path / "fit.glmm")
    np.testing.assert_array_equal(loaded.fitted_model.design.row_weights, ROWS["w"])
    np.testing.assert_allclose(loaded.cov_params(robust=True), weighted.cov_params(robust=True), rtol=1e-10)
    assert weighted.update(fixed="binary ~ 1").llf < weighted.llf
    assert weighted.update(row_weights=None).fitted_model.design.row_weights is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.full(len(ROWS), -1.0), "row_weights is -1 in row 0; every weight must be a finite number >= 0"),
        (np.where(np.arange(len(ROWS)) == 7, np.nan, 1.0), "row_weights is nan in row 7"),
        (np.zeros(len(ROWS)), "row_weights is 0 in every row"),
        (np.ones(3), r"row_weights has shape \(3,\), and must be a column name or one number for each of the 120 rows"),
        ("weight", "row_weights='weight' names 'weight', and data have no such column"),
        (["a"] * len(ROWS), "row_weights holds values that are not numbers"),
    ],
)
def test_what_is_no_weight_is_refused(weights, message):
    with pytest.raises(DesignError, match=message):
        gj.mixed_model("binary ~ x", random="~ 1 | id", data=ROWS, family="binomial", row_weights=weights)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["outcomes", "by"])
def test_many_fits_are_single_fits(how):
    common: Any = {"random": "~ 1 | id", "family": "poisson", "row_weights": "w"}
    both = ROWS.assign(part=np.where(ROWS["id"] % 2, "odd", "even"))
    if how == "outcomes":
        many = gj.fit_many("~ x", data=ROWS, outcomes=ROWS[["count", "zeros"]].assign(zeros=ROWS["zeros"].where(ROWS.index > 2)), **common)
        single = [gj.mixed_model("count ~ x", data=ROWS, **common), gj.mixed_model("zeros ~ x", data=ROWS[ROWS.index > 2], **common)]
    else:
        many = gj.fit_many("count ~ x", data=both, by="part", **{**common, "row_weights": ROWS["w"]})
        single = [gj.mixed_model("count ~ x", data=both[both["part"] == part], **common) for part in many.fe_params.index]
    np.testing.assert_allclose(many.fe_params, [fit.fe_params for fit in single], atol=2e-5)
    np.testing.assert_allclose(many.llf, [fit.llf for fit in single], atol=1e-5)


def test_a_stream_refuses_them():
    stream = gj.stream([ROWS[:60], ROWS[60:]])
    with pytest.raises(ArgumentError, match="row_weights is for data in memory"):
        gj.mixed_model("binary ~ x", random="~ 1 | id", data=stream, family="binomial", row_weights="w")
