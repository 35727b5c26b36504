"""Residuals against R, closed forms, and scipy's densities."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import glmmjax as gj
from glmmjax.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.mark.parametrize("at", ["mean_subject", "subject_specific"])
def test_raw_residuals_of_r(postfit_case, at):
    if postfit_case.name == "o23":
        pytest.skip("GLMMadaptive's residuals of a hurdle log-normal are on the log scale")
    stored = np.array(postfit_case.p["residuals"][at])
    if not stored.size:
        pytest.skip("GLMMadaptive gives no residuals of cbind(successes, failures)")
    # its modes are loose, so that its means are good to about a thousandth of themselves
    slack = 2e-3 * (1.0 + np.abs(postfit_case.p["fitted"][at]))
    np.testing.assert_array_less(np.abs(postfit_case.fit.resid(at=at) - stored), slack)


def test_pearson_residuals_of_a_count(poisson_fit):
    mean = poisson_fit.fitted("subject_specific")
    np.testing.assert_allclose(poisson_fit.resid("pearson"), poisson_fit.resid() / np.sqrt(mean), rtol=1e-8)
    # over the population: log-normal means, so Var(y) = M + M^2 (exp(D) - 1)
    marginal, d = poisson_fit.fitted("marginal"), poisson_fit.cov_re.iloc[0, 0]
    expected = poisson_fit.resid(at="marginal") / np.sqrt(marginal + marginal**2 * np.expm1(d))
    np.testing.assert_allclose(poisson_fit.resid("pearson", at="marginal"), expected, rtol=1e-6)


def test_pearson_and_deviance_residuals_of_zeros_and_ones(intro_fit, intro_binomial):
    y, p = intro_binomial["y"].to_numpy(), intro_fit.fitted("subject_specific").to_numpy()
    np.testing.assert_allclose(intro_fit.resid("pearson"), (y - p) / np.sqrt(p * (1 - p)), rtol=1e-8)
    np.testing.assert_allclose(intro_fit.resid("deviance"), np.where(y == 1, 1, -1) * np.sqrt(-2 * stats.bernoulli.logpmf(y, p)), rtol=1e-7)
    q = intro_fit.fitted("marginal").to_numpy()
    np.testing.assert_allclose(intro_fit.resid("pearson", at="marginal"), (y - q) / np.sqrt(q * (1 - q)), rtol=1e-7)


def test_deviance_residuals_of_a_count(poisson_fit):
    mean = poisson_fit.fitted("subject_specific").to_numpy()
    y = mean + poisson_fit.resid().to_numpy()
    gain = stats.poisson.logpmf(y.round(), np.maximum(y, 1e-12)) - stats.poisson.logpmf(y.round(), mean)
    np.testing.assert_allclose(poisson_fit.resid("deviance"), np.sign(y - mean) * np.sqrt(2 * np.maximum(gain, 0)), rtol=1e-5, atol=1e-6)


def test_residuals_have_the_labels_of_the_rows(intro_fit, intro_binomial):
    pd.testing.assert_index_equal(intro_fit.resid("pearson").index, intro_binomial.index)
    assert intro_fit.resid("pearson").name == "resid_pearson"


def test_what_has_no_residual_is_refused(intro_fit, postfit_case):
    with pytest.raises(ArgumentError, match="kind='response' is not known; choose one of 'raw', 'pearson', 'deviance'"):
        intro_fit.resid("response")
    with pytest.raises(ArgumentError, match="at='mode' is not known; choose one of 'subject_specific'"):
        intro_fit.resid(at="mode")
    if postfit_case.name == "o18":
        with pytest.raises(ArgumentError, match=r"kind='deviance' compares.*zero_inflated_poisson.*Take kind='pearson'"):
            postfit_case.fit.resid("deviance")


@pytest.mark.slow
def test_censored_outcomes_are_refused():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(20), 4), "t": rng.exponential(size=80), "d": rng.integers(0, 2, 80)})
    fit = gj.mixed_model("cbind(t, d) ~ 1", random="~ 1 | g", data=data, family="weibull")
    with pytest.raises(ArgumentError, match="of the weibull family may be censored, and has no residual"):
        fit.resid()
