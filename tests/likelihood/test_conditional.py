"""The distribution of random effects given outcomes: against numerical integration, and its derivative against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import glmmjax as gj
from glmmjax.likelihood.conditional import conditional, conditional_covariances, conditional_means, node_of
from glmmjax.likelihood.gauss_hermite import tensor_rule

pytestmark = pytest.mark.usefixtures("compile_quickly")
BETA, SD = np.array([0.3, -0.5]), 1.4


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"id": np.repeat(np.arange(8), [1, 2, 3, 4, 2, 3, 1, 4]), "x": rng.normal(size=20)})
    return frame.assign(y=rng.poisson(np.exp(0.3 - 0.5 * frame["x"])))


@pytest.fixture(scope="module")
def one_effect(data):
    """Nodes and weights of a Poisson model with one random effect, 41 points."""
    with jax.enable_x64(True):
        design = gj.make_design("y ~ x", random="~ 1 | id", data=data, family="poisson")
        params = gj.Params(jnp.asarray(BETA), jnp.array([[SD]]))
        return conditional(params, design.clusters, gj.families.Poisson(), tensor_rule(41, 1))


def moments_by_integration(rows):
    """Mean and variance of b of one cluster."""

    b = np.linspace(-12.0, 12.0, 8001)
    rates = np.exp(BETA[0] + BETA[1] * rows["x"].to_numpy() + b[:, None])
    joint = np.exp(stats.poisson.logpmf(rows["y"].to_numpy(), rates).sum(1)) * stats.norm.pdf(b, scale=SD)
    mean = (b * joint).sum() / joint.sum()
    return mean, (b**2 * joint).sum() / joint.sum() - mean**2


def test_moments_are_those_of_numerical_integration(data, one_effect):
    with jax.enable_x64(True):
        means = SD * conditional_means(one_effect, tensor_rule(41, 1))[0]
        variances = SD**2 * conditional_covariances(one_effect, tensor_rule(41, 1))[0, 0]
    expected = [moments_by_integration(rows) for _, rows in data.groupby("id")]
    np.testing.assert_allclose(means, [mean for mean, _ in expected], atol=1e-6)
    np.testing.assert_allclose(variances, [variance for _, variance in expected], rtol=1e-5)


def test_weights_sum_to_one_and_the_middle_node_is_the_mode(one_effect):
    np.testing.assert_allclose(np.asarray(one_effect.weights).sum(0), 1.0, rtol=1e-12)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(node_of(one_effect, jnp.zeros(1)), one_effect.origin)


def test_derivatives_are_those_of_finite_differences(data):
    rule = tensor_rule(5, 2)
    with jax.enable_x64(True):
        design = gj.make_design("y ~ x", random="~ x | id", data=data, family="poisson")

        def means(free):
            params = gj.Params(free[:2], jnp.array([[0.9, 0.0], [0.0, 0.0]]).at[1, 0].set(free[2]).at[1, 1].set(free[3]))
            return conditional_means(conditional(params, design.clusters, gj.families.Poisson(), rule), rule)

        free, step = jnp.array([0.3, -0.5, 0.2, 0.6]), 1e-5
        exact = jax.jit(jax.jacfwd(means))(free)
        run = jax.jit(means)
        for k in range(4):
            difference = (run(free.at[k].add(step)) - run(free.at[k].add(-step))) / (2 * step)
            np.testing.assert_allclose(exact[..., k], difference, atol=1e-8)
