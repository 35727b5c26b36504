"""The simulated null: its statistics against ordinary fits, its p-value against the definition, and the boundary against its mixture."""

import dataclasses

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.estimation.convergence import Code
from glmmjax.postfit.inference import simulated_null
from glmmjax.postfit.inference.simulated_null import compare_by_simulation, monte_carlo_p_value

pytestmark = pytest.mark.usefixtures("compile_quickly")


def test_p_value_counts_ties():
    assert monte_carlo_p_value(2.0, np.array([0.0, 1.0, 2.0, 3.0])) == 3 / 5
    assert monte_carlo_p_value(1e-9, np.array([0.0, 1e-8, 2.0])) == 1.0
    assert monte_carlo_p_value(50.0, np.zeros(99)) == 0.01


def counts(m: int, seed: int) -> pd.DataFrame:
    """Poisson counts, four a cluster, without random effects; rows in no order."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"id": np.repeat(np.arange(m), 4), "x": rng.normal(size=4 * m)})
    data["y"] = rng.poisson(np.exp(1.0 + 0.3 * data["x"]))
    return data.sample(frac=1.0, random_state=1, ignore_index=True)


def pair(data):
    fit0 = gj.mixed_model("y ~ x", data=data, family="poisson")
    return fit0, gj.mixed_model("y ~ x", random="~ 1 | id", data=data, family="poisson")


def null_of(found: gj.results.AnovaResults) -> np.ndarray:
    """The simulated likelihood ratios."""
    assert found.comparison.null is not None
    return found.comparison.null.statistics


def test_statistics_are_those_of_ordinary_fits():
    data = counts(30, 5)
    fit0, fit1 = pair(data)
    found = gj.anova(fit1, fit0, null="simulated", n=12, seed=3)
    statistics = null_of(found)
    with jax.enable_x64(True):
        y = np.asarray(simulated_null._outcomes(fit0.fitted_model, 12, 3))
    assert (y != y[0]).any()
    assert 0 < (statistics > 1e-3).sum() < 12  # both kinds are compared
    for r in (int(statistics.argmax()), int(statistics.argmin())):
        one = gj.anova(*pair(data.assign(y=y[r])))
        assert statistics[r] == pytest.approx(one.statistic, abs=1e-5)
    assert found.statistic is not None
    assert found.p_value == (1 + (statistics >= found.statistic - 1e-6).sum()) / 13
    assert found.statistic == gj.anova(fit0, fit1).statistic


def test_the_table_has_the_monte_carlo_error(intro_fit, no_effects_fit):
    found = gj.anova(no_effects_fit, intro_fit, null="simulated", n=19, seed=2)
    assert found.p_value == 1 / 20  # 162 is beyond all of them
    assert found.table.loc["fit1", "MC error"] == pytest.approx(np.sqrt(0.05 * 0.95 / 19))
    assert np.isnan(found.table.loc["fit0", "MC error"])
    text = " ".join(str(found).split())
    assert "in 19 data sets simulated from fit0" in text
    assert "on the boundary" not in text  # the hint is for a chi-square
    assert "MC error" not in gj.anova(no_effects_fit, intro_fit).table
    again, other = (null_of(gj.anova(no_effects_fit, intro_fit, null="simulated", n=5, seed=seed)) for seed in (2, 3))
    np.testing.assert_array_equal(again, null_of(found)[:5])
    assert (again != other).any()


def test_lost_refits_are_not_counted(intro_fit, no_effects_fit, monkeypatch):
    fits = no_effects_fit.fitted_model, intro_fit.fitted_model
    monkeypatch.setattr(simulated_null, "_statistics", lambda *_: np.array([200.0, np.nan, 1.0, np.nan, 0.0]))
    found = compare_by_simulation(*fits, 5, 0)
    assert found.p_value == 2 / 4
    assert found.notes[-1] == "2 of them are not counted, because a model has no certified maximum there."
    monkeypatch.setattr(simulated_null, "_statistics", lambda *_: np.full(5, np.nan))
    with pytest.raises(ArgumentError, match="in none of the n=5 data sets"):
        compare_by_simulation(*fits, 5, 0)


def test_refusals(intro_fit, no_effects_fit):
    with pytest.raises(ArgumentError, match=r"null='boot' is not known; choose one of 'chi2'"):
        gj.anova(no_effects_fit, intro_fit, null="boot")
    with pytest.raises(ArgumentError, match="boundary=True is for null='chi2'"):
        gj.anova(no_effects_fit, intro_fit, null="simulated", boundary=True)
    lost = dataclasses.replace(intro_fit.fitted_model.convergence, code=Code.DIVERGING, message="so it goes")
    with pytest.raises(ArgumentError, match="not known to be a maximum: so it goes"):
        compare_by_simulation(no_effects_fit.fitted_model, dataclasses.replace(intro_fit.fitted_model, convergence=lost), 5, 0)
    assert gj.anova(intro_fit, intro_fit, null="simulated").p_value is None  # no test, and nothing is simulated


@pytest.mark.slow
def test_the_boundary_null_is_the_chi_bar_square_mixture():
    n = 400
    statistics = null_of(gj.anova(*pair(counts(300, 6)), null="simulated", n=n))
    assert np.isfinite(statistics).all()
    for level in (0.45, 0.25, 0.1, 0.05):
        bound = chi2.isf(2 * level, 1)  # 1/2 chi2(0) + 1/2 chi2(1)
        assert (statistics > bound).mean() == pytest.approx(level, abs=3.5 * np.sqrt(level * (1 - level) / n))
