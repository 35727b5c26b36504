"""Starting values on data where a start from working residuals alone had no finite log-likelihood, and what follows a bad first point."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.glm import fit_glm
from glmmjax.estimation.maximise import maximise
from glmmjax.estimation.objective import Integral, Problem, fit_settings
from glmmjax.estimation.search_space import search_space
from glmmjax.estimation.second_starts import dispersed
from glmmjax.estimation.sequence import FIRST_ORDER
from glmmjax.estimation.starting_values import starting_values
from glmmjax.estimation.xla.programs import given_theta, programs
from glmmjax.families import Custom, Gaussian
from glmmjax.likelihood.gauss_hermite import padded_rule
from glmmjax.likelihood.params import layout_of, predictor_sizes
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.options import Options

pytestmark = pytest.mark.usefixtures("compile_quickly")
SD = 4.0


def frame(seed, clusters=60, size=5):
    rng = np.random.default_rng(seed)
    cluster, x = np.repeat(np.arange(clusters), size), rng.normal(size=clusters * size)
    return rng, pd.DataFrame({"x": x, "id": cluster}), 0.3 + 0.5 * x + SD * rng.normal(size=clusters)[cluster]


def negative_binomial_counts(seed=3):
    """Counts of 0 and of many thousands: (y - mu) / mu is anything."""
    rng, data, eta = frame(seed)
    return data.assign(y=rng.poisson(rng.gamma(0.5, np.exp(eta) / 0.5)))


def student_t_in_thousands():
    """A scale a thousand times the one that a search would begin at."""
    rng, data, eta = frame(4, clusters=20)
    return data.assign(y=1e3 * (eta + rng.standard_t(4, len(eta))))


def started(data, family):
    """Problem, buckets and starting values."""
    design = gj.make_design("y ~ x", random="~ x | id", data=data, family=family)
    layout = layout_of(design.family, predictor_sizes(design.clusters), design.covariance)
    problem = Problem(design.family, layout, None, (True, False))
    buckets = design.clusters.buckets
    return problem, buckets, jax.jit(starting_values, static_argnums=0)(problem, buckets)


@pytest.mark.parametrize("seed", range(3, 6))
def test_a_start_is_of_the_size_of_the_data(seed):
    with jax.enable_x64(True):
        problem, _, start = started(negative_binomial_counts(seed), "negative_binomial")
        params = problem.layout.params(start.theta)
        deviations = np.sqrt(np.diagonal(params.chol @ params.chol.T))
    assert np.all(np.abs(params.beta) < 10.0)
    assert np.all((deviations > 0.05) & (deviations < 2.0 * SD))


WITHOUT_START = [
    pytest.param(negative_binomial_counts(), "negative_binomial", marks=pytest.mark.slow),  # the tests of starts below fit the same data
    pytest.param(student_t_in_thousands(), "student_t"),
]


@pytest.mark.parametrize(("data", "family"), WITHOUT_START)
def test_data_without_a_finite_start_are_fitted(data, family):
    fit = gj.mixed_model("y ~ x", random="~ 1 | id", data=data, family=family)
    assert fit.converged
    unit = 1e3 if family == "student_t" else 1.0
    assert fit.cov_re.iloc[0, 0] ** 0.5 / unit == pytest.approx(SD, rel=0.4)


def test_a_log_scale_starts_from_the_data():
    with jax.enable_x64(True):
        problem, buckets, _ = started(student_t_in_thousands(), "student_t")
        glm, _ = jax.jit(fit_glm, static_argnums=(0, 1))(problem.family, problem.layout.without_random, buckets)
    assert 5.7 < float(glm[-1]) < 9.7


def test_a_first_point_without_a_value_retreats_to_the_glm():
    """Log-likelihoods that are not finite four times, then finite: each point is nearer to the GLM with a small D, the last is the GLM."""
    with jax.enable_x64(True):
        problem, buckets, _ = started(negative_binomial_counts(), "negative_binomial")
        settings, integral = fit_settings(problem, Options()), Integral(buckets, padded_rule(11, 2))
        run = programs(is_small=True)
        far = np.full(problem.layout.size, 1e5)
        start, state = run.begin(problem, buckets, given_theta(problem, far))
        distance = [float(jnp.abs(state.theta - start.fallback).max())]
        while not np.isfinite(state.at.value):
            state, _ = run.run_phase(FIRST_ORDER, settings, start, state, integral, np.int32(1))
            distance.append(float(jnp.abs(state.theta - start.fallback).max()))
    assert np.all(np.diff(distance[:-1]) < 0)
    assert not state.is_done


def test_values_without_a_log_likelihood_are_replaced():
    data = negative_binomial_counts()
    expected = gj.mixed_model("y ~ x", random="~ 1 | id", data=data, family="negative_binomial")
    given = {"beta": np.array([1e5, 1e5]), "D": np.array([[1e12]]), "phi": np.array([0.0])}
    fit = gj.mixed_model("y ~ x", random="~ 1 | id", data=data, family="negative_binomial", initial_values=given)
    assert fit.llf == pytest.approx(expected.llf, abs=1e-6)


@pytest.mark.slow  # three ascents of a family whose starts are made by hand
def test_two_dispersed_starts_come_before_a_fit_is_not_finite(monkeypatch):
    """The first ascent is made to fail; the second one ends where a fit does."""
    from glmmjax.estimation import maximise as module

    with jax.enable_x64(True):
        problem, buckets, _ = started(negative_binomial_counts(), "negative_binomial")
        expected = maximise(problem, Options(), buckets, Quadrature(7))
        space = search_space(problem, buckets, 7)
        start = jax.jit(starting_values, static_argnums=0)(space.problem, space.buckets(buckets), jnp.asarray(space.is_real))
        first, second = dispersed(space.problem, start)
        assert np.isfinite(first).all()
        assert np.isfinite(second).all()
        begun_at, ascend = [], module.ascend

        def failing(evaluator, begun, report):
            begun_at.append(np.asarray(begun.state.theta))
            end = ascend(evaluator, begun, report)
            return end._replace(code=Code.NOT_FINITE) if len(begun_at) < 3 else end

        monkeypatch.setattr(module, "ascend", failing)
        found = maximise(problem, Options(), buckets, Quadrature(7))
    np.testing.assert_allclose(begun_at[1:], [first, second], rtol=1e-10)  # two programs round differently
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-5)


# links


def normal_outcomes(link, unit):
    rng = np.random.default_rng(0)
    cluster, x = np.repeat(np.arange(40), 6), rng.normal(size=240)
    eta = 1.5 + 0.2 * x + 0.3 * rng.normal(size=40)[cluster]
    mean = {"log": np.exp, "sqrt": np.square, "inverse": np.reciprocal}[link](eta)
    return pd.DataFrame({"y": unit * (mean + 0.1 * rng.normal(size=240)), "x": x, "id": cluster})


@pytest.mark.parametrize("link", ["log", pytest.param("sqrt", marks=pytest.mark.slow), pytest.param("inverse", marks=pytest.mark.slow)])
def test_a_normal_outcome_has_other_links_in_any_unit(link):
    units = (1.0, 1e-3, 1e4)
    fits = [gj.mixed_model("y ~ x", "~ 1 | id", data=normal_outcomes(link, unit), family=Gaussian(link)) for unit in units]
    at_unit = [fit.llf + 240 * np.log(unit) for fit, unit in zip(fits, units, strict=True)]
    np.testing.assert_allclose(at_unit, at_unit[0], rtol=0, atol=1e-5)
    assert fits[0].converged
    np.testing.assert_allclose(fits[0].fe_params, [1.5, 0.2], atol=0.15)


def own_normal(inverse):
    return lambda y, eta, phi: -0.5 * ((y - inverse(eta)) * jnp.exp(-phi[0])) ** 2 - phi[0] - 0.5 * jnp.log(2 * jnp.pi)


@pytest.mark.parametrize(("link", "inverse"), [("log", jnp.exp), pytest.param("sqrt", jnp.square, marks=pytest.mark.slow)])
def test_a_density_of_ones_own_with_a_link_gives_the_fit_of_the_built_in(link, inverse):
    data = normal_outcomes(link, 1.0)
    own, built_in = (
        gj.mixed_model("y ~ x", "~ 1 | id", data=data, family=family)
        for family in (Custom(own_normal(inverse), link, n_phi=1), Gaussian(link))
    )
    assert own.converged
    assert own.llf == pytest.approx(built_in.llf, abs=1e-7)


def test_a_density_of_ones_own_starts_where_it_is_larger():
    with_log, unsaid = (Custom(lambda y, eta, phi: y * eta - jnp.exp(eta), link) for link in ("log", "identity"))
    y = jnp.array([0.0, 1.0, 400.0])
    np.testing.assert_allclose(with_log.initial_eta(y), np.log([0.1, 1.0, 400.0]), rtol=1e-6)
    np.testing.assert_array_equal(unsaid.initial_eta(y), 0.0)  # exp(400) has no value
