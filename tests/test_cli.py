"""The command line: what it passes on, what it prints, and how it ends. The fitting itself is replaced by a stand-in."""

import os
import subprocess
import sys
import types
import warnings

import pytest

import glmmjax as gj
from glmmjax.cli import main
from glmmjax.errors import ConvergenceWarning, FormulaError
from glmmjax.families import Binomial, Poisson


class StandIn:
    """Records the calls of ``mixed_model`` and ``anova``, and answers with a fit that has ``converged``."""

    def __init__(self, converged=True):
        self.converged, self.calls, self.comparisons = converged, [], []

    def mixed_model(self, fixed, **keywords):
        self.calls.append({"fixed": fixed, **keywords})
        return types.SimpleNamespace(summary=lambda: "THE SUMMARY", converged=self.converged, random=keywords["random"])

    def anova(self, fit0, fit1, boundary=False):
        self.comparisons.append((fit0.random, fit1.random, boundary))
        return "THE COMPARISON"


@pytest.fixture
def stand_in(monkeypatch):
    fake = StandIn()
    monkeypatch.setitem(vars(gj), "mixed_model", fake.mixed_model)
    monkeypatch.setitem(vars(gj), "anova", fake.anova)
    return fake


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "visits.csv"
    path.write_text("id,y\na,1\nb,0\n")
    return str(path)


def test_fit_passes_the_model_on_and_prints_the_summary(stand_in, table, capsys):
    assert main(["fit", table, "y ~ 1", "~ 1 | id", "--family", "binomial"]) == 0
    (call,) = stand_in.calls
    assert list(call.pop("data").columns) == ["id", "y"]
    assert call == {"fixed": "y ~ 1", "random": "~ 1 | id", "family": Binomial(), "penalized": False, "progress": False}
    assert capsys.readouterr().out == "THE SUMMARY\n"


def test_fit_passes_every_option_on(stand_in, table):
    options = ["--family", "poisson", "--link", "sqrt", "--n-agq", "21", "--penalized", "--progress"]
    assert main(["fit", table, "y ~ 1 + (1 | id)", *options]) == 0
    (call,) = stand_in.calls
    assert call["random"] is None
    assert call["family"] == Poisson(link="sqrt")
    assert (call["n_agq"], call["penalized"], call["progress"]) == (21, True, True)


def test_fit_passes_the_parts_of_a_model_on(stand_in, table):
    options = ["--zi-fixed", "~ x", "--zi-random", "~ 1 | id", "--dispersion", "~ z", "--covariance", "diagonal"]
    assert main(["fit", table, "y ~ 1", "~ 1 | id", "--family", "zero_inflated_negative_binomial", *options]) == 0
    (call,) = stand_in.calls
    assert {name: call[name] for name in ("zi_fixed", "zi_random", "dispersion", "covariance")} == {
        "zi_fixed": "~ x", "zi_random": "~ 1 | id", "dispersion": "~ z", "covariance": "diagonal",
    }  # fmt: skip


def test_n_agq_may_be_auto(stand_in, table):
    main(["fit", table, "y ~ 1", "--family", "binomial", "--n-agq", "auto"])
    assert stand_in.calls[0]["n_agq"] == "auto"


def test_a_fit_without_certificate_ends_with_1_and_is_printed(stand_in, table, capsys):
    stand_in.converged = False
    assert main(["fit", table, "y ~ 1", "~ 1 | id", "--family", "binomial"]) == 1
    assert "THE SUMMARY" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such.csv", "y ~ 1", "--family", "binomial"], "cannot read no-such.csv: No such file"),
        (["TABLE", "y ~ 1", "--family", "binomal"], "family='binomal' is not known; did you mean family='binomial'"),
        (["TABLE", "y ~ 1", "--family", "binomial", "--link", "log10"], "link='log10' is not a link of the binomial family"),
    ],
)
def test_wrong_input_is_one_line_and_2(stand_in, table, capsys, arguments, message):
    assert main(["fit", *(table if word == "TABLE" else word for word in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"glmmjax: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "name", [".", "https://127.0.0.1:9/a.csv", "s3://a/b.csv", "bad.csv.gz", "bad.csv.zip", "bad.csv.xz", "bad.csv.zst"]
)
def test_a_folder_an_address_and_a_damaged_archive_are_one_line_and_2(stand_in, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    for ending in ("gz", "zip", "xz", "zst"):
        (tmp_path / f"bad.csv.{ending}").write_bytes(b"packed by nobody")
    assert main(["fit", name, "y ~ 1", "--family", "binomial"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert name in err
    assert stand_in.calls == []


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n1,2,3\n", b"a,b\n\xff,2\n"])
def test_an_unreadable_table_is_one_line_and_2(stand_in, tmp_path, capsys, content):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    assert main(["fit", str(path), "y ~ 1", "--family", "binomial"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert stand_in.calls == []


def test_an_error_of_the_model_is_one_line_and_2(monkeypatch, table, capsys):
    def fail(*_, **__):
        raise FormulaError("fixed='y ~ z' names the column z;\n  the data have id, y.")

    monkeypatch.setitem(vars(gj), "mixed_model", fail)
    assert main(["fit", table, "y ~ z", "--family", "binomial"]) == 2
    assert capsys.readouterr().err == "glmmjax: fixed='y ~ z' names the column z; the data have id, y.\n"


def test_interruption_is_one_line(monkeypatch, table, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setitem(vars(gj), "mixed_model", interrupt)
    assert main(["fit", table, "y ~ 1", "--family", "binomial"]) == 130
    assert capsys.readouterr().err == "glmmjax: interrupted\n"


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(monkeypatch, stand_in, table, capsys):
    def warn(fixed, **keywords):
        warnings.warn("no certificate;\n try more steps", ConvergenceWarning, stacklevel=1)
        return stand_in.mixed_model(fixed, **keywords)

    monkeypatch.setitem(vars(gj), "mixed_model", warn)
    assert main(["fit", table, "y ~ 1", "--family", "binomial"]) == 0
    assert capsys.readouterr().err == "glmmjax: warning: no certificate; try more steps\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: command"),
        (["fit", "a.csv", "y ~ 1"], "required: --family"),
        (["fit", "a.csv", "y ~ 1", "--family", "binomial", "--n-agq", "many"], "'many' is neither a whole number nor \"auto\""),
    ],
)
def test_a_wrong_command_line_shows_the_usage(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_demo_fits_and_compares_the_introductory_examples(stand_in, capsys):
    assert main(["demo"]) == 0
    assert [(call["family"], call["random"]) for call in stand_in.calls] == [
        ("binomial", None),
        ("binomial", "~ 1 | id"),
        ("binomial", "~ time || id"),
        ("binomial", "~ time | id"),
        ("poisson", "~ 1 | id"),
        ("poisson", "~ 1 | id"),
    ]
    assert stand_in.comparisons == [
        (None, "~ 1 | id", True),
        ("~ 1 | id", "~ time || id", True),
        ("~ time || id", "~ time | id", False),
        ("~ 1 | id", "~ 1 | id", False),
    ]
    out = capsys.readouterr().out
    assert out.count("THE SUMMARY") == 4
    assert "the maximum is -2756.2984 with intercept 2.1110" in out


def test_the_module_runs():
    environment = {**os.environ, "COLUMNS": "200"}
    shown = subprocess.run([sys.executable, "-m", "glmmjax", "fit", "--help"], capture_output=True, text=True, check=True, env=environment)
    assert "--n-agq" in shown.stdout


def test_a_link_for_a_family_that_has_none_is_one_line(stand_in, monkeypatch, table, capsys):
    class NoLink:
        pass

    monkeypatch.setattr("glmmjax.cli.resolve_family", lambda name: NoLink())
    assert main(["fit", table, "y ~ 1", "--family", "binomial", "--link", "log"]) == 2
    assert capsys.readouterr().err == "glmmjax: --link='log': the binomial family has no choice of link; leave --link out.\n"
