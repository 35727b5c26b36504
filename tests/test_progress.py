"""What is shown of work that is counted: a bar of tqdm in a terminal, a plain line without it, the last line alone in a file."""

import io
import sys

import pytest

import glmmjax as gj
from glmmjax.estimation.maximum import Progress
from glmmjax.estimation.xla.news import tell, tell_count
from glmmjax.progress import Watch, describe
from glmmjax.progress_records import ManyProgress, RefitProgress, TrainingProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def shown(monkeypatch):
    """What a terminal shows of records."""

    def text_of(records):
        with monkeypatch.context() as patch:  # pytest changes the stream between a fixture and its test
            patch.setattr(sys, "stderr", terminal := Terminal())
            patch.setenv("COLUMNS", "100")
            show(records)
            return terminal.getvalue()

    return text_of


@pytest.fixture
def no_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


FITS = [ManyProgress(n, 40, n - 1, 1, n / 10) for n in (10, 40)]
EPOCHS = [TrainingProgress(k, 3, 2.0 / k, 2.5, 0, k / 10) for k in (1, 2)]


def show(records):
    with Watch(True) as watch:
        tell("compiling 3 programs")
        for record in records:
            watch.report(record)


@pytest.mark.parametrize(
    ("records", "ends"), [(FITS, ("40/40 [", "fits/s, 1 without certificate]")), (EPOCHS, ("2/3 [", "loss 1.0000, held back 2.5000]"))]
)
def test_a_terminal_has_a_bar(shown, records, ends):
    pytest.importorskip("tqdm")
    text = shown(records)
    last = text.split("\r")[-1]
    assert last.startswith("glmmjax: ")
    assert last.endswith(ends[1] + "\n")
    assert ends[0] in last
    assert all(len(line) <= 101 for line in text.split("\r"))


def test_other_work_has_a_bar_of_its_own(shown):
    pytest.importorskip("tqdm")
    text = shown([RefitProgress(n, total, 1.0) for total in (2, 2, 3) for n in range(1, total + 1)])
    ended = [line.split("|")[-1].split(" [")[0].strip() for line in text.split("\n") if line]
    assert ended == ["2/2", "2/2", "3/3"]


@pytest.mark.usefixtures("no_tqdm")
@pytest.mark.parametrize("records", [FITS, EPOCHS])
def test_without_tqdm_a_line_is_written_over(shown, records):
    text = shown(records)
    lines = [line.strip() for line in text.split("\r")]
    assert lines == ["", "glmmjax: compiling 3 programs", *map(describe, records)]
    assert text.endswith("\n")


def test_a_step_of_one_fit_is_a_line(shown):
    step = Progress("Newton", 2, -10.5, 1e-7)
    assert shown([step]).split("\r")[-1].strip() == describe(step)


def test_a_file_gets_the_last_line(monkeypatch):
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    show(FITS)
    assert file.getvalue() == "glmmjax: 40 of 40 fits done, 39 certified, 1 without certificate, 0 s left\n"


def test_refits_are_counted_for_whoever_asks():
    tell_count(1, 2)  # nobody hears it
    seen: list[RefitProgress] = []
    with Watch(seen.append):
        tell_count(1, 2)
        with Watch(False):
            tell_count(7, 8)
    assert [(one.n_done, one.n) for one in seen] == [(1, 2)]


@pytest.mark.usefixtures("compile_quickly")
def test_methods_that_refit_tell_how_many_are_done(intro_fit):
    seen: list[RefitProgress] = []
    calls = {
        7: lambda: intro_fit.bootstrap(7, progress=seen.append),
        6: lambda: gj.permutation_test(intro_fit, "sex", 6, progress=seen.append),
        4: lambda: gj.cross_validate(intro_fit, folds=4, progress=seen.append),
        5: lambda: gj.power(intro_fit, {"time": [0.1, 0.2]}, n_sim=5, progress=seen.append),
    }
    for n, call in calls.items():
        seen.clear()
        call()
        assert [one.n_done for one in seen[:n]] == list(range(1, n + 1))
        assert {one.n for one in seen} == {n}
        assert len(seen) == (2 * n if n == 5 else n)  # two effects


def test_an_interrupt_says_how_many_refits_were_done(intro_fit):
    def stop(record):
        if record.n_done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="stopped by the user after 2 of 5 refits"):
        intro_fit.bootstrap(5, progress=stop)
