"""Offsets and weights of which each fit has its own, and outcomes in two columns: against ``mixed_model``, one fit after the other."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, DesignError, OutcomeError
from tests.many.outcomes import M, design_rows, outcomes

pytestmark = pytest.mark.usefixtures("compile_quickly")
N = 10
MODEL: dict[str, Any] = {"random": "~ 1 | g", "family": "poisson"}


def shuffled_rows() -> pd.DataFrame:
    """Rows of which the clusters do not stand in order, with labels of their own; one has no covariate."""
    data = design_rows().sample(frac=1.0, random_state=4)
    data.loc[data.index[5], "x"] = np.nan
    data["g"] = "c" + data["g"].astype(str)
    return data.set_index(np.arange(len(data)) + 100)


def counts() -> pd.DataFrame:
    drawn = outcomes("poisson", N)
    return drawn.set_index(shuffled_rows().index)


def offsets() -> pd.DataFrame:
    draws = np.random.default_rng(7)
    return pd.DataFrame(draws.normal(0.0, 0.5, size=counts().shape), index=counts().index, columns=counts().columns)


def weights() -> pd.DataFrame:
    draws, labels = np.random.default_rng(8), [f"c{k}" for k in range(M)]
    return pd.DataFrame(draws.integers(0, 4, size=(M, N)).astype(float), index=labels, columns=counts().columns)


def single(y, **model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns, left = ({"y": y}, "y") if not isinstance(y, tuple) else ({"s": y[0], "f": y[1]}, "cbind(s, f)")
        return gj.mixed_model(f"{left} ~ x", data=shuffled_rows().assign(**columns), **{**MODEL, **model})


def many(y, **model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gj.errors.ConvergenceWarning)
        return gj.fit_many("~ x", data=shuffled_rows(), outcomes=y, **{**MODEL, **model})


def assert_same(found, k, fit):
    assert found.code.iloc[k] == fit.convergence.code.name
    np.testing.assert_allclose(found.fe_params.iloc[k], fit.fe_params, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.llf.iloc[k], fit.llf, rtol=0, atol=2e-8)
    np.testing.assert_allclose(found.spread.iloc[k], np.sqrt(np.diagonal(fit.cov_re)), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.bse_fe.iloc[k], fit.bse_fe, rtol=1e-6)
    assert found.nobs.iloc[k] == fit.nobs


@pytest.mark.parametrize("has_missing", [False, True], ids=["complete", "missing"])
def test_each_fit_has_its_own_offset_and_weights(has_missing):
    y, own, own_weights = counts(), offsets(), weights()
    if has_missing:
        y.loc[y.index[::7], "gene1"] = np.nan
        own.loc[own.index[1::9], "gene2"] = np.nan  # takes the row out, as in a single fit
    found = many(y, offset=own, weights=own_weights)
    for name in ("gene0", "gene1", "gene2"):
        fit = single(y[name], offset=own[name], weights=own_weights[name])
        assert_same(found, found.llf.index.get_loc(name), fit)
    opened = found["gene2"]
    assert opened.llf == pytest.approx(found.llf["gene2"], abs=1e-8)
    assert opened.nobs == found.nobs["gene2"]


def test_an_offset_of_its_own_is_added_to_that_of_the_formula():
    own = offsets()
    found = gj.fit_many("~ x + offset(0.5 * t)", data=shuffled_rows(), outcomes=counts(), offset=own, **MODEL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both = own["gene3"] + 0.5 * shuffled_rows()["t"]
    assert_same(found, 3, single(counts()["gene3"], offset=both))


@pytest.mark.slow
def test_names_or_positions_say_whose_a_column_is():
    y, own = counts(), offsets()
    right = many(y, offset=own)
    for form in (own.to_numpy(), own.iloc[:, ::-1], own.sample(frac=1.0, random_state=1)):
        np.testing.assert_allclose(many(y, offset=form).llf, right.llf, rtol=0, atol=1e-9)
    parts = many(iter([y.iloc[:, :4], y.iloc[:, 4:]]), offset=own, weights=weights())
    np.testing.assert_allclose(parts.llf, many(y, offset=own, weights=weights().iloc[::-1, ::-1]).llf, rtol=0, atol=1e-9)
    used = shuffled_rows().dropna()["g"].unique()  # by position: in order of first appearance in the rows used
    np.testing.assert_allclose(many(y, weights=weights().loc[used].to_numpy()).llf, many(y, weights=weights()).llf, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_an_outcome_may_have_two_columns():
    y = counts()
    totals = y.to_numpy() + np.random.default_rng(5).integers(0, 6, size=y.shape)
    pair = y, pd.DataFrame(totals, index=y.index, columns=y.columns) - y
    pair[1].loc[y.index[3:8], "gene4"] = np.nan
    found = many(pair, family="binomial")
    for k in (0, 4):
        assert_same(found, k, single((pair[0].iloc[:, k], pair[1].iloc[:, k]), family="binomial"))
    opened = found["gene4"]
    assert opened.llf == pytest.approx(found.llf["gene4"], abs=1e-8)
    assert "cbind(gene4_1, gene4_2)" in str(opened.summary())
    again = many([tuple(one.iloc[:, :3] for one in pair), tuple(one.iloc[:, 3:] for one in pair)], family="binomial")
    np.testing.assert_allclose(again.llf, found.llf, rtol=0, atol=1e-9)
    wrong = pair[0].copy()
    wrong.iloc[0, 2] = 0.5
    with pytest.warns(gj.errors.ConvergenceWarning):
        refused = gj.fit_many("~ x", data=shuffled_rows(), outcomes=(wrong, pair[1]), **(MODEL | {"family": "binomial"}))
    assert refused.code["gene2"] == "NOT_FITTED"
    assert "gene2" in refused.message["gene2"]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["beta_binomial", "weibull"])
def test_other_families_with_two_columns(family):
    y, draws = counts(), np.random.default_rng(5)
    second = draws.integers(0, 8, size=y.shape) if family == "beta_binomial" else draws.binomial(1, 0.7, size=y.shape)
    first = y.to_numpy() if family == "beta_binomial" else draws.exponential(np.exp(0.3 + offsets().to_numpy()))
    found = many((first, second.astype(float)), family=family)
    for k in (0, 5):
        assert_same(found, k, single((first[:, k], second[:, k]), family=family))


def test_what_is_wrong_with_one_fit_stops_no_other():
    own, own_weights = offsets(), weights()
    own.iloc[3, 1] = np.inf
    own["gene2"] = np.nan
    own_weights.iloc[2, 3] = -1.0
    own_weights["gene4"] = 0.0
    with pytest.warns(gj.errors.ConvergenceWarning):
        found = gj.fit_many("~ x", data=shuffled_rows(), outcomes=counts(), offset=own, weights=own_weights, **MODEL)
    assert list(found.code[found.code == "NOT_FITTED"].index) == ["gene1", "gene2", "gene3", "gene4"]
    for name, word in (("gene1", "offset is inf"), ("gene2", "offset is missing"), ("gene3", "weights is -1 for cluster 'c2'")):
        assert word in found.message[name]
    assert "weights is 0 for every cluster" in found.message["gene4"]
    assert found.converged["gene0"]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"offset": np.ones((5, N))}, ArgumentError, r"offset has shape \(5, 10\), and must have a row for each of the 90 rows"),
        ({"offset": np.ones((90, 3))}, ArgumentError, "a column for each of the 10 fits"),
        ({"offset": np.full((90, N), "a")}, DesignError, "offset holds values that are not numbers"),
        ({"offset": offsets().set_axis([*"abcdefghij"], axis=1)}, ArgumentError, "offset has no column for the outcome 'gene0'"),
        ({"offset": offsets().set_axis([*"aabcdefghi"], axis=1)}, ArgumentError, "several columns of one name"),
        ({"offset": offsets().set_axis(range(90))}, ArgumentError, "offset have another index"),
        ({"weights": np.ones((3, N))}, ArgumentError, r"weights has shape \(3, 10\), and must have a row for each of the 15 clusters"),
        ({"weights": weights().iloc[1:]}, DesignError, "'c0' has none"),
        (
            {"outcomes": iter([counts()]), "offset": offsets().to_numpy()[:, :4]},
            ArgumentError,
            "offset has 4 columns, and outcomes have more",
        ),
        ({"outcomes": (counts(), counts())}, ArgumentError, "family='poisson' takes outcomes in 1 column\\(s\\), and outcomes have 2"),
        ({"outcomes": (counts(), counts().iloc[:, :4]), "family": "binomial"}, ArgumentError, "tables of 10 and of 4 columns"),
        ({"outcomes": (counts(), counts().iloc[:, ::-1]), "family": "binomial"}, ArgumentError, "another order"),
        ({"outcomes": [(counts(), counts()), counts()], "family": "binomial"}, ArgumentError, "a part in 1 column"),
        ({"outcomes": (-counts() - 1, counts()), "family": "binomial"}, OutcomeError, "none of the outcomes can be fitted"),
        ({"by": "g", "outcomes": None, "fixed": "x ~ t", "random": "~ 1 | g", "offset": offsets()}, ArgumentError, "by='g' takes fits"),
    ],
)
def test_what_concerns_the_whole_call_is_one_error(changes, error, words):
    arguments = {"fixed": "~ x", "data": shuffled_rows(), "outcomes": counts(), **MODEL}
    with pytest.raises(error, match=words):
        gj.fit_many(**{**arguments, **changes})


@pytest.mark.slow
def test_models_of_other_weights_are_not_compared():
    data, y = shuffled_rows().dropna(), counts().loc[shuffled_rows().dropna().index]
    larger, smaller, other = (
        gj.fit_many(fixed, data=data, outcomes=y, weights=own, **MODEL)
        for fixed, own in (("~ x", weights()), ("~ 1", weights()), ("~ 1", weights() + 1.0))
    )
    assert gj.anova(smaller, larger)["p_value"].notna().all()
    with pytest.raises(ArgumentError, match="of other outcomes"):
        gj.anova(other, larger)


def test_many_columns_of_data_are_no_matter():
    data = shuffled_rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k in range(120):
            data[f"other{k}"] = float(k)  # in pieces, as users put tables together
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gj.fit_many("~ x", data=data, outcomes=counts(), **MODEL)
        assert found["gene0"].llf == pytest.approx(found.llf["gene0"], abs=1e-8)
