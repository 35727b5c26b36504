"""Columns of a design: every array is taken back to the caller's rows and compared with patsy or with the table itself."""

import numpy as np
import pandas as pd
import patsy
import pytest

from glmmjax.design import ModelArguments, build_design, caller_namespace, make_design
from glmmjax.design.columns.table import plain_types
from glmmjax.design.formula.rank import aliased_columns
from glmmjax.families import Binomial
from glmmjax.likelihood.covariance import diagonal, unstructured
from tests.design.unpack import by_row, fixed, outcome, random

RANDOM = "~ 1 | id"


@pytest.mark.parametrize(
    "right",
    [
        "1",
        "sex * time",
        "0 + sex + x",
        "- 1 + x",
        "C(sex, Treatment('male')) + np.log(time)",
        "C(sex, Sum) * x + I(x**2)",
        "bs(time, df=5) + sex",
        "cr(x, df=4) - 1",
        "center(time) + standardize(x)",
        "g + g:x",
        "x / time",
        "Q('x') + (time + sex)**2",
    ],
)
def test_columns_and_names_are_those_of_patsy(data, right):
    design = make_design(f"y ~ {right}", RANDOM, data=data, family="binomial")
    kept = data.assign(g=data["g"].cat.remove_unused_categories())
    expected = patsy.dmatrix(right, kept)
    assert design.fixed_names == tuple(expected.design_info.column_names)
    np.testing.assert_array_equal(fixed(design), np.asarray(expected))
    np.testing.assert_array_equal(outcome(design), data["y"])
    assert design.row_labels.equals(data.index)


@pytest.mark.parametrize(
    ("formula", "random_text", "names", "structure"),
    [
        ("y ~ x", "~ time | id", ("Intercept", "time"), unstructured(2)),
        ("y ~ x", "~ time || id", ("Intercept", "time"), diagonal(2)),
        ("y ~ x", "~ 0 + x | id", ("x",), unstructured(1)),
        ("y ~ x", "~ time + I(time**2) | id", ("Intercept", "time", "I(time ** 2)"), unstructured(3)),
        ("y ~ x", "~ sex | id", ("Intercept", "sex[T.male]"), unstructured(2)),
        ("y ~ x + (time | id)", None, ("Intercept", "time"), unstructured(2)),
        ("y ~ x + (1 | id) + (0 + x + time | id)", None, ("Intercept", "x", "time"), (1, 2)),
        ("y ~ (0 + x + time || id) + (1 | id)", None, ("x", "time", "Intercept"), (1, 1, 1)),
    ],
)
def test_random_effects(data, formula, random_text, names, structure):
    design = make_design(formula, random_text, data=data, family="binomial")
    assert design.random_names == names
    assert getattr(design.covariance, "sizes", None) == getattr(structure, "sizes", structure)
    columns = {"Intercept": 1.0, "I(time ** 2)": data["time"] ** 2, "sex[T.male]": data["sex"] == "male", **data}
    expected = np.column_stack([np.broadcast_to(columns[name], len(data)).astype(float) for name in names])
    np.testing.assert_allclose(random(design), expected, rtol=1e-15)


# missing values and types -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["y", "x", "time", "sex", "g", "id"])
def test_rows_with_a_missing_value_are_dropped_and_counted(data, column):
    rows = [3, 17, 40]
    holed = data.astype({"y": float})
    holed.loc[holed.index[rows], column] = None
    design = make_design("y ~ bs(time, df=4) + sex + g + center(x)", RANDOM, data=holed, family="binomial")
    whole = make_design("y ~ bs(time, df=4) + sex + g + center(x)", RANDOM, data=data.drop(data.index[rows]), family="binomial")
    assert design.n_dropped == 3
    assert design.row_labels.equals(whole.row_labels)
    assert design.groups.equals(whole.groups)
    np.testing.assert_array_equal(fixed(design), fixed(whole))  # knots and means come from the rows that are left
    np.testing.assert_array_equal(outcome(design), outcome(whole))


def test_missing_values_elsewhere_do_not_matter(data):
    design = make_design("y ~ x", RANDOM, data=data.assign(time=np.nan), family="binomial")
    assert design.n_dropped == 0


def test_missing_offset_and_weights_drop_rows(data):
    offset = data["x"].to_numpy().copy()
    offset[5] = np.nan
    weights = data["id"].str.len().where(data["id"] != "s3")
    design = make_design("y ~ time", RANDOM, data=data.assign(w=weights), family="binomial", offset=offset, weights="w")
    kept = (data["id"] != "s3") & (np.arange(60) != 5)
    assert design.row_labels.equals(data.index[kept])
    assert design.n_dropped == 60 - kept.sum()
    np.testing.assert_array_equal(by_row(design, lambda bucket: bucket.offset)[0], data["x"][kept])


def test_levels_that_lose_all_rows_give_no_column(data):
    data = data.assign(x=data["x"].where(data["g"] != "mid"))
    assert make_design("y ~ g + x", RANDOM, data=data, family="binomial").fixed_names == ("Intercept", "g[T.high]", "x")


def _arrow(data):
    pytest.importorskip("pyarrow")
    return data.astype({"sex": "string[pyarrow]", "id": "string[pyarrow]"}).convert_dtypes(dtype_backend="pyarrow")


@pytest.mark.parametrize(
    "convert",
    [
        lambda data: data.convert_dtypes(),
        lambda data: data.astype({"sex": object, "id": object, "y": object}),
        lambda data: data.astype({"sex": "string", "id": "category", "y": "Int8", "x": "Float64"}),
        lambda data: data.astype({"sex": "category", "count": "uint8", "y": "boolean"}),
        lambda data: {name: list(data[name]) for name in data},
        _arrow,
    ],
    ids=["nullable", "object", "string", "categorical", "dict of lists", "arrow"],
)
def test_column_types_change_nothing(data, convert):
    formula = "y ~ sex * time + count + x"
    plain = make_design(formula, RANDOM, data=data, family="binomial")
    other = make_design(formula, RANDOM, data=convert(data), family="binomial")
    assert other.fixed_names == plain.fixed_names
    assert list(other.groups) == list(plain.groups)
    np.testing.assert_array_equal(fixed(other), fixed(plain))
    np.testing.assert_array_equal(outcome(other), outcome(plain))


def test_plain_types():
    frame = pd.DataFrame(
        {
            "small": np.array([200, 100], np.uint8),
            "half": np.array([0.5, 1.5], np.float16),
            "nullable": pd.array([1, 2], dtype="Int16"),
            "truth": pd.array([True, False], dtype="boolean"),
            "huge": np.array([2**63, 1], np.uint64),
            "text": ["b", "a"],
            "mixed": ["a", 1],
        }
    )
    plain = plain_types(frame)
    kinds = {name: plain[name].dtype for name in plain}
    assert [kinds[name] for name in ("small", "nullable")] == [np.int64] * 2
    assert [kinds[name] for name in ("half", "huge")] == [np.float64] * 2
    assert kinds["truth"] == "bool"
    assert list(kinds["text"].categories) == ["a", "b"]
    assert kinds["mixed"] == "object"


def test_data_are_not_changed(data):
    before = data.copy(deep=True)
    make_design("y ~ sex + x", RANDOM, data=data, family="binomial", offset="time")
    pd.testing.assert_frame_equal(data, before)


# names of the caller ----------------------------------------------------------------------------------------------------


def test_names_of_the_caller(data):
    def square(values):
        return values**2

    knots = [1.0, 2.0, 3.0]
    z = np.random.default_rng(5).normal(size=60)
    z[7] = np.nan
    design = make_design("y ~ square(x) + bs(time, knots=knots) + z", RANDOM, data=data, family="binomial")
    kept = np.arange(60) != 7
    assert design.n_dropped == 1
    np.testing.assert_array_equal(fixed(design)[:, 1], data["x"][kept] ** 2)
    np.testing.assert_array_equal(fixed(design)[:, -1], z[kept])
    assert len(knots) == 3


@pytest.mark.parametrize("wrap", [dict, lambda names: patsy.EvalEnvironment([names])])
def test_captured_environment(data, wrap):
    env = wrap({"double": lambda values: 2 * values})
    design = build_design(ModelArguments("y ~ double(x)", RANDOM, data, Binomial()), env)
    np.testing.assert_array_equal(fixed(design)[:, 1], 2 * data["x"])


def test_a_function_between_can_capture_its_caller(data):
    def public(formula):
        return build_design(ModelArguments(formula, RANDOM, data, Binomial()), caller_namespace())

    def user():
        triple = 3.0
        return public("y ~ I(triple * x)"), triple

    np.testing.assert_array_equal(fixed(user()[0])[:, 1], 3 * data["x"])


def test_columns_come_before_names_of_the_caller(data):
    x = np.zeros(60)
    design = make_design("y ~ x", RANDOM, data=data, family="binomial")
    np.testing.assert_array_equal(fixed(design)[:, 1], data["x"])
    assert not x.any()


# rank -------------------------------------------------------------------------------------------------------------------


def test_aliased_columns_agree_with_the_rank_of_all_leading_columns():
    rng = np.random.default_rng(4)
    for _ in range(30):
        base = rng.normal(size=(40, 5))
        copies = base[:, rng.integers(0, 5, 3)] * rng.normal(size=3) + base[:, rng.integers(0, 5, 3)]
        values = np.column_stack([base, copies])[:, rng.permutation(8)] * 10.0 ** rng.integers(-6, 7, 8)
        scaled = values / np.linalg.norm(values, axis=0)
        ranks = [np.linalg.matrix_rank(scaled[:, :k], tol=1e-6) for k in range(9)]
        expected = [j for j in range(8) if ranks[j + 1] == ranks[j]]
        assert aliased_columns(values) == expected


@pytest.mark.parametrize(("distance", "aliased"), [(1e-9, [2]), (1e-6, []), (1e-3, [])])
def test_nearly_aliased_columns_at_the_tolerance_of_r(distance, aliased):
    rng = np.random.default_rng(6)
    x, noise = rng.normal(size=(2, 1000))
    assert aliased_columns(np.column_stack([np.ones(1000), x, x + distance * noise])) == aliased


def test_zero_column_and_more_columns_than_rows():
    assert aliased_columns(np.array([[1.0, 0.0], [2.0, 0.0]])) == [1]
    assert aliased_columns(np.array([[1.0, 2.0, 3.0], [1.0, 5.0, 7.0]])) == [2]
    assert aliased_columns(np.zeros((3, 0))) == []
    assert aliased_columns(np.array([[1e200, 1.0], [-2e200, 1.0]])) == []
