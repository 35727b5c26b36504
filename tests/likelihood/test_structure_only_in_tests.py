"""The covariance structure of CONTRIBUTING.md, one class and one registry line, fits, and post-fit methods take it, unchanged."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.likelihood.covariance import STRUCTURES
from tests.recipes import skeleton

N_CLUSTERS, N_VISITS, N_REPEATS = 40, 3, 4
pytestmark = pytest.mark.usefixtures("compile_quickly")

Homogeneous = skeleton("glmmjax/likelihood/covariance.py", "Homogeneous")


@pytest.fixture(scope="module", autouse=True)
def _registered():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STRUCTURES, "homogeneous", Homogeneous)
        yield


@pytest.fixture(scope="module")
def data():
    rng, n = np.random.default_rng(5), N_CLUSTERS * N_VISITS * N_REPEATS
    cluster, visit = np.divmod(np.arange(n) // N_REPEATS, N_VISITS)
    x, b = rng.normal(size=n), 0.8 * rng.normal(size=(N_CLUSTERS, N_VISITS))
    y = 1.0 + 0.5 * x + b[cluster, visit] + 0.6 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "visit": visit, "id": cluster})


@pytest.fixture(scope="module")
def fit(data, _registered):
    return gj.mixed_model("y ~ x", random="~ 0 + C(visit) | id", data=data, family="gaussian", covariance="homogeneous", n_agq=1)


@pytest.fixture(scope="module")
def deviation(fit):
    return float(np.sqrt(fit.cov_re.iloc[0, 0]))


def test_the_fit_is_the_maximum_of_the_closed_form(fit, data, deviation):
    def log_likelihood(sd: float) -> float:
        block = sd**2 * np.ones((N_REPEATS, N_REPEATS)) + fit.phi.iloc[0] ** 2 * np.eye(N_REPEATS)
        residuals = (data["y"] - fit.fe_params["Intercept"] - fit.fe_params["x"] * data["x"]).to_numpy().reshape(-1, N_REPEATS)
        return float(scipy.stats.multivariate_normal(np.zeros(N_REPEATS), block).logpdf(residuals).sum())

    assert fit.converged
    assert fit.df_params == 2 + 1 + 1
    np.testing.assert_allclose(fit.cov_re, deviation**2 * np.eye(N_VISITS), atol=1e-12)
    assert fit.llf == pytest.approx(log_likelihood(deviation), abs=1e-7)
    assert max(log_likelihood(deviation + step) for step in (-1e-2, 1e-2)) < fit.llf


def test_standard_errors_are_those_of_the_parameter(fit, deviation):
    """All deviations are the same function of one parameter, whose standard error is that of the free vector."""
    error = np.sqrt(fit.cov_params(which="all").loc["D[common sd]", "D[common sd]"])
    found = fit.conf_int("random")
    assert len(found) == N_VISITS  # there is no correlation
    half = scipy.stats.norm.ppf(0.975) * error / deviation
    np.testing.assert_allclose(np.log(found.iloc[:, -2:] / deviation), np.tile([-half, half], (N_VISITS, 1)), rtol=1e-6)
    assert fit.wald_test("D[common sd] = 0.7").statistic == pytest.approx(((deviation - 0.7) / error) ** 2)


def test_tables_show_it(fit, deviation):
    assert f"{deviation:.4f}"[:5] in str(fit.summary())
    assert list(fit.tidy(effects="all")["term"]).count("sd(C(visit)[0])") == 1
    assert not any("corr" in term for term in fit.tidy(effects="all")["term"])


def test_draws_have_its_covariance(fit, data, deviation):
    drawn = fit.simulate(400, seed=3).to_numpy() - np.asarray(fit.predict())[:, None]
    by_visit = drawn.reshape(N_CLUSTERS, N_VISITS, N_REPEATS, -1).mean(2).swapaxes(1, 2).reshape(-1, N_VISITS)
    expected = (deviation**2 + fit.phi.iloc[0] ** 2 / N_REPEATS) * np.eye(N_VISITS)
    np.testing.assert_allclose(np.cov(by_visit.T), expected, atol=0.03)


def test_refits_and_files_keep_it(fit, tmp_path):
    assert np.isfinite(fit.cooks_distance()).all()
    fit.save(tmp_path / "fit.glmm")
    loaded = gj.load(tmp_path / "fit.glmm")
    assert loaded.fitted_model.design.covariance == Homogeneous(N_VISITS)
    assert loaded.wald_test("D[common sd] = 0.7").statistic == fit.wald_test("D[common sd] = 0.7").statistic


def test_a_mixture_of_chi_squares_is_refused(fit, data):
    smaller = gj.mixed_model("y ~ x", data=data, family="gaussian")
    assert gj.anova(smaller, fit).comparison.df == 1
    with pytest.raises(ArgumentError, match="boundary=True is for unstructured and diagonal covariance matrices"):
        gj.anova(smaller, fit, boundary=True)


def test_a_name_that_is_not_registered_lists_it(data):
    with pytest.raises(ArgumentError, match=r"covariance='homogenous' is not known; choose one of .*'homogeneous'"):
        gj.mixed_model("y ~ x", random="~ 0 + C(visit) | id", data=data, family="gaussian", covariance="homogenous")
