"""Fits that leave the process: files of ``fit.save``, which ``gj.load`` reads without compiling and without running code; pickles."""

import dataclasses
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.design import Stream
from glmmjax.design.new_rows import read_new_rows
from glmmjax.errors import ArgumentError, DesignError, FormulaError, RowsNotKeptError, StorageError
from glmmjax.fitted import FittedModel
from glmmjax.storage.columns import decode_column, decode_index, encode_column, encode_index
from glmmjax.storage.values import decode, encode

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data():
    rng = np.random.default_rng(4)
    n = 90
    id_ = np.repeat(np.arange(30), 3)
    frame = pd.DataFrame({"y": rng.integers(0, 2, n), "x": rng.normal(size=n), "id": id_, "unused": 1.0})
    levels = pd.Categorical(np.array(["low", "mid", "top"])[rng.integers(0, 3, n)], ["top", "low", "mid", "none"])
    frame = frame.assign(dose=levels, site=np.where(id_ % 2, "b", "a"), visit=np.tile([0, 1, 2], 30), count=rng.poisson(2, n))
    frame = frame.assign(well=rng.random(n) < 0.5, state=np.where(frame["y"], "ill", "well"), e=rng.uniform(1, 2, n), w=1.0 + id_ % 3)
    frame["pair"] = pd.Series([(int(i), "s") for i in id_], index=frame.index)
    frame["grade"] = pd.Categorical(np.array(["I", "II", "III"])[rng.integers(0, 3, n)], ["I", "II", "III"], ordered=True)
    frame.loc[[3, 40], "x"] = np.nan
    return frame.set_index(pd.Index([f"row{k}" for k in range(n)], name="row"))


def assert_same(new: gj.MixedModelResults, old: gj.MixedModelResults) -> None:
    """Everything in the records is equal: numbers, labels and arrays."""
    assert str(new) == str(old)
    assert_same_records(new.fitted_model, old.fitted_model)


def assert_same_records(a: FittedModel, b: FittedModel) -> None:
    for name in ("theta", "information", "modes"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("options", "n_agq", "log_likelihood", "objective", "is_singular", "convergence", "problem"):
        assert getattr(a, name) == getattr(b, name), name
    jax.tree.map(np.testing.assert_array_equal, a.params, b.params)
    for name in ("fixed_names", "random_names", "zi_fixed_names", "dispersion_names", "covariance", "family", "levels", "n_dropped"):
        assert getattr(a.design, name) == getattr(b.design, name), name
    pd.testing.assert_index_equal(a.design.groups, b.design.groups)
    pd.testing.assert_index_equal(a.design.row_labels, b.design.row_labels)
    if not isinstance(b.request.data, Stream):
        jax.tree.map(np.testing.assert_array_equal, a.design.clusters, b.design.clusters)


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def edited(path: Path, **changes: Any) -> Path:
    """The file with other entries in its document."""
    entries = contents(path)
    document = {**json.loads(entries["fit.json"]), **changes}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fit.json", json.dumps(document))
        for name, content in entries.items():
            if name != "fit.json":
                archive.writestr(name, content)
    return path


# fits


SLOW_FITS = ("diagonal_fit", "singular_fit", "penalized_fit", "no_effects_fit", "poisson_fit")  # what is asked of them compiles again


@pytest.mark.parametrize("name", ["intro_fit", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_FITS)])
def test_a_fit_comes_back(name, request, tmp_path):
    fit = request.getfixturevalue(name)
    fit.save(tmp_path / "fit.glmmjax")
    again = gj.load(tmp_path / "fit.glmmjax")
    assert_same(again, fit)
    pd.testing.assert_frame_equal(again.random_effects, fit.random_effects)
    again.save(str(tmp_path / "second"))
    assert contents(tmp_path / "second") == contents(tmp_path / "fit.glmmjax")


def test_a_loaded_fit_is_updated_from_its_estimates(intro_fit, tmp_path):
    intro_fit.save(tmp_path / "fit")
    again = gj.load(tmp_path / "fit").update()
    assert again.llf == pytest.approx(intro_fit.llf, abs=1e-9)
    assert again.convergence.n_evaluations < intro_fit.convergence.n_evaluations


def test_another_process_reads_the_file_and_compiles_nothing(intro_fit, tmp_path):
    intro_fit.save(tmp_path / "fit")
    code = f"""
import jax, glmmjax as gj
compiled = []
listen = jax.monitoring.register_event_duration_secs_listener
listen(lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None)
fit = gj.load({str(tmp_path / "fit")!r})
print(len(compiled), fit.nobs)
print(fit, end="")
"""
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert shown == f"0 800\n{intro_fit}"


MODELS: dict[str, dict[str, Any]] = {
    "categories, missing values, offset column": {"fixed": "y ~ C(dose) * x + offset(np.log(e))", "offset": "w"},
    "spline, text": {"fixed": "y ~ bs(e, df=4) + site + center(x)", "random": "~ site | id"},
    "weights by column": {"fixed": "y ~ e", "weights": "w"},
    "weights by label": {"fixed": "y ~ e", "weights": pd.Series(np.arange(1.0, 31), index=np.arange(30)[::-1])},
    "weights in a dict": {"fixed": "y ~ e", "weights": {k: 1.0 + k for k in range(30)}},
    "weights in an array": {"fixed": "y ~ e", "weights": jnp.arange(1, 31)},
    "offset in an array": {"fixed": "y ~ e", "offset": np.linspace(0, 1, 90)},
    "two levels": {"fixed": "state ~ e + well", "family": gj.families.Binomial("probit")},
    "two columns": {"fixed": "cbind(count, visit + 1) ~ e", "n_agq": 3},
    "labels that are tuples": {"fixed": "y ~ e", "random": "~ 1 | pair"},
    "levels of a number": {"fixed": "count ~ C(visit)", "random": "~ 0 + C(visit) | id", "family": "poisson", "covariance": "ar1"},
    "ordinal": {"fixed": "grade ~ e", "family": "cumulative"},
    "zero part": {"fixed": "count ~ e", "family": "zero_inflated_poisson", "zi_fixed": "~ site", "zi_random": "~ 1 | id", "zi_offset": "e"},
    "dispersion": {"fixed": "count ~ e", "family": gj.families.NegativeBinomial(), "dispersion": "~ site"},
    "a family with fields": {"fixed": "e ~ x", "family": gj.families.StudentT(df=6.0)},
    "penalty, options, start": {
        "fixed": "y ~ e",
        "penalized": gj.StudentTPenalty(df=5.0),
        "options": gj.Options(n_em=3, max_block_rows=64),
        "initial_values": {"beta": np.zeros(2), "D": [[1.0]]},
    },
    "no random effects": {"fixed": "y ~ e", "random": None},
}


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model_comes_back(name, as_if_fitted, data, tmp_path):
    fit = as_if_fitted(**{"random": "~ 1 | id", "family": "binomial", **MODELS[name]}, data=data)
    fit.save(tmp_path / "fit")
    again = gj.load(tmp_path / "fit")
    assert_same(again, fit)
    assert "unused" not in again.fitted_model.request.data.columns
    pd.testing.assert_index_equal(again.fitted_model.request.data.index, data.index)
    assert_same(again.update(), fit.update())
    pickled = pickle.loads(pickle.dumps(fit))
    assert_same(pickled, fit)
    if MODELS[name].get("offset") is None or isinstance(MODELS[name]["offset"], str):
        for other in (again, pickled):
            assert_same_columns(other, fit, data.iloc[[50, 7, 7, 9]])


def assert_same_columns(a: gj.MixedModelResults, b: gj.MixedModelResults, frame: pd.DataFrame) -> None:
    new, old = (read_new_rows(fit.fitted_model.design, frame, with_outcome=True, with_groups=True) for fit in (a, b))
    for name in ("X", "Z", "offset", "outcome", "is_complete"):
        jax.tree.map(np.testing.assert_array_equal, getattr(new, name), getattr(old, name))


def test_data_may_be_a_dict_with_columns_of_pandas_own_types(as_if_fitted, data, tmp_path):
    columns = {
        "y": pd.array([*data["y"][:-1], None], "Int64"),
        "t": data["site"].astype("string").array,
        "b": pd.array(data["well"], "boolean"),
        "cut": pd.cut(data["e"], 3).array,
        "day": pd.to_datetime("2020-01-01") + pd.to_timedelta(data["id"].to_numpy(), "D"),
    }
    fit = as_if_fitted("y ~ t + b + cut", random="~ 1 | day", data=columns, family="binomial")
    fit.save(tmp_path / "fit")
    again = gj.load(tmp_path / "fit")
    assert_same(again, fit)
    assert list(again.fitted_model.request.data.dtypes) == list(pd.DataFrame(columns).dtypes[["y", "t", "b", "cut", "day"]])


def test_variables_of_the_caller_that_hold_rows_are_saved_as_columns(as_if_fitted, data, tmp_path):
    dose = np.linspace(0, 1, len(data))
    fit = as_if_fitted("y ~ dose2", random="~ 1 | id", data=data.assign(dose2=dose), family="binomial")
    other = fit_with_variable(as_if_fitted, data, dose)
    other.save(tmp_path / "fit")
    again = gj.load(tmp_path / "fit")
    assert_same(again, other)
    np.testing.assert_array_equal(again.fitted_model.request.data["dose2"], dose)
    assert again.fitted_model.design.fixed_names == fit.fitted_model.design.fixed_names


def fit_with_variable(mixed_model, data, dose2):
    return mixed_model("y ~ dose2", random="~ 1 | id", data=data, family="binomial")


# code is not saved


def test_functions_of_the_caller_are_found_where_the_fit_is_loaded(as_if_fitted, data, tmp_path):
    def halved(x):
        return x / 2

    fit = as_if_fitted("y ~ halved(e)", random="~ 1 | id", data=data, family="binomial")
    fit.save(tmp_path / "fit")
    assert_same(gj.load(tmp_path / "fit", trust=True), fit)
    with pytest.raises(FormulaError, match=r"halved.* are looked up where load is called: define them there"):
        load_elsewhere(tmp_path / "fit")
    with pytest.raises(DesignError, match=r"come out different .* Define it as it was"):
        load_with_another_half(tmp_path / "fit")


def load_elsewhere(path):
    return gj.load(path, trust=True)


def load_with_another_half(path):
    halved = np.sqrt
    assert callable(halved)
    return gj.load(path, trust=True)


def test_a_family_of_the_users_own_is_passed_again(as_if_fitted, data, tmp_path):
    def log_density(y, eta, phi):
        return y * eta - jnp.exp(eta) - jax.scipy.special.gammaln(y + 1.0)

    family = gj.families.Custom(log_density, link="log")
    fit = as_if_fitted("count ~ e", random="~ 1 | id", data=data, family=family)
    fit.save(tmp_path / "fit")
    assert_same(gj.load(tmp_path / "fit", family=family), fit)
    with pytest.raises(ArgumentError, match=r"has a family of the user's own \(Custom\).*load\('.*fit', family=that\)"):
        gj.load(tmp_path / "fit")
    other = gj.families.Custom(lambda y, eta, phi: y * eta - 2 * jnp.exp(eta), link="log")
    with pytest.raises(DesignError, match="the family passed, means something else"):
        gj.load(tmp_path / "fit", family=other)


def test_a_registered_family_is_not_passed(intro_fit, tmp_path):
    intro_fit.save(tmp_path / "fit")
    with pytest.raises(ArgumentError, match=r"this one has family='binomial'; leave it out"):
        gj.load(tmp_path / "fit", family=gj.families.Binomial("probit"))


# data that changed


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda d: d.__setitem__("e", d["e"] * 2), "give other numbers now"),
        (lambda d: d.__setitem__("y", 1 - d["y"]), "give other numbers now"),
        (lambda d: d.pop("e"), "no column 'e' now"),
        (lambda d: d.__setitem__("id", d["id"].to_numpy()[::-1]), "give other numbers now"),
        (lambda d: d.__setitem__("e", np.inf), "every value must be finite"),
    ],
)
def test_data_that_changed_since_the_fit_are_refused(as_if_fitted, data, tmp_path, change, how):
    fit = as_if_fitted("y ~ e", random="~ 1 | id", data=data, family="binomial")
    change(data)
    with pytest.raises(ArgumentError, match=f"the data have changed since the fit .*{how}.*fit a copy, data=frame.copy"):
        fit.save(tmp_path / "fit")
    assert list(tmp_path.iterdir()) == []


# streams


@pytest.fixture
def streamed(as_if_fitted, data):
    half = len(data) // 2
    source = [data.iloc[:half], data.iloc[half:]]
    return as_if_fitted("state ~ C(visit) + center(e) + dose", random="~ e || id", data=gj.stream(source), family="binomial", offset="w")


def test_a_streamed_fit_is_saved_without_its_rows(streamed, data, tmp_path):
    streamed.save(tmp_path / "fit")
    again = gj.load(tmp_path / "fit")
    assert_same(again, streamed)
    assert_same_columns(again, streamed, data.iloc[[50, 7, 7, 9]])
    again.save(tmp_path / "second")
    assert contents(tmp_path / "second") == contents(tmp_path / "fit")
    with pytest.raises(RowsNotKeptError, match=r"loaded from '.*fit', which does not hold the rows of its stream; .*update\(data="):
        again.update()
    assert gj.anova(again.update(data=streamed.fitted_model.request.data), again).table.shape == (2, 6)


def test_a_streamed_fit_survives_pickling(streamed, data):
    again = pickle.loads(pickle.dumps(streamed))
    assert_same(again, streamed)
    assert_same_columns(again, streamed, data.iloc[:5])


def test_a_streamed_formula_that_lacks_a_name_says_so(as_if_fitted, data, tmp_path):
    def halved(x):
        return x / 2

    fit = as_if_fitted("y ~ halved(e)", random="~ 1 | id", data=gj.stream([data]), family="binomial")
    fit.save(tmp_path / "fit")
    assert_same_columns(gj.load(tmp_path / "fit", trust=True), fit, data)
    with pytest.raises(FormulaError, match=r"halved.* define them there"):
        load_elsewhere(tmp_path / "fit")


# files


def test_files_that_are_no_fits_are_refused(tmp_path, intro_fit):
    with pytest.raises(ArgumentError, match="there is no such file"):
        gj.load(tmp_path / "none")
    with pytest.raises(ArgumentError, match=r"path=3 must be a path, such as"):
        gj.load(3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"save\('.*missing/fit'\): there is no folder"):
        intro_fit.save(tmp_path / "missing" / "fit")
    with pytest.raises(ArgumentError, match="this is a folder; name a file in it"):
        intro_fit.save(tmp_path)
    for name in ("", "a\0b", "x" * 300):
        for use in (gj.load, intro_fit.save):
            with pytest.raises(ArgumentError, match=r"path|file name of 300 characters"):
                use(name)
    (tmp_path / "text").write_text("no zip")
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    for name in ("text", "arrays.npz"):
        with pytest.raises(ArgumentError, match=r"is no fit that was saved with fit\.save\(path\), or is damaged"):
            gj.load(tmp_path / name)


def test_damaged_files_are_refused(tmp_path, intro_fit):
    path = tmp_path / "fit"
    intro_fit.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArgumentError, match=r"is no fit that was saved .* or is damaged"):
        gj.load(path)
    path.write_bytes(whole)
    estimates = json.loads(contents(path)["fit.json"])["estimates"]
    broken: list[dict[str, Any]] = [{"estimates": {**estimates, "theta": estimates["modes"]}}, {"estimates": {}}, {"call": {}}]
    for changes in broken:
        path.write_bytes(whole)
        with pytest.raises(ArgumentError, match="the file is damaged"):
            gj.load(edited(path, **changes))


def test_arrays_of_objects_are_not_unpickled(tmp_path, intro_fit):
    intro_fit.save(tmp_path / "fit")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    entries = contents(tmp_path / "fit")
    with zipfile.ZipFile(tmp_path / "fit", "w") as archive:
        for name, content in {**entries, "array_0.npy": (tmp_path / "objects.npy").read_bytes()}.items():
            archive.writestr(name, content)
    with pytest.raises(ArgumentError, match="is damaged: Object arrays cannot be loaded"):
        gj.load(tmp_path / "fit")


def test_a_later_format_is_refused_with_the_version_that_wrote_it(tmp_path, intro_fit):
    intro_fit.save(tmp_path / "fit")
    text = rf"has format 2, written by glmmjax 9\.1; this is glmmjax {gj.__version__}, which reads format 1\. Install glmmjax 9\.1 or later"
    with pytest.raises(ArgumentError, match=text):
        gj.load(edited(tmp_path / "fit", format_version=2, glmmjax_version="9.1"))


def test_a_failed_save_leaves_the_file_that_was_there(monkeypatch, tmp_path, intro_fit):
    intro_fit.save(tmp_path / "fit")
    before = (tmp_path / "fit").read_bytes()

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(StorageError, match=r"fit'\): the file cannot be written \(disk full\); make room"):
        intro_fit.save(tmp_path / "fit")
    assert (tmp_path / "fit").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]


# what stands in them


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, 2, 3]),
        pd.Series([1.5, np.nan, np.inf]),
        pd.Series([True, False]),
        pd.Series(np.array([1, 2], np.uint8)),
        pd.Series(["b", "a", None, "b"]),
        pd.Series(["b", "ä", None], dtype=object),
        pd.Series([1, True, 1.0, "1", None, (1, ("x", 2.5))], dtype=object),
        pd.Series(["a", pd.NA], dtype="string"),
        pd.Series([1, pd.NA, 3], dtype="Int8"),
        pd.Series([1.5, pd.NA], dtype="Float64"),
        pd.Series([True, pd.NA], dtype="boolean"),
        pd.Series(pd.Categorical(["b", None, "a"], ["b", "c", "a"], ordered=True)),
        pd.Series(pd.Categorical([3, 1, 3], [3, 2, 1])),
        pd.Series(pd.cut([1.0, 2.0, 3.0], 2)),
        pd.Series(pd.to_datetime(["2020-02-03", None])),
        pd.Series(pd.to_timedelta([1, 2], "h")),
    ],
    ids=lambda column: str(column.dtype),
)
def test_columns_keep_their_types(column):
    arrays: list[np.ndarray] = []
    found = json.loads(json.dumps(encode_column(column, arrays, "x")))
    again = decode_column(found, arrays)
    pd.testing.assert_series_equal(again, column)
    assert [type(value) for value in again[again.notna()]] == [type(value) for value in column[column.notna()]]


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(2, 9, 3, name="row"),
        pd.Index(["a", "b"], name="id"),
        pd.Index([(1, "a"), (2, "b")], tupleize_cols=False, name="pair"),
        pd.MultiIndex.from_product([[1, 2], ["a", "b"]], names=["k", None]),
        pd.DatetimeIndex(["2020-01-01", "2020-01-05"], name=("a", 1)),
    ],
    ids=str,
)
def test_labels_keep_their_types(index):
    arrays: list[np.ndarray] = []
    found = json.loads(json.dumps(encode_index(index, arrays, "rows")))
    pd.testing.assert_index_equal(decode_index(found, arrays), index, exact="equiv")
    assert decode_index(found, arrays).names == index.names


@pytest.mark.parametrize("column", [pd.Series([1j]), pd.Series([{1}]), pd.Series([pd.Timestamp("2020-01-01", tz="UTC")])])
def test_columns_that_cannot_be_written_are_refused(column):
    with pytest.raises(ArgumentError, match=r"save: the column 'x' (has the type|holds)"):
        encode_column(column, [], "the column 'x'")


def test_values_keep_their_types_and_code_is_refused():
    arrays: list[np.ndarray] = []
    value = {"a": [1, 2.5, None, True, "x"], (1, "b"): (np.arange(3.0), np.longdouble(2)), "o": gj.Options(n_em=4), "n": np.int64(3)}
    again = decode(json.loads(json.dumps(encode(value, arrays, "x"))), arrays)
    assert list(again) == list(value)
    assert again["a"] == value["a"]
    np.testing.assert_array_equal(again[1, "b"][0], np.arange(3.0))
    assert again["o"] == gj.Options(n_em=4)
    with pytest.raises(ArgumentError, match="save: the argument progress holds a function, and a file of a fit holds numbers, text"):
        encode(print if False else (lambda: 0), arrays, "the argument progress")


def test_a_progress_function_is_left_out(intro_fit, tmp_path):
    fitted = dataclasses.replace(
        intro_fit.fitted_model, request=dataclasses.replace(intro_fit.fitted_model.request, progress=lambda step: None)
    )
    gj.MixedModelResults(fitted, intro_fit._refit).save(tmp_path / "fit")
    assert gj.load(tmp_path / "fit").fitted_model.request.progress is False
