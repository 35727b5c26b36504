"""Exported dynamic predictions: the numbers of ``predict``, from arrays alone, for sizes that the program was not written for."""

import dataclasses
import doctest
import json

import jax
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, StorageError
from glmmjax.families.custom import Custom
from glmmjax.postfit.prediction.dynamic_predictor import DynamicPredictor, SubjectRows
from glmmjax.postfit.prediction.dynamic_program import exported_predictor
from glmmjax.postfit.prediction.predict import IntervalSettings
from glmmjax.storage.archive import read_archive, write_archive
from glmmjax.storage.predictors import PREDICTOR

pytestmark = pytest.mark.usefixtures("compile_quickly")


def halves(data, group, by):
    """History and rows to predict of new subjects, in no order."""
    new = data.assign(**{group: "new " + data[group].astype(str)}).sample(frac=1.0, random_state=1)
    early, late = new[new[by] <= data[by].median()], new[new[by] > data[by].median()]
    return early, late[late[group].isin(early[group])]


def agrees(fit, path, history, future, **settings):
    """The predictor of ``fit`` and ``predict`` give the same numbers; the predictor."""
    fit.export_predictor(path, **settings)
    predictor = gj.load_predictor(path)
    before, after = fit.predictor_rows(history, future)
    found = predictor(before, after, seed=5)
    settings = {"interval": 0.95} | settings
    expected = fit.predict(history, future, "subject_specific", seed=5, **settings)
    for ours, column in zip(found, ("prediction", "lower", "upper"), strict=True):
        np.testing.assert_allclose(ours, expected[column], rtol=0, atol=1e-10)
    assert np.isfinite(found.mean).any()
    return predictor


@pytest.fixture(scope="module")
def predictor(intro_fit, tmp_path_factory):
    path = tmp_path_factory.mktemp("predictor") / "visits.glmmpred"
    intro_fit.export_predictor(path)
    return gj.load_predictor(path)


def test_it_gives_the_numbers_of_predict(intro_fit, intro_binomial, predictor):
    history, future = halves(intro_binomial, "id", "time")
    future.iloc[3, future.columns.get_loc("time")] = np.nan
    found = predictor(*intro_fit.predictor_rows(history, future))
    expected = intro_fit.predict(history, future, "subject_specific", interval=0.95)
    assert np.isnan(found.mean[3])
    for ours, column in zip(found, ("prediction", "lower", "upper"), strict=True):
        np.testing.assert_allclose(ours, expected[column], rtol=0, atol=1e-10)


def test_one_program_takes_histories_that_grow(intro_fit, intro_binomial, predictor):
    """One subject with 1 to 7 rows of history, through JSON as a server has it."""
    subject = intro_binomial[intro_binomial["id"] == 5].assign(id=-1)
    for n in (1, 3, 7):
        history, future = subject.iloc[:n], subject.iloc[n:]
        parts = [part._asdict().items() for part in intro_fit.predictor_rows(history, future)]
        rows = [{name: None if values is None else values.tolist() for name, values in part} for part in parts]
        found = predictor(*json.loads(json.dumps(rows)))
        expected = intro_fit.predict(history, future, "subject_specific", interval=0.95)
        np.testing.assert_allclose(found.upper, expected["upper"], rtol=0, atol=1e-10)


@pytest.mark.slow
def test_intervals_of_outcomes_have_the_draws_of_predict(intro_fit, intro_binomial, tmp_path):
    history, future = halves(intro_binomial, "id", "time")
    found = agrees(intro_fit, tmp_path / "p", history, future, interval=0.8, interval_for="outcome", n_draws=200)
    before, after = intro_fit.predictor_rows(history, future)
    assert found.record.interval_for == "outcome"
    np.testing.assert_array_equal(found(before, after, seed=1), found(before, after, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("interval_for", ["mean", "outcome"])
def test_shares_of_trials(tmp_path, interval_for):
    data = gj.datasets.load_cbpp().assign(visit=lambda d: d["period"].astype(int))
    fit = gj.mixed_model("cbind(incidence, noninc) ~ visit", random="~ 1 | herd", data=data, family="binomial")
    predictor = agrees(fit, tmp_path / "p", *halves(data, "herd", "visit"), interval_for=interval_for)
    assert predictor.record.n_outcomes == 2
    assert predictor.record.takes_trials == (interval_for == "outcome")


@pytest.mark.slow
def test_a_zero_part_two_effects_and_an_offset(tmp_path):
    """Several linear predictors, with random effects in both, correlated slopes and weights of other columns."""
    rng = np.random.default_rng(3)
    subject, time = np.repeat(np.arange(60), 8), np.tile(np.arange(8.0), 60)
    b = rng.normal(size=(60, 2)) @ [[0.5, 0.1], [0.0, 0.1]]
    mean = np.exp(0.5 + 0.1 * time + b[subject, 0] + b[subject, 1] * time)
    y = np.where(rng.random(480) < 0.2, 0, rng.poisson(2.0 * mean))
    data = pd.DataFrame({"y": y, "time": time, "id": subject, "exposure": np.log(2.0)})
    fit = gj.mixed_model(
        "y ~ time", random="~ time | id", data=data, family="zero_inflated_poisson", zi_fixed="~ time", offset="exposure", n_agq=7
    )
    predictor = agrees(fit, tmp_path / "p", *halves(data, "id", "time"))
    assert predictor.record.columns[2:4] == ("zi_fixed: Intercept", "zi_fixed: time")


@pytest.mark.parametrize(
    ("history", "future", "text"),
    [
        ({"columns": [[1.0] * 4]}, {}, r"history.columns has shape \(1, 4\); this predictor needs \(1, 5\)"),
        ({"columns": [["a"] * 5]}, {}, "history.columns=.* must be numbers"),
        ({"outcome": None}, {}, "history.outcome=None, and the outcome of each row is needed: y"),
        ({"outcome": [[np.nan]]}, {}, "history has values that are no finite numbers"),
        ({}, {"columns": [[np.inf] * 5]}, "future has values that are no finite numbers"),
        ({}, {"subject": [2]}, "future has subject 2, which has no row in history"),
        ({}, {"offset": [0.0]}, r"future.offset has shape \(1,\); this predictor needs \(1, 1\)"),
        ({}, {"nosuch": 1}, "must be a SubjectRows"),
        (
            {},
            {"subject": [1] * 2000, "columns": [[1.0] * 5] * 2000},
            "2,048 rows of subjects that are worked on together, and 1,024 are allowed",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(predictor, history, future, text):
    sound = {"subject": [1], "columns": [[1.0, 0.0, 1.0, 0.0, 1.0]]}
    with pytest.raises(ArgumentError, match=text):
        predictor({**sound, "outcome": [[1.0]], **history}, {**sound, **future})


def test_the_example_of_the_call_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (test,) = doctest.DocTestFinder(recurse=False).find(DynamicPredictor.__call__, "call", globs={"gj": gj})
    failures: list[str] = []
    result = doctest.DocTestRunner().run(test, out=failures.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(failures)


def test_no_rows_to_predict_are_no_predictions(predictor):
    sound = {"subject": [1], "columns": [[1.0, 0.0, 1.0, 0.0, 1.0]], "outcome": [[1.0]]}
    assert predictor(sound, SubjectRows(np.zeros(0), np.zeros((0, 5)))).mean.shape == (0,)


def test_a_model_without_random_effects_is_refused(no_effects_fit, tmp_path):
    with pytest.raises(ArgumentError, match="no random effects, so that a history says nothing"):
        no_effects_fit.export_predictor(tmp_path / "p")


@pytest.mark.slow
def test_a_fit_of_a_stream_is_refused(intro_binomial, tmp_path):
    stream = gj.mixed_model("y ~ time", random="~ 1 | id", data=gj.stream(lambda: iter([intro_binomial])), family="binomial")
    with pytest.raises(ArgumentError, match=r"a fit of a stream.*initial_values"):
        stream.export_predictor(tmp_path / "p")


@pytest.mark.slow
def test_a_family_of_ones_own_is_exported_where_it_traces(intro_binomial, tmp_path):
    def bernoulli(y, eta, phi):
        return y * eta - jax.nn.softplus(eta)

    fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=intro_binomial, family=Custom(bernoulli, link="logit"))
    agrees(fit, tmp_path / "p", *halves(intro_binomial, "id", "time"))

    def on_the_host(eta, phi):
        return jax.pure_callback(lambda x: 1.0 / (1.0 + np.exp(-x)), eta, eta, vmap_method="expand_dims")

    untraced = dataclasses.replace(fit.fitted_model.problem, family=Custom(bernoulli, mean=on_the_host))
    with pytest.raises(ArgumentError, match=r"the density of .* cannot be exported .* must be written in jax.numpy"):
        exported_predictor(dataclasses.replace(fit.fitted_model, problem=untraced), IntervalSettings())


def test_a_file_that_is_damaged_or_another_is_one_error(intro_fit, tmp_path):
    path = tmp_path / "p"
    intro_fit.export_predictor(path)
    content = path.read_bytes()
    for name, changed in {"cut": content[: len(content) // 2], "empty": b"", "bytes": b"nosuch" * 50}.items():
        (tmp_path / name).write_bytes(changed)
        with pytest.raises(StorageError, match=r"load_predictor\(.*no predictor that fit.export_predictor\(path\) wrote, or is damaged"):
            gj.load_predictor(tmp_path / name)
    intro_fit.save(tmp_path / "fit")
    with pytest.raises(StorageError, match="no predictor that"):
        gj.load_predictor(tmp_path / "fit")
    with pytest.raises(StorageError, match="no fit that was saved"):
        gj.load(path)
    with pytest.raises(ArgumentError, match="there is no such file"):
        gj.load_predictor(tmp_path / "nosuch")


def test_a_program_that_is_none_is_the_same_error(intro_fit, tmp_path):
    path = tmp_path / "p"
    intro_fit.export_predictor(path)
    document, arrays = read_archive(path, PREDICTOR)
    whole = arrays[0]
    middle = whole.copy()
    middle[len(whole) // 2 : len(whole) // 2 + 2000] = 7
    for program in (whole[:100], middle):
        write_archive(path, document, [program, *arrays[1:]], PREDICTOR)
        with pytest.raises(StorageError, match="or is damaged"):
            gj.load_predictor(path)
    document["record"] |= {"n_fixed": [3], "n_random": [2]}
    write_archive(path, document, arrays, PREDICTOR)
    with pytest.raises(StorageError, match="its program does not fit its record"):
        gj.load_predictor(path)
