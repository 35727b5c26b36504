"""Laplace's likelihood of crossed factors, its derivatives, and its importance sample, against dense matrices and dense integration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jax.flatten_util import ravel_pytree

import glmmjax as gj
from glmmjax.likelihood.crossed import crossed_integrand, crossed_levels, crossed_value_and_gradient
from glmmjax.likelihood.crossed_importance import importance_rule, importance_value_and_gradient, importance_weights
from glmmjax.likelihood.prior import law_of

pytestmark = pytest.mark.usefixtures("compile_quickly")

OUTCOMES = {
    "binomial": (lambda rng, eta: rng.binomial(1, 1.0 / (1.0 + np.exp(-eta))), []),
    "poisson": (lambda rng, eta: rng.poisson(np.exp(eta)), []),
    "negative_binomial": (lambda rng, eta: rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(eta))), [0.4]),
    "gamma": (lambda rng, eta: rng.gamma(2.0, np.exp(eta) / 2.0) + 1e-3, [0.3]),
    "student_t": (lambda rng, eta: eta + rng.standard_t(4, len(eta)), [-0.2]),
}


def crossed_data(family: str, n: int = 50, a: int = 7, b: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    one, other = rng.integers(0, a, n), rng.integers(0, b, n)
    one[:a], other[:b], x = np.arange(a), np.arange(b), rng.normal(size=n)
    eta = 0.2 + 0.4 * x + 0.8 * rng.normal(size=a)[one] + 0.6 * rng.normal(size=b)[other]
    return pd.DataFrame({"y": OUTCOMES[family][0](rng, eta), "x": x, "one": one, "other": other})


def point(family: str, sizes: tuple[int, int]) -> gj.Params:
    rng, q = np.random.default_rng(9), sum(sizes)
    chol = np.zeros((q, q))
    for first, n, scale in ((0, sizes[0], 0.8), (sizes[0], sizes[1], 0.6)):
        chol[first : first + n, first : first + n] = scale * (np.eye(n) + 0.3 * np.tril(rng.normal(size=(n, n))))
    return gj.Params(jnp.array([0.3, 0.4]), jnp.array(chol), jnp.array(OUTCOMES[family][1]))


def design_of(data: pd.DataFrame, family: str, sizes: tuple[int, int]):
    one, other = ("x" if size == 2 else "1" for size in sizes)
    return gj.make_design("y ~ x", f"({one} | one) + ({other} | other)", data=data, family=family)


def dense_joint(data: pd.DataFrame, family, params: gj.Params, sizes: tuple[int, int]):
    """The log joint density of outcomes and all spherical random effects, one dense design matrix for all of them."""
    columns, first = [], 0
    x = np.column_stack([np.ones(len(data)), data["x"]])
    for name, size in zip(("one", "other"), sizes, strict=True):
        indicator = pd.get_dummies(data[name]).to_numpy(float)
        own = params.chol[first : first + size, first : first + size]
        columns += [jnp.asarray(indicator) * (x[:, :size] @ own[:, k])[:, None] for k in range(size)]
        first += size
    z, y = jnp.concatenate(columns, axis=1), jnp.asarray(data["y"].to_numpy(float))
    phi = jnp.asarray(params.phi).reshape(-1, 1)

    def h(u):
        eta = x @ params.beta + z @ u
        return family.log_density(y, eta, phi).sum() - 0.5 * u @ u - 0.5 * len(u) * np.log(2.0 * np.pi)

    return h, z.shape[1]


def dense_laplace(h, size: int) -> float:
    u, gradient, hessian, value = np.zeros(size), jax.grad(h), jax.hessian(h), jax.jit(h)
    for _ in range(100):
        step, length = np.linalg.solve(-np.asarray(hessian(u)), np.asarray(gradient(u))), 1.0
        while value(u + length * step) < value(u) - 1e-9:
            length *= 0.5
        u = u + length * step
    return float(value(u) + 0.5 * size * np.log(2.0 * np.pi) - 0.5 * np.linalg.slogdet(-np.asarray(hessian(u)))[1])


SLOW = [pytest.param(name, (1, 1), marks=pytest.mark.slow) for name in ("poisson", "negative_binomial", "gamma")]
SLOW.append(pytest.param("poisson", (1, 2), marks=pytest.mark.slow))


@pytest.mark.parametrize(("family", "sizes"), [("binomial", (1, 1)), ("student_t", (1, 1)), ("binomial", (2, 1)), *SLOW])
def test_the_value_is_that_of_dense_matrices(family, sizes):
    with jax.enable_x64(True):
        data, params = crossed_data(family), point(family, sizes)
        design = design_of(data, family, sizes)
        found = float(gj.log_likelihood(params, design.clusters, design.family, n_agq=1))
        expected = dense_laplace(*dense_joint(data, design.family, params, sizes))
    assert found == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    "family", ["student_t", *(pytest.param(name, marks=pytest.mark.slow) for name in ("binomial", "negative_binomial"))]
)
def test_gradient_and_hessian_are_those_of_differences(family):
    with jax.enable_x64(True):
        data = crossed_data(family)
        design = design_of(data, family, (1, 1))
        flat, unravel = ravel_pytree(point(family, (1, 1)))
        value = jax.jit(lambda theta: gj.log_likelihood(unravel(theta), design.clusters, design.family, n_agq=1))
        gradient = jax.jit(jax.grad(value))
        found, hessian, step = gradient(flat), jax.jit(jax.jacfwd(gradient))(flat), 1e-4
        units = np.eye(len(flat)) * step
        by_differences = np.array([(value(flat + unit) - value(flat - unit)) / (2.0 * step) for unit in units])
        second = np.array([(gradient(flat + unit) - gradient(flat - unit)) / (2.0 * step) for unit in units])
    np.testing.assert_allclose(found, by_differences, atol=1e-6)
    np.testing.assert_allclose(hessian, second, atol=1e-5)


def test_pairs_and_dense_products_agree(monkeypatch):
    with jax.enable_x64(True):
        data, values = crossed_data("poisson"), []
        for cost in (0.0, 1e9):
            monkeypatch.setattr("glmmjax.design.layout.crossing._PAIR_COST", cost)
            design = design_of(data, "poisson", (2, 1))
            assert (design.clusters.buckets[0].levels.pairs is None) == (cost > 0)
            values.append(float(gj.log_likelihood(point("poisson", (2, 1)), design.clusters, "poisson", n_agq=1)))
    assert values[0] == pytest.approx(values[1], abs=1e-11)


@pytest.mark.parametrize("family", ["gamma", pytest.param("binomial", marks=pytest.mark.slow)])
def test_the_importance_sample_gives_the_integral(family):
    """One factor has two levels, so that the integral over it is a sum on a dense grid; within it levels of the other are independent."""
    with jax.enable_x64(True):
        data, params = crossed_data(family, n=30, a=5, b=2), point(family, (1, 1))
        design = design_of(data, family, (1, 1))
        grid, log_w = np.linspace(-7.0, 7.0, 71), np.log(14.0 / 70.0)
        h_rows, total = [], []
        x = np.column_stack([np.ones(len(data)), data["x"]])
        base, y = x @ params.beta, jnp.asarray(data["y"].to_numpy(float))
        phi = jnp.asarray(params.phi).reshape(-1, 1, 1)
        one, other = data["one"].to_numpy(), data["other"].to_numpy()
        log_normal = -0.5 * grid**2 - 0.5 * np.log(2.0 * np.pi) + log_w
        for pair in itertools.product(range(len(grid)), repeat=2):
            eta = base + params.chol[1, 1] * grid[list(pair)][other]
            h_rows.append(eta)
            total.append(log_normal[list(pair)].sum())
        eta = jnp.asarray(h_rows)[:, :, None] + params.chol[0, 0] * grid  # (pairs, rows, nodes)
        rows = design.family.log_density(y[:, None], eta, phi[..., None] if len(phi) else phi)
        inside = jnp.stack([rows[:, one == level].sum(1) for level in range(5)], axis=1)  # (pairs, levels, nodes)
        exact = float(jax.nn.logsumexp(jax.nn.logsumexp(inside + log_normal, axis=2).sum(1) + np.array(total)))
        block, start = jax.tree.map(lambda leaf: leaf[0], design.clusters.buckets[0]), jnp.zeros((2, len(data)))
        z = np.random.default_rng(0).normal(size=(1000, 2))
        law = law_of(block.levels)
        f, factors = crossed_integrand(params, block, design.family, law), crossed_levels(block)
        rule, _ = importance_rule(f, factors, start, jnp.concatenate([z, -z]), 21)
        terms = importance_weights(f, factors, rule)
        found = float(jax.nn.logsumexp(terms)) - np.log(len(terms))
        error = float(np.std(np.exp(terms - terms.max())) / np.mean(np.exp(terms - terms.max())) / np.sqrt(len(terms)))
    assert error < 0.01
    assert found == pytest.approx(exact, abs=4.0 * error + 1e-8)


def test_the_gradient_of_the_importance_sample_is_that_of_its_value():
    with jax.enable_x64(True):
        data = crossed_data("binomial")
        design, params = design_of(data, "binomial", (1, 1)), point("binomial", (1, 1))
        block, start = jax.tree.map(lambda leaf: leaf[0], design.clusters.buckets[0]), jnp.zeros((2, len(data)))
        law = law_of(block.levels)
        z = np.random.default_rng(0).normal(size=(20, 4))
        f, factors = crossed_integrand(params, block, design.family, law), crossed_levels(block)
        rule, _ = importance_rule(f, factors, start, jnp.concatenate([z, -z]), 21)
        flat, unravel = ravel_pytree(params)
        run = jax.jit(lambda theta: importance_value_and_gradient(unravel(theta), block, start, design.family, rule, law)[0][:2])
        _, slopes = run(flat)
        step = 1e-5
        by_differences = [(run(flat + unit)[0] - run(flat - unit)[0]) / (2.0 * step) for unit in np.eye(len(flat)) * step]
        np.testing.assert_allclose(ravel_pytree(slopes)[0], by_differences, atol=1e-6)


def test_modes_come_back_where_they_were_found():
    """A second evaluation that begins at the modes of the first changes nothing."""
    with jax.enable_x64(True):
        data = crossed_data("student_t")
        design, params = design_of(data, "student_t", (1, 1)), point("student_t", (1, 1))
        block = jax.tree.map(lambda leaf: leaf[0], design.clusters.buckets[0])
        law, start = law_of(block.levels), jnp.zeros((2, len(data)))
        run = jax.jit(lambda start: crossed_value_and_gradient(params, block, start, design.family, law))
        sums, modes, error = run(start)
        again, same, _ = run(modes)
    assert float(error) < 1e-15
    assert float(again.value) == pytest.approx(float(sums.value), abs=1e-10)
    np.testing.assert_allclose(same, modes, atol=1e-8)


def test_points_beyond_laplace_are_refused():
    design = design_of(crossed_data("poisson"), "poisson", (1, 1))
    with pytest.raises(gj.errors.ArgumentError, match="crossed factors take Laplace's method, n_agq=1"):
        gj.log_likelihood(point("poisson", (1, 1)), design.clusters, "poisson")
    with pytest.raises(gj.errors.ArgumentError, match="no clusters that are independent"):
        gj.cluster_log_likelihoods(point("poisson", (1, 1)), design.clusters, "poisson", n_agq=1)
