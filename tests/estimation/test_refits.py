"""Refits from a warm start end where fits of the changed data from scratch end, whichever way they run."""

import jax
import numpy as np
import pytest

from glmmjax.estimation import refits
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.evaluators.evaluator import Estimate
from glmmjax.estimation.maximise import maximise
from glmmjax.estimation.refits import refit_all, refit_in_chunks, with_outcomes, with_weights
from glmmjax.postfit.refitting.bootstrap import origin_of, simulated_outcomes

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture
def origin(intro_fit):
    with jax.enable_x64(True):
        yield origin_of(intro_fit.fitted_model)


@pytest.fixture
def weighted(intro_fit):
    """Two data sets without a cluster, and one bootstrap sample."""
    weights = np.ones((3, 100))
    weights[0, 0] = weights[1, 7] = 0.0
    weights[2] = np.random.default_rng(0).multinomial(100, np.full(100, 0.01))
    return with_weights(intro_fit.fitted_model.design.clusters, 3, weights.__getitem__)


def from_scratch(origin, changes):
    """Fits of the changed data from their own starting values."""
    found = []
    for r in range(changes.n):
        buckets = changes.change(origin.buckets, changes.values(r))
        found.append(maximise(origin.problem, origin.options, buckets, origin.quadrature))
    return found


def assert_same(found, expected):
    error = 1.0 / np.sqrt([np.diagonal(information) for information in found.information])
    theta = np.array([end.theta for end in expected])
    theta[:, -1] = np.abs(theta[:, -1])
    assert (np.abs(found.theta - theta) < 1e-5 * error).all()
    np.testing.assert_allclose(found.log_likelihood, [end.log_likelihood for end in expected], rtol=1e-11)
    assert found.converged.all()


def test_other_weights(origin, weighted):
    found = refit_all(origin, weighted)
    expected = from_scratch(origin, weighted)
    assert_same(found, expected)
    np.testing.assert_allclose(found.information, [-end.hessian for end in expected], rtol=1e-4, atol=1e-4)


def test_other_outcomes(origin, intro_fit):
    changes = with_outcomes(3, simulated_outcomes(intro_fit.fitted_model, seed=4))
    assert_same(refit_all(origin, changes), from_scratch(origin, changes))


def test_the_factor_of_d_keeps_a_non_negative_diagonal(origin, weighted):
    mirrored = origin._replace(theta=origin.theta * np.array([1, 1, 1, 1, -1.0]))
    assert_same(refit_all(mirrored, weighted), from_scratch(origin, weighted))


def test_no_data_set_is_no_refit_all(origin, intro_fit):
    found = refit_all(origin, with_weights(intro_fit.fitted_model.design.clusters, 0, lambda _: np.ones(100)))
    assert found.theta.shape == (0, 5)
    assert found.converged.shape == (0,)


def test_a_refit_without_certificate_is_repeated_from_scratch(origin, weighted, monkeypatch):
    lost = Estimate(np.zeros(5), Code.DECREMENT_TOO_LARGE, -1.0, -np.eye(5))
    monkeypatch.setattr(refits, "_refit_side_by_side", lambda _, changes: [lost] * changes.n)
    assert_same(refit_all(origin, weighted), from_scratch(origin, weighted))


def test_a_data_set_without_maximum_is_reported(origin, intro_binomial, intro_fit):
    # the outcomes of one sex are all 1: its coefficient runs off
    design = intro_fit.fitted_model.design
    y = intro_binomial["y"].to_numpy(float)
    y[(intro_binomial["sex"] == "female").to_numpy()] = 1.0
    (bucket,) = origin.buckets
    flat = np.zeros(bucket.y.size)
    flat[design.order.row_slots] = y
    found = refit_all(origin, with_outcomes(1, lambda _: (flat.reshape(bucket.y.shape),)))
    assert not found.converged[0]
    assert Code(found.code[0]) is Code.DIVERGING
    assert np.isfinite(found.theta).all()


@pytest.mark.slow
def test_chunks_of_a_vmapped_program_give_the_same(origin, weighted):
    ends = refit_in_chunks(origin, weighted, size=2)
    found = refits._collected(origin.problem.layout, ends)
    expected = refit_all(origin, weighted)
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-9)
    np.testing.assert_array_equal(found.code, expected.code)


@pytest.mark.slow
def test_large_data_are_refitted_in_parts(origin, weighted, monkeypatch):
    monkeypatch.setattr(refits, "is_small", lambda *_: False)
    assert_same(refit_all(origin, weighted), from_scratch(origin, weighted))
