"""The log posterior density of the parameters: against scipy's densities, integrated to one, at its maximum, and sampled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.likelihood.covariance import CompoundSymmetry, diagonal, unstructured
from glmmjax.likelihood.parameter_priors import log_prior

pytestmark = pytest.mark.usefixtures("compile_quickly")

PRIORS = gj.Priors(beta=(0.0, 2.5), sd=(2.5, 3.0), correlation=2.0)


@pytest.fixture(scope="module")
def intro():
    with jax.enable_x64(True):
        return gj.make_design("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")


@pytest.fixture(scope="module")
def two_effects():
    with jax.enable_x64(True):
        return gj.make_design("y ~ time", random="~ time | id", data=gj.datasets.load_intro_binomial(), family="binomial")


def log_half_t(sd, scale, df):
    return scipy.stats.t.logpdf(sd / scale, df) - np.log(scale) + np.log(2.0)


def log_prior_of(chol, priors, structure):
    with jax.enable_x64(True):
        return float(log_prior(gj.Params(jnp.zeros(1), jnp.asarray(chol)), priors, structure))


def test_it_is_the_likelihood_and_the_densities_of_scipy(intro):
    """One random effect: the factor is the signed standard deviation, so that its density is half the half-t."""
    beta, priors = np.array([-2.6, -1.3, 0.28, 0.04]), gj.Priors(beta=(np.arange(4.0), [1.0, 2.0, 3.0, 4.0]), sd=(2.5, 3.0))
    for sd in (2.0, -2.0):
        with jax.enable_x64(True):
            params = gj.Params(jnp.asarray(beta), jnp.array([[sd]]))
            found = float(gj.log_density(params, intro.clusters, "binomial", priors))
            likelihood = float(gj.log_likelihood(params, intro.clusters, "binomial"))
        expected = scipy.stats.norm.logpdf(beta, np.arange(4.0), np.arange(1.0, 5.0)).sum() + log_half_t(2.0, 2.5, 3.0) - np.log(2.0)
        assert found - likelihood == pytest.approx(expected, abs=1e-9)


def test_every_parameter_has_its_density():
    """A family with an extra parameter and a zero part."""
    data = gj.datasets.load_epil()
    with jax.enable_x64(True):
        design = gj.make_design("y ~ trt", random="~ 1 | subject", data=data, family="zero_inflated_negative_binomial", zi_fixed="~ 1")
        params = gj.Params(jnp.array([1.0, 0.1]), jnp.array([[0.5]]), jnp.array([0.3]), jnp.array([-2.0]))
        priors = gj.Priors(phi=(0.5, 2.0), gamma=(-1.0, 1.5))
        found = gj.log_density(params, design.clusters, design.family, priors)
        likelihood = gj.log_likelihood(params, design.clusters, design.family)
        by_hand = gj.log_density(params, design.clusters, design.family, lambda p: -0.5 * (p.phi**2).sum())
    expected = scipy.stats.norm.logpdf(0.3, 0.5, 2.0) + scipy.stats.norm.logpdf(-2.0, -1.0, 1.5)
    assert float(found - likelihood) == pytest.approx(expected, abs=1e-9)
    assert float(by_hand - likelihood) == pytest.approx(-0.5 * 0.3**2, abs=1e-9)


@pytest.mark.parametrize("shape", [0.7, 1.0, 3.0])
def test_two_effects_have_the_density_of_deviations_and_correlation(shape):
    """det of the Jacobian of (L11, L21, L22) -> (sd, sd, r) by differences; r = 2 b - 1 with b of a symmetric beta law."""
    chol, scale, df = np.array([[1.3, 0.0], [-0.6, 0.8]]), np.array([2.0, 0.7]), 4.0

    def summary(free):
        a, b, c = free
        length = np.hypot(b, c)
        return np.array([a, length, b / length])

    free, h = chol[[0, 1, 1], [0, 0, 1]], 1e-6
    slopes = np.stack([(summary(free + h * e) - summary(free - h * e)) / (2 * h) for e in np.eye(3)], axis=1)
    one, two, r = summary(free)
    of_r = scipy.stats.beta.logpdf((r + 1.0) / 2.0, shape, shape) - np.log(2.0)
    expected = log_half_t(np.array([one, two]), scale, df).sum() + of_r + np.log(abs(np.linalg.det(slopes))) - 2.0 * np.log(2.0)
    for sign in (1.0, -1.0):
        priors = gj.Priors(sd=(scale, df), correlation=shape)
        assert log_prior_of(chol * [1.0, sign], priors, unstructured(2)) == pytest.approx(expected, abs=1e-7)


def test_three_effects_have_the_lkj_density():
    """By importance sampling from rows of L with uniform directions: it integrates to 1, and has the marginal laws of LKJ matrices."""
    rng, shape, n = np.random.default_rng(1), 1.5, 200_000
    priors = gj.Priors(sd=(1.0, 5.0), correlation=shape)
    chol, proposal = np.tril(rng.normal(size=(n, 3, 3))), np.zeros(n)
    chol *= abs(rng.standard_t(4.0, size=(n, 3, 1))) / np.linalg.norm(chol, axis=2, keepdims=True)
    for i in (1, 2, 3):
        length = np.linalg.norm(chol[:, i - 1], axis=1)
        sphere = 2.0 * np.pi ** (i / 2.0) / scipy.special.gamma(i / 2.0)
        proposal += log_half_t(length, 1.0, 4.0) - np.log(sphere) - (i - 1) * np.log(length)
    with jax.enable_x64(True):
        one = lambda chol: log_prior(gj.Params(jnp.zeros(1), chol), priors, unstructured(3))  # noqa: E731
        weights = np.exp(np.asarray(jax.jit(jax.vmap(one))(chol)) - proposal)
    error = weights.std() / np.sqrt(n)
    assert error < 0.005
    assert weights.mean() == pytest.approx(1.0, abs=4.0 * error)  # it integrates to 1 over all signs
    length = np.linalg.norm(chol, axis=2)
    correlation = np.einsum("nk,nk->n", chol[:, 2], chol[:, 1]) / (length[:, 2] * length[:, 1])
    # each correlation of an LKJ matrix of 3 is 2 b - 1 with b ~ Beta(shape + 1/2, shape + 1/2), whatever its place
    assert np.average(correlation**2, weights=weights) == pytest.approx(1.0 / (2.0 * (shape + 0.5) + 1.0), abs=0.01)
    assert np.average(length[:, 2] < 1.0, weights=weights) == pytest.approx(1.0 - 2.0 * scipy.stats.t.sf(1.0, 5.0), abs=0.01)


def test_independent_effects_have_no_correlation():
    priors = gj.Priors(sd=(2.0, 3.0))
    expected = log_half_t(np.array([1.3, 0.8]), 2.0, 3.0).sum() - 2.0 * np.log(2.0)
    assert log_prior_of([[1.3, 0.0], [0.0, -0.8]], priors, diagonal(2)) == pytest.approx(expected, abs=1e-12)


def test_the_posterior_of_one_parameter_integrates_to_its_moments():
    """One coefficient and no random effects: the posterior mean by quadrature of the density, against the conjugate one."""
    y = np.random.default_rng(2).poisson(3.0, size=20)
    with jax.enable_x64(True):
        design = gj.make_design("y ~ 1", data={"y": y}, family="poisson")
        gamma_prior = lambda p: 2.0 * p.beta[0] - 1.5 * jnp.exp(p.beta[0])  # noqa: E731  # of exp(beta), Gamma(2, 1.5), on the log scale
        value = jax.jit(lambda b: gj.log_density(gj.Params(b[None], jnp.zeros((0, 0))), design.clusters, "poisson", gamma_prior))
        top = float(value(jnp.log(3.0)))
        density = lambda b: float(jnp.exp(value(jnp.asarray(b)) - top))  # noqa: E731
        mass, mean = (scipy.integrate.quad(lambda b, k=k: np.exp(k * b) * density(b), 0.3, 1.9)[0] for k in (0, 1))
    assert mean / mass == pytest.approx((2.0 + y.sum()) / (1.5 + 20.0), rel=1e-8)


@pytest.mark.slow
def test_with_constant_priors_the_maximum_is_that_of_the_fit(two_effects):
    with jax.enable_x64(True):
        params, info = gj.fit_params(two_effects.clusters, "binomial")
        value, slopes = jax.value_and_grad(gj.log_density)(params, two_effects.clusters, gj.families.Binomial(), gj.Priors())
    unread = -0.5 * np.log(2.0 * np.pi)
    assert float(value) == pytest.approx(float(info.log_likelihood) + unread, abs=1e-8)
    for name in ("beta", "chol"):
        np.testing.assert_allclose(getattr(slopes, name), 0.0, atol=1e-4)


def test_it_is_even_in_each_column_and_its_gradient_is_that_of_differences(two_effects):
    family = gj.families.Binomial()
    with jax.enable_x64(True):
        params = gj.Params(jnp.array([-2.0, 0.3]), jnp.array([[1.5, 0.4], [0.1, 0.2]]))
        value = jax.jit(lambda p: gj.log_density(p, two_effects.clusters, family, PRIORS))
        slopes = jax.jit(jax.grad(value))(params)
        turned = value(params._replace(chol=params.chol * jnp.array([-1.0, 1.0])))
        assert float(turned) == pytest.approx(float(value(params)), abs=1e-9)
        h = 1e-5
        for r, c in np.ndindex(2, 2):
            ahead, behind = (value(params._replace(chol=params.chol.at[r, c].add(s * h))) for s in (1, -1))
            assert float(slopes.chol[r, c]) == pytest.approx(float(ahead - behind) / (2 * h), abs=1e-5)
    assert float(slopes.chol[0, 1]) == pytest.approx(-0.4, abs=1e-12)  # not read: a standard normal density of its own


def test_it_is_a_function_of_traced_priors_and_batches_in_single_precision():
    design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
    params = gj.Params(jnp.array([-2.6, -1.3, 0.28, 0.04]), jnp.array([[2.0]]))
    family, scales = gj.families.Binomial(), jnp.array([0.5, 2.5])
    of_scale = lambda s: gj.log_density(params, design.clusters, family, gj.Priors(beta=(0.0, s)))  # noqa: E731
    values = jax.jit(jax.vmap(of_scale))(scales)
    assert values.dtype == jnp.float32
    difference = scipy.stats.norm.logpdf(params.beta, 0.0, 0.5).sum() - scipy.stats.norm.logpdf(params.beta, 0.0, 2.5).sum()
    assert float(values[0] - values[1]) == pytest.approx(difference, abs=1e-3)
    at_zero = jax.grad(lambda p: gj.log_density(p, design.clusters, family, PRIORS._replace(correlation=None)))
    assert np.isfinite(at_zero(params._replace(chol=jnp.zeros((1, 1)))).chol).all()


@pytest.mark.parametrize(
    ("priors", "text"),
    [
        (gj.Priors(beta=2.5), r"priors.beta=2.5 must be None or a pair \(mean, sd\)"),
        (gj.Priors(beta=(0.0, -1.0)), r"priors.beta: sd=-1.0 must be finite and > 0"),
        (gj.Priors(beta=(np.zeros(3), 1.0)), r"priors.beta: mean has shape \(3,\); the model needs one number, or 4"),
        (gj.Priors(phi=(0.0, 1.0)), "priors.phi is given, and the model has no such parameters"),
        (gj.Priors(correlation=2.0), "priors.correlation goes with priors.sd"),
        (3.0, "priors=3.0 must be a gj.Priors, or a function of Params"),
        (lambda: 1.0, "must be a gj.Priors, or a function of Params"),
        (lambda params: params.beta, r"priors\(params\) gave .*; it must give one number"),
    ],
)
def test_priors_that_do_not_fit_are_refused(intro, priors, text):
    params = gj.Params(jnp.zeros(4), jnp.ones((1, 1)))
    with pytest.raises(ArgumentError, match=text):
        gj.log_density(params, intro.clusters, "binomial", priors)


def test_a_structure_without_entries_of_the_factor_is_refused(two_effects):
    with pytest.raises(ArgumentError, match="must be an unstructured or diagonal one of 2 random effects"):
        gj.log_density(gj.Params(jnp.zeros(2), jnp.eye(2)), two_effects.clusters, "binomial", PRIORS, covariance=CompoundSymmetry(2))


def hamiltonian(log_density, start, scales, n, key):
    """(n, P) draws: 10 leapfrog steps a draw, with normal momenta of the precisions ``scales`` gives."""
    slope, step = jax.grad(log_density), 0.25

    def draw(x, key):
        of_momentum, of_choice = jax.random.split(key)
        momentum = jax.random.normal(of_momentum, x.shape)

        def leap(_, moved):
            x, p = moved
            p = p + 0.5 * step * scales * slope(x)
            x = x + step * scales * p
            return x, p + 0.5 * step * scales * slope(x)

        new, p = jax.lax.fori_loop(0, 10, leap, (x, momentum))
        gain = log_density(new) - log_density(x) + 0.5 * (momentum @ momentum - p @ p)
        x = jnp.where(jnp.log(jax.random.uniform(of_choice)) < gain, new, x)
        return x, x

    return jax.lax.scan(draw, start, jax.random.split(key, n))[1]


@pytest.mark.slow
def test_a_short_chain_has_its_mean_near_the_maximum(intro, intro_fit):
    """A sampler of a few lines; the posterior mean of a slope differs from the maximum by less than its standard deviation."""
    fitted = intro_fit.fitted_model
    family, priors = gj.families.Binomial(), gj.Priors(beta=(0.0, 10.0), sd=(5.0, 3.0))
    with jax.enable_x64(True):
        theta = jnp.asarray(fitted.theta)
        scales = np.sqrt(np.diagonal(np.linalg.inv(fitted.information)))
        params = lambda x: gj.Params(x[:4], x[4:].reshape(1, 1))  # noqa: E731
        of_vector = lambda x: gj.log_density(params(x), intro.clusters, family, priors)  # noqa: E731
        chain = jax.jit(lambda key: hamiltonian(of_vector, theta, scales, 600, key))(jax.random.key(3))
    draws = np.asarray(chain)[100:]
    assert np.mean(np.any(np.diff(draws, axis=0) != 0, axis=1)) > 0.5
    np.testing.assert_array_less(abs(draws.mean(0) - np.asarray(theta)), 0.6 * scales)
    np.testing.assert_allclose(draws.std(0), scales, rtol=0.35)


def test_nuts_of_blackjax_moves_all_of_params(intro):
    blackjax = pytest.importorskip("blackjax")
    family, priors = gj.families.Binomial(), gj.Priors(beta=(0.0, 2.5), sd=(2.5, 3.0))
    with jax.enable_x64(True):
        density = lambda params: gj.log_density(params, intro.clusters, family, priors)  # noqa: E731
        start = gj.Params(jnp.array([-2.6, -1.3, 0.28, 0.04]), jnp.array([[2.0]]))
        tuning, drawing = jax.random.split(jax.random.key(0))
        (state, found), _ = blackjax.window_adaptation(blackjax.nuts, density).run(tuning, start, num_steps=200)
        step = blackjax.nuts(density, **found).step
        draws = jax.lax.scan(lambda s, key: (lambda new: (new, new.position))(step(key, s)[0]), state, jax.random.split(drawing, 200))[1]
    assert abs(float(draws.beta[:, 2].mean()) - 0.29) < 0.1
    assert 1.0 < float(jnp.abs(draws.chol[:, 0, 0]).mean()) < 3.5
