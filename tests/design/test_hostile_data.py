"""Tables that nobody should have to think of: every column ends in numbers, in levels, or in an error that names it."""

import datetime
import decimal
import enum
import fractions
from typing import Any

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import DesignError, FormulaError, GlmmError, OutcomeError

N = 60
COLOURS = enum.Enum("COLOURS", "RED GREEN")


def rows() -> pd.DataFrame:
    draws = np.random.default_rng(1)
    table = {"id": np.repeat(np.arange(12), 5), "x": draws.normal(size=N), "y": draws.poisson(2, N)}
    return pd.DataFrame(table | {"sex": np.tile(["f", "m"], N // 2), "t": draws.uniform(1, 2, N)})


def design(formula="y ~ x", random="~ 1 | id", family="poisson", **columns):
    return gj.make_design(formula, random, data=rows().assign(**columns), family=family)


class Thing:
    """Equal to nothing but itself."""


THINGS = [Thing(), Thing()]
DAYS = pd.date_range("2024-01-01", periods=N)


@pytest.mark.parametrize(
    "exact",
    [
        lambda k: fractions.Fraction(k % 7, 3),
        lambda k: decimal.Decimal(k % 7) / 3,
        lambda k: decimal.Decimal(k % 7) if k % 2 else fractions.Fraction(k % 5, 2),
        lambda k: 2**70 * (k % 7),
    ],
    ids=["fractions", "decimals", "both", "beyond 64 bits"],
)
def test_exact_numbers_are_numbers_and_no_levels(exact):
    values = [exact(k) for k in range(N)]
    found, same = design(x=values), design(x=[float(value) for value in values])
    assert found.fixed_names == ("Intercept", "x")
    np.testing.assert_array_equal(found.clusters.buckets[0].X[0], same.clusters.buckets[0].X[0])


@pytest.mark.skipif(pd.__version__ < "3", reason="pandas 2 makes no such column")
def test_a_number_beyond_floats_is_named():
    with pytest.raises(DesignError, match=r"'x' has a number that is too large for a float of 64 bits"):
        design(x=[10**400] * N)


@pytest.mark.parametrize(
    "values",
    [
        DAYS,
        DAYS.tz_localize("UTC"),
        DAYS.date,
        DAYS - DAYS[0],
        pd.period_range("2024", periods=N),
        [datetime.time(k % 24) for k in range(N)],
    ],
    ids=["timestamps", "with a zone", "days", "differences", "periods", "times"],
)
@pytest.mark.parametrize("formula", ["y ~ x", "y ~ C(x)"])
def test_dates_are_no_levels(values, formula):
    with pytest.raises(FormulaError, match=r"'x'|C\(x\)"):
        design(formula, x=values)


@pytest.mark.parametrize(
    "values",
    [[THINGS[k % 2] for k in range(N)], [[min, max][k % 2] for k in range(N)], [[float, int][k % 2] for k in range(N)]],
    ids=["objects", "functions", "classes"],
)
def test_objects_that_equal_nothing_but_themselves_are_no_levels(values):
    with pytest.raises(FormulaError, match=r"'x' has objects of type .* neither numbers nor levels"):
        design(x=pd.Series(values, dtype=object))


def test_objects_with_an_equality_of_their_own_are_levels():
    assert design(x=[list(COLOURS)[k % 2] for k in range(N)]).fixed_names[1].startswith("x[T.")
    assert design(x=[(k % 2, "a") for k in range(N)]).fixed_names == ("Intercept", "x[T.(1, 'a')]")
    assert len(design(x=pd.cut(rows().t, 3)).fixed_names) == 3


@pytest.mark.parametrize(
    ("formula", "random"), [("y ~ sex", "~ 1 | id"), ("y ~ sex * x", "~ 1 | id"), ("y ~ x", "~ sex | id"), ("y ~ C(sex, Sum)", "~ 1 | id")]
)
@pytest.mark.parametrize("values", [["f"] * N, pd.Categorical(["f"] * N, categories=["f", "m"])], ids=["text", "an unused level"])
def test_a_factor_of_one_level_is_refused(formula, random, values):
    with pytest.raises(FormulaError, match=r"sex.* has one level only in the rows used, 'f'"):
        design(formula, random, sex=values)


def test_a_factor_of_one_level_may_stand_for_the_intercept():
    assert design("y ~ 0 + sex", sex="f").fixed_names == ("sex[f]",)


@pytest.mark.parametrize("random", ["~ z | id", "~ z || id", "~ 0 + z | id", "~ x + z | id"])
def test_a_random_column_of_zeros_is_named(random):
    with pytest.raises(DesignError, match=r"the random effects .*'z' is 0 in every row"):
        design(random=random, z=0.0)


def test_a_random_column_of_zeros_is_named_in_a_stream():
    table = rows().assign(z=0)
    with pytest.raises(DesignError, match=r"the random effects .*'z' is 0 in every row"):
        gj.mixed_model("y ~ x", "~ z | id", data=gj.stream([table.iloc[:30], table.iloc[30:]]), family="poisson")


def test_random_columns_that_follow_from_others_are_named_where_they_are_correlated():
    with pytest.raises(DesignError, match=r"the random effects .*'z' follows from 'x'"):
        design(random="~ x + z | id", z=rows().x * 2)
    with pytest.raises(DesignError, match=r"the random effects .*'z' follows from 'Intercept'"):
        design(random="~ z | id", z=2.0)
    # independent effects of all levels of a factor have variances that can be told apart
    assert design("y ~ x", "~ 1 + f + m || id", f=(rows().sex == "f") * 1.0, m=(rows().sex == "m") * 1.0).covariance.q == 3


@pytest.mark.parametrize(
    "values",
    [np.ones(N) + 1j * np.arange(N), [[k] for k in range(N)], [{"a": k} for k in range(N)], [np.ones(2)] * N],
    ids=["complex", "lists", "dicts", "arrays"],
)
def test_values_that_are_no_numbers_end_in_our_own_error(values):
    values = pd.Series(values)
    for column in ("x", "y"):
        with pytest.raises(GlmmError):
            design(**{column: values})


def test_an_outcome_of_lists_is_told_apart_from_levels():
    with pytest.raises(OutcomeError, match=r"neither numbers nor levels"):
        design(y=pd.Series([[1]] * N))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "int8", "uint64", "float16", "object", "Sparse[float]"])
def test_numbers_of_any_type_are_the_same_numbers(dtype):
    whole = pd.Series(np.arange(N) % 7)
    np.testing.assert_array_equal(design(x=whole.astype(dtype)).clusters.buckets[0].X[0], design(x=whole).clusters.buckets[0].X[0])


@pytest.mark.parametrize("dtype", ["bool", "boolean", "object"])
def test_booleans_of_any_type_are_the_same_factor(dtype):
    assert design(x=pd.Series(rows().x > 0).astype(dtype)).fixed_names == ("Intercept", "x[T.True]")


def test_names_of_columns_that_are_no_text_do_not_matter_until_they_are_used():
    for name in (3, None, ("a", "b"), float("nan")):
        assert gj.make_design("y ~ x", "~ 1 | id", data=rows().rename(columns={"t": name}), family="poisson").fixed_names == (
            "Intercept",
            "x",
        )
    with pytest.raises(GlmmError, match=r"no such column"):
        gj.make_design("y ~ x", "~ 1 | id", data=pd.concat({"a": rows()}, axis=1), family="poisson")
    with pytest.raises(DesignError, match=r"2 columns named 'x'"):
        gj.make_design("y ~ x", "~ 1 | id", data=pd.concat([rows(), rows()[["x"]]], axis=1), family="poisson")


many = 10**7


@pytest.mark.parametrize(
    "spline",
    [
        "bs(x, df=10**7)",
        "bs(x, 10000000)",
        "bs(x, df=many)",
        "cr(x, df=2 * many)",
        "bs(x, degree=100000)",
        "bs(x, knots=np.linspace(-1, 1, 10**5))",
        "te(cr(x, df=900), cr(t, df=900))",
    ],
)
def test_a_spline_without_end_is_refused_before_it_is_made(spline):
    with pytest.raises(FormulaError, match=r"asks for a spline of [0-9,]+ columns, and at most 1000 are allowed"):
        gj.make_design(f"y ~ {spline}", "~ 1 | id", data=rows(), family="poisson")


def test_a_number_of_columns_beyond_any_float_is_refused_at_once():
    with pytest.raises(FormulaError, match="asks for a spline of inf columns"):
        gj.make_design("y ~ bs(x, df=((((9**19)**19)**19)**19)**19)", "~ 1 | id", data=rows(), family="poisson")


@pytest.mark.parametrize("spline", ["bs(x, knots=[np.median(x)], degree=2)", "bs(x, knots=np.quantile(x, [0.3, 0.6]))", "bs(x, df=1 + 3)"])
def test_a_spline_whose_knots_come_from_a_column_is_made(spline):
    found = gj.make_design(f"y ~ {spline}", "~ 1 | id", data=rows(), family="poisson").fixed_names
    assert len(found) == {"bs(x, knots=[": 4, "bs(x, knots=n": 6, "bs(x, df=1 + ": 5}[spline[:13]]


@pytest.mark.parametrize("argument", ["weights", "offset"])
def test_numbers_of_an_argument_are_real(argument):
    n = 12 if argument == "weights" else N
    for values in (np.ones(n) + 1j, pd.date_range("2024", periods=n), [[1.0], [2.0, 3.0]]):
        given: Any = {argument: values}
        with pytest.raises(DesignError, match=argument):
            gj.make_design("y ~ x", "~ 1 | id", data=rows(), family="poisson", **given)
