"""Estimators of scikit-learn: its own checks, and the numbers of ``mixed_model``."""

import doctest
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, DesignError, OutcomeError

pytest.importorskip("sklearn", reason="pip install 'glmmjax[sklearn]'")

import sklearn
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from glmmjax.sklearn import MixedModelClassifier, MixedModelRegressor

pytestmark = pytest.mark.usefixtures("compile_quickly")

WIDE = {
    "check_sample_weight_equivalence_on_dense_data": (
        "its table has 30 columns and 15 rows; without a penalty their coefficients cannot be told apart, and the fit is refused by name"
    )
}


@pytest.mark.filterwarnings("ignore::glmmjax.errors.ConvergenceWarning", "ignore::glmmjax.errors.DesignWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([MixedModelRegressor(), MixedModelClassifier()], expected_failed_checks=lambda _: WIDE)
def test_checks_of_sklearn(estimator, check):
    check(estimator)


FAST: dict[str, Any] = {"n_agq": 5, "options": gj.Options(quadrature_limit=5.0)}  # both models take the same rule, whatever its error


@pytest.fixture(scope="module")
def data():
    return gj.datasets.load_intro_poisson()


@pytest.fixture(scope="module")
def own(data):
    return gj.mixed_model("y ~ sex + time", random="~ time | id", data=data, family="poisson", **FAST)


@pytest.fixture(scope="module")
def fitted(data):
    return MixedModelRegressor("poisson", slopes=["time"], **FAST).fit(data[["sex", "time"]], data["y"], groups=data["id"])


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_a_fit_is_that_of_mixed_model(fitted, own):
    np.testing.assert_allclose(fitted.mixed_model_.llf, own.llf, rtol=1e-10)
    assert list(fitted.mixed_model_.fe_params.index) == list(own.fe_params.index)
    assert fitted.feature_names_in_.tolist() == ["sex", "time"]


def test_rows_of_known_groups_have_its_mean_and_all_others_the_populations(data, fitted, own):
    X = data[["sex", "time"]]
    marginal, known = own.predict(data, kind="marginal"), own.predict(data, kind="subject_specific")
    np.testing.assert_allclose(fitted.predict(X), marginal, rtol=1e-6)
    np.testing.assert_allclose(fitted.predict(X, groups=data["id"]), known, rtol=1e-5)
    mixed = data["id"].where(data["id"] % 2 == 0, -1)
    np.testing.assert_allclose(fitted.predict(X, groups=mixed), np.where(mixed == -1, marginal, known), rtol=1e-5)
    assert np.abs(marginal - known).max() > 1.0


def test_slopes_go_by_number_too_and_an_array_has_numbered_columns(data, own):
    X = np.column_stack([data["sex"] == "female", data["time"]])
    names = [f"x{k}" for k in range(2)]
    for slopes in ([1], (-1,), np.array([1])):
        found = MixedModelRegressor("poisson", slopes=slopes, **FAST).fit(X, data["y"], data["id"]).mixed_model_
        np.testing.assert_allclose(found.llf, own.llf, rtol=1e-9)
        assert list(found.fe_params.index) == ["Intercept", *names]
        assert list(found.cov_re.index) == ["Intercept", "x1"]


def test_without_groups_there_are_no_random_effects():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    model, least_squares = MixedModelRegressor().fit(X, y), LinearRegression().fit(X, y)
    np.testing.assert_allclose(model.predict(X), least_squares.predict(X), atol=1e-6)
    np.testing.assert_allclose(model.predict(X, groups=np.arange(60)), model.predict(X))
    assert model.score(X, y) == pytest.approx(least_squares.score(X, y), abs=1e-6)


@pytest.mark.slow
def test_a_weight_is_a_number_of_rows_and_rows_of_weight_0_are_none():
    rng = np.random.default_rng(3)
    X, groups, weights = rng.normal(size=(80, 2)), np.repeat(np.arange(16), 5), rng.integers(0, 4, size=80)
    numbers, labels = X[:, 0] + rng.normal(size=80), rng.choice(["a", "b"], size=80)
    for model, y in ((MixedModelRegressor(n_agq=1), numbers), (MixedModelClassifier(**FAST), labels)):
        weighted = clone(model).fit(X, y, groups, sample_weight=weights).mixed_model_
        repeated = clone(model).fit(*(np.repeat(part, weights, axis=0) for part in (X, y, groups))).mixed_model_
        np.testing.assert_allclose(weighted.fe_params, repeated.fe_params, atol=1e-5)
        np.testing.assert_allclose(weighted.llf, repeated.llf, rtol=1e-9)


def test_any_two_labels_are_classes(data):
    X, high = data[["sex", "time"]], data["y"] > 5
    own = gj.mixed_model("high ~ sex + time", random="~ 1 | id", data=data.assign(high=high * 1), family="binomial")
    for y in (high, high.map({True: "many", False: "few"}), np.where(high, 7, -2)):
        model = MixedModelClassifier().fit(X, y, groups=data["id"])
        assert model.classes_.tolist() == sorted(set(np.asarray(y)))
        np.testing.assert_allclose(model.predict_proba(X)[:, 1], own.predict(data, kind="marginal"), atol=1e-6)
        known = own.predict(data, kind="subject_specific").to_numpy()
        np.testing.assert_allclose(model.predict_proba(X, groups=data["id"]) @ [0, 1], known, atol=1e-6)
        assert (model.predict(X, groups=data["id"]) == model.classes_[(known > 0.5) * 1]).all()
        assert model.score(X, y) > 0.5


@pytest.mark.usefixtures("as_if_fitted")
def test_links_options_and_penalties_arrive(data):
    X, high = data[["time"]], data["y"] > 5
    model = MixedModelClassifier(gj.families.Binomial(link="probit"), penalized=True, options=gj.Options(n_newton=30)).fit(X, high)
    request = model.mixed_model_.fitted_model.request
    assert (request.family, request.penalized, request.options.n_newton) == (gj.families.Binomial(link="probit"), True, 30)


@pytest.mark.slow
@pytest.mark.usefixtures("routing")
def test_groups_travel_by_metadata_routing(data):
    X, y, groups = data[["time"]], data["y"], data["id"]
    model = MixedModelRegressor("poisson").set_fit_request(groups=True)
    pipeline = make_pipeline(StandardScaler(), model).fit(X, y, groups=groups)
    whole = gj.mixed_model("y ~ time", random="~ 1 | id", data=data, family="poisson")
    np.testing.assert_allclose(pipeline[-1].mixed_model_.llf, whole.llf, rtol=1e-8)
    scores = cross_val_score(model, X, y, cv=GroupKFold(3), params={"groups": groups})
    for score, (train, test) in zip(scores, GroupKFold(3).split(X, y, groups), strict=True):
        part = gj.mixed_model("y ~ time", random="~ 1 | id", data=data.iloc[train], family="poisson")
        left = y.iloc[test] - part.predict(data.iloc[test], kind="marginal").to_numpy()
        assert score == pytest.approx(1.0 - (left**2).sum() / ((y.iloc[test] - y.iloc[test].mean()) ** 2).sum(), abs=1e-6)
    search = GridSearchCV(model, {"family": ["poisson", "negative_binomial"]}, cv=GroupKFold(3)).fit(X, y, groups=groups)
    assert search.best_estimator_.mixed_model_.n_groups == groups.nunique()


def test_clone_and_pickle(data, fitted):
    X = data[["sex", "time"]]
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X, groups=data["id"]), fitted.predict(X, groups=data["id"]))
    assert clone(fitted).get_params() == fitted.get_params()


@pytest.mark.usefixtures("as_if_fitted")
def test_names_that_no_formula_has_are_names_here():
    rng = np.random.default_rng(4)
    X = pd.DataFrame(rng.normal(size=(60, 4)), columns=["y", "group", "body mass", "class"])
    model = MixedModelRegressor(slopes="body mass", **FAST).fit(X, rng.normal(size=60), groups=np.repeat(list("abcdef"), 10))
    assert list(model.mixed_model_.fe_params.index) == ["Intercept", "y", "group", "Q('body mass')", "Q('class')"]
    assert model.predict(X, groups=["a"] * 60).shape == (60,)


def test_tables_of_polars_are_taken(data, fitted):
    polars: Any = pytest.importorskip("polars")
    X = polars.DataFrame({"sex": data["sex"].astype(str).to_list(), "time": data["time"].to_numpy()})
    model = MixedModelRegressor("poisson", slopes=["time"], **FAST).fit(X, data["y"].to_numpy(), groups=data["id"].to_numpy())
    np.testing.assert_allclose(model.mixed_model_.llf, fitted.mixed_model_.llf, rtol=1e-9)
    np.testing.assert_allclose(model.predict(X), fitted.predict(data[["sex", "time"]]), rtol=1e-5)


X, Y, GROUPS = np.random.default_rng(1).normal(size=(12, 2)), np.arange(12.0), np.repeat(np.arange(4), 3)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: MixedModelRegressor(slopes=["x9"]).fit(X, Y, GROUPS), ArgumentError, "slopes has 'x9', which is no column of X; choose"),
        (lambda: MixedModelRegressor(slopes=[2]).fit(X, Y, GROUPS), ArgumentError, "slopes has 2, which is no column of X"),
        (lambda: MixedModelRegressor(slopes=1.5).fit(X, Y, GROUPS), ArgumentError, "slopes=1.5 must be a list of columns of X"),
        (lambda: MixedModelRegressor(slopes=[0]).fit(X, Y), ArgumentError, "pass groups= to fit, or leave slopes out"),
        (lambda: MixedModelRegressor().fit(X, Y, GROUPS[:5]), ValueError, "groups has 5 labels, and X has 12 rows"),
        (lambda: MixedModelRegressor().fit(X, Y, np.where(GROUPS, GROUPS, np.nan)), ValueError, "groups has missing values"),
        (lambda: MixedModelRegressor("poisson").fit(X, -Y), OutcomeError, "poisson"),
        (lambda: MixedModelRegressor().fit(np.hstack([X, X]), Y), DesignError, "'x2' follows from 'x0'"),
        (lambda: MixedModelClassifier("poisson").fit(X, Y > 5), ArgumentError, "family='poisson' must be 'binomial'"),
        (lambda: MixedModelClassifier().fit(X, Y // 4), ValueError, "y has 3 classes; for ordered classes see family='cumulative'"),
        (lambda: MixedModelRegressor().fit(X, Y, sample_weight=-Y), ValueError, "sample_weight must be numbers >= 0"),
        (lambda: MixedModelRegressor().fit(pd.DataFrame({"a": ["u", None] * 6}), Y), ValueError, "contains NaN: column 'a'"),
    ],
)
def test_what_cannot_be_fitted_is_said(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize("kind", [MixedModelRegressor, MixedModelClassifier])
def test_examples_run(kind):
    (test,) = doctest.DocTestFinder(recurse=False).find(kind, kind.__name__, globs={"gj": gj})
    failures: list[str] = []
    found = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=failures.append)
    assert found.attempted > 3
    assert not failures, "".join(failures)


def test_without_the_package_it_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None; import glmmjax as gj; print(gj.mixed_model.__name__); gj.sklearn"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert ended.stdout == "mixed_model\n"
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("ImportError: glmmjax.sklearn needs scikit-learn, 1.6 or later (")
    assert last.endswith("): pip install 'glmmjax[sklearn]'.")
