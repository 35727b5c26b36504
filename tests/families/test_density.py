"""Every registered family: its density against scipy and against numerical sums, its derivatives, its tails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from glmmjax.errors import ArgumentError
from glmmjax.families import FAMILIES, Binomial, Poisson, resolve_family

CASES = [pytest.param(family(link=link()), id=f"{name}-{link().name}") for name, family in FAMILIES.items() for link in family.links]
ETA = {"log": np.linspace(-4.0, -0.05, 9), "identity": np.linspace(0.1, 6.0, 9), "sqrt": np.linspace(0.2, 3.0, 9)}
FULL = np.linspace(-5.0, 2.5, 11)  # further up scipy loses 1 - mu to rounding


def eta_grid(family):
    return ETA.get(family.link.name, FULL) if not isinstance(family, Poisson) or family.link.name != "log" else FULL


def density(family, y, eta):
    with jax.enable_x64(True):
        y = tuple(map(jnp.asarray, y)) if isinstance(y, tuple) else jnp.asarray(y)
        return np.asarray(family.log_density(y, jnp.asarray(eta), jnp.zeros(0)))


def mean_by_scipy(family, eta):
    inverse = {
        "logit": scipy.special.expit,
        "probit": scipy.stats.norm.cdf,
        "cloglog": lambda e: -np.expm1(-np.exp(e)),
        "cauchit": scipy.stats.cauchy.cdf,
        "log": np.exp,
        "sqrt": np.square,
        "identity": lambda e: e,
    }
    return inverse[family.link.name](eta)


@pytest.mark.parametrize("family", CASES)
def test_density_matches_scipy_and_sums_to_one(family):
    eta = eta_grid(family)
    mu = mean_by_scipy(family, eta)
    if isinstance(family, Binomial):
        y, expected, support = 1.0, scipy.stats.bernoulli.logpmf(1, mu), np.arange(2.0)
    else:
        y, expected, support = 3.0, scipy.stats.poisson.logpmf(3, mu), np.arange(600.0)
    np.testing.assert_allclose(density(family, y, eta), expected, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(np.exp(density(family, support[:, None], eta)).sum(0), 1.0, rtol=1e-8)


@pytest.mark.parametrize("link", [link().name for link in Binomial.links])
def test_trials_match_scipy(link):
    family = Binomial(link)
    eta, s, n = eta_grid(family), 3.0, 7
    expected = scipy.stats.binom.logpmf(s, n, mean_by_scipy(family, eta))
    np.testing.assert_allclose(density(family, (s, n - s), eta), expected, rtol=1e-10)


@pytest.mark.parametrize("family", CASES)
def test_two_derivatives_match_differences(family):
    eta = eta_grid(family)[1:-1] + 0.01
    with jax.enable_x64(True):
        f = lambda e: family.log_density(1.0, e, jnp.zeros(0))  # noqa: E731
        first, second = jax.vmap(jax.grad(f))(eta), jax.vmap(jax.grad(jax.grad(f)))(eta)
        h = 1e-5
        by_difference = (f(eta + h) - f(eta - h)) / (2 * h)
        by_second = (jax.vmap(jax.grad(f))(eta + h) - jax.vmap(jax.grad(f))(eta - h)) / (2 * h)
    np.testing.assert_allclose(first, by_difference, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(second, by_second, rtol=1e-7, atol=1e-8)


def test_second_derivative_is_right_at_zero():
    """|eta| has no derivative at 0; a density written with it must not pass its wrong one on."""
    with jax.enable_x64(True):
        f = lambda e: Binomial().log_density(1.0, e, jnp.zeros(0))  # noqa: E731
        g = lambda e: sum(Binomial().link.log_probabilities(e))  # noqa: E731
        assert jax.grad(jax.grad(f))(0.0) == pytest.approx(-0.25)
        assert jax.grad(jax.grad(jax.grad(f)))(0.0) == pytest.approx(0.0)
        assert jax.grad(jax.grad(g))(0.0) == pytest.approx(-0.5)


@pytest.mark.parametrize("family", CASES)
@pytest.mark.parametrize("eta", [-700.0, 700.0])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_tails_are_finite(family, eta, y):
    with jax.enable_x64(True):
        f = lambda e: family.log_density(y, e, jnp.zeros(0))  # noqa: E731
        values = [f(eta), jax.grad(f)(eta), jax.grad(jax.grad(f))(eta)]
    assert np.all(np.isfinite(values))


@pytest.mark.parametrize(
    ("link", "eta", "expected"),
    [
        ("logit", -700.0, -700.0),
        ("probit", -700.0, scipy.stats.norm.logcdf(-700.0)),
        ("cloglog", -700.0, -700.0),
        ("cauchit", -700.0, np.log(np.arctan2(1.0, 700.0) / np.pi)),
        ("log", -700.0, -700.0),
    ],
)
def test_lower_tail_is_exact(link, eta, expected):
    np.testing.assert_allclose(density(Binomial(link), 1.0, eta), expected, rtol=1e-12)


def test_log_sigmoid_pair_keeps_relative_accuracy():
    with jax.enable_x64(True):
        upper, lower = Binomial().link.log_probabilities(jnp.array([40.0, -40.0]))
    np.testing.assert_allclose(upper, [-4.248354255291589e-18, -40.0], rtol=1e-12)
    np.testing.assert_allclose(lower, [-40.0, -4.248354255291589e-18], rtol=1e-12)


@pytest.mark.parametrize("family", CASES)
def test_link_inverts(family):
    eta = eta_grid(family)
    with jax.enable_x64(True):
        np.testing.assert_allclose(family.link.link(family.link.inverse(jnp.asarray(eta))), eta, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(family.mean(jnp.asarray(eta), jnp.zeros(0)), mean_by_scipy(family, eta), rtol=1e-12)


@pytest.mark.parametrize("family", CASES)
def test_log_concavity_is_as_claimed(family):
    eta = eta_grid(family)
    with jax.enable_x64(True):
        curvature = [jax.vmap(jax.grad(jax.grad(lambda e: family.log_density(y, e, jnp.zeros(0)))))(eta) for y in (0.0, 1.0)]
    if family.is_log_concave:
        assert np.max(curvature) <= 1e-12


@pytest.mark.parametrize("family", CASES)
def test_family_is_equal_by_value_and_hashable(family):
    twin = type(family)(link=family.link.name)
    assert twin == family
    assert hash(twin) == hash(family)


def test_unknown_family_and_link_list_the_choices():
    with pytest.raises(ArgumentError, match=r"family='binomal' is not known; choose one of .*'binomial'.*'poisson'"):
        resolve_family("binomal")
    with pytest.raises(ArgumentError, match=r"link='log-log' is not a link of the binomial family; choose one of 'logit'"):
        Binomial(link="log-log")
