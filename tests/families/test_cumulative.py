"""Ordinal outcomes: levels, the likelihood of ``ordinal::clmm2``, probabilities in the tails and of narrow levels."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.families.cumulative import Cumulative
from tests.reference_cases import FOLDER

pytestmark = pytest.mark.usefixtures("compile_quickly")

LINKS = [link().name for link in Cumulative.links]


def free(thresholds):
    return np.r_[thresholds[0], np.log(np.diff(thresholds))]


def test_likelihood_is_that_of_clmm2():
    reference = json.loads((FOLDER / "o46_wine_ordinal.json").read_text(encoding="utf-8"))["clmm2_nAGQ10"]
    estimates = reference["coefficients"]
    with jax.enable_x64(True):
        data = pd.read_csv(FOLDER / "o46_wine_raw.csv")
        design = gj.make_design("rating ~ temp + contact", random="~ 1 | judge", data=data, family=Cumulative())
        params = gj.Params(
            beta=jnp.array([estimates["tempwarm"], estimates["contactyes"]]),
            chol=jnp.array([[reference["stDev"]]]),
            phi=jnp.asarray(free([estimates[name] for name in ("1|2", "2|3", "3|4", "4|5")])),
            gamma=jnp.zeros(0),
        )
        assert design.family == Cumulative(n_levels=5)
        log_likelihood = gj.log_likelihood(params, design.clusters, design.family, n_agq=10)
    assert float(log_likelihood) == pytest.approx(reference["logLik"], abs=1e-8)


def test_levels_name_the_thresholds():
    family = Cumulative("probit").with_levels(4)
    assert family == Cumulative("probit", n_levels=4)
    assert family.phi_names == ("1|2", "2|3", "3|4")
    np.testing.assert_allclose(family.natural(jnp.asarray(family.initial_phi())), [-1.0, 0.0, 1.0])


def test_levels_that_are_not_known_or_not_possible():
    family = Cumulative()
    with pytest.raises(
        ArgumentError, match=r"n_levels=None: .* comes from the data, and mixed_model fills it in; .*Cumulative\(n_levels=5\)"
    ):
        family.phi_names  # noqa: B018
    with pytest.raises(ArgumentError, match=r"n_levels=1 must be a whole number of at least 2, or None"):
        Cumulative(n_levels=1)
    assert family.in_support(np.array([0.0, 7.0])).all()


@pytest.mark.parametrize("link", LINKS)
def test_probabilities_are_those_of_the_density(link):
    family, eta, phi = Cumulative(link, n_levels=4), np.linspace(-3.0, 3.0, 7), np.array([-0.8, 0.2, -0.5])
    with jax.enable_x64(True):
        probabilities = np.asarray(family.probabilities(jnp.asarray(eta), jnp.asarray(phi)))
        mean = np.asarray(family.mean(jnp.asarray(eta), jnp.asarray(phi)))
    assert probabilities.shape == (4, 7)
    np.testing.assert_allclose(probabilities.sum(0), 1.0, rtol=1e-13)
    np.testing.assert_allclose(np.arange(4.0) @ probabilities, mean, rtol=1e-13)
    assert (np.diff(mean) > 0).all()  # a positive coefficient moves towards higher levels


def _far(link, low, high):
    """log(F(high) - F(low)) from logarithms of one tail."""
    law = {"logit": scipy.stats.logistic, "probit": scipy.stats.norm, "cloglog": scipy.stats.gumbel_l}[link]
    larger, smaller = (law.logcdf(high), law.logcdf(low)) if high + low < 0 else (law.logsf(low), law.logsf(high))
    return larger + np.log1p(-np.exp(smaller - larger))


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("eta", [-30.0, -6.0, 0.0, 30.0, 300.0])
def test_level_between_is_exact_in_both_tails(link, eta):
    thresholds = np.array([-0.5, 0.7])
    with jax.enable_x64(True):
        actual = Cumulative(link, n_levels=3).log_density(1.0, jnp.asarray(eta), jnp.asarray(free(thresholds)))
    np.testing.assert_allclose(actual, _far(link, *(thresholds - eta)), rtol=1e-11)


@pytest.mark.parametrize("link", LINKS)
def test_narrow_level_is_density_times_width(link):
    width, law = 1e-7, {"logit": scipy.stats.logistic, "probit": scipy.stats.norm, "cloglog": scipy.stats.gumbel_l}[link]
    with jax.enable_x64(True):
        f = lambda eta: Cumulative(link, n_levels=3).log_density(1.0, eta, jnp.array([0.3, np.log(width)]))  # noqa: E731
        value, slope = f(jnp.asarray(1.5)), jax.grad(f)(jnp.asarray(1.5))
    middle, h = 0.3 + 0.5 * width - 1.5, 1e-5
    np.testing.assert_allclose(value, law.logpdf(middle) + np.log(width), rtol=1e-8)
    np.testing.assert_allclose(slope, -(law.logpdf(middle + h) - law.logpdf(middle - h)) / (2 * h), rtol=1e-6)


def test_a_threshold_that_is_very_far_has_no_slope():
    """A distance of exp(50) and more: only the lower threshold is left, with log P = -exp(t - eta)."""
    family = Cumulative(n_levels=4, link="cloglog")
    for log_distance in (40.0, 50.0, 300.0):
        phi = jnp.array([-1.2, log_distance, -0.4])
        slopes = jax.grad(lambda eta, phi: family.log_density(jnp.asarray(1.0), eta, phi), argnums=(0, 1))(0.0, phi)
        np.testing.assert_allclose(slopes[0], np.exp(-1.2), rtol=1e-6)
        np.testing.assert_allclose(slopes[1], [-np.exp(-1.2), 0.0, 0.0], rtol=1e-6)


def test_work_of_a_row_does_not_grow_with_the_number_of_levels():
    """The program of the rows is as long for ten levels as for three, and so are the arrays that it makes."""

    def of_rows(n_levels):
        family, y, eta = Cumulative(n_levels=n_levels), jnp.ones((8, 5)), jnp.zeros((1, 8, 5))
        predictors, phi = family.in_rows(y, eta, jnp.zeros((n_levels - 1, 5)))
        assert predictors.shape == (2, 8, 5)
        assert phi.shape == (0, 5)
        program = jax.make_jaxpr(jax.jacfwd(lambda at: family.log_kernel(y, at[0], phi, at[1]).sum()))(predictors)
        return [(equation.primitive, [out.aval.shape for out in equation.outvars]) for equation in program.eqns]

    assert of_rows(10) == of_rows(3)


def test_a_dispersion_formula_is_refused():
    """Two levels have one threshold, which is no dispersion."""
    data = pd.DataFrame({"y": [0, 1, 1, 0], "x": [0.1, 0.2, 0.4, 0.3], "id": [1, 1, 2, 2]})
    with pytest.raises(
        ArgumentError, match=r"dispersion='~ x' is a predictor for the one extra parameter .* cumulative family has thresholds"
    ):
        gj.mixed_model("y ~ x", random="~ 1 | id", data=data, family=Cumulative(n_levels=2), dispersion="~ x")
