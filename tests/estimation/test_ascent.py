"""The ascent takes the same steps whoever evaluates, and stands in one place."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import glmmjax as gj
from glmmjax import estimation
from glmmjax.datasets import load_intro_binomial
from glmmjax.estimation.ascent import ascend
from glmmjax.estimation.batch import ascend_in_batch
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.evaluators.cores import Cores
from glmmjax.estimation.evaluators.mesh import MeshEvaluator
from glmmjax.estimation.evaluators.one_program import OneProgram
from glmmjax.estimation.objective import Integral, Problem, fit_settings
from glmmjax.estimation.sequence import FIRST_ORDER
from glmmjax.estimation.xla.programs import given_theta, programs
from glmmjax.likelihood.gauss_hermite import padded_rule
from glmmjax.likelihood.params import Theta
from glmmjax.options import Options

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(scope="module")
def settings_and_integral():
    with jax.enable_x64(True):
        design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=load_intro_binomial(), family="binomial")
        problem = Problem(design.family, Theta(4, design.covariance), None, (True, False, False, False))
        yield fit_settings(problem, Options(n_em=3)), Integral(design.clusters.buckets, padded_rule(7, 1))


def begun_by(evaluator, integral):
    problem = evaluator.settings.problem
    return evaluator.begin(programs(is_small=True).begin, problem, integral.buckets, given_theta(problem, None))


@pytest.fixture(scope="module")
def expected(settings_and_integral):
    """One compiled program for each phase, which comes back after every step; its end, and what it reported."""
    settings, integral = settings_and_integral
    told = []
    with jax.enable_x64(True):
        evaluator = OneProgram(settings, integral, programs(is_small=True).run_phase, np.int32(1), runs_whole_phases=False)
        last = ascend(evaluator, begun_by(evaluator, integral), lambda phase, state: told.append(phase.progress(state)))
    return last, told


def test_every_step_is_reported_in_the_order_of_the_phases(expected):
    last, told = expected
    assert int(last.code) == Code.CONVERGED
    n_em, n_quasi_newton, n_newton = map(int, last.n_evaluations)
    assert [iteration for _, iteration in told] == [*range(1, n_em + n_quasi_newton + 1), *range(1, n_newton + 1)]
    assert list(dict.fromkeys(name for name, _ in told)) == ["EM", "quasi-Newton", "Newton"]


@pytest.mark.parametrize("where", ["cores", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mesh", "a program of its own"))])
def test_every_evaluator_takes_the_same_steps(settings_and_integral, expected, where):
    settings, integral = settings_and_integral
    expected, _ = expected
    with jax.enable_x64(True):
        evaluator: Any = {
            "cores": lambda: Cores(settings, integral, programs(is_small=False)),
            "mesh": lambda: MeshEvaluator(settings, integral, jax.make_mesh((1,), ("blocks",))),
            "a program of its own": lambda: OneProgram(settings, integral),
        }[where]()
        begun = begun_by(evaluator, integral)
        traced = jax.jit(lambda integral, begun: ascend(OneProgram(settings, integral), begun))
        last = traced(integral, begun) if isinstance(evaluator, OneProgram) else ascend(evaluator, begun)
        other_rule = None
        if where != "a program of its own":
            other_rule = float(evaluator.by_rule(last, padded_rule(15, 1), FIRST_ORDER)[0].log_likelihood)
        evaluator.close()
    assert list(map(int, last.n_evaluations)) == list(map(int, expected.n_evaluations))
    np.testing.assert_allclose(last.newton.theta, expected.newton.theta, rtol=1e-9)
    for found, wanted in zip(evaluator.modes(last), expected.newton.at.modes, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9)
    if other_rule is not None:
        assert other_rule == pytest.approx(float(last.newton.at.log_likelihood), abs=1e-2)
        assert other_rule != float(last.newton.at.log_likelihood)


@pytest.mark.slow  # compiles the likelihood under vmap
def test_a_batch_of_other_weights_ends_where_single_ascents_end(settings_and_integral, expected):
    settings, integral = settings_and_integral
    last, _ = expected

    def weighted(buckets, weights):
        return tuple(bucket._replace(cluster_weight=weight) for bucket, weight in zip(buckets, weights, strict=True))

    with jax.enable_x64(True):
        values = tuple(np.stack([bucket.cluster_weight, 2.0 * bucket.cluster_weight]) for bucket in integral.buckets)
        found = ascend_in_batch(settings, weighted, last.begun, integral, values)
    np.testing.assert_allclose(found.theta, np.stack([last.newton.theta] * 2), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.log_likelihood, np.array([1.0, 2.0]) * float(last.newton.at.log_likelihood), rtol=1e-9)


def test_the_loop_over_phases_stands_once():
    """Only ``ascent`` advances an evaluator, and ``many/batch`` chunks of fits; ``phases/phase`` has the compiled loop over steps."""
    folder = Path(estimation.__path__[0])
    texts = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    assert sorted(name for name, text in texts.items() if ".advance(" in text) == ["ascent.py", "many/batch.py"]
    assert sorted(name for name, text in texts.items() if "while_loop(" in text) == ["glm.py", "phases/phase.py"]
