"""Derivatives of a whole fit: in the numbers of its penalty, in the weights of clusters, in the start; and where there are none."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.fit import fit_params
from glmmjax.families import Binomial
from glmmjax.options import Options, StudentTPenalty
from glmmjax.postfit.refitting.influence import Influence, leave_cluster_out
from glmmjax.postfit.uncertainty.scores import cluster_hessians
from tests.estimation.test_fit import FIXED, RANDOM, simulate

pytestmark = pytest.mark.usefixtures("compile_quickly")

NUMBERS: dict[str, Any] = {"mean": 0.2, "scale": 0.5, "df": 3.0}
FORMS: dict[str, dict[str, Any]] = {"each": {}, "joint": {"joint": True}}
FEW_STEPS = Options(n_em=1, n_quasi_newton=1, n_newton=1)


@pytest.fixture(scope="module")
def design():
    with jax.enable_x64(True):
        return gj.make_design(FIXED, random=RANDOM, data=simulate(1), family="binomial")


@pytest.fixture(scope="module")
def estimates(design):
    """The estimates as a function of the penalty's numbers (3,), by the name of its form."""

    def of_form(form):
        def run(numbers):
            penalty = StudentTPenalty(*numbers, **FORMS[form])
            params, _ = fit_params(design.clusters, Binomial(), penalty=penalty, is_intercept=(True, False))
            return jnp.concatenate([params.beta, params.chol.ravel()])

        return run

    return of_form


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_the_derivative_in_a_number_of_the_penalty_is_that_of_refits(estimates, form):
    """Forward and reverse, against central differences; the numbers of the penalty do move the estimates."""

    @jax.jit
    def with_reverse(at):
        found, pull_back = jax.vjp(estimates(form), at)
        return found, jax.vmap(pull_back)(jnp.eye(3))[0]

    h = 1e-4
    with jax.enable_x64(True):
        at, run = jnp.array(list(NUMBERS.values())), lambda at: np.asarray(with_reverse(at)[0])
        by_refits = np.stack([(run(at + h * e) - run(at - h * e)) / (2.0 * h) for e in np.eye(3)], axis=1)
        forward, (_, reverse) = jax.jit(jax.jacfwd(estimates(form)))(at), with_reverse(at)
    assert np.all(np.abs(by_refits).max(axis=0) > 1e-3)
    np.testing.assert_allclose(forward, by_refits, atol=1e-5)
    np.testing.assert_allclose(reverse, forward, rtol=1e-9, atol=1e-12)


def test_the_penalty_of_a_traced_fit_is_the_penalty(estimates):
    """The numbers reach the objective, whether they are traced or not, alone or in a batch."""
    penalty = StudentTPenalty(**NUMBERS)
    fit = gj.mixed_model(FIXED, random=RANDOM, data=simulate(1), family="binomial", penalized=penalty, n_agq=11)
    with jax.enable_x64(True):
        at = jnp.array(list(NUMBERS.values()))
        found = np.asarray(jax.jit(jax.vmap(estimates("each")))(jnp.stack([at, at.at[1].set(5.0)])))
    np.testing.assert_allclose(found[0, :2], fit.fe_params, atol=1e-7)
    np.testing.assert_allclose(found[0, 2] ** 2, np.asarray(fit.cov_re)[0, 0], atol=1e-6)
    assert abs(found[1, 1] - found[0, 1]) > 0.01


def test_the_start_has_no_part_in_the_estimates(design):
    with jax.enable_x64(True):

        def slope(beta):
            start = gj.Params(beta, jnp.ones((1, 1)))
            return fit_params(design.clusters, Binomial(), start)[0].beta[1]

        value, gradient = jax.value_and_grad(slope)(jnp.array([0.1, 0.3]))
    assert np.isfinite(value)
    np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.slow
def test_the_derivative_in_the_weight_of_a_cluster_is_its_influence(design):
    """``I d = s``, and one Newton step without the cluster is ``(I + H) step = s``: the fit's own ``method="one_step"``."""
    fitted = gj.mixed_model(FIXED, random=RANDOM, data=simulate(1), family="binomial", n_agq=11).fitted_model
    with jax.enable_x64(True):

        def theta(weights):
            params, _ = fit_params(design.with_weights(weights), Binomial())
            return jnp.concatenate([params.beta, params.chol.ravel()])

        derivative = np.asarray(jax.jacfwd(theta)(jnp.ones(40)))  # (P, m)
        values = lambda t: gj.cluster_log_likelihoods(gj.Params(t[:2], t[2:, None]), design.clusters, Binomial())  # noqa: E731
        scores = np.asarray(jax.jacfwd(values)(jnp.asarray(fitted.theta)))  # (m, P)
    np.testing.assert_allclose(fitted.information @ derivative, scores.T, atol=1e-6)
    step = fitted.theta - leave_cluster_out(Influence(fitted), "one_step").theta
    without = fitted.information + cluster_hessians(fitted)  # (m, P, P)
    np.testing.assert_allclose(np.einsum("ijk,ik->ij", without, step), (fitted.information @ derivative).T, atol=1e-6)


@pytest.mark.slow
def test_without_a_certificate_there_is_no_derivative(design):
    """Refused where the fit is known, NaN where it is traced; the estimates themselves are given."""

    def slope(scale, options):
        penalty = StudentTPenalty(scale=scale)
        return fit_params(design.clusters, Binomial(), options=options, penalty=penalty, is_intercept=(True, False))[0].beta[1]

    with jax.enable_x64(True):
        with pytest.raises(ArgumentError, match=r"estimates have no derivative.*no certificate.*Under jit such a derivative is NaN"):
            jax.grad(slope)(1.0, FEW_STEPS)
        value, derivative = jax.jit(jax.value_and_grad(slope), static_argnums=1)(1.0, FEW_STEPS)
        assert np.isfinite(value)
        assert np.isnan(derivative)
        assert np.isfinite(jax.grad(slope)(1.0, Options()))


def test_numbers_that_are_known_are_checked_and_become_plain():
    assert StudentTPenalty(scale=jnp.array(2.0)) == StudentTPenalty(scale=np.float32(2.0)) == StudentTPenalty(scale=2.0)
    with pytest.raises(ArgumentError, match=r"StudentTPenalty\(scale="):
        StudentTPenalty(scale=jnp.array(-1.0))
    with pytest.raises(ArgumentError, match=r"StudentTPenalty\(df="):
        StudentTPenalty(df=jnp.array([1.0, 2.0]))


@pytest.mark.parametrize("entry", ["mixed_model", "fit_params_many"])
def test_a_traced_penalty_is_refused_where_programs_are_compiled_for_its_numbers(design, entry):
    def fit(scale):
        penalty = StudentTPenalty(scale=scale)
        if entry == "mixed_model":
            return gj.mixed_model(FIXED, random=RANDOM, data=simulate(1), family="binomial", penalized=penalty)
        return gj.fit_params_many(design.with_outcomes(np.ones((2, 240))), Binomial(), penalty=penalty, is_intercept=(True, False))

    with pytest.raises(ArgumentError, match=r"has a traced number.*gj.fit_params"):
        jax.grad(lambda scale: fit(scale))(1.0)


def continuous_outcome(name):
    """Outcomes that have no limit in the data: 20 clusters of 5 rows."""
    rng = np.random.default_rng(6)
    g, x = np.repeat(np.arange(20), 5), rng.normal(size=100)
    eta = 0.3 + 0.4 * x + 0.7 * rng.normal(size=20)[g]
    draws = {
        "gaussian": eta + 0.5 * rng.normal(size=100),
        "lognormal": np.exp(eta + 0.5 * rng.normal(size=100)),
        "gamma": rng.gamma(3.0, np.exp(eta) / 3.0),
        "student_t": eta + 0.4 * rng.standard_t(4, 100),
        "beta": rng.beta(6.0 / (1.0 + np.exp(-eta)), 6.0 / (1.0 + np.exp(eta))),
    }
    return pd.DataFrame({"y": draws[name], "x": x, "id": g})


@pytest.mark.parametrize(
    "name", ["gaussian", *(pytest.param(n, marks=pytest.mark.slow) for n in ("lognormal", "gamma", "student_t", "beta"))]
)
def test_the_derivative_in_a_continuous_outcome_is_that_of_refits(name):
    """Forward in a direction and reverse of every estimate, against central differences of whole fits."""
    data = continuous_outcome(name)
    room = data["y"] * (1.0 - data["y"]) if name == "beta" else data["y"].abs()
    with jax.enable_x64(True):
        y, direction = jnp.asarray(data["y"].to_numpy()), jnp.asarray(np.random.default_rng(2).normal(size=100) * np.minimum(1.0, room))
        design = gj.make_design(FIXED, random=RANDOM, data=data, family=name)

        def estimates(y):
            params, info = fit_params(design.with_outcome(y), name, n_agq=5)
            return jnp.concatenate([params.beta, params.chol.ravel(), params.phi]), info.code

        def refit(y):
            """One Newton step beyond the end of the fit: within 4e-6 standard errors of the maximum a difference is off by 2e-5."""
            end, code = estimates(y)
            value = lambda v: gj.log_likelihood(gj.Params(v[:2], v[2:3, None], v[3:]), design.with_outcome(y), name, n_agq=5)  # noqa: E731
            return end - jnp.linalg.solve(jax.hessian(value)(end), jax.grad(value)(end)), code

        refit = jax.jit(refit)
        h = 1e-4
        ends = [refit(y + s * h * direction) for s in (-1.0, 1.0)]
        assert all(Code(int(code)).is_certified for _, code in ends)
        by_refits = (ends[1][0] - ends[0][0]) / (2.0 * h)
        forward = jax.jit(lambda y, d: jax.jvp(lambda y: estimates(y)[0], (y,), (d,))[1])(y, direction)
        _, pull_back = jax.jit(lambda y: jax.vjp(lambda y: estimates(y)[0], y))(y)
        reverse = jnp.stack([pull_back(e)[0] for e in jnp.eye(len(forward))]) @ direction
    assert np.abs(by_refits).min() > 1e-4
    np.testing.assert_allclose(forward, by_refits, atol=1e-5 * np.abs(by_refits).max())
    np.testing.assert_allclose(reverse, forward, rtol=1e-9, atol=1e-11)


def test_discrete_outcomes_are_held_fixed(design):
    with jax.enable_x64(True):
        y = jnp.asarray(simulate(1)["y"].to_numpy())
        slope = jax.grad(lambda y: fit_params(design.with_outcome(y), Binomial())[0].beta[1])(y)
    np.testing.assert_array_equal(slope, 0.0)


def test_a_second_derivative_of_a_fit_is_refused_and_its_advice_works(design):
    """Forward and reverse, traced or not. A loss that holds a first derivative of a fit is still differentiated in all else."""

    def slope(scale):
        params, _ = fit_params(design.with_weights(jnp.ones(len(design.groups)).at[0].set(scale)), Binomial())
        return params.beta[1]

    pull = jax.jit(jax.grad(slope))
    for second in (jax.grad(jax.grad(slope)), jax.jit(jax.hessian(slope)), jax.jacfwd(jax.jacfwd(slope))):
        with jax.enable_x64(True), pytest.raises(ArgumentError, match="first derivatives alone"):
            second(1.0)
    with jax.enable_x64(True):
        difference = (pull(1.0 + 1e-4) - pull(1.0 - 1e-4)) / 2e-4
        assert np.isfinite(difference)
        assert abs(difference) > 1e-6
        in_the_other = jax.jit(jax.grad(lambda factor: factor**2 * jax.grad(slope)(1.0)))(3.0)
        np.testing.assert_allclose(in_the_other, 6.0 * pull(1.0), rtol=1e-9)
