"""The trapezoidal rule between level-set bounds: the integral, and exact derivatives of the number reported."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.likelihood.block_sums import start_modes, value_and_gradient
from glmmjax.likelihood.gauss_hermite import tensor_rule
from glmmjax.likelihood.marginal import log_likelihood_by_rule
from glmmjax.likelihood.quadrature import METHODS, TRAPEZOID, WIDE_TRAPEZOID, Quadrature
from glmmjax.likelihood.trapezoid import padded_trapezoid, trapezoid

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(autouse=True)
def in_double_precision():
    with jax.enable_x64(True):
        yield


def clusters_of(random, family):
    rng = np.random.default_rng(4)
    cluster = np.repeat(np.arange(6), [1, 2, 3, 5, 7, 9])
    data = pd.DataFrame({"id": cluster, "x": rng.normal(size=27), "y": rng.integers(0, 2, 27).astype(float)})
    data.loc[data.id < 3, "y"] = 0.0  # their posteriors have a steep side and a flat one
    return gj.make_design("y ~ x", random=random, data=data, family=family).clusters


CASES = {
    1: ("~ 1 | id", np.array([-0.4, 0.6]), np.array([[4.0]])),
    2: ("~ x | id", np.array([-0.4, 0.6]), np.array([[4.0, 0.0], [-1.5, 2.0]])),
}


@pytest.mark.parametrize(
    "family",
    [pytest.param(gj.families.Binomial(), id="binomial"), pytest.param(gj.families.Poisson(), id="poisson", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("q", CASES)
def test_value_is_the_integral_and_gradient_that_of_the_value(q, family):
    random, beta, chol = CASES[q]
    clusters, rule = clusters_of(random, family), padded_trapezoid(31 if q == 1 else 47, q)
    fine = trapezoid(121 if q == 1 else 91, q, cut=34.0)
    value = jax.jit(lambda beta, chol, rule: log_likelihood_by_rule(gj.Params(beta, chol), clusters, family, rule))
    assert float(value(beta, chol, rule)) == pytest.approx(float(value(beta, chol, fine)), abs=2e-5)

    evaluated = jax.jit(value_and_gradient, static_argnums=2)
    at = evaluated(gj.Params(jnp.asarray(beta), jnp.asarray(chol)), clusters.buckets, family, rule, start_modes(clusters.buckets, q))
    assert float(at.value) == pytest.approx(float(value(beta, chol, rule)), abs=1e-10)
    for k in range(2):
        step = 1e-5 * np.eye(2)[k]
        difference = (value(beta + step, chol, rule) - value(beta - step, chol, rule)) / 2e-5
        assert float(at.gradient.beta[k]) == pytest.approx(float(difference), abs=1e-6)
    for row, column in zip(*np.tril_indices(q), strict=True):
        step = np.zeros((q, q))
        step[row, column] = 1e-5
        difference = (value(beta, chol + step, rule) - value(beta, chol - step, rule)) / 2e-5
        assert float(at.gradient.chol[row, column]) == pytest.approx(float(difference), abs=1e-6)


def test_hessian_is_that_of_the_integral():
    random, beta, chol = CASES[1]
    family = gj.families.Binomial()
    clusters = clusters_of(random, family)
    of = lambda rule: jax.jit(jax.jacfwd(lambda theta: evaluated(theta, rule)))(np.array([*beta, chol[0, 0]]))  # noqa: E731

    def evaluated(theta, rule):
        params = gj.Params(theta[:2], theta[2:].reshape(1, 1))
        gradient = value_and_gradient(params, clusters.buckets, family, rule, start_modes(clusters.buckets, 1)).gradient
        return jnp.concatenate([gradient.beta, gradient.chol.ravel()])

    np.testing.assert_allclose(of(trapezoid(41, 1)), of(tensor_rule(151, 1)), atol=1e-5)


@pytest.mark.parametrize(("method", "q"), [(method, q) for method in METHODS for q in (1, 2) if (method, q) != (WIDE_TRAPEZOID, 2)])
def test_every_method_has_judges_in_arrays_of_its_own_length(method, q):
    for n_points in (11, 31, 42 if method != TRAPEZOID else {1: 95, 2: 47}[q]):
        quadrature = Quadrature(n_points, method)
        rule, judges = quadrature.padded(q), quadrature.judges(q)
        assert rule.count == quadrature.fixed(q).count == n_points**q
        assert all(judge.nodes.shape == rule.nodes.shape for judge in judges)
        assert all(n_points**q < judge.count <= len(judge.nodes) for judge in judges)
        assert judges[-1].count == quadrature.finer(q).n_points ** q


def test_bounds_are_no_further_out_than_double_precision_sees():
    assert trapezoid(95, 1).cut == trapezoid(143, 1).cut == 36.0
    assert trapezoid(31, 1).cut < 36.0
    same_bounds, finest = Quadrature(95, TRAPEZOID).judges(1)
    assert same_bounds.count == finest.count == 143
