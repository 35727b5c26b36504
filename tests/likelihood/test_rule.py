"""The seam of the integration rule: a trapezoid between bounds, which exists only here, runs through the whole likelihood."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.likelihood.block_sums import start_modes, value_and_gradient
from glmmjax.likelihood.conditional import conditional, conditional_covariances, conditional_means
from glmmjax.likelihood.gauss_hermite import tensor_rule
from glmmjax.likelihood.marginal import log_likelihood_by_rule
from glmmjax.likelihood.posterior import Posterior
from glmmjax.likelihood.prior import STANDARD_NORMAL
from glmmjax.likelihood.rows import Integrand
from glmmjax.likelihood.rule import NodePlacement

pytestmark = pytest.mark.usefixtures("compile_quickly")
FAMILY, HALF = gj.families.Binomial(), 9.0  # posterior standard deviations from the mode to each bound


class Trapezoid(NamedTuple):
    """Equal steps between two bounds of one random effect."""

    nodes: Any
    log_weights: Any
    count: Any

    def place(self, f: Integrand, posterior: Posterior) -> NodePlacement:
        """From the lower bound to the upper one."""
        lower, upper = posterior.mode - HALF * posterior.root[0], posterior.mode + HALF * posterior.root[0]
        width = upper - lower
        return NodePlacement(lower, width[:, None], jnp.log(width[0]), posterior.value)


def trapezoid(n):
    ends = np.r_[0.5, np.ones(n - 2), 0.5]
    return Trapezoid(np.linspace(0.0, 1.0, n)[:, None], np.log(ends / (n - 1)) + STANDARD_NORMAL.log_constant(1), n)


@pytest.fixture(autouse=True)
def in_double_precision():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def clusters():
    rng = np.random.default_rng(4)
    cluster = np.repeat(np.arange(4), [1, 3, 5, 9])
    data = pd.DataFrame({"id": cluster, "x": rng.normal(size=18), "y": rng.integers(0, 2, 18).astype(float)})
    return gj.make_design("y ~ x", random="~ 1 | id", data=data, family=FAMILY).clusters


def params_at(theta):
    return gj.Params(theta[:2], theta[2:].reshape(1, 1))


THETA = np.array([-0.4, 0.6, 1.3])


def test_a_rule_between_bounds_gives_value_gradient_and_hessian(clusters):
    ours = lambda theta: log_likelihood_by_rule(params_at(theta), clusters, FAMILY, trapezoid(61))  # noqa: E731
    fine = lambda theta: gj.log_likelihood(params_at(theta), clusters, FAMILY, 61)  # noqa: E731
    for order in (lambda f: f, jax.grad, jax.hessian):
        np.testing.assert_allclose(jax.jit(order(ours))(THETA), jax.jit(order(fine))(THETA), rtol=1e-9, atol=1e-9)


def test_what_a_fit_uses_takes_any_rule(clusters):
    at = jax.jit(value_and_gradient, static_argnums=2)(
        params_at(jnp.asarray(THETA)), clusters.buckets, FAMILY, trapezoid(61), start_modes(clusters.buckets, 1)
    )
    value, gradient = jax.value_and_grad(gj.log_likelihood)(params_at(jnp.asarray(THETA)), clusters, FAMILY, 61)
    np.testing.assert_allclose(at.value, value, rtol=1e-10)
    np.testing.assert_allclose(at.gradient.beta, gradient.beta, rtol=1e-8)
    np.testing.assert_allclose(at.gradient.chol, gradient.chol, rtol=1e-8)


def test_moments_of_random_effects_take_any_rule(clusters):
    rules = trapezoid(61), tensor_rule(61, 1)
    by_rule = [(conditional(params_at(jnp.asarray(THETA)), clusters, FAMILY, rule), rule) for rule in rules]
    for moments in (conditional_means, conditional_covariances):
        ours, fine = (moments(*pair) for pair in by_rule)
        np.testing.assert_allclose(ours, fine, atol=1e-8)
