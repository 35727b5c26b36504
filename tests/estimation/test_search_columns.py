"""The columns of a search: estimates, gradients, Hessians and modes come back from them as the chain rule gives them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glmmjax.estimation.objective import Problem
from glmmjax.estimation.search_columns import SearchColumns, search_columns
from glmmjax.families.gaussian import Gaussian
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.covariance import BlockDiagonal
from glmmjax.likelihood.params import Theta
from glmmjax.options import StudentTPenalty

FIXED = np.array([[1.0, 2010.0], [0.0, 3.0]])


def _columns(sizes: tuple[int, ...]) -> tuple[SearchColumns, np.ndarray]:
    """Columns for two coefficients and effects in sets of ``sizes``, and a free vector of the search."""
    structure = BlockDiagonal(sizes)
    rng = np.random.default_rng(len(sizes))
    change = np.triu(rng.normal(size=(structure.q, structure.q))) * np.array(structure.mask()) + 2.0 * np.eye(structure.q)
    layout = Theta(2, structure)
    return SearchColumns(layout, (FIXED,), change), rng.normal(size=layout.size)


def _in_search(columns: Any, theta):
    """The coefficients and the lower entries of D, as functions of the free vector of the search."""
    layout = columns.layout
    root = columns.random @ layout.covariance.factor(theta[layout.random])
    return jnp.concatenate([FIXED @ theta[:2] / jnp.array([2010.0, 1.0]), (root @ root.T)[np.tril_indices(layout.covariance.q)]])


def _in_data(layout: Theta, theta):
    """The same of the free vector of the data."""
    root = layout.covariance.factor(theta[layout.random])
    return jnp.concatenate([theta[:2] / jnp.array([2010.0, 1.0]), (root @ root.T)[np.tril_indices(layout.covariance.q)]])


def _some_objective(v):
    return jnp.sin(v).sum() + 0.3 * (v @ jnp.cos(v)) - 0.1 * (v * v).sum() ** 2


def _with_derivatives(function, theta):
    """Value, gradient and Hessian of the objective of ``function``, as one program."""
    of = lambda t: _some_objective(function(t))  # noqa: E731
    return jax.jit(lambda t: (of(t), jax.grad(of)(t), jax.hessian(of)(t), function(t)))(theta)


@pytest.mark.parametrize("sizes", [(3,), (2, 1)])
def test_a_point_comes_back_as_the_chain_rule_says(sizes):
    columns, theta = _columns(sizes)
    of_search, of_data = (lambda t: _in_search(columns, t)), (lambda t: _in_data(columns.layout, t))
    with jax.enable_x64(True):
        value, gradient, hessian, parameters = _with_derivatives(of_search, theta)
        found = columns.back(theta, gradient, hessian)
        same_value, same_gradient, same_hessian, same_parameters = _with_derivatives(of_data, found.theta)
        np.testing.assert_allclose(same_parameters, parameters, rtol=1e-11)
        np.testing.assert_allclose(same_value, value, rtol=1e-11)
        np.testing.assert_allclose(found.gradient, same_gradient, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(found.hessian, same_hessian, rtol=1e-7, atol=1e-8)
        again = columns.back(columns.theta(found.theta), gradient, hessian).theta
        np.testing.assert_allclose(again, found.theta, rtol=1e-11)


def test_modes_are_those_of_the_same_effects():
    columns, theta = _columns((3,))
    layout, modes = columns.layout, np.random.default_rng(0).normal(size=(2, 3, 4))
    found = columns.back(theta, np.zeros(layout.size), np.eye(layout.size), (modes,))
    factor = lambda t: np.asarray(layout.covariance.factor(jnp.asarray(t[layout.random])))  # noqa: E731
    effects = columns.random @ factor(theta) @ modes
    np.testing.assert_allclose(factor(found.theta) @ found.modes[0], effects, rtol=1e-4)  # in single precision
    canonical = columns.theta(found.theta)
    (again,) = columns.modes(canonical, found.modes)
    np.testing.assert_allclose(columns.random @ factor(canonical) @ again, effects, rtol=1e-4)


def test_a_singular_d_comes_back_finite():
    columns, theta = _columns((2,))
    theta[-1] = 0.0
    found = columns.back(theta, np.zeros(5), -np.eye(5))
    assert np.isfinite(found.hessian).all()
    assert found.theta[-1] == pytest.approx(0.0, abs=1e-15)


def _bucket(x: np.ndarray, y: np.ndarray, frame: np.ndarray | None = None) -> tuple[Bucket, ...]:
    """One block of 10 clusters of 4 rows with two columns, the first of ones, as X and as Z."""
    both = np.stack([np.ones((4, 10)), x])[None]
    frame = np.eye(2) if frame is None else frame
    arrays: Any = (y[None], (both,), (both,), np.zeros((1, 1, 4, 10)), np.ones((1, 4, 10)), np.ones((1, 10)), None, frame[None])
    return (Bucket(*arrays),)


def test_columns_at_ease_stay():
    rng = np.random.default_rng(2)
    problem = Problem(Gaussian(), Theta(2, BlockDiagonal((2,)), 1))
    assert search_columns(problem, _bucket(rng.normal(size=(4, 10)), rng.normal(size=(4, 10)))) is None


def test_nearly_aliased_columns_become_orthogonal():
    rng = np.random.default_rng(2)
    x, y = 2010.0 + rng.normal(size=(4, 10)), rng.normal(size=(4, 10))
    both = np.stack([np.ones(40), x.ravel()])
    buckets = _bucket(x, y, np.linalg.cholesky(both @ both.T / 40).T)
    problem = Problem(Gaussian(), Theta(2, BlockDiagonal((2,)), 1))
    columns_of: Any = search_columns
    (changed,) = columns_of(problem, buckets).buckets(buckets)
    for columns in (changed.X[0], changed.Z[0]):
        rows = columns.transpose(1, 0, 2, 3).reshape(2, 40)
        np.testing.assert_allclose(rows @ rows.T / 40, np.eye(2), atol=1e-7)
    assert changed.frame is None  # nodes lie along the new columns
    penalised = columns_of(problem.__class__(problem.family, problem.layout, StudentTPenalty(), (True, False)), buckets)
    assert penalised.fixed == (None,)  # the penalty is on the coefficients as they are
