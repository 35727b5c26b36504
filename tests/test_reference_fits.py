"""Every reference case: likelihood at stated parameters, height of the maximum, standard errors.

With one random effect the number of points defines the value, so the stored one is met at the same number. With more, the value
at few points depends on the square root that a program takes; there the comparison is with direct integration.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import glmmjax as gj
from glmmjax.estimation.penalty import log_penalty, penalty_numbers
from glmmjax.likelihood.gauss_hermite import padded_rule
from glmmjax.likelihood.marginal import log_likelihood_by_rule
from glmmjax.postfit.uncertainty.vcov import standard_errors
from tests.reference_cases import CASES, FAMILY_CASES, load_case

pytestmark = pytest.mark.usefixtures("compile_quickly")

MANY = 31
# one family of every kind; the others take minutes to compile together


def in_seconds(names, quick):
    return [name if name.startswith(quick) else pytest.param(name, marks=pytest.mark.slow) for name in names]


EVALUATED = [*CASES, *in_seconds(FAMILY_CASES, ("o10", "o12", "o15", "o16", "o21", "o23", "o25"))]
FITTED = in_seconds((*CASES, *FAMILY_CASES), ("o01", "o02", "o03", "o04", "o05", "o10", "o17", "o28", "o29", "o40", "o43"))


@functools.cache
def fit_of(name):
    case = load_case(name)
    # the rule of the reference need not have settled
    return gj.mixed_model(**case.arguments, n_agq=case.n_agq, options=gj.Options(quadrature_limit=0.05))


@functools.cache
def design_of(name):
    arguments = dict(load_case(name).arguments)
    arguments.pop("penalized", None)
    with jax.enable_x64(True):
        return gj.make_design(**arguments)


_log_likelihood = jax.jit(log_likelihood_by_rule, static_argnames="family")


def log_likelihood(name, beta, D, n_agq, phi=(), gamma=()):
    """At a parameter point given by D, whose factor is found although it may be singular; without R's missing constants."""
    values, vectors = np.linalg.eigh(np.asarray(D))
    chol = np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T)[1].T
    with jax.enable_x64(True):
        params = gj.Params(*(jnp.asarray(part, float) for part in (beta, chol, phi, gamma)))
        value = _log_likelihood(params, design_of(name).clusters, load_case(name).family, padded_rule(n_agq, chol.shape[0]))
    return float(value) - load_case(name).jacobian


def at(name, point, n_agq):
    """The same at a stored point or estimate."""
    return log_likelihood(name, point.beta, point.D, n_agq, point.phi, point.gamma)


@pytest.mark.parametrize("name", EVALUATED)
def test_likelihood_at_stated_parameters(name):
    case = load_case(name)
    for point in case.points:
        if case.q == 1:
            for n_agq, expected in point.llf.items():
                assert at(name, point, n_agq) == pytest.approx(expected, abs=1e-6), (point.label, n_agq)
        else:
            fine, coarse = (at(name, point, n) for n in (MANY, 21))
            settled = max(1e-6, 2 * abs(fine - coarse))
            if point.brute_force is not None:
                assert fine == pytest.approx(point.brute_force, abs=settled), point.label
            else:  # no integral is stored: the other root's value, within what both still move
                assert fine == pytest.approx(point.llf[21], abs=settled + 2 * abs(point.llf[21] - point.llf[15])), point.label


@pytest.mark.parametrize("name", FITTED)
def test_maximum_is_as_high_as_any_peer(name):
    """Estimates of all programs under one rule: the default one for one random effect, 31 points for more."""
    case, fit = load_case(name), fit_of(name)
    assert fit.converged, fit.convergence.message
    assert fit.convergence.newton_decrement < 1e-6
    n_agq = case.n_agq if case.q == 1 else MANY
    ours = penalized(case, fit.params.beta, fit.cov_re, n_agq, fit.params.phi, fit.params.gamma)
    theirs = [penalized(case, peer.beta, peer.D, n_agq, peer.phi, peer.gamma) for peer in case.peers.values() if is_whole(peer, fit)]
    assert ours >= max(theirs) - 1e-4
    if case.q == 1:
        assert fit.penalized_llf - case.jacobian == pytest.approx(case.maximum.llf, abs=1e-6)
        assert fit.penalized_llf - case.jacobian >= case.best_peer_llf - 1e-6


def is_whole(peer, fit):
    """Whether a peer's estimates are stored for all parameters."""
    return len(peer.phi) == len(fit.params.phi) and len(peer.gamma) == len(fit.params.gamma) and np.isfinite(peer.D).all()


def penalized(case, beta, D, n_agq, phi, gamma):
    with jax.enable_x64(True):
        numbers = penalty_numbers(case.penalty, float)
        penalty = float(log_penalty(jnp.asarray(beta), numbers, case.penalty, (False,) * len(beta)))
    return log_likelihood(case.name, beta, D, n_agq, phi, gamma) + penalty


def has_errors(name):
    case = load_case(getattr(name, "values", (name,))[0])
    return case.maximum.bse is not None and not case.singular


@pytest.mark.parametrize("name", [case for case in FITTED if has_errors(case)])
def test_standard_errors_are_those_of_the_exact_hessian(name):
    case, fit = load_case(name), fit_of(name)
    assert case.maximum.bse is not None
    assert case.maximum.theta_bse is not None
    np.testing.assert_allclose(fit.bse_fe, case.maximum.bse, rtol=1e-3)
    for k in range(len(fit.phi)):
        of_free = [case.maximum.theta_bse[name] for name in case.maximum.theta_bse if name.startswith("phi")]
        natural, error = fit.phi.iloc[k], standard_errors(fit.fitted_model)[fit.fitted_model.problem.layout.extra][k]
        assert natural > 0
        assert error == pytest.approx(of_free[k], rel=1e-3)
    if case.q == 1:
        deviation = np.sqrt(np.asarray(fit.cov_re)[0, 0])
        of_log_sd = fit.bse_re.iloc[0] / deviation
        assert of_log_sd == pytest.approx(case.maximum.theta_bse["D_11"], rel=1e-3)


def test_introductory_binomial_random_intercept():
    fit = fit_of("o01_seed_binomial_ri")
    assert fit.llf == pytest.approx(-374.519707, abs=1e-6)
    np.testing.assert_allclose(fit.fe_params, [-2.61934, -1.32350, 0.28524, 0.04010], atol=5e-6)
    assert np.asarray(fit.cov_re)[0, 0] == pytest.approx(4.2680, abs=5e-5)
    assert (fit.aic, fit.bic) == (pytest.approx(759.04, abs=5e-3), pytest.approx(772.07, abs=5e-3))


def test_introductory_binomial_slopes():
    diagonal = fit_of("o02_seed_binomial_diag")
    assert log_likelihood("o02_seed_binomial_diag", diagonal.params.beta, diagonal.cov_re, MANY) >= -359.4720
    assert not diagonal.is_singular


def test_correlated_slopes_settle_beyond_eleven_points():
    """The maximum at 11 points depends on their axes (those of R's engine end at correlation 1); that of the integral does not."""
    name = "o03_seed_binomial_slope"
    eleven = fit_of(name)
    assert eleven.converged
    assert 0.01 < abs(eleven.convergence.quadrature_error) < 0.02
    assert eleven.llf == pytest.approx(load_case(name).maximum.llf, abs=abs(eleven.convergence.quadrature_error))

    settled = gj.mixed_model(**load_case(name).arguments)
    assert settled.converged
    assert not settled.is_singular
    assert abs(settled.convergence.quadrature_error) < 1e-4
    assert settled.llf == pytest.approx(-358.7976, abs=1e-4)
    assert log_likelihood(name, settled.params.beta, settled.cov_re, 51) >= -358.7977


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
