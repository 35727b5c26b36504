"""Executables are released before the process reaches a limit of the system, and nothing else changes."""

import gc
import sys

import jax
import numpy as np
import pytest

import glmmjax as gj
from glmmjax.estimation.xla import kept
from glmmjax.estimation.xla.compiler_options import quick_to_compile, run_once
from glmmjax.estimation.xla.kept import Use, call_after_release, release
from glmmjax.estimation.xla.program import Program


@pytest.fixture
def few(monkeypatch):
    """A registry of its own."""
    monkeypatch.setattr(kept, "_all", [])
    monkeypatch.setattr(kept, "_next_look", [kept._EVERY])
    monkeypatch.setattr(kept, "_in_vain", [0])
    return kept._all


def programs(n):
    """Programs that have compiled one executable each."""
    made = [Program(lambda x, k=k: x + k) for k in range(n)]
    for k, program in enumerate(made):
        assert program(np.float32(1)) == 1 + k
    return made


def n_executables(made):
    return sum(len(program._executables) for program in made)


def test_the_least_recently_used_are_released(few):
    made = programs(6)
    made[0](np.float32(2))  # and so the first is the last
    assert release(3) == 3
    assert [len(program._executables) for program in made] == [1, 0, 0, 0, 1, 1]


def test_a_released_program_runs_again(few):
    (program,) = programs(1)
    release(1)
    assert program(np.float32(3)) == 3
    assert n_executables([program]) == 1


def test_what_remembers_programs_is_told(few):
    told = []
    call_after_release(lambda: told.append(1))
    programs(1)
    release(1)
    kept._callbacks.pop()
    assert told == [1]


@pytest.mark.parametrize("what", ["maps", "memory"])
def test_half_of_a_limit_releases_half_of_the_programs(few, monkeypatch, what):
    used = {"maps": 0.0, "memory": 0.0}
    monkeypatch.setattr(kept, "limits", lambda: Use(100.0, 100.0))
    monkeypatch.setattr(kept, "use", lambda: Use(**used))
    first = programs(40)
    assert n_executables(first) == 40
    used[what] = 51.0
    more = programs(kept._EVERY)
    assert n_executables(first + more) == 24


def test_where_data_fill_the_memory_programs_are_not_released_at_every_call(few, monkeypatch):
    monkeypatch.setattr(kept, "limits", lambda: Use(100.0, 100.0))
    monkeypatch.setattr(kept, "use", lambda: Use(0.0, 99.0))
    released: list[int] = []
    monkeypatch.setattr(kept, "release", released.append)
    programs(200)
    assert len(released) < 6


@pytest.mark.parametrize(("share", "n_released"), [(60.0, 4), (90.0, 21)])
def test_maps_of_other_programs_are_no_reason_to_release_ours_each_time_until_the_limit_is_near(few, monkeypatch, share, n_released):
    monkeypatch.setattr(kept, "limits", lambda: Use(100.0, float("inf")))
    monkeypatch.setattr(kept, "use", lambda: Use(share, 0.0))
    released: list[int] = []
    monkeypatch.setattr(kept, "release", released.append)
    programs(176 + kept._EVERY)
    assert len(released) == n_released


def test_a_system_that_tells_nothing_sets_no_limit(few, monkeypatch):
    monkeypatch.setattr(kept, "limits", lambda: Use(float("inf"), float("inf")))
    monkeypatch.setattr(kept, "use", lambda: Use(0.0, 0.0))
    assert n_executables(programs(30)) == 30


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_linux_tells_what_is_used_and_allowed():
    used, allowed = kept.use(), kept.limits()
    assert 100 < used.maps < allowed.maps < 1e9
    assert 1e8 < used.memory < allowed.memory < 1e13


def session(few, data, formulas):
    """The same numbers of several models: log-likelihoods, robust errors, marginal coefficients."""
    found = []
    for formula in formulas:
        fit = gj.mixed_model(formula, random="~ 1 | id", data=data, family="poisson")
        found += [fit.llf, *fit.cov_params("CR2").to_numpy().ravel(), *fit.marginal_coefs().params]
    return np.array(found)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_session_of_many_models_has_the_same_numbers_and_holds_a_bound(few, monkeypatch):
    data, formulas = gj.datasets.load_intro_poisson(), ["y ~ " + " + ".join(f"I(time**{k})" for k in range(1, n)) for n in range(2, 6)]
    expected = session(few, data, formulas)
    release(10_000)
    gc.collect()
    bound = kept.use().maps + 2500
    monkeypatch.setattr(kept, "limits", lambda: Use(bound / kept._SHARE, float("inf")))
    monkeypatch.setattr(kept, "_EVERY", 1)
    monkeypatch.setattr(kept, "_FEWEST", 4)
    np.testing.assert_array_equal(session(few, data, formulas), expected)
    gc.collect()
    assert kept.use().maps < bound + 500


def test_threads_that_meet_a_program_together_share_it(few):
    from concurrent.futures import ThreadPoolExecutor

    program = Program(lambda x: 2 * x)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda k: float(program(np.float32(k))), range(64)))
    assert found == [2.0 * k for k in range(64)]
    assert len(few) == 1
    assert jax.tree.leaves(program(np.float32(1)))


def twice(later=lambda: quick_to_compile("cpu")):
    """A program that is compiled without optimisation first, and how often it has been traced."""
    traces = []

    def sums(x):
        traces.append(x.shape)
        return (x * x).sum()

    return Program(sums, compiler_options=lambda: run_once("cpu"), later_options=later), traces


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other platforms have one way to compile")
def test_a_program_that_has_run_for_long_is_compiled_once_more(few, monkeypatch):
    program, traces = twice()
    x = np.arange(5.0, dtype=np.float32)
    assert [float(program(x)) for _ in range(3)] == [30.0] * 3
    assert len(traces) == 1
    (first,) = [each.executable for each in few]
    monkeypatch.setattr(kept, "_EARNED", 0.0)
    assert [float(program(x + 1)) for _ in range(3)] == [55.0] * 3
    assert len(traces) == 2
    (second,) = [each.executable for each in few]
    assert second is not first
    assert few[0].faster is None


def test_a_program_that_later_options_would_not_change_is_compiled_once(few, monkeypatch):
    monkeypatch.setattr(kept, "_EARNED", 0.0)
    program, traces = twice(later=lambda: run_once("cpu"))
    for _ in range(3):
        program(np.ones(2, np.float32))
    assert len(traces) == 1


def test_a_compiler_that_fails_the_second_time_costs_no_result(few, monkeypatch):
    program, traces = twice(later=lambda: {"xla_no_such_option": True})
    monkeypatch.setattr(kept, "_EARNED", 0.0)
    assert [float(program(np.ones(3, np.float32))) for _ in range(3)] == [3.0] * 3
    assert len(traces) == 2  # once in vain


@pytest.mark.slow  # the same fit compiled in two ways
def test_a_fit_that_is_made_often_gets_faster_programs_and_the_same_numbers(few, monkeypatch):
    data = gj.datasets.load_intro_poisson()
    fits = [gj.mixed_model("y ~ time + I(time > 3)", random="~ 1 | id", data=data, family="poisson")]
    assert sum(each.faster is not None for each in few) == 2
    monkeypatch.setattr(kept, "_EARNED", 0.0)
    fits += [gj.mixed_model("y ~ time + I(time > 3)", random="~ 1 | id", data=data, family="poisson") for _ in range(2)]
    assert not any(each.faster is not None for each in few)
    for fit in fits[1:]:
        assert fit.llf == pytest.approx(fits[0].llf, abs=1e-10)
        np.testing.assert_allclose(fit.bse_fe, fits[0].bse_fe, rtol=1e-9)
