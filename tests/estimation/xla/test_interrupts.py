"""Ctrl-C ends a fit, also where Python gives it to a callback of the garbage collector, which loses it."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import glmmjax as gj
from glmmjax.estimation.xla.interrupts import keep_interrupts
from glmmjax.estimation.xla.precompile import precompile
from glmmjax.estimation.xla.program import Program

SCRIPT = textwrap.dedent("""
    import gc, signal, sys, time
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may begin without
    gc.disable()  # Python ignores what is raised in a callback of the collector, and JAX has one: an interrupt in there is lost for good
    import numpy as np
    import glmmjax as gj

    counts = gj.datasets.load_intro_poisson()
    events = np.random.default_rng(1).binomial(10, 0.3, len(counts))
    counts = counts.assign(events=events, rest=10 - events)
    print("begins", flush=True)
    try:
        gj.mixed_model("cbind(events, rest) ~ sex", random="~ 1 | id", data=counts, family="beta_binomial")
        print("ended", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
""")


@pytest.fixture
def swallowed(monkeypatch):
    """A function that is interrupted in a callback of the garbage collector, where Python loses the interruption."""
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: lost.append(unraisable.exc_type))

    def callback(phase, _):
        if phase == "stop":
            signal.raise_signal(signal.SIGINT)

    def interrupt():
        gc.callbacks.append(callback)
        try:
            gc.collect()
        finally:
            gc.callbacks.remove(callback)
        assert lost == [KeyboardInterrupt]

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield interrupt
    signal.signal(signal.SIGINT, before)


def test_python_loses_it(swallowed):
    swallowed()  # and goes on


def test_the_check_raises_what_was_lost(swallowed):
    def work():
        with keep_interrupts() as check:
            check()
            swallowed()
            check()
            pytest.fail("the check let it pass")

    with pytest.raises(KeyboardInterrupt):
        work()


def test_the_end_raises_what_was_lost(swallowed):
    with pytest.raises(KeyboardInterrupt), keep_interrupts():
        swallowed()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_context_inside_another_is_the_same(swallowed):
    def work():
        with keep_interrupts() as outer, keep_interrupts() as check:
            assert check is outer
            swallowed()

    with pytest.raises(KeyboardInterrupt):
        work()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with keep_interrupts() as check:
        check()  # what was has been


def test_an_error_stays_what_it_was(swallowed):
    def work():
        with keep_interrupts():
            swallowed()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_user_stays(swallowed):
    seen = []
    own = lambda number, _: seen.append(number)  # noqa: E731
    signal.signal(signal.SIGINT, own)
    with keep_interrupts():
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is own
    assert seen == [signal.SIGINT]


def test_other_threads_handle_no_signals():
    found = []

    def work():
        with keep_interrupts() as check:
            check()
            found.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def test_a_program_that_is_traced_meanwhile_does_not_run(swallowed):
    def function(x):
        if not traced:
            traced.append(x)
            swallowed()
        return x + 1

    traced, program = [], Program(function)
    with pytest.raises(KeyboardInterrupt):
        program(np.float32(1))
    assert program(np.float32(1)) == 2


def test_no_further_program_is_traced(swallowed):
    def first(x):
        swallowed()
        return x

    def second(_):
        pytest.fail("was traced")

    def programs(_, x):
        yield Program(first).trace(x)
        yield Program(second).trace(x)

    with pytest.raises(KeyboardInterrupt):
        precompile(programs, None, np.float32(1))


def test_a_fit_that_reads_its_data_meanwhile_stops(swallowed, monkeypatch, intro_binomial):
    monkeypatch.setattr("glmmjax.model.build_design", lambda *_: swallowed())
    monkeypatch.setattr("glmmjax.model.maximised", lambda *_: None)
    monkeypatch.setattr("glmmjax.model._warn", lambda _: None)
    monkeypatch.setattr("glmmjax.model.MixedModelResults", lambda *_: pytest.fail("the fit went on"))
    with pytest.raises(KeyboardInterrupt):
        gj.mixed_model("y ~ sex", data=intro_binomial, family="binomial")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system sends no SIGINT to another process")
@pytest.mark.parametrize("delay", [0.5, 1.3, 2.9, 5.2])
def test_a_beta_binomial_fit_ends_whenever_it_is_interrupted(delay, tmp_path):
    environment = {**os.environ, "GLMMJAX_PROGRAM_STORE": "off", "JAX_COMPILATION_CACHE_DIR": ""}
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", SCRIPT], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        try:
            out, _ = process.communicate(timeout=400)  # the program that is being compiled is compiled to its end
        finally:
            process.kill()
    assert out == "interrupted\n"
    assert process.returncode == 0
