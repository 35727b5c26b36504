"""Derivatives in outcomes: against closed forms, against differences of the likelihood, and 0 where an outcome is discrete."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.families import FAMILIES, Gamma, Tweedie, Weibull, WithDispersion
from glmmjax.families.live_outcomes import continuous_columns

pytestmark = pytest.mark.usefixtures("compile_quickly")

M, W = 6, 4
STEP = 1e-3
STENCIL = np.array([-2.0, -1.0, 1.0, 2.0])
WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12.0  # of a first derivative, exact for polynomials of degree 4
PHI = {"student_t": (-0.3,), "gamma": (0.8,), "beta": (1.9,), "tweedie": (0.1, 0.3), "ordered_beta": (1.9, -2.0, 1.4)}
CONTINUOUS = sorted(name for name, family in FAMILIES.items() if not family.is_discrete)
QUICK = ("gamma",)
EACH = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CONTINUOUS]


@pytest.fixture(autouse=True)
def _in_float64():
    with jax.enable_x64(True):
        yield


@functools.cache
def rows():
    rng = np.random.default_rng(4)
    return pd.DataFrame({"g": np.repeat(np.arange(M), W), "x": rng.normal(size=M * W), "h": rng.integers(0, 3, M * W)})


@functools.cache
def drawn(name):
    """A design, parameters, and the outcome as a tuple of columns."""
    family = FAMILIES[name]()
    data = rows()
    eta = jnp.asarray(0.3 + 0.4 * data["x"].to_numpy() + 0.6 * np.random.default_rng(7).normal(size=M)[data["g"]])
    zero = (jnp.full(M * W, -0.7),) if family.has_zero_part else ()
    phi = jnp.asarray(PHI.get(name, (-0.4,) * len(family.phi_names)), float)
    template = jnp.zeros(M * W) if 1 in family.outcome_columns else (jnp.zeros(M * W),) * 2
    found = family.sample(jax.random.key(3), template, eta, phi, *zero)
    y = [np.asarray(column) for column in jax.tree.leaves(found)]
    if family.is_censored:
        status = np.arange(M * W) % (2 if len(family.outcome_columns) == 2 and 1 in family.outcome_columns else 4)
        y = [y[0], status.astype(float), y[0] + 0.7][: max(family.outcome_columns)]
    names = ["y", "status", "upper"][: len(y)]
    outcome = names[0] if len(names) == 1 else f"cbind({', '.join(names)})"
    data = data.assign(**dict(zip(names, y, strict=True)))
    zi_fixed = "~ 1" if family.has_zero_part else None
    design = gj.make_design(f"{outcome} ~ x", "~ x | g", data=data, family=family, zi_fixed=zi_fixed)
    gamma = jnp.full(1, -0.7) if family.has_zero_part else jnp.zeros(0)
    return design, gj.Params(jnp.array([0.2, 0.5]), jnp.array([[0.7, 0.0], [0.2, 0.4]]), phi, gamma), tuple(map(jnp.asarray, y))


def value_of(name, n_agq):
    design, params, columns = drawn(name)

    def value(first):
        y = (first, *columns[1:])
        return gj.log_likelihood(params, design.with_outcome(y if len(y) > 1 else first), design.family, n_agq)

    return value, columns


def differences(value, y):
    """(n,) derivatives by differences whose steps keep an outcome inside its support; 0 at an outcome of positive probability."""
    scale = STEP * np.minimum(1.0, np.minimum(np.abs(y), 1.0 - y if y.max() <= 1.0 else np.inf))
    moved = np.asarray(y) + STENCIL[:, None, None] * np.diag(scale)
    found = WEIGHTS @ np.asarray(jax.jit(jax.vmap(jax.vmap(value)))(jnp.asarray(moved)))
    return np.where(scale > 0, found / np.where(scale > 0, scale, 1.0), 0.0)


@pytest.mark.parametrize("n_agq", [1, 5])
@pytest.mark.parametrize("name", EACH)
def test_the_derivative_in_outcomes_is_that_of_differences(name, n_agq):
    value, (y, *_) = value_of(name, n_agq)
    reverse = jax.jit(jax.grad(value))(y)
    expected = differences(value, np.asarray(y))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(reverse, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_allclose(jax.jit(jax.jvp, static_argnums=0)(value, (y,), (jnp.cos(y),))[1], reverse @ jnp.cos(y), rtol=1e-11)


def gaussian_case():
    data = rows()
    design = gj.make_design("y ~ x", "~ x | g", data=data.assign(y=np.random.default_rng(2).normal(size=M * W)), family="gaussian")
    chol = jnp.array([[0.7, 0.0], [0.2, 0.4]])
    phi, x, g = jnp.array([-0.3]), jnp.asarray(data["x"].to_numpy()), data["g"].to_numpy()

    def value(y, beta):
        return gj.log_likelihood(gj.Params(beta, chol, phi), design.with_outcome(y), "gaussian", 1)

    def exact(y, beta):
        total = jnp.zeros(())
        for i in range(M):
            z = jnp.stack([jnp.ones(W), x[g == i]], axis=1)
            v = z @ chol @ chol.T @ z.T + jnp.exp(2 * phi[0]) * jnp.eye(W)
            total += jax.scipy.stats.multivariate_normal.logpdf(y[g == i], z @ beta, v)
        return total

    return value, exact, jnp.asarray(np.random.default_rng(2).normal(size=M * W)), jnp.array([0.1, 0.4])


ORDERS = {
    "in y": lambda f: jax.grad(f),
    "twice in y": lambda f: jax.hessian(f),
    "in beta, then y": lambda f: jax.jacfwd(jax.grad(f, 1), 0),
    "in y, then beta": lambda f: jax.jacfwd(jax.grad(f, 0), 1),
    "forward in beta, then reverse in y": lambda f: jax.jacrev(jax.jacfwd(f, 1), 0),
    "in beta alone": lambda f: jax.hessian(f, 1),
    "through a checkpoint": lambda f: jax.jacfwd(jax.grad(jax.checkpoint(f), 1), 0),
    "through a scan": lambda f: jax.grad(lambda y, b: jax.lax.scan(lambda s, t: (s + f(t * y, b), None), 0.0, jnp.array([1.0, 1.3]))[0]),
    "in a batch": lambda f: lambda y, b: jax.vmap(jax.grad(f), (0, None))(jnp.stack([y, 2.0 * y]), b),
}


@pytest.mark.parametrize("order", [pytest.param(o, marks=() if o == "in beta, then y" else pytest.mark.slow) for o in ORDERS])
def test_derivatives_of_every_order_are_those_of_the_normal_density(order):
    """An outer derivative in outcomes reaches what an inner one in parameters made, and the other way round."""
    value, exact, y, beta = gaussian_case()
    of = ORDERS[order]
    np.testing.assert_allclose(jax.jit(of(value))(y, beta), of(exact)(y, beta), rtol=1e-10, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("random", ["~ 1 | g/h", "(1 | g) + (1 | h)"])
def test_levels_and_crossed_factors_too(random):
    data = rows()
    y = jnp.asarray(np.random.default_rng(5).gamma(2.0, 1.0, M * W))
    design = gj.make_design("y ~ x", random, data=data.assign(y=np.asarray(y)), family="gamma")
    params = gj.Params(jnp.array([0.2, 0.5]), jnp.diag(jnp.array([0.7, 0.4])), jnp.array([0.8]))
    value = lambda y: gj.log_likelihood(params, design.with_outcome(y), "gamma", 1)  # noqa: E731
    np.testing.assert_allclose(jax.jit(jax.grad(value))(y), differences(value, np.asarray(y)), rtol=1e-7, atol=1e-8)


def test_clusters_the_loss_and_a_dispersion_formula():
    """The score of each cluster in its own outcomes adds up to that of all, whichever function gives it."""
    data = rows()
    y = jnp.asarray(np.random.default_rng(5).gamma(2.0, 1.0, M * W))
    design = gj.make_design("y ~ x", "~ 1 | g", data=data.assign(y=np.asarray(y)), family="gamma", dispersion="~ x")
    family = WithDispersion(Gamma())
    params = gj.Params(jnp.array([0.2, 0.5]), jnp.array([[0.7]]), jnp.zeros(0), jnp.zeros(0), jnp.array([0.8, 0.1]))
    of_all = jax.grad(lambda y: gj.log_likelihood(params, design.with_outcome(y), family, 3))(y)
    by_cluster = jax.jacfwd(lambda y: gj.cluster_log_likelihoods(params, design.with_outcome(y), family, 3))(y)
    np.testing.assert_allclose(by_cluster.sum(0), of_all, rtol=1e-11)
    own = np.asarray(data["g"])[None] == np.arange(M)[:, None]
    assert np.all((by_cluster != 0) == own)
    value = lambda y: gj.log_likelihood(params, design.with_outcome(y), family, 3)  # noqa: E731
    np.testing.assert_allclose(of_all, differences(value, np.asarray(y)), rtol=1e-8, atol=1e-8)


def test_discrete_outcomes_are_held_fixed():
    data = rows()
    y = jnp.asarray(np.random.default_rng(5).poisson(1.5, M * W).astype(float))
    design = gj.make_design("y ~ x", "~ 1 | g", data=data.assign(y=np.asarray(y)), family="poisson")
    params = gj.Params(jnp.array([0.2, 0.5]), jnp.array([[0.7]]))
    slope = jax.grad(lambda y: gj.log_likelihood(params, design.with_outcome(y), "poisson"))(y)
    np.testing.assert_array_equal(slope, 0.0)


def test_the_status_of_a_censored_outcome_is_held_fixed():
    design, params, (y, status) = drawn("weibull")
    assert set(np.asarray(status)) == {0.0, 1.0}
    value = lambda status: gj.log_likelihood(params, design.with_outcome((y, status)), Weibull(), 1)  # noqa: E731
    np.testing.assert_array_equal(jax.grad(value)(status), 0.0)


def test_which_columns_are_continuous():
    assert continuous_columns(Tweedie(), 1) == (0,)
    assert continuous_columns(Weibull(), 2) == (0,)
    assert continuous_columns(FAMILIES["censored_normal"](), 3) == (0, 2)
    assert continuous_columns(FAMILIES["beta_binomial"](), 2) == ()
