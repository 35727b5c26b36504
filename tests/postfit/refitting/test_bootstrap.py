"""The bootstrap: what is drawn against the model's own moments, resampled clusters against weighted fits, and what is reported."""

import dataclasses
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.estimation.convergence import Code
from glmmjax.fitted import problem_of
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.population import population_mean
from glmmjax.postfit.prediction.rows import own_outcome, own_rows
from glmmjax.postfit.refitting.bootstrap import bootstrap, simulated_outcomes
from glmmjax.postfit.refitting.bootstrap_limits import percentile_limits

pytestmark = pytest.mark.usefixtures("compile_quickly")


def parameters(*parts) -> Params:
    """``Params`` of plain lists: beta, chol, phi, gamma, delta."""
    return Params(*(jnp.asarray(part, float) for part in parts))


def stub(design, params) -> Any:
    """The parts of a fit that simulation reads."""
    problem = problem_of(design, None)
    with jax.enable_x64(True):
        theta = np.asarray(problem.layout.vector(params))
    return types.SimpleNamespace(design=design, problem=problem, params=params, theta=theta, n_agq=11)


def drawn(fitted, n, seed=0):
    """(n, rows) first outcome columns in the caller's order."""
    draw, design = simulated_outcomes(fitted, seed), fitted.design
    found = []
    for r in range(n):
        buckets = [bucket._replace(y=y) for bucket, y in zip(design.clusters.buckets, draw(r), strict=True)]
        clusters = design.clusters._replace(buckets=tuple(buckets))
        changed: Any = types.SimpleNamespace(design=dataclasses.replace(design, rows=clusters))
        found.append(own_outcome(changed))
    return found


# what is drawn


def test_simulated_binary_outcomes_have_the_moments_of_the_model(intro_fit):
    fitted = intro_fit.fitted_model
    with jax.enable_x64(True):
        y = np.array([columns[0] for columns in drawn(fitted, 400)])
        mean = np.asarray(population_mean(fitted.params, own_rows(fitted), fitted.problem.family))
    assert set(np.unique(y)) == {0.0, 1.0}
    z = (y.mean(axis=0) - mean) / np.sqrt(mean * (1 - mean) / 400)
    assert abs(z.mean()) < 4 / np.sqrt(100)
    assert np.abs(z).max() < 5
    # two rows of one cluster share its random intercept: P(both 1) by integration over it
    sd = float(fitted.params.chol[0, 0])
    first, second = (np.asarray(own_rows_eta(fitted)[k]) for k in (0, 1))
    b, w = np.polynomial.hermite_e.hermegauss(101)
    both = (scipy.stats.logistic.cdf(first + sd * b) * scipy.stats.logistic.cdf(second + sd * b) * w).sum() / w.sum()
    assert (y[:, 0] * y[:, 1]).mean() == pytest.approx(both, abs=4 * np.sqrt(both * (1 - both) / 400))
    assert abs(np.corrcoef(y[:, 0], y[:, 8])[0, 1]) < 0.2  # and those of different clusters do not


def own_rows_eta(fitted):
    with jax.enable_x64(True):
        rows = own_rows(fitted)
        return np.asarray(jnp.tensordot(fitted.params.beta, rows.X[0], 1) + rows.offset[0])


def families():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"id": np.repeat(np.arange(30), 6), "x": rng.normal(size=180), "t": rng.integers(3, 9, 180)})
    data["k"], data["level"] = rng.integers(0, 4, 180), rng.integers(0, 3, 180)
    data["failed"] = data["t"] - np.minimum(data["k"], data["t"])
    chol = [[0.7]]
    zero = {"random": "~ 1 | id", "zi_fixed": "~ x", "zi_random": "~ 1 | id"}
    return data, {
        "trials": ("cbind(k, failed) ~ x", gj.families.Binomial(), {"random": "~ 1 | id"}, parameters([0.2, 0.5], chol)),
        "zero part": ("k ~ x", gj.families.ZeroInflatedPoisson(), zero, parameters([0.2, 0.5], [[0.7, 0.0], [0.3, 0.4]], (), [-0.4, 0.3])),
        "dispersion": (
            "k ~ x",
            gj.families.NegativeBinomial(),
            {"random": "~ 1 | id", "dispersion": "~ x"},
            parameters([0.2, 0.5], chol, (), (), [0.5, 0.3]),
        ),
        "ordinal": ("level ~ x", gj.families.Cumulative(), {"random": "~ 1 | id"}, parameters([0.5], chol, [-0.8, 0.4])),
    }


@pytest.mark.parametrize("name", ["trials", "zero part", pytest.param("dispersion", marks=pytest.mark.slow), "ordinal"])
def test_other_outcomes_have_the_mean_of_the_model(name):
    data, cases = families()
    formula, family, others, params = cases[name]
    with jax.enable_x64(True):
        fitted = stub(gj.make_design(formula, data=data, family=family, **others), params)
        draws = drawn(fitted, 150)
        mean = np.asarray(population_mean(fitted.problem.layout.params(jnp.asarray(fitted.theta)), own_rows(fitted), fitted.problem.family))
    y = np.array([columns[0] for columns in draws])
    if name == "trials":
        n = (data["k"] + data["failed"]).to_numpy()
        assert all((a + b == n).all() for a, b in draws)
        mean = mean * n
    columns = [np.array([draw[k] for draw in draws]) for k in range(len(draws[0]))]
    assert fitted.problem.family.in_support(tuple(columns) if len(columns) > 1 else columns[0]).all()
    z = (y.mean(axis=0) - mean) / (y.std(axis=0) / np.sqrt(len(y)))
    assert abs(z.mean()) < 0.5
    assert np.abs(z).max() < 5


def test_a_cluster_of_several_lanes_has_one_random_effect():
    data = pd.DataFrame({"id": np.repeat(np.arange(21), [300, *[2] * 20]), "y": np.tile([0, 1], 170)})
    with jax.enable_x64(True):
        design = gj.make_design("y ~ 1", "~ 1 | id", data=data, family="binomial")
        assert any(bucket.lane_clusters is not None for bucket in design.clusters.buckets)
        y = np.array([columns[0] for columns in drawn(stub(design, parameters([0.0], [[50.0]])), 30)])
    share = y[:, :300].mean(axis=1)
    assert (np.minimum(share, 1 - share) < 0.2).mean() > 0.9
    assert share.std() > 0.3


# refits


def test_the_same_seed_gives_the_same_refits(intro_fit):
    fitted = intro_fit.fitted_model
    for kind in ("parametric", "cluster", "wild"):
        few, more, other = bootstrap(fitted, 3, kind, 7), bootstrap(fitted, 5, kind, 7), bootstrap(fitted, 3, kind, 8)
        np.testing.assert_array_equal(few.theta, more.theta[:3])
        assert (few.theta != other.theta).all()
        assert few.converged.all()
        assert (few.kind, few.seed) == (kind, 7)


def test_resampled_clusters_are_weighted_fits(intro_fit, intro_binomial):
    found = intro_fit.bootstrap(n=2, kind="cluster", seed=5)
    counts = np.random.default_rng(5).spawn(2)[1].multinomial(100, np.full(100, 0.01))
    by_hand = intro_fit.update(weights=pd.Series(counts, index=intro_fit.random_effects.index))
    np.testing.assert_allclose(found.params.iloc[1, :4], by_hand.fe_params, atol=1e-5)
    assert found.params.loc[1, "sd(Intercept)"] == pytest.approx(np.sqrt(by_hand.cov_re.iloc[0, 0]), abs=1e-5)
    assert found.bootstrap.log_likelihood[1] == pytest.approx(by_hand.llf, rel=1e-10)


def test_intervals_are_percentiles_of_refits_that_converged(intro_fit, monkeypatch):
    found = intro_fit.bootstrap(n=40, seed=2)
    assert repr(found) == "parametric bootstrap, 40 data sets, seed 2"
    assert found.converged.all()
    assert list(found.params.index) == list(range(40))
    with pytest.raises(ArgumentError, match=r"level=95 must be a number between 0 and 1"):
        found.conf_int(95)
    table = found.conf_int(0.9)
    np.testing.assert_allclose(table["lower"], found.params.quantile(0.05))
    np.testing.assert_allclose(table["upper"], found.params.quantile(0.95))
    np.testing.assert_allclose(table["std_error"], found.params.std())
    np.testing.assert_allclose(table["estimate"].iloc[:4], intro_fit.fe_params)
    ratio = table["std_error"].iloc[:4] / intro_fit.bse_fe
    assert ((ratio > 0.6) & (ratio < 1.6)).all()
    converged = found.bootstrap.converged.copy()
    converged[0] = False
    lost = type(found)(intro_fit.fitted_model, dataclasses.replace(found.bootstrap, converged=converged))
    assert repr(lost).endswith("; 1 refits without a certified maximum")
    assert len(lost.params) == 40
    np.testing.assert_allclose(lost.conf_int()["upper"], lost.params.iloc[1:].quantile(0.975))


def test_percentiles_leave_out_what_is_not_defined():
    values = np.column_stack([np.arange(11.0), [np.nan, *range(10)], np.full(11, np.nan)])
    np.testing.assert_allclose(percentile_limits(values, 0.8), [[1.0, 0.9, np.nan], [9.0, 8.1, np.nan]])


@pytest.mark.slow
def test_standard_errors_agree_with_the_sandwich(poisson_fit):
    found = poisson_fit.bootstrap(n=400, kind="cluster").conf_int()
    sandwich = np.sqrt(np.diagonal(poisson_fit.cov_params(robust="CR1")))
    np.testing.assert_allclose(found["std_error"].iloc[:4], sandwich, rtol=0.25)


@pytest.mark.slow
def test_a_singular_fit_can_be_bootstrapped(singular_fit):
    found = singular_fit.bootstrap(n=20)
    assert found.converged.mean() > 0.9
    assert (found.params.filter(like="sd(") >= 0).all(axis=None)


# refusals


def test_refused_arguments(intro_fit):
    for name, value in (("n", 0), ("n", 2.5), ("seed", -1), ("seed", True)):
        with pytest.raises(ArgumentError, match=rf"^{name}={value} must be a whole number >= "):
            intro_fit.bootstrap(**{name: value})
    with pytest.raises(ArgumentError, match=r"kind='wrong' is not known; choose one of 'parametric' \(data simulated.*\), 'cluster' \("):
        intro_fit.bootstrap(kind="wrong")
    lost = dataclasses.replace(intro_fit.fitted_model.convergence, code=Code.DIVERGING, message="no certificate: so it goes")
    with pytest.raises(ArgumentError, match="not known to be a maximum: no certificate: so it goes"):
        bootstrap(dataclasses.replace(intro_fit.fitted_model, convergence=lost), 2)


def test_a_family_without_sample_is_refused(intro_fit):
    fitted = intro_fit.fitted_model
    family = gj.families.Custom(lambda y, eta, phi: y * eta - jnp.logaddexp(0.0, eta))
    custom = dataclasses.replace(fitted, problem=dataclasses.replace(fitted.problem, family=family))
    with pytest.raises(ArgumentError, match="cannot be simulated from"):
        bootstrap(custom, 2)
