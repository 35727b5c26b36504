"""Nonparametric maximum likelihood of the law of a random effect: published figures, and a search of other laws by brute force."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import norm

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.postfit.refitting.support_masses import masses_of_support

pytestmark = pytest.mark.usefixtures("compile_quickly")

# days of illness of 602 preschool children in Thailand (Boehning, Schlattmann and Lindsay 1992, Biometrics 48, 283-303)
THAI_COLD = {
    **{0: 120, 1: 64, 2: 69, 3: 72, 4: 54, 5: 35, 6: 36, 7: 25, 8: 25, 9: 19, 10: 18, 11: 18, 12: 13, 13: 4, 14: 3, 15: 6},
    **{16: 6, 17: 5, 18: 1, 19: 3, 20: 1, 21: 2, 23: 1, 24: 2},
}


@pytest.fixture(scope="module")
def thai_fit():
    y = np.repeat(list(THAI_COLD), list(THAI_COLD.values()))
    data = pd.DataFrame({"y": y, "id": [f"child {k}" for k in range(len(y))]})
    with pytest.warns(gj.errors.DesignWarning, match="nothing repeats"):
        return gj.mixed_model("y ~ 1", random="~ 1 | id", data=data, family="poisson")


@pytest.fixture(scope="module")
def thai_law(thai_fit):
    return gj.nonparametric_effects(thai_fit)


@pytest.fixture(scope="module")
def two_kinds():
    """Clusters of two kinds: effects -1 (70 %) and 2 (30 %), and a slope."""
    rng = np.random.default_rng(8)
    ids = np.repeat(np.arange(120), 8)
    x = rng.normal(size=len(ids))
    kind = np.where(rng.random(120) < 0.3, 2.0, -1.0)
    return pd.DataFrame({"y": rng.poisson(np.exp(0.4 + 0.3 * x + kind[ids])), "x": x, "id": ids, "w": rng.integers(1, 3, len(ids))})


def test_published_law_of_the_thai_children(thai_law):
    """Four kinds of children: Boehning, Schlattmann and Lindsay (1992)."""
    table = thai_law.table
    rates = np.exp(thai_law.fe_params["Intercept"] + table["Intercept"])
    np.testing.assert_allclose(rates, [0.143, 2.817, 8.164, 16.156], atol=6e-4)
    np.testing.assert_allclose(table["probability"], [0.197, 0.480, 0.269, 0.054], atol=6e-4)
    assert thai_law.llf == pytest.approx(-1553.81, abs=6e-3)
    assert thai_law.converged
    assert table["Intercept"] @ table["probability"] == pytest.approx(0.0, abs=1e-12)
    assert not table["at_end"].any()


def test_the_log_likelihood_is_that_of_the_mixture_and_the_gap_bounds_every_other_law(thai_fit, thai_law):
    """Mixtures with a little mass anywhere, by hand."""
    y = np.array(list(THAI_COLD), float)[:, None]
    count = np.array(list(THAI_COLD.values()))
    rates = np.exp(thai_law.fe_params["Intercept"] + thai_law.table["Intercept"].to_numpy())
    density = lambda rate: y * np.log(rate) - rate - gammaln(y + 1.0)  # noqa: E731
    own = logsumexp(density(rates) + np.log(thai_law.table["probability"].to_numpy()), axis=1)
    assert count @ own == pytest.approx(thai_law.llf, abs=1e-8)
    anywhere = np.exp(np.linspace(-8.0, 4.0, 2001))
    slope = count @ np.expm1(density(anywhere) - own[:, None])
    assert slope.max() == pytest.approx(0.0, abs=1e-4)
    assert thai_law.gap < 1e-3
    assert thai_law.llf > thai_fit.llf + 25.0


def test_kinds_of_clusters_are_found_with_their_coefficients(two_kinds):
    fit = gj.mixed_model("y ~ x", random="~ 1 | id", data=two_kinds, family="poisson")
    found = gj.nonparametric_effects(fit)
    assert found.converged
    is_upper = found.table["Intercept"] > 0.5  # a kind may have two points close to each other
    masses = [found.table[which]["probability"].sum() for which in (~is_upper, is_upper)]
    centres = [np.average(found.table[which]["Intercept"], weights=found.table[which]["probability"]) for which in (~is_upper, is_upper)]
    share = np.mean(two_kinds.groupby("id")["y"].mean() > 4.0)
    assert masses[1] == pytest.approx(share, abs=0.02)
    assert centres[1] - centres[0] == pytest.approx(3.0, abs=0.25)
    assert found.fe_params["x"] == pytest.approx(0.3, abs=0.1)
    mixture = fit.update(random_effects_law=gj.NormalMixtureEffects((0.7, 0.3), (-1.0, 2.0), (0.2, 0.2)))
    assert found.llf > mixture.llf > fit.llf


def test_normal_outcomes_by_brute_force():
    """Coefficients held by a fine search: no mass on a grid and no coefficient has a higher log-likelihood."""
    rng = np.random.default_rng(3)
    ids = np.repeat(np.arange(25), 4)
    data = pd.DataFrame({"y": 1000.0 + 200.0 * (rng.exponential(size=25)[ids] + 0.5 * rng.normal(size=100)), "id": ids})
    found = gj.nonparametric_effects(gj.mixed_model("y ~ 1", random="~ 1 | id", data=data, family="gaussian"))
    sigma = float(np.exp(found.law.theta[1]))
    grid = found.fe_params["Intercept"] + np.linspace(-700, 1500, 400)
    rows = norm.logpdf(data["y"].to_numpy()[:, None], grid, sigma)
    log_densities = np.add.reduceat(rows, np.arange(0, 100, 4)).T
    masses = masses_of_support(log_densities, np.ones(25))
    on_grid = logsumexp(log_densities + np.log(np.maximum(masses, 1e-300))[:, None], axis=0).sum()
    assert found.converged
    assert found.llf >= on_grid - 1e-6
    assert found.llf == pytest.approx(on_grid, abs=0.05)  # the grid has steps of 5


def test_clusters_without_an_event_have_a_point_that_runs_off(intro_fit):
    data = gj.datasets.load_epil()
    found = gj.nonparametric_effects(gj.mixed_model("y ~ lbase * trt", random="~ 1 | subject", data=data, family="poisson"))
    assert found.table["at_end"].tolist() == [True] + [False] * (len(found.table) - 1)
    assert "runs off" in str(found)
    assert gj.nonparametric_effects(intro_fit).table["at_end"].sum() == 0


@pytest.mark.slow
def test_weights_count_and_a_slope_may_be_the_effect(two_kinds):
    weighted = gj.mixed_model("y ~ x", random="~ 1 | id", data=two_kinds, family="poisson", row_weights="w")
    repeated = gj.mixed_model("y ~ x", random="~ 1 | id", data=two_kinds.loc[two_kinds.index.repeat(two_kinds["w"])], family="poisson")
    first, second = gj.nonparametric_effects(weighted), gj.nonparametric_effects(repeated)
    assert first.llf == pytest.approx(second.llf, abs=1e-6)
    slope = gj.nonparametric_effects(gj.mixed_model("y ~ x", random="~ 0 + x | id", data=two_kinds, family="poisson"))
    assert slope.converged
    assert slope.table["x"] @ slope.table["probability"] == pytest.approx(0.0, abs=1e-10)


def test_a_coefficient_at_a_limit_of_the_family_is_free_to_come_back(two_kinds):
    """No overdispersion is left beside a normal law, and its size has no standard error; the law of Poisson counts is the same one."""
    fit = gj.mixed_model("y ~ x", random="~ 1 | id", data=two_kinds, family="negative_binomial")
    found, poisson = gj.nonparametric_effects(fit), gj.mixed_model("y ~ x", random="~ 1 | id", data=two_kinds, family="poisson")
    assert fit.convergence.limits
    assert found.converged
    assert found.llf == pytest.approx(gj.nonparametric_effects(poisson).llf, abs=1e-4)
    assert found.law.decrement < 1e-6


def test_masses_of_two_points_are_the_root_of_the_score():
    """One equation in one unknown."""
    rng = np.random.default_rng(1)
    log_densities, weights = rng.normal(size=(2, 40)), rng.uniform(0.5, 2.0, 40)
    density = np.exp(log_densities)
    shares = np.linspace(1e-6, 1 - 1e-6, 200_001)
    value = np.log(shares[:, None] * density[0] + (1 - shares[:, None]) * density[1]) @ weights
    masses = masses_of_support(log_densities, weights)
    assert masses.sum() == pytest.approx(1.0, abs=1e-12)
    assert masses[0] == pytest.approx(shares[value.argmax()], abs=2e-5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"random": "~ x | id"}, "one random effect, and this model has 2"),
        ({"random": None}, "one random effect, and this model has none"),
        ({"penalized": True}, "this fit is penalised"),
    ],
)
def test_other_models_are_refused(two_kinds, change, text):
    model = {"fixed": "y ~ x", "random": "~ 1 | id", "data": two_kinds, "family": "poisson"} | change
    with pytest.raises(ArgumentError, match=text):
        gj.nonparametric_effects(gj.mixed_model(**model))


def test_the_picture_has_its_points(thai_law):
    ax = thai_law.plot()
    assert ax.get_ylabel() == "probability"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["nonparametric law, 4 points", "conditional modes of the fit"]
    assert len(ax.collections[0].get_segments()) == 4
