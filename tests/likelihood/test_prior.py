"""Laws of the random effects: what each owes to the contract, and that every part of the likelihood asks it.

Two laws exist only here: a normal one with standard deviation 2, which states all it can, and a logistic one, which states the least.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.stats

import glmmjax as gj
from glmmjax.likelihood.block_sums import start_modes, value_and_gradient
from glmmjax.likelihood.conditional import conditional, conditional_means
from glmmjax.likelihood.gauss_hermite import padded_rule, tensor_rule
from glmmjax.likelihood.marginal import log_likelihood_by_rule
from glmmjax.likelihood.model_rows import ModelRows
from glmmjax.likelihood.population import population_average, population_mean
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior

pytestmark = pytest.mark.usefixtures("compile_quickly")
SD = 2.0


@dataclasses.dataclass(frozen=True)
class WideNormal(Prior):
    """N(0, 4 I)."""

    has_linear_gradient = True
    reach = 17.0

    def log_density(self, u):
        return -0.5 / SD**2 * (u * u).sum(0)

    def log_constant(self, q):
        return -q * (0.5 * math.log(2.0 * math.pi) + math.log(SD))

    def sample(self, key, shape, dtype):
        return SD * jax.random.normal(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class Logistic(Prior):
    """Independent standard logistic effects: no linear gradient."""

    reach = 37.0

    def log_density(self, u):
        return (-u - 2.0 * jnp.logaddexp(0.0, -u)).sum(0)

    def log_constant(self, q):
        return 0.0

    def sample(self, key, shape, dtype):
        return jax.random.logistic(key, shape, dtype)


PRIORS = {"standard normal": (STANDARD_NORMAL, scipy.stats.norm()), "wide": (WideNormal(), scipy.stats.norm(scale=SD))}
PRIORS["logistic"] = (Logistic(), scipy.stats.logistic())
BETA = np.array([-0.4, 0.6])
CHOLS = {1: [[0.9]], 2: [[0.8, 0.0], [0.3, 0.5]]}


@pytest.fixture(autouse=True)
def in_double_precision():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=PRIORS)
def law(request):
    return PRIORS[request.param]


def design_of(q, sizes=(1, 3, 5, 4)):
    rng = np.random.default_rng(4)
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    data = pd.DataFrame({"id": cluster, "x": rng.normal(size=cluster.size), "y": rng.integers(0, 2, cluster.size).astype(float)})
    return gj.make_design("y ~ x", random="~ 1 | id" if q == 1 else "~ x | id", data=data, family="binomial"), data


def params_of(q, factor=1.0):
    return gj.Params(jnp.asarray(BETA), factor * jnp.asarray(CHOLS[q]))


def test_the_density_is_that_of_scipy_and_integrates_to_one(law):
    prior, exact = law
    u = np.linspace(-4.0, 4.0, 9)
    stated = lambda u: prior.log_density(jnp.asarray(u)) + prior.log_constant(len(u))  # noqa: E731
    np.testing.assert_allclose(stated(u[None]), exact.logpdf(u), atol=1e-13)
    np.testing.assert_allclose(stated(np.stack([u, u[::-1]])), exact.logpdf(u) + exact.logpdf(u[::-1]), atol=1e-13)
    total = scipy.integrate.quad(lambda u: float(jnp.exp(stated(np.array([u])))), -prior.reach, prior.reach, limit=200)[0]
    np.testing.assert_allclose(total, 1.0, atol=1e-10)


def test_the_reach_leaves_nothing_out(law):
    prior, _ = law
    edge = jnp.array([[0.0, prior.reach]])
    at_0, there = prior.log_density(edge)
    assert float(there - at_0) < math.log(1e-15)


def test_derivatives_are_those_of_automatic_differentiation(law):
    prior, _ = law
    u = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)))
    np.testing.assert_allclose(prior.negative_gradient(u), -jax.grad(lambda u: prior.log_density(u).sum())(u), rtol=1e-12)
    each = jax.vmap(jax.hessian(prior.log_density), in_axes=1, out_axes=2)(u)
    found = jnp.stack([jnp.stack(row) for row in prior.negative_hessian(u)])
    np.testing.assert_allclose(found, -each, rtol=1e-10, atol=1e-14)
    if prior.has_linear_gradient:
        np.testing.assert_allclose(prior.negative_gradient(2.0 * u + 1.0), 2.0 * prior.negative_gradient(u) + prior.negative_gradient(u**0))


def test_draws_have_the_law_of_the_density(law):
    prior, exact = law
    draws = np.asarray(prior.sample(jax.random.key(0), (5, 2, 20_000), jnp.float64))
    assert draws.shape == (5, 2, 20_000)
    assert scipy.stats.kstest(draws.ravel(), exact.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(draws[:, 0].ravel(), draws[:, 1].ravel())[0, 1]) < 4.0 / math.sqrt(draws[:, 0].size)


def test_the_rule_has_the_moments_of_the_law():
    """Nodes and weights at mode 0 and scale 1 of the normal law alone are those of its own density."""
    rule = tensor_rule(11, 2)
    weights = np.exp(rule.log_weights + np.asarray(STANDARD_NORMAL.log_density(rule.nodes.T)))
    z = rule.nodes
    np.testing.assert_allclose([weights.sum(), *weights @ z, *weights @ z**2, *weights @ z**4], [1, 0, 0, 1, 1, 3, 3], atol=1e-12)


@pytest.mark.parametrize(("q", "n_agq"), [(1, 5), pytest.param(2, 1, marks=pytest.mark.slow)])
def test_doubling_the_law_is_doubling_the_factor(q, n_agq):
    """N(0, 4 I) with L has the likelihood of N(0, I) with 2 L: value, gradient and, at few points too, Hessian."""
    design, _ = design_of(q)
    family, wide = gj.families.Binomial(), WideNormal()

    def stated(beta, chol):
        return log_likelihood_by_rule(gj.Params(beta, chol), design.clusters, family, tensor_rule(n_agq, q, wide), wide)

    def doubled(beta, chol):
        return gj.log_likelihood(gj.Params(beta, 2.0 * chol), design.clusters, family, n_agq)

    at = tuple(params_of(q))[:2]
    for order in (lambda f: f, lambda f: jax.grad(f, (0, 1)), lambda f: jax.hessian(f, (0, 1))):
        found, expected = jax.jit(order(stated))(*at), jax.jit(order(doubled))(*at)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10), found, expected)


@pytest.mark.slow
def test_the_gradient_of_a_fit_is_that_of_the_public_function():
    """Block by block, with a padded rule and a traced number of nodes; its derivative is the Hessian. The law has no linear gradient."""
    (prior, _), (design, _), family = PRIORS["logistic"], design_of(2), gj.families.Binomial()
    buckets, rule = design.clusters.buckets, padded_rule(3, 2, prior)

    def blockwise(beta, chol):
        return value_and_gradient(gj.Params(beta, chol), buckets, family, rule, start_modes(buckets, 2), prior=prior).gradient[:2]

    def whole(beta, chol):
        return log_likelihood_by_rule(gj.Params(beta, chol), design.clusters, family, tensor_rule(3, 2, prior), prior)

    at = tuple(params_of(2))[:2]
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)  # noqa: E731
    jax.tree.map(close, jax.jit(blockwise)(*at), jax.jit(jax.grad(whole, (0, 1)))(*at))
    jax.tree.map(close, jax.jit(jax.jacfwd(blockwise, (0, 1)))(*at), jax.jit(jax.hessian(whole, (0, 1)))(*at))


def test_a_law_without_linear_gradient_agrees_with_integration():
    (prior, exact), (design, data), family = PRIORS["logistic"], design_of(1), gj.families.Binomial()
    rule, sd = tensor_rule(61, 1, prior), CHOLS[1][0][0]
    value = jax.jit(lambda b, c: log_likelihood_by_rule(gj.Params(b, c), design.clusters, family, rule, prior))
    given = conditional(params_of(1), design.clusters, family, rule, prior=prior)

    def moment(rows, power):
        def integrand(u):
            p = 1.0 / (1.0 + np.exp(-(BETA[0] + BETA[1] * rows.x.to_numpy() + sd * u)))
            return u**power * np.where(rows.y == 1.0, p, 1.0 - p).prod() * exact.pdf(u)

        return scipy.integrate.quad(integrand, -35.0, 35.0, limit=400, epsabs=1e-13)[0]

    integrals = np.array([[moment(rows, power) for power in (0, 1)] for _, rows in data.groupby("id")])
    np.testing.assert_allclose(value(*tuple(params_of(1))[:2]), np.log(integrals[:, 0]).sum(), atol=1e-5)
    np.testing.assert_allclose(conditional_means(given, rule)[0], integrals[:, 1] / integrals[:, 0], atol=1e-4)
    beta, chol = tuple(params_of(1))[:2]
    gradient, step = jax.jit(jax.grad(value, (0, 1)))(beta, chol), 1e-5
    for k in range(2):
        difference = (value(beta.at[k].add(step), chol) - value(beta.at[k].add(-step), chol)) / (2 * step)
        np.testing.assert_allclose(gradient[0][k], difference, rtol=1e-6)
    np.testing.assert_allclose(gradient[1][0, 0], (value(beta, chol + step) - value(beta, chol - step)) / (2 * step), rtol=1e-6)


@pytest.mark.parametrize("q", [1, 2])
def test_population_averages_ask_the_law(q):
    rng = np.random.default_rng(2)
    columns = np.stack([np.ones(5), rng.normal(size=5)])
    rows = ModelRows((jnp.asarray(columns),), (jnp.asarray(columns[:q]),), jnp.zeros((1, 5)))
    wide, family = WideNormal(), gj.families.Binomial()
    doubled = population_mean(params_of(q, 2.0), rows, family)
    np.testing.assert_allclose(population_mean(params_of(q), rows, family, wide), doubled, rtol=1e-10)
    mean = lambda eta: family.mean(eta[0], jnp.zeros((0, 5)))  # noqa: E731
    np.testing.assert_allclose(population_average(mean, params_of(q), rows, wide), doubled, rtol=1e-6)
