"""Every binomial and Poisson reference case: likelihood at stated parameters, height of the maximum, standard errors.

With one random effect the number of points defines the value, so the stored one is met at the same number. With more, the value
at few points depends on the square root that a program takes; there the comparison is with direct integration.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import glmmjax as gj
from tests.reference_cases import CASES, load_case

MANY = 31


@functools.cache
def fit_of(name):
    case = load_case(name)
    return gj.mixed_model(**case.arguments, n_agq=case.n_agq)


@functools.cache
def design_of(name):
    arguments = dict(load_case(name).arguments)
    arguments.pop("penalized", None)
    with jax.enable_x64(True):
        return gj.make_design(**arguments)


_log_likelihood = jax.jit(gj.log_likelihood, static_argnames=("family", "n_agq"))


def log_likelihood(name, beta, D, n_agq):
    """At a parameter point given by D, whose factor is found although it may be singular."""
    values, vectors = np.linalg.eigh(np.asarray(D))
    chol = np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T)[1].T
    with jax.enable_x64(True):
        params = gj.Params(jnp.asarray(beta), jnp.asarray(chol), jnp.zeros(0), jnp.zeros(0))
        return float(_log_likelihood(params, design_of(name).clusters, load_case(name).family, n_agq))


@pytest.mark.parametrize("name", CASES)
def test_likelihood_at_stated_parameters(name):
    case = load_case(name)
    for point in case.points:
        if case.q == 1:
            for n_agq, expected in point.llf.items():
                assert log_likelihood(name, point.beta, point.D, n_agq) == pytest.approx(expected, abs=1e-6), (point.label, n_agq)
        else:
            fine, coarse = (log_likelihood(name, point.beta, point.D, n) for n in (MANY, 21))
            assert fine == pytest.approx(point.brute_force, abs=max(1e-6, 2 * abs(fine - coarse))), point.label


@pytest.mark.parametrize("name", CASES)
def test_maximum_is_as_high_as_any_peer(name):
    """Estimates of all programs under one rule: the default one for one random effect, 31 points for more."""
    case, fit = load_case(name), fit_of(name)
    assert fit.converged, fit.convergence.message
    assert fit.convergence.newton_decrement < 1e-6
    n_agq = case.n_agq if case.q == 1 else MANY
    with jax.enable_x64(True):
        penalty = lambda beta: float(log_penalty_of(case, beta))  # noqa: E731
        ours = log_likelihood(name, fit.params.beta, np.asarray(fit.cov_re), n_agq) + penalty(fit.params.beta)
        theirs = [log_likelihood(name, peer.beta, peer.D, n_agq) + penalty(peer.beta) for peer in case.peers.values()]
    assert ours >= max(theirs) - 1e-4
    if case.q == 1:
        assert fit.penalized_llf == pytest.approx(case.maximum.llf, abs=1e-6)
        assert fit.penalized_llf >= case.best_peer_llf - 1e-6


def log_penalty_of(case, beta):
    from glmmjax.estimation.penalty import log_penalty

    return log_penalty(jnp.asarray(beta), case.penalty, (False,) * len(beta))


@pytest.mark.parametrize("name", [name for name in CASES if load_case(name).maximum.bse is not None and not load_case(name).singular])
def test_standard_errors_are_those_of_the_exact_hessian(name):
    case, fit = load_case(name), fit_of(name)
    tolerance = 1e-3
    np.testing.assert_allclose(fit.bse_fe, case.maximum.bse, rtol=tolerance)
    if case.q == 1:
        of_log_sd = fit.re_bse.iloc[0] / np.sqrt(np.asarray(fit.cov_re)[0, 0]) if hasattr(fit, "re_bse") else None
        if of_log_sd is not None:
            assert of_log_sd == pytest.approx(case.maximum.theta_bse["D_11"], rel=tolerance)


def test_introductory_binomial_random_intercept():
    fit = fit_of("o01_seed_binomial_ri")
    assert fit.llf == pytest.approx(-374.519707, abs=1e-6)
    np.testing.assert_allclose(fit.fe_params, [-2.61934, -1.32350, 0.28524, 0.04010], atol=5e-6)
    assert np.asarray(fit.cov_re)[0, 0] == pytest.approx(4.2680, abs=5e-5)
    assert (fit.aic, fit.bic) == (pytest.approx(759.04, abs=5e-3), pytest.approx(772.07, abs=5e-3))


def test_introductory_binomial_slopes():
    diagonal, full = fit_of("o02_seed_binomial_diag"), fit_of("o03_seed_binomial_slope")
    assert log_likelihood("o02_seed_binomial_diag", diagonal.params.beta, diagonal.cov_re, MANY) >= -359.4720
    assert log_likelihood("o03_seed_binomial_slope", full.params.beta, full.cov_re, 51) >= -358.7977
    assert full.is_singular
    assert full.converged
    assert not diagonal.is_singular
    assert "singular" in str(full.summary())
    assert "nan" not in str(full.summary()).lower()


def test_introductory_poisson_reaches_the_maximum_that_others_miss():
    fit = fit_of("o04_seed_poisson_ri")
    assert fit.llf == pytest.approx(-2756.2984, abs=5e-5)
    np.testing.assert_allclose(fit.fe_params, [2.1110, -0.30655, 0.24021, -0.050985], atol=2e-5)
    assert np.asarray(fit.cov_re)[0, 0] == pytest.approx(0.5676, abs=5e-5)
    laplace = gj.mixed_model(**load_case("o04_seed_poisson_ri").arguments, n_agq=1)
    assert laplace.converged
    assert laplace.llf == pytest.approx(-2756.3283, abs=1e-4)
    peer = load_case("o04_seed_poisson_ri").peers["GLMMadaptive"]
    assert log_likelihood("o04_seed_poisson_ri", peer.beta, peer.D, 11) == pytest.approx(-2782.306, abs=1e-3)
