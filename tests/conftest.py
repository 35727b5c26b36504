"""Fits that several test files look at, made once a session: compiling is what costs time."""

import gc
import os
import subprocess
import sys
from pathlib import Path

os.environ["GLMMJAX_PROGRAM_STORE"] = "off"  # a test traces and lowers what it says that it compiles
# XLA's work is shared by the processes of a run, and by the runs of a checkout
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / "build" / "programs"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

import jax
import numpy as np
import pytest

import glmmjax as gj
from glmmjax import datasets, model
from glmmjax.estimation.convergence import Code, Convergence
from glmmjax.estimation.maximum import Maximum
from glmmjax.estimation.xla import kept

FIXED = "y ~ sex * time"
QUICK = (
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1 "
    "--xla_backend_extra_options=xla_cpu_disable_slp_vectorizer,xla_cpu_disable_loop_unrolling,xla_cpu_optimize_for_size"
)

kept._EARNED = float("inf")  # no program is compiled once more in a test that counts what is compiled


def pytest_configure(config):
    """XLA's options for compiling in two thirds of the time. One that it does not know would end the process, so another one tries them."""
    del config
    if "XLA_FLAGS" not in os.environ:  # the processes of a run have them from the first
        trial = [sys.executable, "-c", "import jax; jax.devices()"]
        tried = subprocess.run(trial, env=os.environ | {"XLA_FLAGS": QUICK, "JAX_PLATFORMS": "cpu"}, capture_output=True)
        os.environ["XLA_FLAGS"] = "" if tried.returncode else QUICK


@pytest.fixture(scope="module", autouse=True)
def few_memory_maps():
    """What tests compile by themselves takes memory maps, and near the limit of maps our programs would be released again and again."""
    yield
    if kept.use().maps > 0.25 * kept.limits().maps:
        jax.clear_caches()
        gc.collect()


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
    """Independent random intercept and slope, by 11 points."""
    return gj.mixed_model(FIXED, random="~ time || id", data=intro_binomial, family="binomial", n_agq=11)


@pytest.fixture(scope="session")
def slope_fit(intro_binomial):
    """Correlated random intercept and slope."""
    options = gj.Options(quadrature_limit=0.05)  # it is .010 away from the integral
    return gj.mixed_model(FIXED, random="~ time | id", data=intro_binomial, family="binomial", n_agq=11, options=options)


@pytest.fixture(scope="session")
def singular_fit(intro_binomial):
    """The same by Laplace's method, whose maximum has a correlation of 1."""
    options = gj.Options(quadrature_limit=5.0)  # it is 2.4 away from the integral
    return gj.mixed_model(FIXED, random="~ time | id", data=intro_binomial, family="binomial", n_agq=1, options=options)


@pytest.fixture(scope="session")
def penalized_fit(intro_binomial):
    """Random intercept, with a penalty on the fixed effects."""
    return gj.mixed_model(FIXED, random="~ 1 | id", data=intro_binomial, family="binomial", penalized=True)


@pytest.fixture(scope="session")
def poisson_fit():
    """Count outcome with a random intercept."""
    return gj.mixed_model(FIXED, random="~ 1 | id", data=datasets.load_intro_poisson(), family="poisson")


@pytest.fixture
def as_if_fitted(monkeypatch):
    """``mixed_model`` that takes numbers from nowhere in the place of a search, so that nothing is compiled."""
    ended = Convergence(Code.CONVERGED, "as if", 1e-9, 1e-7, 3, 4, 2, 1e-5, 11, 17, largest_shift=1e-3)

    def found(problem, modes):
        size = problem.layout.size
        theta = np.abs(np.random.default_rng(1).normal(size=size)) + 0.1
        return Maximum(theta, -np.eye(size) - 0.1, -10.5, -11.5, modes, ended, False)

    def maximise(problem, options, buckets, *_, **__):
        q = problem.layout.covariance.q
        return found(problem, tuple(np.full((len(b.cluster_weight), q, b.cluster_weight.shape[1]), 0.25) for b in buckets))

    def maximise_streamed(problem, options, blocks, *_, **__):
        return found(problem, (np.full((1, problem.layout.covariance.q, 5000), 0.25),))

    monkeypatch.setattr(model, "maximise", maximise)
    monkeypatch.setattr(model, "maximise_streamed", maximise_streamed)
    return gj.mixed_model
