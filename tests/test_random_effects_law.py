"""Fits whose random effects have another law than the normal one: estimates, what follows from them, files, refusals."""

import math

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from patsy import dmatrix

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.likelihood.quadrature import SINH_TRAPEZOID

pytestmark = pytest.mark.usefixtures("compile_quickly")
LAW = gj.StudentTEffects(df=4)
X = np.linspace(-16.0, 16.0, 6001)
SINHS, AREAS = np.sinh(X), np.cosh(X) * (X[1] - X[0])


def density(df, u):
    scale = math.sqrt((df - 2.0) / df)
    return scipy.stats.t.pdf(u / scale, df) / scale


def binomial_integrals(fit, data, power=0):
    """(m,) integrals of the introductory model by a dense trapezoidal rule in numpy."""
    eta = np.asarray(dmatrix("sex * time", data)) @ fit.fe_params.to_numpy()
    b, found = math.sqrt(fit.cov_re.iloc[0, 0]) * SINHS, []
    for _, rows in data.assign(eta=eta).groupby("id"):
        terms = -np.logaddexp(0.0, -(2.0 * rows["y"].to_numpy()[:, None] - 1.0) * (rows["eta"].to_numpy()[:, None] + b)).sum(0)
        found.append((np.exp(terms) * b**power * density(LAW.df, SINHS) * AREAS).sum())
    return np.array(found)


@pytest.fixture(scope="module")
def data():
    return gj.datasets.load_intro_binomial()


@pytest.fixture(scope="module")
def fit(data):
    return gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial", random_effects_law=LAW)


def simulated(m=400, k=6, df=4.0, seed=3):
    rng = np.random.default_rng(seed)
    cluster, x = np.repeat(np.arange(m), k), rng.normal(size=m * k)
    b = 1.5 * scipy.stats.t.rvs(df, size=m, random_state=rng) * math.sqrt((df - 2.0) / df)
    y = 0.5 + 0.7 * x + b[cluster] + 0.8 * rng.normal(size=m * k)
    counts = rng.poisson(np.exp(0.2 + 0.3 * x + 0.4 * b[cluster]))
    return pd.DataFrame({"y": y, "n": counts, "x": x, "id": cluster})


def test_the_log_likelihood_is_the_integral_up_to_its_reported_error(fit, data):
    assert fit.converged
    assert fit.convergence.method == SINH_TRAPEZOID
    error = np.log(binomial_integrals(fit, data)).sum() - fit.llf
    np.testing.assert_allclose(error, fit.convergence.quadrature_error, atol=1e-7)


def test_means_of_random_effects_are_those_of_the_integral(fit, data):
    exact = binomial_integrals(fit, data, power=1) / binomial_integrals(fit, data)
    np.testing.assert_allclose(fit.random_effects_table("mean")["estimate"], exact, atol=1e-6)


def test_population_averages_are_over_the_law(fit, data):
    eta = np.asarray(dmatrix("sex * time", data)) @ fit.fe_params.to_numpy()
    sd = math.sqrt(fit.cov_re.iloc[0, 0])
    exact = np.array([(scipy.special.expit(at + sd * SINHS) * density(LAW.df, SINHS) * AREAS).sum() for at in eta[:16]])
    np.testing.assert_allclose(fit.predict(data.head(16), kind="marginal"), exact, atol=1e-9)
    np.testing.assert_allclose(fit.marginal_means(data.head(16), kind="marginal")["estimate"], exact, atol=1e-9)
    raw = fit.resid("raw", at="marginal")[:16]
    np.testing.assert_allclose(data["y"].to_numpy()[:16] - raw, exact, atol=1e-9)


def test_draws_given_outcomes_have_the_means_of_the_integral(fit, data):
    """All outcomes of some clusters are equal, so that the law alone bounds their effects."""
    draws = fit.simulate(2000, new_random_effects="posterior", seed=1).to_numpy().mean(1)
    eta = np.asarray(dmatrix("sex * time", data)) @ fit.fe_params.to_numpy()
    sd, exact = math.sqrt(fit.cov_re.iloc[0, 0]), np.zeros(len(data))
    for _, rows in data.assign(eta=eta, place=np.arange(len(data))).groupby("id"):
        at = rows["eta"].to_numpy()[:, None] + sd * SINHS
        weight = np.exp(-np.logaddexp(0.0, -(2.0 * rows["y"].to_numpy()[:, None] - 1.0) * at).sum(0)) * density(LAW.df, SINHS) * AREAS
        exact[rows["place"]] = (scipy.special.expit(at) * weight).sum(1) / weight.sum()
    z = (draws - exact) / np.sqrt(np.maximum(exact * (1.0 - exact), 1e-4) / 2000)
    assert np.abs(z).max() < 6.0
    assert abs(z.mean()) < 0.3


@pytest.mark.slow
def test_it_recovers_what_was_simulated_and_beats_the_normal_law():
    data = simulated(seed=1)
    fit = gj.mixed_model("y ~ x", random="~ 1 | id", data=data, family="gaussian", random_effects_law=LAW)
    normal = fit.update(random_effects_law=None)
    assert fit.converged
    assert fit.aic < normal.aic - 4.0
    z = (fit.fe_params - np.array([0.5, 0.7])) / fit.bse_fe
    assert np.abs(z).max() < 3.5
    found = fit.conf_int("random", level=0.999).loc["sd(Intercept)"]
    assert found["lower"] < 1.5 < found["upper"]


def test_a_gaussian_model_agrees_with_dense_integration():
    """Far out, a cluster's outcomes and the law pull in different directions."""
    data = simulated(m=30, k=3)
    data.loc[data["id"] == 7, "y"] += 12.0
    fit = gj.mixed_model("y ~ x", random="~ 1 | id", data=data, family="gaussian", random_effects_law=gj.StudentTEffects(df=3))
    eta, sd = fit.predict(data, kind="mean_subject").to_numpy(), math.sqrt(fit.cov_re.iloc[0, 0])
    sigma, total = float(fit.phi.iloc[0]), 0.0
    u = np.linspace(-60.0, 60.0, 240_001)
    for _, rows in data.assign(eta=eta).groupby("id"):
        terms = scipy.stats.norm.logpdf(rows["y"].to_numpy()[:, None], rows["eta"].to_numpy()[:, None] + sd * u, sigma).sum(0)
        total += math.log((np.exp(terms) * density(3.0, u)).sum() * (u[1] - u[0]))
    assert fit.converged
    assert abs(fit.llf - total) < max(2.0 * abs(fit.convergence.quadrature_error), 1e-6)


@pytest.mark.slow
def test_two_random_effects():
    law, rng = gj.StudentTEffects(df=5), np.random.default_rng(4)
    data = simulated(m=150, k=6)
    u = np.asarray(law.sample(jax.random.key(0), (2, 150), float))[:, data["id"]]
    data["n"] = rng.poisson(np.exp(0.2 + 0.3 * data["x"] + 0.7 * u[0] + (0.2 * u[0] + 0.4 * u[1]) * data["x"]))
    fit = gj.mixed_model("n ~ x", random="~ x | id", data=data, family="poisson", random_effects_law=law)
    assert fit.converged
    assert abs(fit.convergence.quadrature_error) < 1e-4
    deviations = fit.conf_int("random", level=0.999)
    for name, truth in {"sd(Intercept)": 0.7, "sd(x)": math.hypot(0.2, 0.4)}.items():
        assert deviations.loc[name, "lower"] < truth < deviations.loc[name, "upper"]
    assert fit.random_effects_table("mean").shape[0] == 300


def test_many_degrees_of_freedom_are_nearly_the_normal_law(data):
    normal = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    nearly = normal.update(random_effects_law=gj.StudentTEffects(df=1000))
    assert abs(nearly.llf - normal.llf) < 0.05
    np.testing.assert_allclose(nearly.fe_params, normal.fe_params, atol=0.01)


def test_tables_say_it(fit):
    text = str(fit.summary())
    assert "random effects: Student's t, 4 degrees of freedom" in text
    assert "random_effects_law=StudentTEffects(df=4.0)" in text
    normal = str(fit.update(random_effects_law=None).summary())
    assert "random effects:" not in normal
    assert "random_effects_law" not in normal


def test_a_saved_fit_keeps_its_law(fit, tmp_path):
    fit.save(tmp_path / "t.glmm")
    found = gj.load(tmp_path / "t.glmm")
    assert found.fitted_model.problem.prior == LAW
    assert found.llf == fit.llf
    np.testing.assert_array_equal(found.random_effects_table("mean"), fit.random_effects_table("mean"))
    assert found.update(data=found.fitted_model.request.data).llf == pytest.approx(fit.llf, abs=1e-6)


def test_laws_are_compared_by_aic(fit):
    normal = fit.update(random_effects_law=None)
    assert "No test: the laws of the random effects differ (normal and Student's t, 4 degrees of freedom)" in str(gj.anova(normal, fit))
    smaller = fit.update(fixed="y ~ time")
    assert gj.anova(smaller, fit).comparison.statistic > 0


def test_a_stream_takes_a_law(fit, data):
    streamed = fit.update(data=gj.stream([data[:400], data[400:]]))
    np.testing.assert_allclose(streamed.llf, fit.llf, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"random_effects_law": "t"},
            r"random_effects_law='t' must be None \(normal\), or a law of the random effects, such as StudentTEff",
        ),
        ({"random_effects_law": gj.StudentTEffects}, r"random_effects_law=.* must be None"),
        (
            {"random_effects_law": LAW, "random": None},
            r"StudentTEffects\(df=4.0\) is for .* one grouping factor, and this model has no random",
        ),
        ({"random_effects_law": LAW, "random": "~ 1 | sex/id"}, r"this model has two levels of random effects; leave it out"),
        ({"random_effects_law": LAW, "random": "(1 | id) + (1 | time)"}, r"this model has crossed factors; leave it out"),
    ],
)
def test_what_has_no_meaning_is_refused(data, changes, text):
    with pytest.raises(ArgumentError, match=text):
        gj.mixed_model(**({"fixed": "y ~ time", "random": "~ 1 | id", "data": data, "family": "binomial"} | changes))


def test_infinite_means_are_refused():
    fit = gj.mixed_model("n ~ x", random="~ 1 | id", data=simulated(m=60), family="poisson", random_effects_law=LAW)
    calls = [
        lambda: fit.predict(kind="marginal"),
        lambda: fit.marginal_coefs(),
        lambda: fit.marginal_means(kind="marginal"),
        lambda: fit.effects({"x": [0.0, 1.0]}, kind="marginal"),
        lambda: fit.resid("raw", at="marginal"),
    ]
    for call in calls:
        with pytest.raises(ArgumentError, match="the mean of the outcome over the population is infinite"):
            call()
    assert np.isfinite(fit.predict(kind="subject_specific")).all()
    jax.block_until_ready(fit.quantile_residuals(20).values)


def test_a_mean_that_grows_slowly_is_finite():
    fit = gj.mixed_model("y ~ x", random="~ 1 | id", data=simulated(m=60), family="gaussian", random_effects_law=LAW)
    np.testing.assert_allclose(fit.predict(kind="marginal"), fit.predict(kind="mean_subject"), atol=1e-8)


def test_three_random_effects_are_refused_because_no_rule_for_them_sees_heavy_tails():
    data = gj.datasets.load_intro_binomial()
    model = {"fixed": "y ~ time", "data": data, "family": "binomial", "random_effects_law": gj.StudentTEffects(df=4)}
    with pytest.raises(gj.errors.ArgumentError, match="this model has 3 of them; take two at most, or leave it out"):
        gj.mixed_model(random="~ time + I(time**2) | id", **model)
