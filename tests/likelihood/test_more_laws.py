"""Skew-normal, mixture and custom laws of a random effect: densities, the rule over a whole law, integrals, averages, refusals."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.estimation.xla.tokens import NotStorable, token
from glmmjax.likelihood.block_sums import start_modes, value_and_gradient
from glmmjax.likelihood.conditional import conditional, conditional_covariances, conditional_means
from glmmjax.likelihood.covariance import Deviation
from glmmjax.likelihood.marginal import log_likelihood_by_rule
from glmmjax.likelihood.model_rows import ModelRows
from glmmjax.likelihood.population import population_average, population_mean
from glmmjax.likelihood.posterior import posterior
from glmmjax.likelihood.quadrature import TRAPEZOID, WIDE_TRAPEZOID, Quadrature, moment_rule
from glmmjax.likelihood.rows import integrand
from glmmjax.likelihood.wide_trapezoid import padded_wide, wide_trapezoid

pytestmark = pytest.mark.usefixtures("compile_quickly")
BETA, SD, PHI = np.array([-0.4, 0.6]), 1.3, -0.5
U = np.linspace(-45.0, 45.0, 180_001)
STEP = U[1] - U[0]


def gumbel(u):
    return -u - jnp.exp(-u)


def mixture_density(weights, means, sds):
    w, m, s = (np.array(values, float) for values in (weights, means, sds))
    mean = w @ m
    scale = math.sqrt(w @ ((m - mean) ** 2 + s**2))
    return lambda u: (w * scipy.stats.norm.pdf(np.asarray(u)[..., None], (m - mean) / scale, s / scale)).sum(-1)


def standardised(law):
    mean, sd = law.mean(), law.std()
    return lambda u: sd * law.pdf(mean + sd * np.asarray(u))


TWO = ((0.7, 0.3), (0.0, 4.0), (1.0, 0.5))
LAWS: dict[str, Any] = {
    "skew-normal": (gj.SkewNormalEffects(4), standardised(scipy.stats.skewnorm(4))),
    "skewed to the left": (gj.SkewNormalEffects(-10), standardised(scipy.stats.skewnorm(-10))),
    "mixture": (gj.NormalMixtureEffects(*TWO), mixture_density(*TWO)),
    "narrow": (gj.NormalMixtureEffects((0.5, 0.5), (-1, 1), (0.2, 0.2)), mixture_density((0.5, 0.5), (-1, 1), (0.2, 0.2))),
    "custom": (gj.CustomEffects(gumbel, name="Gumbel"), standardised(scipy.stats.gumbel_r())),
}


@pytest.fixture(autouse=True)
def in_double_precision():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=LAWS)
def law(request):
    return LAWS[request.param]


def stated(law, u):
    return np.asarray(law.log_density(jnp.asarray(u)[None]) + law.log_constant(1))


def rows_of(sizes=(1, 3, 5, 4)):
    """Rows of four clusters; all binary outcomes of the second are 1, all counts of the third are 0, those of the fourth lie far out."""
    rng = np.random.default_rng(4)
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    data = pd.DataFrame({"id": cluster, "x": rng.normal(size=cluster.size), "binomial": rng.integers(0, 2, cluster.size).astype(float)})
    data.loc[data["id"] == 1, "binomial"] = 1.0
    shift = np.array([0.0, 0.7, 0.0, 2.0])[cluster]
    data["poisson"] = np.where(cluster == 2, 0, rng.poisson(np.exp(0.3 * data["x"] + shift)))
    data["gaussian"] = BETA[0] + BETA[1] * data["x"] + shift + 0.6 * rng.normal(size=cluster.size)
    return data


def log_terms(family, rows, eta):
    """(n, G) by scipy and numpy."""
    y = rows[family].to_numpy()[:, None]
    if family == "binomial":
        return -np.logaddexp(0.0, -(2.0 * y - 1.0) * eta)
    if family == "poisson":
        return y * eta - np.exp(np.minimum(eta, 500.0)) - scipy.special.gammaln(y + 1.0)
    return scipy.stats.norm.logpdf(y, eta, math.exp(PHI))


def integrals(family, density, data, beta=BETA, sd=SD, power=0):
    """(m,) by a dense trapezoidal rule in numpy, which nothing of the package enters."""
    found = []
    for _, rows in data.groupby("id"):
        eta = beta[0] + beta[1] * rows["x"].to_numpy()[:, None] + sd * U
        found.append((np.exp(log_terms(family, rows, eta).sum(0)) * U**power * density(U)).sum() * STEP)
    return np.array(found)


def problem_of(family, data=None):
    design = gj.make_design(f"{family} ~ x", random="~ 1 | id", data=rows_of() if data is None else data, family=family)
    phi = (jnp.array([PHI]),) if family == "gaussian" else ()
    return design, lambda beta, chol: gj.Params(beta, chol, *phi)


def test_the_density_is_that_of_scipy(law):
    u = np.linspace(-3.0, 4.0, 29)
    np.testing.assert_allclose(np.exp(stated(law[0], u)), law[1](u), rtol=1e-8, atol=1e-12)


def test_it_integrates_to_one_with_mean_0_variance_1_and_the_moments_it_states(law):
    at = np.exp(stated(law[0], U)) * STEP
    np.testing.assert_allclose([at.sum(), at @ U, at @ U**2], [1.0, 0.0, 1.0], atol=1e-9)
    np.testing.assert_allclose([at @ U**3, at @ U**4 - 3.0], [law[0].skewness, law[0].excess_kurtosis], atol=1e-7)


def test_the_reach_leaves_nothing_out(law):
    law, density = law
    assert density(np.array([-law.reach, law.reach])).max() < 1.1e-15 * density(U).max() / min(law.step, 1.0)
    half = U[np.abs(U) <= law.reach]
    np.testing.assert_allclose(density(half).sum() * STEP, 1.0, atol=1e-12)


def test_a_trapezoidal_rule_with_its_step_has_the_law_exactly(law):
    law, density = law
    points = np.arange(-law.reach, law.reach, law.step) + 0.3 * law.step
    np.testing.assert_allclose(density(points).sum() * law.step, 1.0, atol=1e-7)


def test_draws_have_the_law_of_the_density(law):
    law, density = law
    draws = np.asarray(law.sample(jax.random.key(0), (5, 1, 20_000), jnp.float64))
    assert draws.shape == (5, 1, 20_000)
    below = np.cumsum(density(U)) * STEP
    assert scipy.stats.kstest(draws.ravel(), lambda x: np.interp(x, U, below)).pvalue > 1e-3


@pytest.mark.parametrize("name", ["mixture", "narrow"])
def test_the_substitute_for_a_hessian_touches_the_log_density_from_below(name):
    law = LAWS[name][0]
    for at in (-2.0, -0.4, 0.0, 0.8, 3.0):
        u = jnp.array([[at]])
        parabola = law.log_density(u) - law.negative_gradient(u)[0] * (U - at) - 0.5 * law.positive_hessian(u)[0][0] * (U - at) ** 2
        assert (np.asarray(law.log_density(U[None]) - parabola) > -1e-9).all()


@pytest.mark.parametrize("name", ["mixture", "narrow", "custom"])
def test_the_rule_integrates_the_law_to_one(name):
    """A cluster that tells nothing: its nodes are those around 0 at scale 1."""
    law = LAWS[name][0]
    rule = wide_trapezoid(159, 1, law)
    total = np.exp(rule.log_weights + np.asarray(law.log_density(rule.nodes.T))).sum()
    np.testing.assert_allclose(total, 1.0, atol=1e-4 if name == "narrow" else 1e-9)


def rule_for(law):
    return Quadrature(159, WIDE_TRAPEZOID) if law.peaks else Quadrature(159, TRAPEZOID)


@pytest.mark.parametrize("family", ["binomial", *(pytest.param(name, marks=pytest.mark.slow) for name in ("poisson", "gaussian"))])
def test_the_log_likelihood_and_its_gradient_agree_with_dense_integration(family, law):
    law, density = law
    data = rows_of()
    design, params = problem_of(family, data)
    rule = rule_for(law).fixed(1, law)
    at = (jnp.asarray(BETA), jnp.array([[SD]]))
    value, gradient = jax.jit(
        jax.value_and_grad(lambda b, c: log_likelihood_by_rule(params(b, c), design.clusters, design.family, rule, law), (0, 1))
    )(*at)
    exact = lambda beta, sd: np.log(integrals(family, density, data, beta, sd)).sum()  # noqa: E731
    np.testing.assert_allclose(value, exact(BETA, SD), atol=1e-8)
    h = 1e-5
    for k in range(2):
        ahead = np.eye(2)[k] * h
        np.testing.assert_allclose(gradient[0][k], (exact(BETA + ahead, SD) - exact(BETA - ahead, SD)) / (2 * h), atol=1e-6)
    np.testing.assert_allclose(gradient[1][0, 0], (exact(BETA, SD + h) - exact(BETA, SD - h)) / (2 * h), atol=1e-6)


def test_a_rule_around_one_mode_misses_the_other_peak():
    """Why such a law has a rule of its own: nodes around one peak reach another one only where that is near."""
    law, density = LAWS["narrow"]
    data = rows_of()
    design, params = problem_of("binomial", data)
    exact = np.log(integrals("binomial", density, data)).sum()

    def error(quadrature):
        at = params(jnp.asarray(BETA), jnp.array([[SD]]))
        return abs(float(log_likelihood_by_rule(at, design.clusters, design.family, quadrature.fixed(1, law), law)) - exact)

    assert error(Quadrature(11)) > 0.01
    assert error(Quadrature(159, WIDE_TRAPEZOID)) < 1e-8


@pytest.mark.slow
def test_the_gradient_of_a_fit_is_that_of_the_public_function():
    """Block by block with a padded rule, and its derivative, the Hessian."""
    law = LAWS["custom"][0]
    design, params = problem_of("binomial")
    buckets, rule = design.clusters.buckets, padded_wide(63, 1, law)

    def blockwise(beta, chol):
        return value_and_gradient(params(beta, chol), buckets, design.family, rule, start_modes(buckets, 1), prior=law).gradient[:2]

    def whole(beta, chol):
        return log_likelihood_by_rule(params(beta, chol), design.clusters, design.family, wide_trapezoid(63, 1, law), law)

    at = (jnp.asarray(BETA), jnp.array([[SD]]))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)  # noqa: E731
    jax.tree.map(close, jax.jit(blockwise)(*at), jax.jit(jax.grad(whole, (0, 1)))(*at))
    jax.tree.map(close, jax.jit(jax.jacfwd(blockwise, (0, 1)))(*at), jax.jit(jax.hessian(whole, (0, 1)))(*at))


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_moments_of_random_effects_agree_with_dense_integration(family, law):
    law, density = law
    data = rows_of()
    design, params = problem_of(family, data)
    rule = moment_rule(31, 1, law)
    given = conditional(params(jnp.asarray(BETA), jnp.array([[SD]])), design.clusters, design.family, rule, prior=law)
    total, first, second = (integrals(family, density, data, power=power) for power in range(3))
    np.testing.assert_allclose(conditional_means(given, rule)[0], first / total, atol=1e-6)
    np.testing.assert_allclose(conditional_covariances(given, rule)[0, 0], second / total - (first / total) ** 2, atol=1e-6)


@pytest.mark.parametrize("start", [-3.0, 0.0, 3.0])
def test_modes_are_the_highest_of_several_wherever_the_search_begins(start):
    law, density = LAWS["narrow"]
    data = rows_of()
    design, params = problem_of("binomial", data)
    exact = []
    for _, rows in data.groupby("id"):
        eta = BETA[0] + BETA[1] * rows["x"].to_numpy()[:, None] + SD * U
        exact.append(U[(log_terms("binomial", rows, eta).sum(0) + np.log(np.maximum(density(U), 1e-300))).argmax()])
    found = []
    for bucket in design.clusters.buckets:
        for block in range(bucket.cluster_weight.shape[0]):
            one = jax.tree.map(lambda leaf, block=block: leaf[block], bucket)
            f = integrand(params(jnp.asarray(BETA), jnp.array([[SD]])), one, design.family, law)
            mode = posterior(f, jnp.full((1, one.cluster_weight.shape[-1]), start)).mode[0]
            found.append(np.asarray(mode)[np.asarray(one.cluster_weight) > 0])
    np.testing.assert_allclose(np.sort(np.concatenate(found)), np.sort(exact), atol=STEP)


@pytest.mark.parametrize("sd", [0.4, 1.3, 6.0])
def test_population_means_agree_with_dense_integration(sd, law):
    law, density = law
    columns = np.stack([np.ones(5), 4.0 * np.random.default_rng(2).normal(size=5)])
    family, beta, chol = gj.families.Binomial(), jnp.asarray(BETA), jnp.array([[sd]])
    rows = ModelRows((jnp.asarray(columns),), (jnp.asarray(columns[:1]),), jnp.zeros((1, 5)))
    exact = (scipy.special.expit((BETA @ columns)[:, None] + sd * U) * density(U)).sum(1) * STEP
    np.testing.assert_allclose(population_mean(gj.Params(beta, chol), rows, family, law), exact, atol=1e-8)
    mean = lambda eta: family.mean(eta[0], jnp.zeros((0, 5)))  # noqa: E731
    np.testing.assert_allclose(population_average(mean, gj.Params(beta, chol), rows, law), exact, atol=1e-8 if sd < 2 else 1e-5)


def test_population_means_by_a_logarithm_are_moment_generating_functions():
    """E exp(sd u): of a mixture in closed form."""
    law, rows = LAWS["mixture"][0], ModelRows((jnp.ones((1, 1)),), (jnp.ones((1, 1)),), jnp.zeros((1, 1)))
    for sd in (0.5, 2.0):
        parts = zip(law.weights, law.standard_means, law.standard_sds, strict=True)
        exact = sum(w * math.exp(sd * m + 0.5 * (sd * s) ** 2) for w, m, s in parts)
        found = population_mean(gj.Params(jnp.zeros(1), jnp.array([[sd]])), rows, gj.families.Poisson(), law)
        np.testing.assert_allclose(found, exact, rtol=1e-10)


def test_the_free_number_of_a_law_that_is_not_symmetric_never_turns_it_round():
    structure = Deviation()
    np.testing.assert_array_equal(structure.factor(jnp.array([-0.7])), [[0.7]])
    for free in (-0.7, 0.7):
        automatic = jax.grad(lambda free: 2.0 * structure.factor(free).sum())(jnp.array([free]))
        np.testing.assert_array_equal(structure.pull_back(jnp.array([free]), jnp.array([[2.0]])), automatic)


def test_components_may_be_given_on_any_scale():
    shifted = gj.NormalMixtureEffects((0.7, 0.3), (10.0, 18.0), (2.0, 1.0))
    np.testing.assert_allclose(shifted.standard_means, LAWS["mixture"][0].standard_means, rtol=1e-12)
    np.testing.assert_allclose(shifted.standard_sds, LAWS["mixture"][0].standard_sds, rtol=1e-12)


def test_a_custom_law_is_equal_by_its_function():
    assert gj.CustomEffects(gumbel, name="Gumbel") == LAWS["custom"][0]
    assert hash(gj.CustomEffects(gumbel, name="Gumbel")) == hash(LAWS["custom"][0])
    assert gj.CustomEffects(lambda u: gumbel(u), name="Gumbel") != LAWS["custom"][0]


def test_the_program_store_tells_custom_laws_apart_by_their_code():
    narrow, wide = (gj.CustomEffects(lambda u, s=s: -0.5 * (u / s) ** 4, name="a") for s in (1.0, 2.0))
    again = gj.CustomEffects(lambda u, s=2.0: -0.5 * (u / s) ** 4, name="a")
    assert token(narrow) != token(wide)
    assert token(wide) == token(again)

    class Opaque:
        def __call__(self, u):
            return -u * u

    with pytest.raises(NotStorable):
        token(gj.CustomEffects(Opaque()))


@pytest.mark.parametrize(
    ("log_density", "ends", "exact"),
    [
        (lambda u: -0.5 * ((u - 1000.0) / 0.01) ** 2, None, scipy.stats.norm(1000.0, 0.01)),
        (lambda u: -u - 2.0 * jnp.logaddexp(0.0, -u), None, scipy.stats.logistic()),
        (lambda u: -0.5 * ((u - 1e6) / 3.0) ** 2, (1e6 - 100.0, 1e6 + 100.0), scipy.stats.norm(1e6, 3.0)),
        (lambda u: -(u**4), None, scipy.stats.gennorm(4)),
    ],
)
def test_constant_mean_and_variance_of_a_custom_law_are_those_of_scipy(log_density, ends, exact):
    law = gj.CustomEffects(log_density, ends=ends)
    np.testing.assert_allclose([law.numbers.mean, law.numbers.sd], [exact.mean(), exact.std()], rtol=1e-9, atol=1e-9)
    u = np.linspace(-2.0, 2.0, 9)
    np.testing.assert_allclose(np.exp(stated(law, u)), standardised(exact)(u), rtol=1e-7)


@pytest.mark.parametrize(
    ("log_density", "text"),
    [
        (lambda u: u, "has not fallen to nothing at 30,000 on both sides of 0: it is not integrable"),
        (lambda u: 0.0 * u, "has not fallen to nothing"),
        (lambda u: -2.0 * jnp.log1p(u * u / 3.0), "for heavy tails take StudentTEffects"),
        (lambda u: -4.0 * jnp.log1p(u * u / 7.0), "standard deviations from its mean, and at most 40 are"),
        (lambda u: jnp.where(jnp.abs(u) < 1.0, 0.0, -jnp.inf), "has a jump at u = -1"),
        (lambda u: jnp.where(u > 0.0, -u * u, -u * u - 1.0), "has a jump at u = "),
        (lambda u: jnp.where(jnp.abs(u) < 1.0, 3.0 * jnp.log(1.0 - jnp.minimum(u * u, 0.9999999)), -jnp.inf), "It must be finite"),
        (lambda u: jnp.log(u), "gives nan at u = "),
        (lambda u: jnp.nan * u, "gives nan at u = "),
        (lambda u: jnp.where(u == 0.0, jnp.inf, -u * u), "gives inf at u = 0"),
        (lambda u: jnp.stack([u, u]), r"gives shape \(2,\) and type float64 for one number u"),
        (lambda u: u > 0, "gives .* bool for one number u"),
        (lambda u: -1.0 if u > 0 else u, "cannot be traced by JAX .*jnp.where"),
        (lambda u, v: -u * u, "cannot be traced by JAX"),
        (3.0, r"CustomEffects\(log_density=3.0\) must be a function"),
    ],
)
def test_functions_that_are_no_law_are_refused(log_density, text):
    with pytest.raises(ArgumentError, match=text):
        gj.CustomEffects(log_density)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": 3}, r"CustomEffects\(name=3\) must be a text"),
        ({"name": " "}, "must be a text"),
        ({"ends": (1.0, -1.0)}, r"ends=\(1.0, -1.0\)\) must be two numbers \(low, high\)"),
        ({"ends": (0.0, math.inf)}, "must be two numbers"),
        ({"ends": "ab"}, "must be two numbers"),
        ({"ends": (-1.0, 1.0)}, r"has not fallen to nothing at ends=\(-1.0, 1.0\)"),
    ],
)
def test_other_arguments_of_a_custom_law_are_refused(arguments, text):
    with pytest.raises(ArgumentError, match=text):
        gj.CustomEffects(gumbel, **arguments)


@pytest.mark.parametrize("shape", [31.0, float("nan"), float("inf"), "4", None, True, 1j])
def test_shapes_without_a_law_are_refused(shape):
    with pytest.raises(ArgumentError, match=r"SkewNormalEffects\(shape=.*\) must be a number from -30 to 30"):
        gj.SkewNormalEffects(shape)


@pytest.mark.parametrize(
    ("weights", "means", "sds", "text"),
    [
        ((0.5, 0.4), (0, 1), (1, 1), "must be above 0 with the sum 1, and theirs is 0.9"),
        ((1.5, -0.5), (0, 1), (1, 1), "must be above 0 with the sum 1"),
        ((1.0, 0.0), (0, 1), (1, 1), "leave a component of weight 0 out"),
        ((0.5, 0.5), (0, 1), (1, 0), r"sds=\(1, 0\)\) must be standard deviations above 0"),
        ((0.5, 0.5), (0, 1), (1, -1), "must be standard deviations above 0"),
        ((0.5, 0.5), (0, 1, 2), (1, 1), "has 2 weights, 3 means and 2 sds; give one of each"),
        ((0.5, 0.5), (0, float("nan")), (1, 1), r"means=\(0, nan\)\) must be a sequence of finite numbers"),
        ("ab", (0, 1), (1, 1), "weights='ab'.* must be a sequence of finite numbers"),
        ((), (), (), "must be a sequence of finite numbers"),
        (0.5, 0.0, 1.0, "must be a sequence of finite numbers"),
        ((0.5, 0.5), (-1, 1), (0.01, 1e-3), "the narrowest component has 0.001 times the standard deviation of the mixture"),
    ],
)
def test_components_without_a_law_are_refused(weights, means, sds, text):
    with pytest.raises(ArgumentError, match=text):
        gj.NormalMixtureEffects(weights, means, sds)


def test_numbers_may_be_arrays_and_lists():
    law = gj.NormalMixtureEffects(np.array([0.7, 0.3]), [0, 4], np.array([1.0, 0.5], np.float32))
    assert law == LAWS["mixture"][0]
    whole: Any = np.int64(4)
    assert gj.SkewNormalEffects(whole) == LAWS["skew-normal"][0]
