"""Methods of a fit take its padded columns: no number changes, and those of another formula compile nothing."""

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.estimation import padding as module
from glmmjax.estimation.xla.kept import n_kept, release
from tests.compiled import compiled

pytestmark = pytest.mark.usefixtures("compile_quickly")

METHODS = {
    "wald": lambda fit: fit.conf_int("all"),
    "marginal_coefs": lambda fit: np.append(fit.marginal_coefs().bse, fit.marginal_coefs().params),
    "resid": lambda fit: fit.resid(),
    "score_test": lambda fit: fit.score_test("I(z**2)").statistic,
}
SLOW = {
    "CR2": lambda fit: fit.cov_params("CR2"),
    "predict": lambda fit: fit.predict(kind="subject_specific", interval=0.95),
    "one step": lambda fit: fit.cooks_distance(method="one_step"),
    "profile": lambda fit: fit.conf_int("all", method="profile"),
    "marginal_means": lambda fit: fit.marginal_means(by="group"),
    "contrasts": lambda fit: fit.contrasts(by="group"),
    "population": lambda fit: fit.predict(kind="marginal", interval=0.95),
    "outcomes": lambda fit: fit.predict(kind="subject_specific", interval=0.95, interval_for="outcome", n_draws=100),
    "simulate": lambda fit: fit.simulate(3, new_random_effects=False),
    "scoring_rules": lambda fit: fit.scoring_rules(),
    "random_effects_cov": lambda fit: np.array(fit.random_effects_cov),
    "bootstrap": lambda fit: fit.bootstrap(3).params,
    "left out": lambda fit: fit.leave_cluster_out_score(),
}


@pytest.fixture(scope="module")
def data():
    """25 clusters of 6 rows."""
    rng = np.random.default_rng(5)
    cluster, x, z = np.repeat(np.arange(25), 6), rng.normal(size=150), rng.normal(size=150)
    eta = 0.5 * x + rng.normal(size=25)[cluster]
    binary, count = rng.random(150) < 1 / (1 + np.exp(-eta)), rng.poisson(np.exp(eta)) * (rng.random(150) < 0.7)
    found = {"id": cluster, "x": x, "z": z, "binary": binary * 1.0, "count": count}
    return pd.DataFrame({**found, "group": np.tile(["a", "b"], 75)})


def fitted(data, fixed, family="binomial", **others):
    return gj.mixed_model(fixed, random="~ 1 | id", data=data, family=family, **others)


@pytest.fixture(scope="module")
def binomial_fit(data):
    return fitted(data, "binary ~ x + group")


@pytest.fixture(scope="module")
def zero_part_fit(data):
    return fitted(data, "count ~ x + group", zi_fixed="~ z", family="zero_inflated_poisson")


def assert_same(fit, method, monkeypatch):
    padded = method(fit)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_LARGE_WORK", 0)
        exact = method(fit.update())
    np.testing.assert_allclose(np.array(padded, float), np.array(exact, float), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_no_number_changes(binomial_fit, name, monkeypatch):
    assert_same(binomial_fit, METHODS[name], monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_no_number_of_other_methods_changes(binomial_fit, name, monkeypatch):
    assert_same(binomial_fit, SLOW[name], monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wald", "CR2", "predict", "one step", "profile", "outcomes", "simulate", "bootstrap"])
def test_no_number_of_a_zero_part_changes(zero_part_fit, name, monkeypatch):
    assert_same(zero_part_fit, (METHODS | SLOW)[name], monkeypatch)


@pytest.mark.parametrize("methods", [METHODS, pytest.param(SLOW, marks=pytest.mark.slow)], ids=["quick", "slow"])
def test_methods_of_another_formula_compile_nothing(data, binomial_fit, methods):
    release(n_kept())  # a process that is full of programs would let some go on the way
    first = binomial_fit.update()
    for method in methods.values():
        method(first)
    with compiled() as programs:
        other = fitted(data, "binary ~ group")
        for method in methods.values():
            method(other)
    assert not programs
