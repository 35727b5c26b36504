"""Fits that several test files look at, made once a session: compiling is what costs time."""

import jax
import pytest

import glmmjax as gj
from glmmjax import datasets

FIXED = "y ~ sex * time"


@pytest.fixture(scope="module")
def compile_quickly():
    """For modules whose programs run once or twice, so that compiling them is most of the time."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def intro_binomial():
    return datasets.load_intro_binomial()


@pytest.fixture(scope="session")
def intro_fit(intro_binomial):
    """Random intercept."""
    return gj.mixed_model(FIXED, random="~ 1 | id", data=intro_binomial, family="binomial")


@pytest.fixture(scope="session")
def no_effects_fit(intro_binomial):
    """The same without random effects."""
    return gj.mixed_model(FIXED, data=intro_binomial, family="binomial")


@pytest.fixture(scope="session")
def diagonal_fit(intro_binomial):
    """Independent random intercept and slope."""
    return gj.mixed_model(FIXED, random="~ time || id", data=intro_binomial, family="binomial")


@pytest.fixture(scope="session")
def singular_fit(intro_binomial):
    """Correlated random intercept and slope, whose correlation is 1 at the maximum."""
    return gj.mixed_model(FIXED, random="~ time | id", data=intro_binomial, family="binomial")


@pytest.fixture(scope="session")
def penalized_fit(intro_binomial):
    """Random intercept, with a penalty on the fixed effects."""
    return gj.mixed_model(FIXED, random="~ 1 | id", data=intro_binomial, family="binomial", penalized=True)


@pytest.fixture(scope="session")
def poisson_fit():
    """Count outcome with a random intercept."""
    return gj.mixed_model(FIXED, random="~ 1 | id", data=datasets.load_intro_poisson(), family="poisson")
