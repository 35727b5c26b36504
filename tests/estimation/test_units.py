"""Units and origins change nothing but the numbers that have them: a fit in other units is the same fit."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.estimation.convergence import Code

pytestmark = [
    pytest.mark.usefixtures("compile_quickly"),
    pytest.mark.filterwarnings("ignore::glmmjax.errors.ConvergenceWarning"),  # what is said must be the same, whatever it is
]

_POINTS = 5  # a rule that has not settled: its value would show where nodes are


@functools.cache
def _data(family: str) -> pd.DataFrame:
    """60 clusters of 6 rows with a random slope and outcomes of ``family``."""
    rng = np.random.default_rng(11)
    group, time = np.repeat(np.arange(60), 6), np.tile(np.arange(6.0), 60) + rng.normal(scale=0.1, size=360)
    other = rng.normal(size=360)
    b = rng.multivariate_normal([0.0, 0.0, 0.0], [[0.8, 0.2, 0.1], [0.2, 0.15, 0.0], [0.1, 0.0, 0.3]], 60)[group]
    eta = 0.3 + 0.2 * (time - 2.5) + b[:, 0] + b[:, 1] * (time - 2.5) + (0.4 + b[:, 2]) * other
    y = {
        "binomial": lambda: (rng.random(360) < 1.0 / (1.0 + np.exp(-eta))).astype(float),
        "poisson": lambda: rng.poisson(np.exp(0.5 * eta)).astype(float),
        "gaussian": lambda: eta + rng.normal(scale=0.7, size=360),
        "student_t": lambda: eta + 0.7 * rng.standard_t(5, 360),
        "gamma": lambda: rng.gamma(2.0, np.exp(0.5 * eta) / 2.0),
        "zero_inflated_poisson": lambda: rng.poisson(np.exp(0.5 * eta)) * (rng.random(360) < 0.7),
    }[family]()
    return pd.DataFrame({"y": y, "time": time, "other": other, "group": group})


def _fit(family: str, data: pd.DataFrame, random: str, **settings):
    return gj.mixed_model("y ~ time + other", random=random, data=data, family=family, n_agq=_POINTS, **settings)


def _is_same_search(other, plain, jacobian: float = 0.0):
    """The same maximum, verdict and price."""
    assert other.llf + jacobian == pytest.approx(plain.llf, abs=1e-6)
    assert other.convergence.code == plain.convergence.code
    assert other.fitted_model.is_singular == plain.fitted_model.is_singular
    assert other.convergence.n_evaluations <= 1.3 * plain.convergence.n_evaluations


CASES: list[Any] = [
    ("binomial", "~ 1 | group", {}),
    ("binomial", "~ time | group", {}),
    pytest.param("binomial", "~ time + other | group", {}, marks=pytest.mark.slow),
    pytest.param("poisson", "~ time | group", {}, marks=pytest.mark.slow),
    pytest.param("zero_inflated_poisson", "~ time | group", {"zi_fixed": "~ 1"}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("family", "random", "settings"), CASES)
def test_the_origin_of_a_covariate_changes_its_coefficients_only(family, random, settings):
    data, origin = _data(family), 2010.0
    plain, moved = (_fit(family, d, random, **settings) for d in (data, data.assign(time=data["time"] + origin)))
    _is_same_search(moved, plain)
    intercept, slope, other = np.asarray(moved.params.beta)
    np.testing.assert_allclose([intercept + origin * slope, slope, other], plain.params.beta, rtol=1e-5)
    np.testing.assert_allclose(moved.params.gamma, plain.params.gamma, rtol=1e-5)
    if len(plain.params.chol) > 1:
        to_plain = np.eye(len(plain.params.chol))
        to_plain[0, 1] = origin
        root = to_plain @ np.asarray(moved.params.chol)
        np.testing.assert_allclose(root @ root.T, np.asarray(plain.params.chol) @ np.asarray(plain.params.chol).T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("unit", [1e-3, 1e3])
@pytest.mark.parametrize(
    ("random", "covariance"),
    [
        ("~ 1 | group", "unstructured"),
        ("~ 0 + time | group", "unstructured"),
        ("~ time | group", "unstructured"),
        pytest.param("~ time | group", "diagonal", marks=pytest.mark.slow),
        pytest.param("~ time + other | group", "unstructured", marks=pytest.mark.slow),
    ],
)
def test_the_unit_of_a_covariate_changes_its_coefficient_only(random, covariance, unit):
    data = _data("binomial")
    plain, scaled = (_fit("binomial", d, random, covariance=covariance) for d in (data, data.assign(time=data["time"] * unit)))
    _is_same_search(scaled, plain)
    np.testing.assert_allclose(np.asarray(scaled.params.beta) * [1.0, unit, 1.0], plain.params.beta, rtol=1e-5)
    of_effects = np.where(scaled.random_effects.columns == "time", unit, 1.0)[:, None]
    np.testing.assert_allclose(np.asarray(scaled.params.chol) * of_effects, plain.params.chol, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "unit"),
    [
        *(("gaussian", unit) for unit in (1e-5, 1e5, 1e10)),
        *(pytest.param(name, 1e5, marks=pytest.mark.slow) for name in ("student_t", "gamma")),
    ],
)
def test_the_unit_of_the_outcome_changes_no_verdict(family, unit):
    data = _data(family)
    plain, scaled = (_fit(family, d, "~ 1 | group") for d in (data, data.assign(y=data["y"] * unit)))
    assert plain.convergence.code == Code.CONVERGED
    _is_same_search(scaled, plain, len(data) * np.log(unit))  # the density of unit * y
    if family == "gamma":  # with the log link
        np.testing.assert_allclose(np.asarray(scaled.params.beta) - [np.log(unit), 0.0, 0.0], plain.params.beta, rtol=1e-4)
        np.testing.assert_allclose(scaled.params.chol, plain.params.chol, rtol=1e-4)
    else:
        np.testing.assert_allclose(np.asarray(scaled.params.beta) / unit, plain.params.beta, rtol=1e-4)
        np.testing.assert_allclose(np.asarray(scaled.params.chol) / unit, plain.params.chol, rtol=1e-4)


@pytest.mark.parametrize(
    ("random", "covariance"),
    [pytest.param("~ 0 + time | group", "unstructured", marks=pytest.mark.slow), ("~ time | group", "diagonal")],
)
def test_effects_that_cannot_be_shifted_keep_their_model(random, covariance):
    """Without a covariance to take it up, another origin is another model. It is found, at the price of any model."""
    data = _data("poisson")
    moved = _fit("poisson", data.assign(time=data["time"] + 2010.0), random, covariance=covariance)
    intercept = _fit("poisson", data, "~ 1 | group")
    # so far from 0 the slope moves all rows of a cluster by nearly as much, as an intercept does
    assert moved.converged
    assert moved.llf == pytest.approx(intercept.llf, abs=0.5)


@pytest.mark.slow
def test_refits_of_a_shifted_covariate_are_the_same_refits():
    data = _data("poisson").query("group < 12")
    plain, moved = (_fit("poisson", d, "~ time | group") for d in (data, data.assign(time=data["time"] + 2010.0)))
    assert plain.converged
    np.testing.assert_allclose(moved.cooks_distance(), plain.cooks_distance(), rtol=1e-4)
    np.testing.assert_allclose(moved.random_effects["time"], plain.random_effects["time"], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_search_in_the_columns_of_the_data_has_the_same_verdict():
    """With a penalty, in a batch and in the pure layer: an intercept that is known to 1,800 only is none that runs off."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"group": np.repeat(np.arange(8), 5), "year": np.tile([0.0, 0.5, 1.0, 0.0, 0.5], 8)})
    outcomes = (rng.random((40, 2)) < 0.5) * 1.0
    codes = []
    for origin in (0.0, 2010.0):
        rows = data.assign(year=data["year"] + origin, y=outcomes[:, 0])
        penalty = gj.StudentTPenalty(scale=5.0)
        fit = gj.mixed_model("y ~ year", random="~ 1 | group", data=rows, family="binomial", penalized=penalty)
        many = gj.fit_many("~ year", "~ 1 | group", data=rows, outcomes=outcomes, family="binomial")
        with jax.enable_x64(True):
            design = gj.make_design("y ~ year", "~ 1 | group", data=rows, family="binomial")
            _, info = gj.fit_params(design.clusters, "binomial")
        codes.append([fit.convergence.code.name, *many.code, Code(int(info.code)).name])
    assert codes[0] == codes[1]
    assert all(Code[name].is_certified for name in codes[0])


def test_outcomes_that_are_all_equal_have_a_fit():
    """Whose spread, 1e-16 by rounding, is no unit."""
    data = _data("poisson").assign(y=3.0)
    fit = _fit("poisson", data, "~ 1 | group")
    assert fit.convergence.code is Code.CONVERGED_ON_BOUNDARY
    np.testing.assert_allclose(fit.params.beta, [np.log(3.0), 0.0, 0.0], atol=1e-8)


def test_a_covariate_of_few_clusters_with_large_counts_is_converged():
    """Its standard error is 1,700 units of the noise between rows, and ordinary beside the random effects: about 2 sd / sqrt(m)."""
    random = np.random.default_rng(1)
    group = np.repeat(np.arange(8), 8)
    data = pd.DataFrame({"group": group, "level": group % 2 * 1.0})
    data["y"] = random.poisson(np.exp(7.0 - 0.4 * data["level"] + 3.0 * random.normal(size=8)[group]))
    fit = gj.mixed_model("y ~ level", random="~ 1 | group", data=data, family="poisson")
    assert fit.convergence.code is Code.CONVERGED
    # so many counts tell the means of all clusters: the maximum is that of a regression of their logarithms
    means = np.log(data.groupby("group")["y"].mean())
    level = np.column_stack([np.ones(8), np.arange(8) % 2])
    beta, left, *_ = np.linalg.lstsq(level, means, rcond=None)
    deviation = np.sqrt(left[0] / 8)
    np.testing.assert_allclose(fit.fe_params, beta, atol=0.03)
    assert np.sqrt(fit.cov_re.iloc[0, 0]) == pytest.approx(deviation, rel=0.02)
    assert fit.bse_fe["level"] == pytest.approx(deviation * np.sqrt(0.5), rel=0.02)


def test_a_coefficient_without_information_is_not_converged():
    """A level whose trials all succeed. Near 40 its probability is 1 to the last bit, and the score is 0 exactly."""
    data = pd.DataFrame({"group": np.repeat(np.arange(5), 8), "level": np.tile([0.0, 1.0], 20)})
    data["success"] = np.where(data["level"] == 1, 8, np.tile([3, 4, 5, 4], 10))
    data["failure"] = 8 - data["success"]
    start = {"beta": [0.0, 42.0], "chol": [[0.1]]}
    fit = gj.mixed_model(
        "cbind(success, failure) ~ level", random="~ 1 | group", data=data, family="binomial", n_agq=5, initial_values=start
    )
    assert not fit.converged
    assert fit.convergence.code is Code.DIVERGING
