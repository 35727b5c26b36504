"""What is said while programs are compiled: to the line of a fit, and to the logger ``glmmjax``."""

import io
import logging
import sys

import numpy as np
import pytest

import glmmjax as gj
from glmmjax.estimation.xla.news import tell, told_to
from glmmjax.estimation.xla.precompile import precompile
from glmmjax.estimation.xla.program import Program
from glmmjax.progress import Watch


class Terminal(io.StringIO):
    def isatty(self):
        return True


def two(step):
    """Two programs that no other test compiles."""

    def traced(static, x):
        yield Program(lambda x: x + step).trace(x)
        yield Program(lambda x: x * step).trace(x)

    traced.n_programs = 2  # type: ignore[attr-defined]
    return traced


def test_the_line_says_how_far_the_compiler_is(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Watch(True):
        precompile(two(1.25), None, np.float32(1))
    told = [line.strip() for line in terminal.getvalue().split("\r")]
    assert told[1] == "glmmjax: compiling 2 programs, 0 done"  # before anything is traced
    assert told[-1] == "glmmjax: compiling 2 programs, 2 done"
    assert terminal.getvalue().endswith("\n")


def test_nothing_is_said_where_everything_is_compiled(caplog):
    traced = two(2.25)
    precompile(traced, None, np.float32(1))
    with caplog.at_level(logging.DEBUG, "glmmjax"):
        precompile(traced, None, np.float32(1))
    assert not caplog.records


def test_no_line_without_a_terminal(capsys):
    with Watch(True):
        precompile(two(3.25), None, np.float32(1))
    assert capsys.readouterr().err == ""


def test_the_logger_is_told_programs_and_steps(caplog, intro_fit):
    with caplog.at_level(logging.DEBUG, "glmmjax"):
        precompile(two(4.25), None, np.float32(1))
        intro_fit.update(n_agq=7)
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert ("INFO", "compiling 2 programs, 0 done") in told
    assert any(level == "INFO" and text.startswith("compiled 2 programs in ") for level, text in told)
    assert any(level == "DEBUG" and "Newton" in text for level, text in told)


@pytest.mark.parametrize("is_small", [True, False])
def test_the_number_of_programs_is_the_number_that_is_traced(is_small, monkeypatch, intro_binomial):
    """Where it is said before they are traced, it has to be right."""
    counted = []

    def count(traced, static, *arguments):
        counted.append((traced.n_programs, len(list(traced(static, *arguments)))))
        raise KeyboardInterrupt

    where = "one_program" if is_small else "parts"
    monkeypatch.setattr(f"glmmjax.estimation.evaluators.{where}.precompile", count)
    monkeypatch.setattr("glmmjax.estimation.maximise.is_small", lambda *_: is_small)
    with pytest.raises(KeyboardInterrupt):
        gj.mixed_model("y ~ sex", random="~ 1 | id", data=intro_binomial, family="binomial", progress=True)
    ((said, found),) = counted
    assert said == found


def test_only_the_fit_that_runs_hears_it():
    heard: list[str] = []
    with told_to(heard.append):
        tell("one")
    tell("two")
    assert heard == ["one"]
