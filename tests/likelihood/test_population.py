"""Averages over N(0, D): against closed forms, scipy's adaptive integration, Monte Carlo and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import integrate, stats
from scipy.special import expit

from glmmjax import families
from glmmjax.likelihood.model_rows import ModelRows
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.population import population_average, population_mean, population_probabilities

pytestmark = pytest.mark.usefixtures("compile_quickly")

mean_of = jax.jit(population_mean, static_argnums=2)
N = 6
RNG = np.random.default_rng(7)
X = np.vstack([np.ones(N), np.linspace(-2.0, 2.0, N)])
Z = np.vstack([np.ones(N), RNG.normal(size=N)])
OFFSET = RNG.normal(size=N)


@pytest.fixture(autouse=True)
def in_double_precision():
    with jax.enable_x64(True):
        yield


def rows_of(n_effects=1, n_predictors=1):
    """``n_effects`` random effects in every predictor; the offset belongs to the first."""
    offset = jnp.vstack([OFFSET, jnp.zeros((n_predictors - 1, N))])
    return jax.tree.map(jnp.asarray, ModelRows((X,) * n_predictors, (Z[:n_effects],) * n_predictors, offset))


def params_of(chol, **others):
    return Params(jnp.array([-0.4, 0.7]), jnp.asarray(chol, float), **{name: jnp.asarray(value, float) for name, value in others.items()})


CHOL = np.array([[0.8, 0.0], [-0.5, 1.1]])
ETA = np.array([-0.4, 0.7]) @ X + OFFSET
VARIANCE = ((CHOL.T @ Z) ** 2).sum(0)


@pytest.mark.parametrize("sd", [0.0, 0.3, 2.0, 8.0])
def test_a_logistic_mean_agrees_with_adaptive_integration(sd):
    found = mean_of(params_of([[sd]]), rows_of(), families.Binomial())
    exact = [integrate.quad(lambda z, e=e: expit(e + sd * z) * stats.norm.pdf(z), -12, 12, epsabs=1e-13, limit=400)[0] for e in ETA]
    np.testing.assert_allclose(found, exact, rtol=1e-11)


@pytest.mark.parametrize(
    ("family", "exact"),
    [
        (families.Poisson(), np.exp(ETA + 0.5 * VARIANCE)),
        (families.Binomial("probit"), stats.norm.cdf(ETA / np.sqrt(1.0 + VARIANCE))),
        (families.Gaussian(), ETA),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_means_with_closed_forms(family, exact):
    phi = [0.0] * len(family.phi_names)
    np.testing.assert_allclose(mean_of(params_of(CHOL, phi=phi), rows_of(2), family), exact, rtol=1e-11)


def test_random_effects_in_both_parts():
    """The exponential tilts the normal distribution, which leaves an integral in one dimension."""
    gamma, (covariance, zero_variance) = np.array([0.5, -0.3]), (CHOL @ CHOL.T)[1]
    params = params_of(CHOL, gamma=gamma)
    found = mean_of(params, rows_of(1, 2), families.ZeroInflatedPoisson())
    shifted, sd = gamma @ X + covariance, np.sqrt(zero_variance)
    exact = [
        np.exp(eta + 0.5 * CHOL[0, 0] ** 2)
        * integrate.quad(lambda z, s=s: expit(-s - sd * z) * stats.norm.pdf(z), -12, 12, epsabs=1e-13)[0]
        for eta, s in zip(ETA, shifted, strict=True)
    ]
    np.testing.assert_allclose(found, exact, rtol=1e-10)


def test_probabilities_of_levels():
    """Under a probit link the latent scale has the variance 1 + z'Dz, and the thresholds stay."""
    family, phi = families.Cumulative("probit", n_levels=4), np.array([-1.0, 0.2, -0.5])
    found = jax.jit(population_probabilities, static_argnums=2)(params_of(CHOL, phi=phi), rows_of(2), family)
    thresholds = np.cumsum([phi[0], *np.exp(phi[1:])])
    below = stats.norm.cdf((thresholds[:, None] - ETA) / np.sqrt(1.0 + VARIANCE))
    np.testing.assert_allclose(found, np.diff(np.vstack([np.zeros(N), below, np.ones(N)]), axis=0), atol=1e-12)
    np.testing.assert_allclose(found.sum(0), 1.0, atol=1e-14)


def test_a_million_draws():
    """Within the Monte Carlo error of a million draws."""
    b = RNG.normal(size=(1_000_000, 2)) @ CHOL.T
    found = mean_of(params_of(CHOL), rows_of(2), families.Binomial("cloglog"))
    for mean, eta, z in zip(found, ETA, Z.T, strict=True):
        draws = -np.expm1(-np.exp(eta + b @ z))
        assert abs(mean - draws.mean()) < 4.5 * draws.std() / 1000.0


@jax.jit
def total(params):
    return (population_mean(params, rows_of(1, 2), families.HurdleLognormal()) * jnp.arange(1.0, N + 1)).sum()


reverse, forward = jax.jit(jax.grad(total)), jax.jit(jax.jacfwd(total))


@pytest.mark.parametrize("chol", [CHOL, [[0.8, 0.0], [1.6, 0.0]], np.zeros((2, 2))], ids=["regular", "singular", "zero"])
def test_derivatives_are_those_of_finite_differences(chol):
    params, step = params_of(chol, phi=[-0.3], gamma=[0.5, -0.3]), 1e-5
    numbers, back = ravel_pytree(params)
    central = [(total(back(numbers + d)) - total(back(numbers - d))) / (2 * step) for d in step * np.eye(len(numbers))]
    for found in (reverse(params), forward(params)):
        np.testing.assert_allclose(ravel_pytree(found)[0], central, rtol=1e-6, atol=1e-6)


def test_second_derivatives():
    """In closed form for a log link and one random effect with sd s: the second derivative of exp(s^2/2) in s."""

    def mean(s):
        return population_mean(Params(jnp.zeros(2), s[None, None]), rows_of()._replace(offset=jnp.zeros((1, N))), families.Poisson())[0]

    s = 0.7
    np.testing.assert_allclose(jax.jit(jax.jacfwd(jax.grad(mean)))(jnp.asarray(s)), (1 + s * s) * np.exp(0.5 * s * s), rtol=1e-9)


def test_any_function_can_be_averaged():
    params, rows = params_of(CHOL), rows_of(2)
    found = population_average(lambda eta: {"mean": jnp.exp(eta[0]), "square": eta[0] ** 2}, params, rows)
    np.testing.assert_allclose(found["mean"], np.exp(ETA + 0.5 * VARIANCE), rtol=1e-11)
    np.testing.assert_allclose(found["square"], ETA**2 + VARIANCE, rtol=1e-11)


def test_many_parameters_at_once_and_the_type_of_the_input():
    family, rows = families.Binomial(), rows_of(2)
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), params_of(CHOL))
    found = jax.jit(jax.vmap(lambda params: population_mean(params, rows, family)))(several)
    np.testing.assert_allclose(found[1], mean_of(jax.tree.map(lambda leaf: 0.5 * leaf, params_of(CHOL)), rows, family), rtol=1e-10)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (params_of(CHOL), rows))
    assert jax.eval_shape(lambda params, rows: population_mean(params, rows, family), *single).dtype == jnp.float32


def test_parameters_that_are_no_numbers_give_none():
    assert np.isnan(mean_of(params_of([[np.nan]]), rows_of(), families.Binomial())).all()
