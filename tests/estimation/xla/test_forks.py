"""A process that was forked after a fit says what to do; it would wait for ever."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

SCRIPT = textwrap.dedent("""
    import multiprocessing, sys, warnings
    warnings.simplefilter("ignore")
    import glmmjax as gj

    data = gj.datasets.load_intro_poisson()

    def fit(_=0):
        try:
            return gj.mixed_model("y ~ time", data=data, family="poisson").llf
        except gj.errors.GlmmError as error:
            return f"{type(error).__name__}: {error}"

    if __name__ == "__main__":
        first, method = sys.argv[1:]
        here = fit() if first == "after" else None
        with multiprocessing.get_context(method).Pool(1) as pool:
            there = pool.map(fit, [0])[0]
        print(there == (fit() if here is None else here), there)
""")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("fork") / "script.py"
    path.write_text(SCRIPT)
    return path


def run(script, *arguments):
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fork_after_a_fit_is_refused(script):
    found = run(script, "after", "fork")
    assert "ProcessError" in found
    assert "get_context('spawn')" in found


@pytest.mark.parametrize(("first", "method"), [("before", "fork"), ("after", "spawn")])
def test_a_fork_before_the_first_fit_and_the_advice_work(script, first, method):
    assert run(script, first, method).startswith("True ")
