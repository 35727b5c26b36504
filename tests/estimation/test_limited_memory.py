"""L-BFGS in the place of the dense update: the same maximum, the same certificate."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.phases.limited_memory import empty_memory, remembered
from glmmjax.options import Options

pytestmark = pytest.mark.usefixtures("compile_quickly")

LIMITED = Options(optimizer="lbfgs")


def many_covariates(p: int, m: int = 60, w: int = 8) -> pd.DataFrame:
    rng = np.random.default_rng(p)
    x, g = rng.normal(size=(m * w, p)), np.repeat(np.arange(m), w)
    eta = x @ (rng.normal(size=p) / np.sqrt(p)) + rng.normal(size=m)[g]
    return pd.DataFrame({**{f"x{k}": x[:, k] for k in range(p)}, "g": g, "y": (rng.uniform(size=m * w) < 1 / (1 + np.exp(-eta))) * 1.0})


def formula(p: int) -> str:
    return "y ~ " + " + ".join(f"x{k}" for k in range(p))


def test_on_a_parabola_it_is_newtons_method():
    """With the exact inverse as metric the first step is Newton's; with another one it comes there by its pairs."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(6, 6))
    hessian, best = root @ root.T + np.eye(6), rng.normal(size=6)
    with jax.enable_x64(True):
        gradient = lambda theta: jnp.asarray(hessian @ (best - theta))  # noqa: E731
        _, step = remembered(empty_memory(6, float), jnp.linalg.inv(jnp.asarray(hessian)), jnp.zeros(6), gradient(jnp.zeros(6)))
        np.testing.assert_allclose(step, best, rtol=1e-10)
        theta, memory, run = jnp.zeros(6), empty_memory(6, float), jax.jit(remembered)
        for _ in range(40):
            slope = gradient(theta)
            memory, step = run(memory, jnp.diag(1.0 / jnp.diagonal(jnp.asarray(hessian))), theta, slope)
            assert slope @ step >= 0
            theta = theta + (slope @ step) / jnp.maximum(step @ hessian @ step, 1e-300) * step
        np.testing.assert_allclose(theta, best, atol=1e-9)


def test_a_pair_without_positive_curvature_is_left_out():
    with jax.enable_x64(True):
        memory, eye = empty_memory(2, float), jnp.eye(2)
        memory, first = remembered(memory, eye, jnp.zeros(2), jnp.array([1.0, 0.5]))
        memory, second = remembered(memory, eye, first, jnp.array([2.0, 3.0]))  # the gradient has grown along the step
    np.testing.assert_allclose(second, [2.0, 3.0])


def test_the_estimates_are_those_of_the_default():
    data = many_covariates(20)
    default, limited = (
        gj.mixed_model(formula(20), random="~ 1 | g", data=data, family="binomial", options=o) for o in (Options(), LIMITED)
    )
    assert limited.convergence.code is default.convergence.code is Code.CONVERGED
    assert limited.convergence.newton_decrement < 1e-6
    np.testing.assert_allclose(limited.fitted_model.theta, default.fitted_model.theta, atol=1e-6)
    np.testing.assert_allclose(limited.bse_fe, default.bse_fe, rtol=1e-5)


@pytest.mark.slow
def test_a_pure_fit_takes_it_too():
    data = many_covariates(5)
    with jax.enable_x64(True):
        design = gj.make_design(formula(5), "~ x0 | g", data=data, family="binomial")
        found = [jax.jit(lambda c, o=o: gj.fit_params(c, "binomial", options=o))(design.clusters) for o in (Options(), LIMITED)]
    assert [int(info.code) for _, info in found] == [0, 0]
    for one, other in zip(*(jax.tree.leaves(params) for params, _ in found), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gaussian", "negative_binomial"])
def test_of_families_with_an_extra_parameter(family):
    data = many_covariates(4)
    data["y"] = np.random.default_rng(1).negative_binomial(2, 0.3, len(data)) if family != "gaussian" else data["x1"] + data["y"]
    default, limited = (gj.mixed_model(formula(4), random="~ 1 | g", data=data, family=family, options=o) for o in (Options(), LIMITED))
    assert limited.converged
    np.testing.assert_allclose(limited.fitted_model.theta, default.fitted_model.theta, atol=1e-6)


def test_the_default_does_not_load_optax():
    code = (
        "import sys, pandas as pd, glmmjax as gj;"
        "d = pd.DataFrame({'y': [0, 1, 1, 0, 1, 0, 1, 1], 'g': [1, 1, 2, 2, 3, 3, 4, 4]});"
        "gj.mixed_model('y ~ 1', random='~ 1 | g', data=d, family='binomial'); print('optax' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False"]
