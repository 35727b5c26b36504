"""Fits of a batch whose rule has not settled: the finer rule confirms their maximum, as in ``mixed_model``."""

import warnings

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj

pytestmark = pytest.mark.usefixtures("compile_quickly")
M, K, N = 200, 5, 12


def rows() -> pd.DataFrame:
    draws = np.random.default_rng(1)
    return pd.DataFrame({"x": draws.normal(size=M * K), "g": np.repeat(np.arange(M), K)})


def counts() -> np.ndarray:
    """Of clusters of which many have no count at all, so that the posteriors of their effects are skewed."""
    data, draws = rows(), np.random.default_rng(2)
    spread = np.linspace(0.4, 1.4, N)[:, None] * draws.normal(size=(N, M))[:, rows()["g"]]
    return draws.poisson(np.exp(-0.3 + 0.3 * data["x"].to_numpy() + spread)).T.astype(float)


def test_a_confirmed_maximum_is_that_of_a_single_fit():
    data, y = rows(), counts()
    many = gj.fit_many("~ x", "~ 1 | g", data=data, outcomes=y, family="poisson")
    assert set(many.fitted_many.n_agq) == {11, 17}
    assert not many.fitted_many.is_alone.any()
    for k in range(N):
        fit = gj.mixed_model("y ~ x", "~ 1 | g", data=data.assign(y=y[:, k]), family="poisson")
        assert many.fitted_many.n_agq[k] == fit.convergence.n_agq
        assert many.llf[k] == pytest.approx(fit.llf, abs=2e-8)
        assert many.quadrature_error[k] == pytest.approx(fit.convergence.quadrature_error, rel=1e-3, abs=1e-9)
        np.testing.assert_allclose(many.fe_params.loc[k], fit.fe_params, rtol=0, atol=1e-6)
        np.testing.assert_allclose(many.bse_fe.loc[k], fit.bse_fe, rtol=1e-6)


def test_a_rule_that_is_asked_for_stays():
    data, y = rows(), counts()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gj.errors.ConvergenceWarning)
        many = gj.fit_many("~ x", "~ 1 | g", data=data, outcomes=y, family="poisson", n_agq=11)
    assert set(many.fitted_many.n_agq) == {11}
