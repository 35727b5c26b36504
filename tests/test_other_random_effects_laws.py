"""Fits under skew-normal, mixture and custom laws: the integral, limits, what follows from a fit, files, refusals."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError, ConvergenceWarning
from glmmjax.likelihood.quadrature import WIDE_TRAPEZOID

mpl.use("Agg")
from matplotlib import pyplot

pytestmark = pytest.mark.usefixtures("compile_quickly")
KINDS = gj.NormalMixtureEffects(weights=(0.6, 0.4), means=(-1.0, 1.5), sds=(0.4, 0.4))
U = np.linspace(-25.0, 25.0, 25_001)  # the right tail of a Gumbel law falls by exp(-1.28 u)
STEP = U[1] - U[0]


def gumbel(u):
    return -u - jnp.exp(-u)


GUMBEL = gj.CustomEffects(gumbel, name="Gumbel")


def kinds_density(u):
    """By scipy."""
    w, m, s = np.array([0.6, 0.4]), np.array([-1.0, 1.5]), np.array([0.4, 0.4])
    scale = math.sqrt(w @ ((m - w @ m) ** 2 + s**2))
    return (w * scipy.stats.norm.pdf(np.asarray(u)[:, None], (m - w @ m) / scale, s / scale)).sum(1)


def gumbel_density(u):
    law = scipy.stats.gumbel_r()
    return law.std() * law.pdf(law.mean() + law.std() * np.asarray(u))


def simulated(law, m=60, k=3, seed=2):
    """Binary outcomes that say little of a cluster, so that many posteriors of a mixture have two peaks; counts; measurements."""
    rng = np.random.default_rng(seed)
    cluster, x = np.repeat(np.arange(m), k), rng.normal(size=m * k)
    u = np.asarray(law.sample(jax.random.key(seed), (1, m), float))[0, cluster]
    return pd.DataFrame(
        {
            "id": cluster,
            "x": x,
            "binomial": (rng.random(m * k) < scipy.special.expit(0.3 + 0.6 * x + 2.0 * u)).astype(float),
            "poisson": rng.poisson(np.exp(0.2 + 0.3 * x + 0.7 * u)),
            "gaussian": 0.5 + 0.7 * x + 1.5 * u + 0.5 * rng.normal(size=m * k),
        }
    )


def posteriors(fit, data, density):
    """(m, G) joint density of each cluster's binary outcomes and u, by numpy."""
    eta, sd, found = fit.predict(data, kind="mean_subject", scale="link").to_numpy(), math.sqrt(fit.cov_re.iloc[0, 0]), []
    for _, rows in data.assign(eta=eta).groupby("id"):
        at = rows["eta"].to_numpy()[:, None] + sd * U
        found.append(np.exp(-np.logaddexp(0.0, -(2.0 * rows["binomial"].to_numpy()[:, None] - 1.0) * at).sum(0)) * density(U))
    return np.array(found)


@pytest.fixture(scope="module")
def data():
    return simulated(KINDS)


@pytest.fixture(scope="module")
def fit(data):
    return gj.mixed_model("binomial ~ x", random="~ 1 | id", data=data, family="binomial", random_effects_law=KINDS)


def test_the_default_fit_is_the_integral_up_to_its_reported_error(fit, data):
    exact = np.log(posteriors(fit, data, kinds_density).sum(1) * STEP).sum()
    assert fit.converged
    assert fit.convergence.method == WIDE_TRAPEZOID
    assert abs(exact - fit.llf) < 1e-6
    np.testing.assert_allclose(exact - fit.llf, fit.convergence.quadrature_error, atol=1e-8)


def test_a_rule_that_is_asked_for_is_one_over_the_whole_law(fit, data):
    coarse = fit.update(n_agq=21)
    assert (coarse.convergence.method, coarse.convergence.n_agq) == (WIDE_TRAPEZOID, 21)
    exact = np.log(posteriors(coarse, data, kinds_density).sum(1) * STEP).sum()
    np.testing.assert_allclose(exact - coarse.llf, coarse.convergence.quadrature_error, rtol=0.2, atol=1e-7)
    with pytest.raises(ArgumentError, match=r"n_agq=1 is too few for the law mixture of 2 normal .*Take 15 points or more"):
        fit.update(n_agq=1)


def test_posteriors_have_two_peaks_and_the_modes_are_the_higher_ones(fit, data):
    exact = posteriors(fit, data, kinds_density)
    n_peaks = ((exact[:, 1:-1] > exact[:, :-2]) & (exact[:, 1:-1] > exact[:, 2:])).sum(1)
    assert (n_peaks == 2).sum() > 10
    np.testing.assert_allclose(fit.random_effects.iloc[:, 0] / math.sqrt(fit.cov_re.iloc[0, 0]), U[exact.argmax(1)], atol=STEP)
    mean = (exact @ U) / exact.sum(1) * math.sqrt(fit.cov_re.iloc[0, 0])
    np.testing.assert_allclose(fit.random_effects_table("mean")["estimate"], mean, atol=1e-6)


def test_draws_given_outcomes_are_from_both_peaks(fit, data):
    draws = fit.simulate(3000, new_random_effects="posterior", seed=1).to_numpy().mean(1)
    weight = posteriors(fit, data, kinds_density)
    weight = weight / weight.sum(1, keepdims=True)
    eta, sd = fit.predict(data, kind="mean_subject", scale="link").to_numpy(), math.sqrt(fit.cov_re.iloc[0, 0])
    exact = (scipy.special.expit(eta[:, None] + sd * U) * weight[data["id"]]).sum(1)
    z = (draws - exact) / np.sqrt(exact * (1.0 - exact) / 3000)
    assert np.abs(z).max() < 4.5
    assert abs(z.mean()) < 0.3


def test_population_averages_are_over_the_law(fit, data):
    eta, sd = fit.predict(data, kind="mean_subject", scale="link").to_numpy(), math.sqrt(fit.cov_re.iloc[0, 0])
    exact = (scipy.special.expit(eta[:, None] + sd * U) * kinds_density(U)).sum(1) * STEP
    np.testing.assert_allclose(fit.predict(kind="marginal"), exact, atol=1e-9)
    np.testing.assert_allclose(data["binomial"].to_numpy() - fit.resid("raw", at="marginal"), exact, atol=1e-9)


def test_what_follows_from_a_fit_follows(fit, tmp_path):
    assert np.isfinite(fit.marginal_coefs().table["estimate"]).all()
    assert np.isfinite(fit.bootstrap(2, seed=1).params).all().all()
    found = fit.predict(fit.fitted_model.request.data.head(6), kind="subject_specific", interval=0.9, interval_for="outcome", n_draws=200)
    assert (found["lower"] <= found["upper"]).all()
    assert "random effects: mixture of 2 normal components (skewness" in str(fit.summary())
    fit.save(tmp_path / "kinds")
    again = gj.load(tmp_path / "kinds")
    assert again.fitted_model.problem.prior == KINDS
    assert again.llf == fit.llf
    with pytest.raises(ArgumentError, match="is for a fit with a law of the user's own, and this one has NormalMixtureEffects"):
        gj.load(tmp_path / "kinds", random_effects_law=GUMBEL)


def test_laws_without_shape_are_the_normal_law(data):
    model = {"fixed": "gaussian ~ x", "random": "~ 1 | id", "data": data, "family": "gaussian"}
    normal = gj.mixed_model(**model)
    for law in (gj.SkewNormalEffects(0), gj.NormalMixtureEffects((1.0,), (3.0,), (2.0,))):
        same = gj.mixed_model(**model, random_effects_law=law)
        assert same.converged
        np.testing.assert_allclose(same.llf, normal.llf, atol=1e-6)
        np.testing.assert_allclose(same.fe_params, normal.fe_params, atol=1e-4)


@pytest.mark.slow
def test_a_skewed_law_and_its_mirror_image():
    """A free number below 0 must not turn the law round: outcomes and law turned together give the same fit, one of them alone another."""
    data = simulated(gj.SkewNormalEffects(8), m=80, k=3, seed=5)
    model: Any = {"fixed": "y ~ x", "random": "~ 1 | id", "family": "gaussian"}
    to_right, to_left = data.assign(y=data["gaussian"]), data.assign(y=-data["gaussian"])
    right = gj.mixed_model(**model, data=to_right, random_effects_law=gj.SkewNormalEffects(8))
    left = gj.mixed_model(**model, data=to_left, random_effects_law=gj.SkewNormalEffects(-8))
    np.testing.assert_allclose(left.llf, right.llf, atol=1e-5)
    np.testing.assert_allclose(left.random_effects, -right.random_effects, atol=1e-4)
    wrong = right.update(random_effects_law=gj.SkewNormalEffects(-8))
    assert wrong.llf < right.llf - 3.0
    started = gj.mixed_model(
        **model,
        data=to_right,
        random_effects_law=gj.SkewNormalEffects(8),
        initial_values={"beta": [0.5, 0.7], "D": [[0.01]], "phi": [-1.0]},
    )
    np.testing.assert_allclose(started.llf, right.llf, atol=1e-5)
    eta = right.predict(kind="mean_subject").to_numpy()
    sd, sigma, total, law = math.sqrt(right.cov_re.iloc[0, 0]), float(right.phi.iloc[0]), 0.0, scipy.stats.skewnorm(8)
    density = law.std() * law.pdf(law.mean() + law.std() * U)
    for _, rows in to_right.assign(eta=eta).groupby("id"):
        terms = scipy.stats.norm.logpdf(rows["y"].to_numpy()[:, None], rows["eta"].to_numpy()[:, None] + sd * U, sigma).sum(0)
        total += math.log((np.exp(terms) * density).sum() * STEP)
    np.testing.assert_allclose(total - right.llf, right.convergence.quadrature_error, atol=1e-5)


@pytest.fixture(scope="module")
def own(data):
    return gj.mixed_model("binomial ~ x", random="~ 1 | id", data=data, family="binomial", random_effects_law=GUMBEL)


def test_a_law_of_ones_own_is_integrated_over(own, data):
    assert own.converged
    far = np.log(posteriors(own, data, gumbel_density).sum(1) * STEP).sum()
    assert abs(far - own.llf) < 1e-6
    assert "random effects: Gumbel (skewness 1.14, excess kurtosis 2.40)" in str(own.summary())


def test_a_file_takes_a_law_of_ones_own_again(own, tmp_path):
    own.save(tmp_path / "own")
    assert gj.load(tmp_path / "own", random_effects_law=GUMBEL).llf == own.llf
    with pytest.raises(
        ArgumentError, match=r"law of random effects of the user's own \(Gumbel\).*load\('.*own', random_effects_law=that\)"
    ):
        gj.load(tmp_path / "own")
    with pytest.raises(ArgumentError, match="has another density than the law Gumbel of the fit"):
        gj.load(tmp_path / "own", random_effects_law=gj.CustomEffects(lambda u: -u * u, name="Gumbel"))
    with pytest.raises(ArgumentError, match="random_effects_law='t' must be None, or a CustomEffects"):
        gj.load(tmp_path / "own", random_effects_law="t")  # type: ignore[arg-type]


def test_laws_are_told_apart(fit, own):
    assert "No test: the laws of the random effects differ" in str(gj.anova(fit, own))


def test_means_that_grow_faster_than_a_law_falls_are_refused():
    """E exp(b) is infinite where the standard deviation of b is above pi / sqrt(6) = 1.28 times that of a Gumbel law's slope."""
    data = simulated(GUMBEL)
    fit = gj.mixed_model("poisson ~ x", random="~ 1 | id", data=data, family="poisson", random_effects_law=GUMBEL)
    with pytest.raises(ArgumentError, match="is infinite, or lies too far out in the tails of the law Gumbel"):
        fit.predict(kind="marginal")
    assert np.isfinite(fit.predict(kind="subject_specific")).all()


def test_a_law_with_a_kink_never_claims_a_maximum_with_a_wrong_integral(data):
    law = gj.CustomEffects(lambda u: -jnp.abs(u), name="Laplace")
    with pytest.warns(ConvergenceWarning):
        fit = gj.mixed_model("binomial ~ x", random="~ 1 | id", data=data, family="binomial", random_effects_law=law)
    exact = np.log(posteriors(fit, data, lambda u: np.exp(-math.sqrt(2.0) * np.abs(u)) / math.sqrt(2.0)).sum(1) * STEP).sum()
    assert abs(exact - fit.llf) < 2.0 * abs(fit.convergence.quadrature_error) + 1e-4


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"random": "~ x | id"}, "is for one random effect of one grouping factor, and this model has 2 of them; take one at most"),
        ({"random": None}, "this model has no random effects"),
        ({"random": "(1 | id) + (1 | x)"}, "this model has crossed factors"),
    ],
)
@pytest.mark.parametrize("law", [gj.SkewNormalEffects(2), KINDS, GUMBEL], ids=["skew-normal", "mixture", "custom"])
def test_what_a_law_does_not_take_is_refused(data, law, changes, text):
    model = {"fixed": "binomial ~ x", "random": "~ 1 | id", "data": data.assign(x=data["x"].round()), "family": "binomial"}
    with pytest.raises(ArgumentError, match=text):
        gj.mixed_model(**model | changes, random_effects_law=law)


def test_the_density_of_a_random_effect_is_drawn(fit, data, tmp_path):
    ax = fit.plot_random_effects_density()
    sd = math.sqrt(fit.cov_re.iloc[0, 0])
    law, mean = ax.lines
    at = law.get_xdata()
    np.testing.assert_allclose(law.get_ydata(), kinds_density(at / sd) / sd, atol=1e-8)
    exact = posteriors(fit, data, kinds_density)
    exact = (exact / (exact.sum(1, keepdims=True) * STEP)).mean(0)
    np.testing.assert_allclose(mean.get_ydata(), np.interp(at / sd, U, exact) / sd, atol=1e-5)
    heights, widths = (np.array([getattr(bar, f"get_{size}")() for bar in ax.patches]) for size in ("height", "width"))
    np.testing.assert_allclose((heights * widths).sum(), 1.0)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "conditional modes of 60 clusters", "law: mixture of 2 normal components", "mean of posterior densities"
    ]  # fmt: skip
    assert ax.get_xlabel() == "Intercept, deviation from the mean over clusters"
    ax.figure.savefig(tmp_path / "density.png", dpi=110)
    assert (tmp_path / "density.png").stat().st_size > 5000
    other = pyplot.subplots()[1]
    assert fit.plot_random_effects_density("Intercept", other) is other
    with pytest.raises(ArgumentError, match="effect='x' is no random effect of the model; choose one of 'Intercept'"):
        fit.plot_random_effects_density("x")
    pyplot.close("all")


def test_the_density_of_one_of_two_normal_effects(diagonal_fit, no_effects_fit):
    law, mean = diagonal_fit.plot_random_effects_density("time").lines
    sd = math.sqrt(diagonal_fit.cov_re.loc["time", "time"])
    np.testing.assert_allclose(law.get_ydata(), scipy.stats.norm.pdf(law.get_xdata(), 0.0, sd), rtol=1e-7)
    table = diagonal_fit.random_effects_table("mean").xs("time", level="effect")
    exact = scipy.stats.norm.pdf(mean.get_xdata()[:, None], table["estimate"], table["std_error"]).mean(1)
    np.testing.assert_allclose(mean.get_ydata(), exact, rtol=1e-6)
    with pytest.raises(ArgumentError, match="the model has none"):
        no_effects_fit.plot_random_effects_density()
    pyplot.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["binomial", "poisson", "gaussian"])
@pytest.mark.parametrize("law", [gj.SkewNormalEffects(6), KINDS, GUMBEL], ids=["skew-normal", "mixture", "custom"])
def test_it_recovers_what_was_simulated(family, law):
    data = simulated(law, m=500, k=6, seed=11)
    fit = gj.mixed_model(f"{family} ~ x", random="~ 1 | id", data=data, family=family, random_effects_law=law)
    truth, sd = {"binomial": ((0.3, 0.6), 2.0), "poisson": ((0.2, 0.3), 0.7), "gaussian": ((0.5, 0.7), 1.5)}[family]
    assert fit.converged
    z = (fit.fe_params - np.array(truth)) / fit.bse_fe
    assert np.abs(z).max() < 3.7
    found = fit.conf_int("random", level=0.9995).loc["sd(Intercept)"]
    assert found["lower"] < sd < found["upper"]
    assert fit.llf > fit.update(random_effects_law=None).llf
