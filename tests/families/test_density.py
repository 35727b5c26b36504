"""Binomial and Poisson links: means, inverses and tails; families and links by name. What holds for all families: test_families.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from glmmjax.errors import ArgumentError
from glmmjax.families import Binomial, Poisson, resolve_family

FIRST = {"binomial": Binomial, "poisson": Poisson}  # what all families share is in test_families
CASES = [pytest.param(family(link=link()), id=f"{name}-{link().name}") for name, family in FIRST.items() for link in family.links]
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


def test_second_derivative_is_right_at_zero():
    """|eta| has no derivative at 0; a density written with it must not pass its wrong one on."""
    with jax.enable_x64(True):
        f = lambda e: Binomial().log_density(1.0, e, jnp.zeros(0))  # noqa: E731
        g = lambda e: sum(Binomial().link.log_probabilities(e))  # noqa: E731
        assert jax.grad(jax.grad(f))(0.0) == pytest.approx(-0.25)
        assert jax.grad(jax.grad(jax.grad(f)))(0.0) == pytest.approx(0.0)
        assert jax.grad(jax.grad(g))(0.0) == pytest.approx(-0.5)


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


def test_unknown_family_and_link_list_the_choices():
    with pytest.raises(ArgumentError, match=r"family='binomal' is not known; did you mean family='binomial'"):
        resolve_family("binomal")
    with pytest.raises(ArgumentError, match=r"family='zzz' is not known; choose one of .*'binomial'.*'poisson'"):
        resolve_family("zzz")
    with pytest.raises(ArgumentError, match=r"link='log-log' is not a link of the binomial family; choose one of 'logit'"):
        Binomial(link="log-log")
