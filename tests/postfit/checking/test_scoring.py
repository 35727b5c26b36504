"""Scoring rules against GLMMadaptive's at equal parameters, and against the distributions of scipy."""

import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats

from glmmjax.errors import ArgumentError
from tests.postfit.model_checks import at_parameters, clustered_rows

pytestmark = pytest.mark.usefixtures("compile_quickly")
RULES = ["logarithmic", "quadratic", "spherical"]


def test_scores_of_new_rows_are_those_of_r(postfit_case):
    stored = postfit_case.p.get("scoring_rules_newdata")
    if stored is None:
        return
    assert_close(postfit_case.fit.scoring_rules(postfit_case.newdata), stored)


def test_scores_of_later_rows_given_a_history_are_those_of_r(postfit_case):
    dynamic, stored = (postfit_case.p["predict"].get(name) for name in ("dynamic", "scoring_rules_newdata2"))
    if stored is None:
        return
    new, name = postfit_case.newdata, "time" if "time" in postfit_case.newdata else dynamic["split"].split()[1]
    early = new[name] <= dynamic["cut"]
    assert_close(postfit_case.fit.scoring_rules(new[early], new[~early]), stored)


def assert_close(found, stored):
    """R repeats the rows of a two-column outcome, with missing values."""
    for rule in RULES:
        np.testing.assert_allclose(found[rule], np.array(stored[rule][: len(found)], float), atol=2e-3)


def brute_force(y, mass):
    """The four scores from probabilities (n, K) of 0, 1, ..., written out; the CRPS by expected distances."""
    k, rows = np.arange(mass.shape[1]), np.arange(len(y))
    at, norm = mass[rows, y], np.sqrt((mass**2).sum(1))
    between = np.einsum("nj,jk,nk->n", mass, np.abs(k[:, None] - k), mass)
    crps = 0.5 * between - (mass * np.abs(k - y[:, None])).sum(1)
    return np.column_stack([np.log(at), 2 * at - norm**2, at / norm, crps])


@pytest.fixture(scope="module")
def rows():
    data = clustered_rows(12, 3)
    return data.assign(y=np.random.default_rng(2).poisson(2.0, len(data)), n=lambda d: d["y"] + 3)


def assert_scores(arguments, mass, y, beta, **others):
    found = at_parameters(arguments, beta, **others).scoring_rules()
    assert list(found.columns) == [*RULES, "crps"]
    np.testing.assert_allclose(found, brute_force(y, mass), atol=2e-6)


def test_hurdle_and_dispersion_scores_are_those_of_the_distribution(rows):
    """Of the truncated count itself, not of one whose rate is its mean."""
    mu, size, pi = np.exp(0.3 + 0.2 * rows["x"]), np.exp(0.5 - 0.4 * rows["x"]), 0.3
    k = np.arange(400)
    part = scipy.stats.nbinom.pmf(k, size.to_numpy()[:, None], (size / (size + mu)).to_numpy()[:, None])
    mass = np.where(k == 0, pi, (1 - pi) * part / (1 - part[:, :1]))
    arguments = {"fixed": "y ~ x", "data": rows, "family": "hurdle_negative_binomial", "zi_fixed": "~ 1", "dispersion": "~ x"}
    assert_scores(arguments, mass, rows["y"].to_numpy(), [0.3, 0.2], gamma=[scipy.special.logit(pi)], delta=[0.5, -0.4])


def test_scores_with_trials_and_levels_are_those_of_the_distribution(rows):
    p = scipy.special.expit(-0.2 + 0.5 * rows["x"].to_numpy())
    mass = scipy.stats.binom.pmf(np.arange(30), rows["n"].to_numpy()[:, None], p[:, None])
    assert_scores({"fixed": "cbind(y, n - y) ~ x", "data": rows, "family": "binomial"}, mass, rows["y"].to_numpy(), [-0.2, 0.5])
    codes = np.arange(len(rows)) % 3
    data = rows.assign(level=pd.Categorical.from_codes(codes, ["a", "b", "c"], ordered=True))
    cut = scipy.special.expit(np.array([-0.5, -0.5 + np.exp(0.3)]) - 0.4 * rows["x"].to_numpy()[:, None])
    mass = np.diff(np.column_stack([np.zeros(len(cut)), cut, np.ones(len(cut))]))
    assert_scores({"fixed": "level ~ x", "data": data, "family": "cumulative"}, mass, codes, [0.4], phi=[-0.5, 0.3])


def test_truncated_counts_begin_at_one_and_far_outcomes_are_scored(rows):
    y = np.where(np.arange(len(rows)) == 4, 60, rows["y"] + 1)
    mu = np.exp(0.4 + 0.1 * rows["x"].to_numpy())[:, None]
    k = np.arange(100)
    mass = np.where(k > 0, scipy.stats.poisson.pmf(k, mu) / -np.expm1(-mu), 0.0)
    assert_scores({"fixed": "y ~ x", "data": rows.assign(y=y), "family": "truncated_poisson"}, mass, y, [0.4, 0.1])


def test_integrated_scores_average_over_the_posterior(rows):
    arguments = {"fixed": "y ~ x", "random": "~ 1 | id", "data": rows, "family": "poisson"}
    fit, y, k = at_parameters(arguments, [0.4, 0.2], [[0.7]]), rows["y"].to_numpy(), np.arange(80)
    u = np.linspace(-8, 8, 1601)
    mu = np.exp(0.4 + 0.2 * rows["x"].to_numpy()[:, None] + 0.7 * u)
    joint = scipy.stats.poisson.logpmf(y[:, None], mu).reshape(12, 3, -1).sum(1) - 0.5 * u**2
    weight = np.repeat(np.exp(joint) / np.exp(joint).sum(1, keepdims=True), 3, axis=0)
    mass = np.stack([(scipy.stats.poisson.pmf(one, mu) * weight).sum(1) for one in k], axis=1)
    np.testing.assert_allclose(fit.scoring_rules(kind="integrated"), brute_force(y, mass), atol=1e-5)


def test_rows_with_missing_values_have_no_scores(intro_fit, intro_binomial):
    new = intro_binomial.iloc[:6].copy()
    new.loc[new.index[2], "time"] = np.nan
    new["y"] = new["y"].astype(float)
    new.loc[new.index[4], "y"] = np.nan
    found = intro_fit.scoring_rules(new)
    assert list(found.index) == list(new.index)
    assert found.isna().all(axis=1).tolist() == [False, False, True, False, True, False]
    pd.testing.assert_frame_equal(found.dropna(), intro_fit.scoring_rules().loc[found.dropna().index], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "marginal"}, r"kind='marginal' is not known.* 'plug_in' \(at the conditional modes .*'integrated' \("),
        ({"max_count": 0}, r"max_count=0 must be a whole number >= 1"),
        ({"max_count": 3}, r"max_count=3: the counts up to it have a probability of .* in row .*larger max_count"),
    ],
)
def test_wrong_arguments_are_refused(poisson_fit, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        poisson_fit.scoring_rules(**arguments)
