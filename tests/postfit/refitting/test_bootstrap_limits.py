"""Bootstrap limits against scipy.stats.bootstrap, which takes the same draws, and against their definitions in a fit."""

import types
from typing import Any

import numpy as np
import pytest
import scipy.stats

from glmmjax.errors import ArgumentError
from glmmjax.postfit.refitting.bootstrap_limits import basic_limits, bca_limits, percentile_limits

pytestmark = pytest.mark.usefixtures("compile_quickly")


def skewed_sample():
    """A sample, its mean, means of resamples, and means without each value; the means have ties with the estimate."""
    rng = np.random.default_rng(4)
    x = np.round(rng.exponential(size=25), 1)
    draws = rng.choice(x, (800, 25)).mean(axis=1)
    return x, x.mean(), draws, (x.sum() - x) / 24


def of_scipy(x, draws, level, method):
    """SciPy's limits from these draws: it makes none of its own."""
    made: Any = types.SimpleNamespace(bootstrap_distribution=draws)
    found = scipy.stats.bootstrap((x,), np.mean, n_resamples=0, bootstrap_result=made, confidence_level=level, method=method)
    return found.confidence_interval


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_limits_are_those_of_scipy(level):
    x, estimate, draws, jackknife = skewed_sample()
    column, at = draws[:, None], np.array([estimate])
    np.testing.assert_allclose(percentile_limits(column, level)[:, 0], of_scipy(x, draws, level, "percentile"), rtol=1e-12)
    np.testing.assert_allclose(basic_limits(column, at, level)[:, 0], of_scipy(x, draws, level, "basic"), rtol=1e-12)
    np.testing.assert_allclose(bca_limits(column, at, jackknife[:, None], level)[:, 0], of_scipy(x, draws, level, "BCa"), rtol=1e-12)


def test_bca_moves_towards_the_long_tail():
    _, estimate, draws, jackknife = skewed_sample()
    found = bca_limits(draws[:, None], np.array([estimate]), jackknife[:, None], 0.95)
    assert (found > percentile_limits(draws[:, None], 0.95)).all()


def test_limits_that_do_not_exist_are_nan():
    draws, jackknife = np.tile(np.arange(10.0)[:, None], 5), np.tile([[0.0], [1.0], [5.0]], 5)
    draws[0, 3], jackknife[:, 1], jackknife[0, 2] = np.nan, 7.0, np.nan
    draws[:, 4] = np.nan
    found = bca_limits(draws, np.array([20.0, 4.0, 4.0, 4.0, 4.0]), jackknife, 0.8)
    assert np.isnan(found).all(axis=0).tolist() == [True, True, False, False, True]  # one side only, no cluster moves it, ..., no draws
    steep = np.r_[np.zeros(40), -1.0][:, None]  # an acceleration of nearly 1/6, the largest there is
    assert np.isfinite(bca_limits(draws[:, :1], np.array([8.5]), steep, 0.999)).all()
    assert np.isnan(bca_limits(draws[:, :1], np.array([8.5]), steep, 1 - 1e-9)).all()


def test_basic_limits_of_infinite_draws():
    draws = np.column_stack([np.r_[[-np.inf] * 5, np.arange(15.0)], np.r_[np.arange(18.0), [np.inf] * 2], np.arange(20.0), np.arange(20.0)])
    found = basic_limits(draws, np.array([10.0, 10.0, -np.inf, 10.0]), 0.8)
    assert found[1, 0] == np.inf  # the lower quantile of the draws is -inf: a variance of 0
    assert found[0, 0] == pytest.approx(20 - np.quantile(np.arange(-5.0, 15.0), 0.9))
    assert found[0, 1] == -np.inf
    assert np.isnan(found[:, 2]).all()
    np.testing.assert_allclose(found[:, 3], [20 - 17.1, 20 - 1.9])


def test_intervals_of_a_fit(intro_fit):
    boot = intro_fit.bootstrap(n=400, kind="wild", seed=1)
    draws, percentile, basic, bca = boot.params, *(boot.conf_int(0.9, ci) for ci in ("percentile", "basic", "bca"))
    np.testing.assert_allclose(percentile["lower"], draws.quantile(0.05))
    coefficients, sd = slice(0, 4), "sd(Intercept)"
    np.testing.assert_allclose((basic["lower"] + percentile["upper"])[coefficients], 2 * basic["estimate"][coefficients])
    assert basic.loc[sd, "lower"] == pytest.approx(basic.loc[sd, "estimate"] ** 2 / np.exp(np.log(draws[sd]).quantile(0.95)), rel=1e-10)
    # the acceleration is the skewness of the changes without each cluster
    acceleration = scipy.stats.skew(intro_fit.dfbetas("one_step")) / (6 * np.sqrt(100))
    bias = scipy.stats.norm.ppf((draws < bca["estimate"]).mean())
    for end, z in (("lower", scipy.stats.norm.ppf(0.05)), ("upper", scipy.stats.norm.ppf(0.95))):
        levels = scipy.stats.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
        expected = [draws[name].quantile(level) for name, level in zip(draws, levels, strict=True)]
        np.testing.assert_allclose(bca[end], expected, rtol=1e-8)
    with pytest.raises(ArgumentError, match=r"ci='bc' is not known; choose one of 'percentile'"):
        boot.conf_int(ci="bc")


@pytest.mark.slow
def test_a_singular_fit_has_percentiles_only_of_its_variances(singular_fit):
    boot = singular_fit.bootstrap(n=20, kind="wild")
    assert boot.conf_int().notna().all(axis=None)
    is_random = boot.params.columns.str.startswith(("sd(", "corr("))
    for ci in ("basic", "bca"):
        limits = boot.conf_int(ci=ci)[["lower", "upper"]]
        assert limits[is_random].isna().all(axis=None)
        assert limits[~is_random].notna().all(axis=None)
