"""Wild draws against the sandwich, and all three kinds of bootstrap against their covariances on a large sample."""

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.postfit.refitting.wild import wild_draws

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.mark.parametrize("multipliers", ["rademacher", "normal"])
def test_the_covariance_of_the_draws_is_the_sandwich(intro_fit, multipliers):
    n = 40_000
    theta = intro_fit.bootstrap(n, kind="wild", multipliers=multipliers).bootstrap.theta
    sandwich = np.asarray(intro_fit.cov_params(robust="CR0"))
    errors = np.sqrt(np.diagonal(sandwich))
    found = np.cov(theta[:, :4].T)
    np.testing.assert_allclose(found / np.outer(errors, errors), sandwich / np.outer(errors, errors), atol=5 * np.sqrt(2 / n))
    shift = (theta[:, :4].mean(axis=0) - intro_fit.fe_params.to_numpy()) / errors
    assert np.abs(shift).max() < 5 / np.sqrt(n)


def test_each_draw_is_a_step_along_signed_scores(intro_fit, monkeypatch):
    fitted, size = intro_fit.fitted_model, len(intro_fit.fitted_model.theta)
    scores, weights = np.random.default_rng(2).normal(size=(3, size)), np.array([1.0, 2.0, 0.5])
    monkeypatch.setattr("glmmjax.postfit.refitting.wild.cluster_scores", lambda _: scores)
    monkeypatch.setattr("glmmjax.postfit.refitting.wild.cluster_weights_of", lambda _: weights)
    draws = wild_draws(fitted, 200, "rademacher", 3)
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    expected = fitted.theta + np.linalg.solve(fitted.information, (signs * weights @ scores).T).T
    gap = np.abs(draws[:, None] - expected).max(axis=2)
    assert gap.min(axis=1).max() < 1e-10
    assert set(gap.argmin(axis=1)) == set(range(8))
    assert len(np.unique(wild_draws(fitted, 200, "normal", 3), axis=0)) == 200


def test_a_draw_is_no_refit(intro_fit):
    found = intro_fit.bootstrap(3, kind="wild")
    assert repr(found) == "wild bootstrap, 3 draws, seed 0"
    assert found.converged.all()
    assert np.isnan(found.bootstrap.log_likelihood).all()
    np.testing.assert_array_equal(found.bootstrap.information[2], intro_fit.fitted_model.information)
    with pytest.raises(ArgumentError, match=r"multipliers='webb' is not known; choose one of 'rademacher' \(1 or -1\), 'normal'"):
        intro_fit.bootstrap(3, kind="wild", multipliers="webb")


@pytest.fixture(scope="module")
def large_fit():
    """600 clusters of four counts, with noise within clusters that a Poisson model does not have: the sandwich is much larger."""
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"id": np.repeat(np.arange(600), 4), "x": rng.normal(size=2400)})
    noise = rng.normal(size=2400) * (0.4 + 0.5 * np.abs(data["x"]))
    data["y"] = rng.poisson(np.exp(0.5 + 0.3 * data["x"] + 0.5 * rng.normal(size=600)[data["id"]] + noise))
    return gj.mixed_model("y ~ x", random="~ 1 | id", data=data, family="poisson")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parametric", "cluster", "wild"])
def test_standard_errors_on_a_large_sample(large_fit, kind):
    n = 400
    model, sandwich = large_fit.bse_fe, np.sqrt(np.diagonal(large_fit.cov_params(robust="CR0")))
    assert (sandwich / model).max() > 1.3  # so that the two can be told apart
    found = large_fit.bootstrap(n, kind=kind)
    assert found.converged.all()
    ratio = found.conf_int()["std_error"].iloc[:2] / (model if kind == "parametric" else sandwich)
    np.testing.assert_allclose(ratio, 1.0, atol=4 / np.sqrt(2 * n))
