"""Files that somebody tampered with: nothing in them runs, and whatever is damaged is one named error."""

import contextlib
import dataclasses
import inspect
import itertools
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.design.formula.allow_list import check_code, check_formula
from glmmjax.design.formula.split import split_formula
from glmmjax.errors import ArgumentError, FormulaError, StorageError
from glmmjax.request import FitRequest

RAN: list[str] = []


def attack(*_):
    """What no file may reach, whatever names the process has."""
    RAN.append("ran")
    return 1.0


PAYLOAD = "__import__('tests.storage.test_untrusted_files', fromlist=['RAN']).RAN.append('ran')"


@pytest.fixture
def saved(as_if_fitted, tmp_path):
    """A saved fit with a zero part, so that every kind of formula stands in the file."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"y": rng.poisson(1.0, 60), "x": rng.normal(size=60), "t": rng.uniform(1, 2, 60), "id": np.repeat(range(12), 5)})
    family = "zero_inflated_negative_binomial"
    fit = as_if_fitted(
        "y ~ x + offset(np.log(t))", random="~ 1 | id", data=frame, family=family, zi_fixed="~ x", zi_random="~ 1 | id", dispersion="~ x"
    )
    fit.save(tmp_path / "fit")
    return tmp_path / "fit"


def rewritten(path: Path, change) -> Path:
    """The file with its document changed by ``change``."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(entries.pop("fit.json"))
    change(document)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fit.json", json.dumps(document))
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("fixed", f"y ~ x + {PAYLOAD}"),
        ("fixed", f"y ~ x + offset({PAYLOAD})"),
        ("fixed", f"{PAYLOAD} ~ x"),
        ("fixed", f"y ~ x + C(x, {PAYLOAD})"),
        ("fixed", "y ~ x + attack(x)"),
        ("fixed", "y ~ x + x.__class__.__base__.__subclasses__()"),
        ("fixed", "y ~ x + np.lib.npyio.load('x')"),
        ("fixed", "y ~ x + I((lambda: attack())())"),
        ("random", f"~ {PAYLOAD} | id"),
        ("zi_fixed", f"~ {PAYLOAD}"),
        ("zi_random", f"~ {PAYLOAD} | id"),
        ("dispersion", f"~ {PAYLOAD}"),
    ],
)
def test_a_formula_in_a_file_runs_nothing(saved, argument, text):
    rewritten(saved, lambda document: document["call"].update({argument: text}))
    with pytest.raises(FormulaError, match="is not allowed"):
        gj.load(saved)
    assert RAN == []


def test_what_a_stream_has_learned_runs_nothing(as_if_fitted, tmp_path):
    frame = pd.DataFrame({"y": [0, 1, 1, 0, 1, 0], "x": [1.0, 2.0, 3.0, 4.0, 5.0, 7.0], "id": [1, 1, 2, 2, 3, 3]})
    as_if_fitted("y ~ x", random="~ 1 | id", data=gj.stream([frame]), family="binomial").save(tmp_path / "fit")

    def change(document):
        text = json.dumps(document["streamed"]["learned"])
        assert '"code", "x"' in text
        document["streamed"]["learned"] = json.loads(text.replace('"code", "x"', json.dumps(["code", PAYLOAD])[1:-1]))

    with pytest.raises(FormulaError, match="is not allowed"):
        gj.load(rewritten(tmp_path / "fit", change))
    assert RAN == []


def test_a_function_of_the_users_own_needs_trust(as_if_fitted, tmp_path):
    frame = pd.DataFrame({"y": [0, 1, 1, 0, 1, 0], "x": [1.0, 2.0, 3.0, 4.0, 5.0, 7.0], "id": [1, 1, 2, 2, 3, 3]})
    double = lambda x: 2.0 * x  # noqa: E731
    fit = as_if_fitted("y ~ double(x)", random="~ 1 | id", data=frame, family="binomial")
    fit.save(tmp_path / "fit")
    with pytest.raises(FormulaError, match=r"a call of 'double' is not allowed.*pass trust=True"):
        gj.load(tmp_path / "fit")
    assert gj.load(tmp_path / "fit", trust=True).fitted_model.design.fixed_names == fit.fitted_model.design.fixed_names
    assert double(1.0) == 2.0


ALLOWED = [
    "x", "np.log(x)", "bs(x, df=4)", "C(x, Treatment('a'))", "C(x, Sum)", "I(x**2)", "center(x)", "(x > 3) & (z == 'a')", "x**-1",
    "Q('a b')", "np.where(x > 0, 1, 0)", "cr(x, knots=[1, 2, 3])", "x / 2 + np.pi", "I(2**x)", "abs(x)", "round(x, 1)",
]  # fmt: skip
REFUSED = [
    "eval('1')", "open('f')", "f(x)", "x.values", "np.load('f')", "np.lib", "[a for a in x]", "f'{x}'", "9**9**9", "'a' * 10**9", "x[0]",
    "Q('eval')('1')", "np.log(*x)", "np.log(**x)", "x if x else z", "bs(x, df=10000000)", "1e400", "[0] * 9", "x := 3",
    "(" * 900 + ")" * 900,
    "-" * 20_000 + "x", "EvalEnvironment([])", "lambda: 1", "10**15", "x**100000",
]  # fmt: skip


@pytest.mark.parametrize("code", ALLOWED)
def test_what_formulas_are_made_of_is_allowed(code):
    check_code(code)


@pytest.mark.parametrize("code", REFUSED)
def test_everything_else_is_refused(code):
    with pytest.raises(FormulaError, match="fit with mixed_model from Python"):
        check_code(code)


def test_all_terms_of_patsy_are_read():
    check_formula(split_formula("y ~ sex * time + I(x**2) + np.log(z):C(w) - 1 + (0 + time || id)"))


def test_the_command_line_takes_no_code(tmp_path, capsys):
    from glmmjax.cli import main

    csv = tmp_path / "data.csv"
    gj.datasets.load_intro_binomial().to_csv(csv)
    assert main(["fit", str(csv), f"y ~ {PAYLOAD}", "~ 1 | id", "--family", "binomial"]) == 2
    assert "is not allowed" in capsys.readouterr().err
    assert RAN == []


# one value a keyword of mixed_model, in another form than the default
ARGUMENTS = {
    "fixed": "y ~ x", "random": "~ 1 | id", "family": gj.families.Poisson(), "weights": "a Series",
    "row_weights": "a Series", "offset": "a Series", "zi_fixed": None,
    "zi_random": None, "zi_offset": None, "dispersion": None, "covariance": "diagonal", "penalized": gj.StudentTPenalty(scale=2.0),
    "correction": None, "random_effects_law": gj.StudentTEffects(df=5),
    "n_agq": 7, "initial_values": {"beta": [0.1, 0.2], "D": [[0.5]]}, "options": gj.Options(n_newton=31), "devices": "cpu",
    "progress": False, "data": "the frame",
}  # fmt: skip


def test_every_argument_of_a_fit_comes_back(as_if_fitted, tmp_path):
    assert set(ARGUMENTS) == set(inspect.signature(gj.mixed_model).parameters)
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"y": rng.poisson(1.0, 60), "x": rng.normal(size=60), "t": rng.uniform(1, 2, 60), "id": np.repeat(range(12), 5)})
    weights = pd.Series(1.0 + np.arange(12) % 3, index=range(12))
    given = {**ARGUMENTS, "data": frame, "offset": np.log(frame["t"]), "weights": weights, "row_weights": 1.0 + frame["y"]}
    fit = as_if_fitted(**given)
    fit.save(tmp_path / "fit")
    again = gj.load(tmp_path / "fit").fitted_model
    for field in dataclasses.fields(FitRequest):
        old, new = getattr(fit.fitted_model.request, field.name), getattr(again.request, field.name)
        if field.name == "weights":
            assert new == weights.to_dict()
        elif field.name == "row_weights":
            np.testing.assert_array_equal(new, 1.0 + frame["y"])
        elif field.name == "offset":
            np.testing.assert_array_equal(new, np.log(frame["t"]))
        elif field.name != "data":
            assert new == old, field.name
    for a, b in zip(again.design.clusters.buckets, fit.fitted_model.design.clusters.buckets, strict=True):
        np.testing.assert_array_equal(a.offset, b.offset)
        np.testing.assert_array_equal(a.cluster_weight, b.cluster_weight)
        np.testing.assert_array_equal(a.row_weight, b.row_weight)


def test_flipped_bits_are_one_error(saved):
    content = saved.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(150):
        place = int(rng.integers(len(content)))
        saved.write_bytes(content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :])
        with contextlib.suppress(StorageError):  # a bit may say nothing, such as one of a time stamp
            gj.load(saved)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_truncated_files_are_one_error(saved, kept):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(StorageError, match="is damaged"):
        gj.load(saved)


FIELDS = [
    ("family",),
    *(("estimates", name) for name in ("params", "log_likelihood", "is_singular", "options", "quadrature")),
    *(("convergence", name) for name in ("message", "newton_decrement", "n_em")),
]
NO_FIELD: list[Any] = [None, [1, 2], {}, {"array": 0}, {"name": "poisson"}, {"fields": {}}]
OTHER_TYPES: list[Any] = [
    *((("family",), 3), (("estimates", "log_likelihood"), "a"), (("estimates", "is_singular"), 3), (("convergence", "message"), 3)),
    *((("convergence", "limits"), wrong) for wrong in (3, ["a"], [99], [-1])),
]


@pytest.mark.parametrize(("where", "wrong"), [*itertools.product(FIELDS, NO_FIELD), *OTHER_TYPES], ids=repr)
def test_a_value_of_another_type_is_one_error(saved, where, wrong):
    def change(document):
        *parts, name = where
        for part in parts:
            document = document[part]
        document[name] = wrong

    with pytest.raises(StorageError, match=r"^load\(.*damaged"):
        gj.load(rewritten(saved, change))


def test_a_deeply_nested_document_is_one_error(saved):
    with zipfile.ZipFile(saved, "a") as archive:
        names = archive.namelist()
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("fit.json", "[" * 100_000 + "]" * 100_000)
        for name in names[1:]:
            archive.writestr(name, b"")
    with pytest.raises(StorageError, match="is damaged"):
        gj.load(saved)


def test_a_file_that_would_fill_memory_is_one_error(saved):
    with (
        zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("fit.json", "w", force_zip64=True) as entry,
    ):
        for _ in range(120):
            entry.write(b"\0" * 1_000_000)
    rewritten_sizes = saved.read_bytes()
    assert len(rewritten_sizes) < 1_000_000
    with pytest.raises(StorageError, match="is damaged"):
        gj.load(saved)


def test_an_array_that_claims_a_huge_shape_is_one_error(saved):
    with zipfile.ZipFile(saved) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    header = header + b" " * (118 - len(header) - 1) + b"\n"
    entries["array_0.npy"] = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 8
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(StorageError, match="an array of shape"):
        gj.load(saved)


def test_saving_to_a_folder_is_refused(saved, as_if_fitted):
    fit = gj.load(saved)
    with pytest.raises(ArgumentError, match="this is a folder; name a file in it"):
        fit.save(saved.parent)


def test_trust_is_true_or_false(saved):
    with pytest.raises(ArgumentError, match=r"trust='no' is not known; choose one of True, False"):
        gj.load(saved, trust="no")  # type: ignore[arg-type]


def test_ragged_values_of_a_design_are_refused(intro_binomial):
    design = gj.make_design("y ~ sex", random="~ 1 | id", data=intro_binomial, family="binomial")
    with pytest.raises(ArgumentError, match="its entries differ in length"):
        design.with_offset([1.0, [2.0]])
