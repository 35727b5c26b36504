"""The pure functions with families of every kind: gradients against differences, transformations against plain calls."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import glmmjax as gj
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.xla.compiler_options import platform_in_force, quick_to_compile
from glmmjax.families import Beta, NegativeBinomial, StudentT, ZeroInflatedPoisson
from glmmjax.likelihood.params import Theta

pytestmark = pytest.mark.usefixtures("compile_quickly")

N_CLUSTERS, CLUSTER_SIZE = 30, 5
FAMILIES = [NegativeBinomial(), ZeroInflatedPoisson(), Beta(), StudentT(df=None)]
PHI = {"negative_binomial": (1.0,), "beta": (1.9,), "student_t": (-0.3, 1.2)}
STEP = 1e-3
STENCIL = np.array([-2.0, -1.0, 1.0, 2.0])
WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12.0  # of a first derivative, exact for polynomials of degree 4

# a fit is compiled twice, which takes half a minute of a family with a zero part
FITTED = [pytest.param(f, id=f.name, marks=pytest.mark.slow) for f in FAMILIES]

QUICK = ("negative_binomial", "zero_inflated_poisson")
EACH = [pytest.param(f, id=f.name, marks=() if f.name in QUICK else pytest.mark.slow) for f in FAMILIES]
each_family = pytest.mark.parametrize("family", EACH)


@pytest.fixture(autouse=True)
def _in_float64():
    with jax.enable_x64(True):
        yield


@functools.cache
def design_of(family, seed=1):
    """A random intercept, and one in the zero part too where there is one."""
    rng, n = np.random.default_rng(seed), N_CLUSTERS * CLUSTER_SIZE
    cluster, x = np.repeat(np.arange(N_CLUSTERS), CLUSTER_SIZE), rng.normal(size=n)
    b = rng.normal(size=(2, N_CLUSTERS))[:, cluster]
    zero = (jnp.asarray(-0.5 + 1.2 * b[1]),) if family.has_zero_part else ()
    eta, phi = jnp.asarray(0.8 + 0.4 * x + 0.7 * b[0]), jnp.asarray(PHI.get(family.name, ()))
    y = np.asarray(family.sample(jax.random.key(seed), jnp.zeros(n), eta, phi, *zero))
    zi_random = "~ 1 | id" if family.has_zero_part else None
    return gj.make_design("y ~ x", "~ 1 | id", data={"y": y, "x": x, "id": cluster}, family=family, zi_random=zi_random)


def layout_of(design):
    return Theta(len(design.fixed_names), design.covariance, len(design.family.phi_names), len(design.zi_fixed_names))


def points(family):
    """(2, P) free vectors that the data were not drawn from."""
    layout = layout_of(design_of(family))
    rng = np.random.default_rng(5)
    middle = rng.uniform(0.2, 0.6, layout.size)
    return jnp.asarray(middle + 0.2 * rng.normal(size=(2, layout.size)))


def log_likelihood(design, n_agq):
    layout = layout_of(design)
    return lambda theta: gj.log_likelihood(layout.params(theta), design.clusters, design.family, n_agq)


@each_family
@pytest.mark.parametrize("n_agq", [1, 7])
def test_gradient_in_all_parameters_matches_differences(family, n_agq):
    design, theta = design_of(family), points(family)[0]
    layout = layout_of(design)
    of_params = jax.jit(jax.grad(lambda params: gj.log_likelihood(params, design.clusters, family, n_agq)))
    actual = layout.vector(of_params(layout.params(theta)))
    moved = theta + STEP * STENCIL[:, None, None] * np.eye(layout.size)
    values = jax.jit(jax.vmap(jax.vmap(log_likelihood(design, n_agq))))(moved)
    np.testing.assert_allclose(actual, WEIGHTS @ np.asarray(values) / STEP, rtol=1e-6)


@each_family
def test_jit_and_vmap_give_the_same_numbers(family):
    f = log_likelihood(design_of(family), 7)
    expected = [float(f(theta)) for theta in points(family)]
    np.testing.assert_allclose([jax.jit(f)(theta) for theta in points(family)], expected, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.vmap(f))(points(family)), expected, rtol=1e-12)


@pytest.mark.parametrize("family", FITTED)
def test_a_batch_of_fits_equals_single_fits(family):
    designs = [design_of(family, seed) for seed in (1, 2)]
    fit = lambda clusters: gj.fit_params(clusters, family, n_agq=7, covariance=designs[0].covariance)  # noqa: E731
    compiled = functools.partial(jax.jit, compiler_options=quick_to_compile(platform_in_force()))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[design.clusters for design in designs])
    batch, info = compiled(jax.vmap(fit))(stacked)
    assert np.isin(info.code, [int(Code.CONVERGED), int(Code.CONVERGED_ON_BOUNDARY)]).all(), info.code
    one = compiled(fit)
    for k, design in enumerate(designs):
        single, of_single = one(design.clusters)
        np.testing.assert_allclose(info.log_likelihood[k], of_single.log_likelihood, atol=1e-8)
        for actual, expected in zip(jax.tree.leaves(batch), jax.tree.leaves(single), strict=True):
            np.testing.assert_allclose(actual[k], expected, atol=1e-6)
