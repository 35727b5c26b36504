"""The optimiser's phases, the certificate, and the pure fit under every transformation."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.datasets import load_intro_binomial
from glmmjax.errors import ArgumentError, ConvergenceWarning
from glmmjax.estimation import maximum
from glmmjax.estimation.ascent import ascend
from glmmjax.estimation.convergence import Code, code_of, is_singular
from glmmjax.estimation.evaluators.one_program import OneProgram
from glmmjax.estimation.judgement import judged
from glmmjax.estimation.maximum import Asked
from glmmjax.estimation.objective import Evaluated, Integral, Problem, evaluate, fit_settings
from glmmjax.estimation.padding import Padding
from glmmjax.estimation.penalty import log_penalty, penalty_numbers
from glmmjax.estimation.phases import newton
from glmmjax.estimation.phases.quasi_newton import updated_metric
from glmmjax.estimation.search_space import SearchSpace
from glmmjax.estimation.sequence import FIRST_ORDER
from glmmjax.estimation.starting_values import Start, starting_values
from glmmjax.estimation.xla import kept
from glmmjax.estimation.xla.programs import given_theta, programs
from glmmjax.families import Binomial, NegativeBinomial
from glmmjax.likelihood.covariance import unstructured
from glmmjax.likelihood.gauss_hermite import padded_rule
from glmmjax.likelihood.params import Theta
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.options import Options, StudentTPenalty

pytestmark = pytest.mark.usefixtures("compile_quickly")

FIXED, RANDOM = "y ~ x", "~ 1 | id"
RUN = programs(is_small=True)


def simulate(seed, clusters=40, size=6, sd=1.0, beta=(-0.3, 0.7)):
    rng = np.random.default_rng(seed)
    cluster, x = np.repeat(np.arange(clusters), size), rng.normal(size=clusters * size)
    eta = beta[0] + beta[1] * x + sd * rng.normal(size=clusters)[cluster]
    return pd.DataFrame({"y": (rng.random(x.size) < 1 / (1 + np.exp(-eta))) * 1.0, "x": x, "id": cluster})


@pytest.fixture(scope="module")
def design():
    with jax.enable_x64(True):
        return gj.make_design(FIXED, random=RANDOM, data=simulate(1), family="binomial")


@pytest.fixture(scope="module")
def problem(design):
    return Problem(Binomial(), Theta(2, design.covariance), None, (True, False))


@pytest.fixture(scope="module")
def fitted():
    return gj.mixed_model(FIXED, random=RANDOM, data=simulate(1), family="binomial")


def test_em_never_lowers_and_agrees_with_quasi_newton(design, problem, fitted):
    """EM alone, slow as it is, ends where the whole fit ends."""
    settings, buckets = fit_settings(problem, Options(n_em=400, em_gain=1e-12)), design.clusters.buckets
    with jax.enable_x64(True):
        integral = Integral(buckets, padded_rule(11, 1))
        start, state = RUN.begin(problem, buckets, given_theta(problem, None))
        values = []
        for _ in range(80):
            state, _ = RUN.run_phase(FIRST_ORDER, settings, start, state, integral, np.int32(1))
            values.append(float(state.at.value))
        assert int(state.n_quasi_newton) == 0
        em = np.asarray(state.theta)
    assert np.all(np.diff(values) >= 0)
    np.testing.assert_allclose(em, fitted.fitted_model.theta, atol=2e-3)


def test_starting_values_of_the_glm_solve_the_score_equations(design, problem):
    """With D held at 0 the working model is the GLM: its score at beta is zero."""
    nothing = Problem(Binomial(), Theta(2, unstructured(0)))
    with jax.enable_x64(True):
        flat = gj.make_design(FIXED, data=simulate(1), family="binomial")
        start = starting_values(nothing, flat.clusters.buckets)
        f = lambda beta: gj.log_likelihood(gj.Params(beta, jnp.zeros((0, 0)), (), ()), flat.clusters, Binomial())  # noqa: E731
        gradient, hessian = jax.grad(f)(start.theta), jax.hessian(f)(start.theta)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-4)
    np.testing.assert_allclose(start.information, -hessian, rtol=1e-3)


def test_bfgs_update_satisfies_the_secant_equation():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(3, 3))
    hessian, inverse, step = root @ root.T + np.eye(3), np.eye(3), rng.normal(size=3)
    with jax.enable_x64(True):
        zero = jnp.zeros(())
        nothing = Evaluated(*(zero,) * 5, modes=(), mode_error=zero)
        at = lambda gradient: nothing._replace(gradient=jnp.asarray(gradient))  # noqa: E731
        new = updated_metric(jnp.asarray(inverse), jnp.asarray(step), at(np.zeros(3)), at(-hessian @ step))
        np.testing.assert_allclose(new @ (hessian @ step), step, rtol=1e-10)
        kept = updated_metric(jnp.asarray(inverse), jnp.asarray(step), at(np.zeros(3)), at(hessian @ step))
        np.testing.assert_array_equal(kept, inverse)


def test_certificate_is_the_decrement_at_the_reported_parameters(design, problem, fitted):
    record = fitted.convergence
    assert record.code is Code.CONVERGED
    with jax.enable_x64(True):
        f = lambda t: gj.log_likelihood(problem.layout.params(t), design.clusters, Binomial())  # noqa: E731
        theta = jnp.asarray(fitted.fitted_model.theta)
        gradient, hessian = np.asarray(jax.grad(f)(theta)), np.asarray(jax.hessian(f)(theta))
    assert np.all(np.linalg.eigvalsh(-hessian) > 0)
    assert 0.5 * gradient @ np.linalg.solve(-hessian, gradient) < 1e-9
    np.testing.assert_allclose(fitted.fitted_model.information, -hessian, rtol=1e-8)
    assert record.n_evaluations == record.n_em + record.n_quasi_newton + record.n_newton


def test_saddle_at_zero_variance_is_left():
    """At L = 0 the gradient in L vanishes by symmetry, whether or not the likelihood rises from there."""
    fit = gj.mixed_model(FIXED, random=RANDOM, data=simulate(1), family="binomial", initial_values={"beta": [0.0, 0.0], "D": [[0.0]]})
    assert fit.converged
    assert np.asarray(fit.cov_re)[0, 0] > 0.2


def test_zero_variance_is_a_certified_singular_fit():
    rng = np.random.default_rng(5)
    data = simulate(5, sd=0.0)
    data["y"] = np.tile([0.0, 1.0], len(data) // 2)  # every cluster alike: less variation than chance
    data["x"] = rng.normal(size=len(data))
    fit = gj.mixed_model(FIXED, random=RANDOM, data=data, family="binomial")
    assert fit.converged
    assert fit.is_singular
    assert fit.convergence.code is Code.CONVERGED_ON_BOUNDARY
    flat = gj.mixed_model(FIXED, data=data, family="binomial")
    assert fit.llf == pytest.approx(flat.llf, abs=1e-7)


@pytest.mark.slow
def test_rotation_at_a_singular_covariance_is_not_a_failure():
    """Without variance in the first effect, (1, 0) and (1, 1) entries of L turn the second one into itself."""
    rng = np.random.default_rng(8)
    cluster, t = np.repeat(np.arange(60), 8), np.tile(np.linspace(-1, 1, 8), 60)
    eta = 1.5 * t * rng.normal(size=60)[cluster]
    y = (rng.random(t.size) < 1 / (1 + np.exp(-eta))) * 1.0
    fit = gj.mixed_model("y ~ t", random="~ t | id", data={"y": y, "t": t, "id": cluster}, family="binomial")
    assert fit.converged, fit.convergence.message
    assert fit.convergence.newton_decrement < 1e-6


def test_separation_is_not_called_converged():
    data = simulate(1)
    data["x"] = np.where(data["y"] > 0, 1.0, -1.0) + 0.1 * data["x"]
    with pytest.warns(ConvergenceWarning, match="separation"):
        fit = gj.mixed_model(FIXED, random=RANDOM, data=data, family="binomial")
    assert not fit.converged
    penalized = gj.mixed_model(FIXED, random=RANDOM, data=data, family="binomial", penalized=True)
    assert penalized.converged
    assert penalized.penalized_llf < penalized.llf


def test_too_few_steps_are_said_so():
    with pytest.warns(ConvergenceWarning, match="no certificate"):
        fit = gj.mixed_model(
            FIXED, random=RANDOM, data=simulate(1), family="binomial", options=Options(n_em=1, n_quasi_newton=1, n_newton=1)
        )
    assert not fit.converged


PENALTIES = [StudentTPenalty(), StudentTPenalty(0.3, 2.0, 5.0, include_intercept=True), StudentTPenalty(joint=True)]


@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalty_is_the_t_density(penalty):
    import scipy.stats

    beta = np.array([1.2, -0.4, 0.7])
    scaled = (beta - penalty.mean) / penalty.scale
    if penalty.joint:
        expected = -0.5 * (penalty.df + 3) * np.log1p((scaled**2).sum() / penalty.df)
    else:
        terms = scipy.stats.t.logpdf(scaled, penalty.df) - np.log(penalty.scale)
        expected = terms.sum() if penalty.include_intercept else terms[1:].sum()
    with jax.enable_x64(True):
        found = log_penalty(jnp.asarray(beta), penalty_numbers(penalty, float), penalty, (True, False, False))
        assert float(found) == pytest.approx(expected, rel=1e-12)


def test_is_singular_sees_rank_and_scale():
    with jax.enable_x64(True):
        one = jnp.ones(2)
        assert not is_singular(jnp.array([[1.0, 0.0], [0.5, -0.5]]), one)
        assert is_singular(jnp.array([[1.0, 0.0], [0.5, 1e-6]]), one)
        assert is_singular(jnp.array([[1e-7, 0.0], [0.0, 1.0]]), one)
        assert not is_singular(jnp.array([[1.0, 0.0], [0.0, 1e-5]]), jnp.array([1.0, 1e5]))
        assert not is_singular(jnp.zeros((0, 0)), jnp.zeros(0))
        assert not is_singular(jnp.array([[1.0, 0.0], [0.5, 1e-6]]), one, jnp.array([True, False]))


@pytest.mark.parametrize(("flat", "code"), [(True, Code.DIVERGING), (False, Code.CONVERGED)])
def test_coefficients_that_run_off_with_an_extra_parameter_diverge(flat, code):
    """An intercept that moves with a size: what is flat is mostly the size, and still no random effect."""
    share = np.sqrt(0.75) if flat else 0.5  # the flat direction is (1, 1, sqrt(3)), of which the coefficients have 2/5
    information = np.array([[1.0, 0.5, -share], [0.5, 1.0, -share], [-share, -share, 1.0]])
    assert (np.linalg.eigvalsh(information)[0] < 1e-12) == flat
    with jax.enable_x64(True):
        settings = fit_settings(Problem(NegativeBinomial(), Theta(2, unstructured(0), 1)), Options())
        of_theta = {"reach", "own_reach", "span", "theta"}
        start = Start(*(jnp.ones((2, 3) if name == "span" else 3 if name in of_theta else 0) for name in Start._fields))._replace(
            is_real=jnp.ones(3, bool)
        )
        zero, none = jnp.zeros(3), jnp.zeros((0, 0))
        at = Evaluated(jnp.array(-1.0), zero, jnp.array(-1.0), zero, none, (), jnp.array(0.0))
        count = jnp.zeros((), int)
        state = newton.NewtonState(zero, at, -jnp.asarray(information), zero, jnp.array(0.0), count, count, jnp.array(True))
        assert int(code_of(settings, start, state)) == code


def test_spectrum_decrement():
    hessian, gradient = -np.diag([4.0, 1.0]), np.array([2.0, 1.0])
    with jax.enable_x64(True):
        assert float(newton.spectrum(jnp.asarray(hessian), jnp.asarray(gradient)).decrement) == pytest.approx(0.5 * (4 / 4 + 1))


# the pure fit


def stacked(designs):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *[d.clusters for d in designs])


def test_pure_fit_equals_the_driver_and_vmaps(fitted):
    with jax.enable_x64(True):
        designs = [gj.make_design(FIXED, random=RANDOM, data=simulate(seed), family="binomial") for seed in (1, 2, 3)]
        params, info = jax.jit(jax.vmap(lambda c: gj.fit_params(c, Binomial())))(stacked(designs))
    np.testing.assert_allclose(params.beta[0], fitted.fe_params, atol=1e-7)
    np.testing.assert_allclose(params.chol[0, 0, 0] ** 2, np.asarray(fitted.cov_re)[0, 0], atol=1e-6)
    assert np.all(np.isin(info.code, [int(Code.CONVERGED), int(Code.CONVERGED_ON_BOUNDARY)]))
    one = gj.mixed_model(FIXED, random=RANDOM, data=simulate(3), family="binomial")
    np.testing.assert_allclose(info.log_likelihood[2], one.llf, atol=1e-8)


@pytest.mark.slow
def test_pure_fit_is_differentiable_in_the_data():
    """The implicit derivative of the estimates against refits of moved data."""
    with jax.enable_x64(True):
        clusters = gj.make_design(FIXED, random=RANDOM, data=simulate(1), family="binomial").clusters

        def estimates(shift):
            buckets = tuple(b._replace(offset=b.offset + shift * b.X[0][:, 1:2] ** 2) for b in clusters.buckets)
            params, _ = gj.fit_params(clusters._replace(buckets=buckets), Binomial())
            return jnp.concatenate([params.beta, params.chol.ravel()])

        forward = jax.jit(jax.jacfwd(estimates))(0.1)
        reverse = jax.jit(jax.jacrev(estimates))(0.1)
        h, run = 1e-3, jax.jit(estimates)
        by_refits = (run(0.1 + h) - run(0.1 - h)) / (2 * h)
    np.testing.assert_allclose(forward, by_refits, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(reverse, forward, rtol=1e-9)


def test_second_fit_of_the_same_shapes_traces_nothing():
    """Also with another number of points and other data whose sizes fall into the same padded classes."""
    data, traced = load_intro_binomial(), []

    def listen(event, duration_secs, **about):
        if duration_secs >= 0 and event.endswith("jaxpr_trace_duration"):
            traced.append(about)

    gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
    before = kept.n_kept()
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family=Binomial(), n_agq=15)
        gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data[data["id"] > 2], family="binomial")
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert traced == []
    assert kept.n_kept() == before


def test_objective_gradient_includes_the_penalty(design):
    problem = Problem(Binomial(), Theta(2, design.covariance), StudentTPenalty(), (True, False))
    with jax.enable_x64(True):
        theta = jnp.array([0.2, -0.4, 0.8])
        _, state = RUN.begin(problem, design.clusters.buckets, given_theta(problem, np.asarray(theta)))
        at = jax.jit(evaluate, static_argnums=0)(problem, theta, Integral(design.clusters.buckets, padded_rule(5, 1)), state.at.modes)

        def penalised(t):
            value = gj.log_likelihood(problem.layout.params(t), design.clusters, Binomial(), 5)
            return value + log_penalty(t[:2], penalty_numbers(problem.penalty, float), problem.penalty, problem.is_intercept)

        np.testing.assert_allclose(at.gradient, jax.grad(penalised)(theta), rtol=1e-9)
    assert float(at.value) < float(at.log_likelihood)


def test_unsettled_integral_is_warned_about():
    """Outcomes that never vary inside a cluster: the variance runs off to where no rule of 11 points can follow."""
    data = simulate(3)
    data["y"] = np.repeat(np.random.default_rng(0).integers(0, 2, 40), 6) * 1.0
    with pytest.warns(ConvergenceWarning, match=r"the integral is not settled|no certificate"):
        gj.mixed_model(FIXED, random=RANDOM, data=data, family="binomial")


def test_pure_fit_refuses_what_would_be_another_model(design):
    with pytest.raises(ArgumentError, match="is_intercept must say which coefficient that is"):
        gj.fit_params(design.clusters, Binomial(), penalty=StudentTPenalty())
    with pytest.raises(ArgumentError, match="covariance is for 2 random effects, and clusters have 1"):
        gj.fit_params(design.clusters, Binomial(), covariance=unstructured(2))


def test_no_fixed_effects_at_all():
    fit = gj.mixed_model("y ~ 0", random=RANDOM, data=simulate(1), family="binomial")
    assert fit.converged
    assert len(fit.fe_params) == 0


def test_far_columns_and_units_do_not_matter():
    """Unix seconds, and units a billion apart, give the same maximum with a certificate."""
    data = simulate(4)
    reference = gj.mixed_model("y ~ x", random="~ x | id", data=data, family="binomial")
    for scale in (1e9, 1e-9):
        fit = gj.mixed_model("y ~ x", random="~ x | id", data=data.assign(x=data.x * scale), family="binomial")
        assert fit.converged
        assert fit.llf == pytest.approx(reference.llf, abs=1e-7)
    shifted = gj.mixed_model("y ~ x", random=RANDOM, data=data.assign(x=1.7e9 + 1e5 * data.x), family="binomial")
    assert shifted.converged
    assert shifted.llf == pytest.approx(gj.mixed_model("y ~ x", random=RANDOM, data=data, family="binomial").llf, abs=1e-6)


def test_a_finer_rule_without_a_value_does_not_pass_for_agreement(design, problem):
    integral = Integral(design.clusters.buckets, padded_rule(11, 1))
    with jax.enable_x64(True):
        last = ascend(
            OneProgram(fit_settings(problem, Options()), integral, RUN.run_phase),
            RUN.begin(problem, integral.buckets, given_theta(problem, None)),
        )
        nowhere = integral._replace(buckets=tuple(b._replace(offset=b.offset + np.nan) for b in integral.buckets))
        judgement = judged(OneProgram(fit_settings(problem, Options()), nowhere, RUN.run_phase), last, Quadrature(11))
    found = maximum.maximum(
        Asked(Options(), Quadrature(11), True, None, None), judgement, (), 0, SearchSpace(None, Padding(problem.layout, problem))
    ).convergence
    assert np.isnan(found.quadrature_error)
    assert found.code is Code.QUADRATURE_NOT_SETTLED


@pytest.mark.parametrize(("limit", "code"), [(1e-12, Code.QUADRATURE_NOT_SETTLED), (0.02, Code.CONVERGED)])
def test_the_quadrature_limit_of_the_options_is_the_one_that_counts(limit, code):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = gj.mixed_model(FIXED, random=RANDOM, data=simulate(1), family="binomial", options=Options(quadrature_limit=limit))
        again = fit.update()
    assert (fit.convergence.code, again.convergence.code) == (code, code)
