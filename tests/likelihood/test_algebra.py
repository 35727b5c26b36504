"""Quadrature rules and small matrices against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glmmjax.likelihood.covariance import BlockDiagonal, canonical, diagonal, unstructured
from glmmjax.likelihood.gauss_hermite import finer, padded_rule, tensor_rule
from glmmjax.likelihood.small_matrices import cholesky, inverse_transpose, lower_rotation, solve_cholesky


@pytest.mark.parametrize("n_agq", [1, 2, 5, 11, 40])
def test_rule_is_exact_for_polynomials(n_agq):
    """sum w_k exp(-z_k^2/2) z_k^d is the d-th moment of the standard normal up to degree 2 n - 1."""
    rule = tensor_rule(n_agq, 1)
    z, weights = rule.nodes[:, 0], np.exp(rule.log_weights - 0.5 * rule.nodes[:, 0] ** 2)
    for degree in range(min(2 * n_agq, 30)):
        moment = 0.0 if degree % 2 else np.prod(np.arange(degree - 1.0, 0.0, -2.0))
        np.testing.assert_allclose((weights * z**degree).sum(), moment, rtol=1e-9, atol=1e-12 * (weights * np.abs(z) ** degree).sum())


def test_tensor_rule_is_a_product():
    rule, line = tensor_rule(5, 2), tensor_rule(5, 1)
    assert rule.nodes.shape == (25, 2)
    f = lambda z: np.exp(-0.5 * z**2) * (1 + z) ** 2  # noqa: E731
    product = (np.exp(rule.log_weights) * f(rule.nodes[:, 0]) * f(rule.nodes[:, 1])).sum()
    np.testing.assert_allclose(product, (np.exp(line.log_weights) * f(line.nodes[:, 0])).sum() ** 2)


def test_padded_rule_holds_the_finer_one():
    for n_agq, q in [(1, 1), (11, 1), (51, 1), (11, 2), (7, 3), (11, 0)]:
        rule = padded_rule(n_agq, q)
        assert rule.count == n_agq**q
        assert rule.log_weights.shape[0] >= finer(n_agq, q) ** q
        assert finer(n_agq, q) > n_agq


@pytest.mark.parametrize("q", [1, 2, 3, 5])
def test_small_matrices_match_numpy(q):
    rng = np.random.default_rng(q)
    root = rng.normal(size=(4, q, q))
    a = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(q)
    g = rng.normal(size=(4, q))
    with jax.enable_x64(True):
        nested = tuple(tuple(jnp.asarray(a[:, r, c]) for c in range(q)) for r in range(q))
        factor = cholesky(nested)
        solution = np.stack(solve_cholesky(factor, tuple(jnp.asarray(g.T))), axis=-1)
        upper = np.moveaxis(np.array([[np.asarray(x) for x in row] for row in inverse_transpose(factor)]), -1, 0)
    np.testing.assert_allclose(solution, np.linalg.solve(a, g[..., None])[..., 0], rtol=1e-8)
    np.testing.assert_allclose(upper, np.linalg.inv(np.linalg.cholesky(a)).transpose(0, 2, 1), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("structure", [unstructured(3), diagonal(2), BlockDiagonal((2, 1)), unstructured(0)])
def test_covariance_free_vector_round_trip(structure):
    free = np.arange(1.0, structure.n_free + 1)
    chol = structure.factor(jnp.asarray(free))
    np.testing.assert_array_equal(structure.free(chol), free)
    np.testing.assert_array_equal(np.asarray(chol) != 0, np.tril(np.array(structure.mask(), bool).reshape(structure.q, structure.q)))


def test_canonical_keeps_the_covariance():
    chol = jnp.array([[-2.0, 0.0], [1.0, 3.0]])
    flipped = canonical(chol)
    np.testing.assert_allclose(flipped @ flipped.T, chol @ chol.T)
    assert np.all(np.diagonal(flipped) >= 0)


@pytest.mark.parametrize("size", [1e-3, 1e-9, 1e-13])
def test_a_rotation_stays_one_in_its_derivatives(size):
    """Its determinant is 1 wherever it is taken, so that all derivatives are 0; and a lower triangular matrix is not turned at all."""
    with jax.enable_x64(True):
        matrix = lambda x: jnp.array([[x[0], x[1]], [-0.06, x[2]]])  # noqa: E731
        at = jnp.array([size, 0.0, 0.01])
        determinant = lambda x: (lambda p: p[0, 0] * p[1, 1] - p[0, 1] * p[1, 0])(lower_rotation(matrix(x)))  # noqa: E731
        np.testing.assert_allclose(jax.grad(determinant)(at), 0.0, atol=1e-12)
        np.testing.assert_allclose(jax.hessian(determinant)(at) * size**2, 0.0, atol=1e-20)
        still = jax.jacfwd(jax.jacfwd(lambda x: lower_rotation(matrix(jnp.array([x[0], 0.0, x[1]])))))(at[jnp.array([0, 2])])
        np.testing.assert_array_equal(still, 0.0)
        slope = jax.jacfwd(lambda x: lower_rotation(matrix(x)))(jnp.array([0.3, 0.4, 0.01]))[:, :, 1]
    np.testing.assert_allclose(slope, 0.3 / 0.25 * np.array([[-0.8, -0.6], [0.6, -0.8]]), atol=1e-12)  # the angle turns by x / (x^2 + y^2)
