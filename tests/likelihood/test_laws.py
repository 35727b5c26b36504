"""Student's t law of the random effects: its density, the rule that sees its tails, the integral, averages over the population."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.likelihood.block_sums import start_modes, value_and_gradient
from glmmjax.likelihood.conditional import conditional, conditional_means
from glmmjax.likelihood.marginal import log_likelihood_by_rule
from glmmjax.likelihood.model_rows import ModelRows
from glmmjax.likelihood.population import population_average, population_mean
from glmmjax.likelihood.quadrature import SINH_TRAPEZOID, Quadrature, moment_rule
from glmmjax.likelihood.sinh_trapezoid import padded_sinh, sinh_trapezoid

pytestmark = pytest.mark.usefixtures("compile_quickly")
DFS = (2.5, 4.0, 30.0)
BETA = np.array([-0.4, 0.6])
CHOLS = {1: np.array([[1.3]]), 2: np.array([[0.8, 0.0], [0.3, 0.5]])}
SINHS = np.sinh(np.linspace(-16.0, 16.0, 6001))
AREAS = np.cosh(np.arcsinh(SINHS)) * 32.0 / 6000


@pytest.fixture(autouse=True)
def in_double_precision():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=DFS)
def law(request):
    return gj.StudentTEffects(df=request.param)


def density(df, u):
    """Of one random effect, by scipy."""
    scale = math.sqrt((df - 2.0) / df)
    return scipy.stats.t.pdf(np.asarray(u) / scale, df) / scale


def stated(law, u):
    return law.log_density(jnp.asarray(u)) + law.log_constant(len(u))


def rows_of(sizes=(1, 3, 5, 4)):
    """Rows of four clusters; all outcomes of the second are 1, so that nothing but the law bounds its random effect above."""
    rng = np.random.default_rng(4)
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    data = pd.DataFrame({"id": cluster, "x": rng.normal(size=cluster.size), "y": rng.integers(0, 2, cluster.size).astype(float)})
    data.loc[data["id"] == 1, "y"] = 1.0
    return data


def design_of(q, data):
    return gj.make_design("y ~ x", random="~ 1 | id" if q == 1 else "~ x | id", data=data, family="binomial")


def integrals(df, data, beta, sd, power=0):
    """(m,) by a dense trapezoidal rule in numpy, which nothing of the package enters."""
    found = []
    for _, rows in data.groupby("id"):
        eta = beta[0] + beta[1] * rows["x"].to_numpy()[:, None] + sd * SINHS
        terms = -np.logaddexp(0.0, -(2.0 * rows["y"].to_numpy()[:, None] - 1.0) * eta).sum(0)
        found.append((np.exp(terms) * SINHS**power * density(df, SINHS) * AREAS).sum())
    return np.array(found)


def test_the_dense_rule_is_that_of_scipy():
    """The integral by which all else is judged is that of adaptive quadrature."""
    data = rows_of()
    rows = data[data["id"] == 2]

    def integrand(u):
        eta = BETA[0] + BETA[1] * rows["x"].to_numpy() + 1.3 * u
        return np.exp(-np.logaddexp(0.0, -(2.0 * rows["y"].to_numpy() - 1.0) * eta).sum()) * density(4.0, u)

    exact = sum(scipy.integrate.quad(integrand, a, b, epsabs=1e-14, limit=200)[0] for a, b in ((-200, -5), (-5, 0), (0, 5), (5, 200)))
    np.testing.assert_allclose(integrals(4.0, data, BETA, 1.3)[2], exact, rtol=1e-10)


@pytest.mark.parametrize("q", [1, 2, 3])
def test_the_density_is_that_of_scipy(law, q):
    u = np.random.default_rng(0).normal(size=(q, 6)) * 2.0
    shape = np.eye(q) * (law.df - 2.0) / law.df
    exact = scipy.stats.multivariate_t(np.zeros(q), shape, law.df).logpdf(u.T)
    np.testing.assert_allclose(stated(law, u), exact, rtol=1e-12)


def test_the_density_integrates_to_one_with_variance_one(law):
    at = np.exp(np.asarray(stated(law, SINHS[None]))) * AREAS
    np.testing.assert_allclose(at.sum(), 1.0, atol=1e-10)
    if law.df > 2.5:  # where so far out nothing of the variance is left
        np.testing.assert_allclose((at * SINHS**2).sum(), 1.0, rtol=1e-10)


def test_the_reach_leaves_nothing_out(law):
    at_0, there = law.log_density(jnp.array([[0.0, law.reach]]))
    np.testing.assert_allclose(float(there - at_0), math.log(1e-15), rtol=1e-10)


def test_derivatives_are_those_of_automatic_differentiation(law):
    u = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)) * 3.0)
    np.testing.assert_allclose(law.negative_gradient(u), -jax.grad(lambda u: law.log_density(u).sum())(u), rtol=1e-12)
    each = jax.vmap(jax.hessian(law.log_density), in_axes=1, out_axes=2)(u)
    found = jnp.stack([jnp.stack(row) for row in law.negative_hessian(u)])
    np.testing.assert_allclose(found, -each, rtol=1e-9, atol=1e-12)
    instead = np.moveaxis(np.asarray([[np.asarray(x) for x in row] for row in law.positive_hessian(u)]), -1, 0)
    assert (np.linalg.eigvalsh(instead) > 0).all()


def test_draws_have_the_law_of_the_density(law):
    draws = np.asarray(law.sample(jax.random.key(0), (5, 2, 20_000), jnp.float64))
    assert draws.shape == (5, 2, 20_000)
    scale = math.sqrt((law.df - 2.0) / law.df)
    for effect in range(2):
        assert scipy.stats.kstest(draws[:, effect].ravel() / scale, scipy.stats.t(law.df).cdf).pvalue > 1e-3
    radius = (draws**2).sum(1).ravel() / scale**2 / 2.0  # F distributed where both effects share one chi-square variable
    assert scipy.stats.kstest(radius, scipy.stats.f(2, law.df).cdf).pvalue > 1e-3


def test_the_rule_integrates_the_law_to_one(law):
    """A cluster that tells nothing has the law as its posterior, whose scale is that of the curvature at 0."""
    rule = sinh_trapezoid(95, 1, law)
    scale = math.sqrt((law.df - 2.0) / (law.df + 1.0))
    total = scale * np.exp(rule.log_weights + np.asarray(law.log_density(scale * rule.nodes.T))).sum()
    np.testing.assert_allclose(total, 1.0, atol=1e-7 if law.df < 4 else 1e-9)


@pytest.mark.parametrize("df", [4.0, 30.0])
def test_the_log_likelihood_agrees_with_dense_integration(df):
    data, law = rows_of(), gj.StudentTEffects(df=df)
    clusters, rule = design_of(1, data).clusters, sinh_trapezoid(127, 1, law)
    value = jax.jit(lambda b, c: log_likelihood_by_rule(gj.Params(b, c), clusters, gj.families.Binomial(), rule, law))
    beta, chol = jnp.asarray(BETA), jnp.asarray(CHOLS[1])
    exact = lambda beta, sd: np.log(integrals(df, data, beta, sd)).sum()  # noqa: E731
    np.testing.assert_allclose(value(beta, chol), exact(BETA, 1.3), atol=1e-8)
    gradient, step = jax.jit(jax.grad(value, (0, 1)))(beta, chol), 1e-5
    for k in range(2):
        ahead = np.eye(2)[k] * step
        difference = (exact(BETA + ahead, 1.3) - exact(BETA - ahead, 1.3)) / (2 * step)
        np.testing.assert_allclose(gradient[0][k], difference, atol=1e-6)
    np.testing.assert_allclose(gradient[1][0, 0], (exact(BETA, 1.3 + step) - exact(BETA, 1.3 - step)) / (2 * step), atol=1e-6)


def test_gauss_hermite_misses_the_tail_that_the_rule_sees():
    """Why the law has a rule of its own: the second cluster is bounded by the law alone."""
    data, law = rows_of(), gj.StudentTEffects(df=4.0)
    clusters, exact = design_of(1, data).clusters, np.log(integrals(4.0, data, BETA, 1.3)).sum()

    def error(rule):
        params = gj.Params(jnp.asarray(BETA), jnp.asarray(CHOLS[1]))
        return abs(float(log_likelihood_by_rule(params, clusters, gj.families.Binomial(), rule, law)) - exact)

    assert error(Quadrature(47).fixed(1, law)) > 1e-4
    assert error(Quadrature(47, SINH_TRAPEZOID).fixed(1, law)) < 1e-5


def dense_in_two(df, data, chol):
    """The log-likelihood of two random effects by a dense rule in polar coordinates, whose radius is a hyperbolic sine."""
    x = np.linspace(-9.0, 9.0, 361)
    radius, areas = np.exp(x), np.exp(2.0 * x) * (x[1] - x[0])
    angle = np.linspace(0.0, 2.0 * np.pi, 2001)[:-1]
    u = np.stack([np.outer(radius, np.cos(angle)), np.outer(radius, np.sin(angle))])
    constant = math.lgamma(df / 2 + 1) - math.lgamma(df / 2) - math.log(math.pi * (df - 2))
    log_law = constant - (df / 2 + 1) * np.log1p(radius**2 / (df - 2))
    b, total = np.tensordot(chol, u, 1), 0.0
    for _, rows in data.groupby("id"):
        terms = np.zeros(b.shape[1:])
        for row in rows.itertuples():
            terms -= np.logaddexp(0.0, -(2.0 * row.y - 1.0) * (BETA[0] + BETA[1] * row.x + b[0] + row.x * b[1]))
        total += np.log((np.exp(terms + log_law[:, None]) * areas[:, None]).sum() * 2.0 * np.pi / len(angle))
    return total


def test_two_random_effects_agree_with_dense_integration():
    """To what the rule reports: a tail in two dimensions has edges that no rule of few points resolves."""
    data, law, family = rows_of(), gj.StudentTEffects(df=5.0), gj.families.Binomial()
    clusters, params = design_of(2, data).clusters, gj.Params(jnp.asarray(BETA), jnp.asarray(CHOLS[2]))
    exact = dense_in_two(5.0, data, CHOLS[2])
    values = [float(log_likelihood_by_rule(params, clusters, family, sinh_trapezoid(n, 2, law), law)) for n in (31, 47, 63)]
    np.testing.assert_allclose(values, exact, atol=1e-4)
    assert abs(values[2] - exact) < 1e-6


@pytest.mark.slow
def test_the_gradient_of_a_fit_is_that_of_the_public_function():
    """Block by block with a padded rule, and its derivative, the Hessian."""
    law, design, family = gj.StudentTEffects(df=4.0), design_of(1, rows_of()), gj.families.Binomial()
    buckets, rule = design.clusters.buckets, padded_sinh(31, 1, law)

    def blockwise(beta, chol):
        return value_and_gradient(gj.Params(beta, chol), buckets, family, rule, start_modes(buckets, 1), prior=law).gradient[:2]

    def whole(beta, chol):
        return log_likelihood_by_rule(gj.Params(beta, chol), design.clusters, family, sinh_trapezoid(31, 1, law), law)

    at = (jnp.asarray(BETA), jnp.asarray(CHOLS[1]))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)  # noqa: E731
    jax.tree.map(close, jax.jit(blockwise)(*at), jax.jit(jax.grad(whole, (0, 1)))(*at))
    jax.tree.map(close, jax.jit(jax.jacfwd(blockwise, (0, 1)))(*at), jax.jit(jax.hessian(whole, (0, 1)))(*at))


def test_means_of_random_effects_agree_with_dense_integration(law):
    data = rows_of()
    design, rule = design_of(1, data), moment_rule(7, 1, law)
    params = gj.Params(jnp.asarray(BETA), jnp.asarray(CHOLS[1]))
    given = conditional(params, design.clusters, gj.families.Binomial(), rule, prior=law)
    exact = integrals(law.df, data, BETA, 1.3, power=1) / integrals(law.df, data, BETA, 1.3)
    np.testing.assert_allclose(conditional_means(given, rule)[0], exact, atol=1e-3 if law.df < 4 else 1e-6)


def test_population_means_agree_with_dense_integration(law):
    rng = np.random.default_rng(2)
    columns = np.stack([np.ones(5), 4.0 * rng.normal(size=5)])
    family, beta = gj.families.Binomial(), jnp.asarray(BETA)
    rows = ModelRows((jnp.asarray(columns),), (jnp.asarray(columns[:1]),), jnp.zeros((1, 5)))

    def exact(beta, sd):
        eta = (beta @ columns)[:, None] + sd * SINHS
        return (1.0 / (1.0 + np.exp(-np.clip(eta, -700, 700))) * density(law.df, SINHS) * AREAS).sum(1)

    found = lambda beta, sd: population_mean(gj.Params(beta, sd[None, None]), rows, family, law)  # noqa: E731
    np.testing.assert_allclose(found(beta, jnp.array(1.3)), exact(BETA, 1.3), atol=1e-9)
    mean = lambda eta: family.mean(eta[0], jnp.zeros((0, 5)))  # noqa: E731
    np.testing.assert_allclose(population_average(mean, gj.Params(beta, jnp.asarray(CHOLS[1])), rows, law), exact(BETA, 1.3), atol=1e-9)
    by_beta, by_sd = jax.jacfwd(found, (0, 1))(beta, jnp.array(1.3))
    step = 1e-5
    np.testing.assert_allclose(by_sd, (exact(BETA, 1.3 + step) - exact(BETA, 1.3 - step)) / (2 * step), atol=1e-8)
    for k in range(2):
        ahead = np.eye(2)[k] * step
        np.testing.assert_allclose(by_beta[:, k], (exact(BETA + ahead, 1.3) - exact(BETA - ahead, 1.3)) / (2 * step), atol=1e-8)


def test_population_means_of_two_predictors_agree_with_draws():
    """A mean and a zero part whose random effects are uncorrelated and not independent."""
    law, family = gj.StudentTEffects(df=4.0), gj.families.ZeroInflatedBinomial()
    ones = jnp.ones((1, 1))
    rows = ModelRows((ones, ones), (ones, ones), jnp.zeros((2, 1)))
    params = gj.Params(jnp.array([0.5]), jnp.array([[1.2, 0.0], [0.0, 2.0]]), (), jnp.array([-0.3]))
    found = population_mean(params, rows, family, law)
    fixed = population_average(lambda eta: family.mean(eta[0], jnp.zeros((0, 1)), eta[1]), params, rows, law)
    np.testing.assert_allclose(fixed, found, atol=1e-6)
    u = np.asarray(law.sample(jax.random.key(1), (2, 300_000), jnp.float64))
    expit = scipy.special.expit
    draws = expit(0.5 + 1.2 * u[0]) * (1.0 - expit(-0.3 + 2.0 * u[1]))
    assert abs(float(found[0]) - draws.mean()) < 4.0 * draws.std() / math.sqrt(len(draws))


@pytest.mark.parametrize("df", [2.0, 0, -1.0, float("nan"), float("inf"), 1e4, "4", None, True])
def test_degrees_of_freedom_without_a_law_are_refused(df):
    with pytest.raises(ArgumentError, match=r"StudentTEffects\(df=.*\) must be a number from 2.1 to 1000"):
        gj.StudentTEffects(df=df)


@pytest.mark.parametrize("df", [4, np.int64(4), np.float32(4.0)])
def test_degrees_of_freedom_are_any_kind_of_number(df):
    assert gj.StudentTEffects(df=df) == gj.StudentTEffects(df=4.0)
