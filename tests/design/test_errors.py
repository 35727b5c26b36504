"""Every refusal of the design layer, by type and text."""

import numpy as np
import pandas as pd
import pytest

from glmmjax.design import make_design
from glmmjax.errors import ArgumentError, DesignError, FormulaError, OutcomeError

RANDOM = "~ 1 | id"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    n = 40
    frame = pd.DataFrame({"id": np.repeat(np.arange(10), 4), "time": rng.uniform(1, 2, n), "x": rng.normal(size=n), "sex": ["f", "m"] * 20})
    frame = frame.assign(y=rng.integers(0, 2, n), count=rng.poisson(3, n) + 1, one=1, three=list("abca") * 10, empty=np.nan)
    frame = frame.assign(bad=frame["count"].where(frame.index != 17, -1), const="same", lists=[[1]] * n, z=1j)
    frame["part"] = rng.uniform(size=n)
    frame["zero"] = frame["x"].where(frame.index != 5, 0.0)
    return frame


def refuse(error, match, data, formula="y ~ x", random=RANDOM, family="binomial", **arguments):
    with pytest.raises(error, match=match) as caught:
        make_design(formula, random, data=data, family=family, **arguments)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # no traceback of patsy above the message


@pytest.mark.parametrize(
    ("formula", "random", "match"),
    [
        ("x + time", RANDOM, "fixed='x \\+ time' must have the form 'outcome ~ terms'"),
        ("~ x", RANDOM, "must have the form 'outcome ~ terms', with one ~ and an outcome"),
        ("y ~ x ~ time", RANDOM, "with one ~"),
        ("y ~ ", RANDOM, "has nothing after the ~; write 'y ~ 1'"),
        ("y ~ x +", RANDOM, "a \\+ or - has nothing after it"),
        ("y ~ (x", RANDOM, "'\\(' is never closed"),
        ("y ~ x)", RANDOM, "'\\)' at character 6 closes no bracket"),
        ("y ~ (x]", RANDOM, "closes no bracket"),
        ("y ~ 'x", RANDOM, 'cannot read the formula "y ~ \'x"'),
        ("y ~ x # note", RANDOM, "unexpected '# note' at character 7"),
        (
            "y ~ I(sex %in% x)",
            RANDOM,
            r"has %in% inside the brackets of a function; for a test of values write I\(x.isin\(\['a', 'b'\]\)\)",
        ),
        ("y ~ I((x) %in% [1])", RANDOM, "has %in% inside the brackets"),
        ("factor(y) ~ x", RANDOM, r"'factor\(y\)' needs no function, because its levels are read from its values; write the column alone"),
        ("y ~ as.numeric(x)", RANDOM, r"calls R's as.numeric\(...\): change the column before the fit"),
        ("y ~ x", "~ time", "random='~ time' has no cluster variable: write random='~ 1 \\| id', or add \\(1 \\| id\\)"),
        ("y ~ x", "", "random='' has no cluster variable"),
        ("y ~ x", "y ~ 1 | id", "without an outcome"),
        ("y ~ x", "~ (1 | id)", "brackets around the bar; write it without, random='~ 1 \\| id'"),
        ("y ~ x", "~ 1 | id | sex", "write 'terms \\| group' or 'terms \\|\\| group'"),
        ("y ~ x", "~ | id", "cannot read '\\| id'"),
        ("y ~ x", "~ 1 |", "cannot read '1 \\|'"),
        ("y ~ x + (1 | id)", RANDOM, "both give random effects; keep one"),
        ("y ~ x + (1 | id/sex/x)", None, "'id/sex/x' in .* is neither one column nor one nested in another.*make one column"),
        ("y ~ x", "~ 1 | id:sex", "has the group 'id:sex' alone.*make one column"),
        ("y ~ x", "~ 1 | id + sex", "'id \\+ sex' in .* is neither one column nor one nested in another"),
        ("y ~ x", "~ 1 | C(id)", "'C\\(id\\)' in .* must be the name of one column, or Q\\('name with spaces'\\)"),
        ("y ~ x * (1 | id)", None, "cannot read the bar of 'x \\* \\(1 \\| id\\)'"),
        ("y ~ x - (1 | id)", None, "cannot read the bar"),
        ("y ~ x + 1 | id", None, "random effects must be a term of the sum in brackets"),
        ("y ~ x * offset(time)", RANDOM, "offset\\(...\\) in .* must be a term of the sum with a \\+"),
        ("y ~ x - offset(time)", RANDOM, "must be a term of the sum with a \\+"),
        ("y ~ x + offset(time, x)", RANDOM, "must hold one expression"),
        ("cbind(y) ~ x", RANDOM, "'cbind\\(y\\)' in .* must hold two columns"),
        ("cbind(y, one, x, y) ~ x", RANDOM, "must hold two columns, such as cbind\\(successes, failures\\)"),
    ],
)
def test_formulas_that_cannot_be_read(data, formula, random, match):
    refuse(FormulaError, match, data, formula, random)


@pytest.mark.parametrize(
    ("formula", "random", "match"),
    [
        ("y ~ tme", RANDOM, "fixed='y ~ tme', random='~ 1 \\| id' names 'tme', and data have no such column: did you mean 'time'?"),
        ("y ~ xyzzy", RANDOM, "names 'xyzzy', .*the columns are 'id', 'time', 'x', "),
        ("yy ~ x", RANDOM, "names 'yy'"),
        ("y ~ Q('my col')", RANDOM, "names 'my col'"),
        ("y ~ x + offset(np.log(exposure))", RANDOM, "names 'exposure'"),
        ("y ~ x", "~ tme | id", "names 'tme'"),
        ("y ~ x", "~ 1 | idd", "as cluster variable names 'idd', and data have no such column: did you mean 'id'?"),
        ("y ~ max", RANDOM, "names 'max', and data have no such column"),
        ("y ~ np + pytest", RANDOM, "names 'np'"),
        ("y ~ floor(x)", RANDOM, r"calls floor\(...\), and no such function is known: write np.floor\(...\)"),
        ("y ~ spline(x)", RANDOM, "calls spline\\(...\\), and no such function is known: use one of factor, log"),
        ("y ~ x:", RANDOM, "the terms 'x:' cannot be evaluated: expected a noun"),
        ("y ~ x x", RANDOM, "the terms 'x x' cannot be evaluated: SyntaxError"),
        ("y ~ C(sex, Treatment('q'))", RANDOM, "cannot be evaluated: specified level 'q' not found"),
        ("y ~ x.nothing", RANDOM, "cannot be evaluated: .*AttributeError: 'Series' object has no attribute 'nothing'"),
        ("y ~ lists", RANDOM, "the terms 'lists' cannot be evaluated"),
        ("y ~ z", RANDOM, "the terms 'z' "),
        ("y + 'a' ~ x", RANDOM, "\"y \\+ 'a'\" cannot be evaluated: "),
        ("sum(y) ~ x", RANDOM, "the outcome 'sum\\(y\\)' is one value, and must have one for each row"),
        ("y[:3] ~ x", RANDOM, "the outcome 'y\\[:3\\]' has shape \\(3,\\), and must have one value for each of the 40 rows"),
        ("z ~ x", RANDOM, "the outcome 'z' has values of type complex128, and must be numbers"),
        ("y ~ x + offset(sex)", RANDOM, "offset\\(sex\\) has values of type .*, and must be numbers"),
        ("y ~ x", "~ 0 | id", "the random effects '0' have no columns; write 1 for a random intercept"),
        ("y ~ x + (1 | id) + (x | id)", None, "the random effect 'Intercept' is in two bars.*\\(1 \\| id\\) \\+ \\(0 \\+ x \\| id\\)"),
    ],
)
def test_formulas_that_do_not_fit_the_data(data, formula, random, match):
    refuse(FormulaError, match, data, formula, random)


@pytest.mark.parametrize(
    ("formula", "match"),
    [
        ("y ~ x + one", "the fixed effects have 3 columns but rank 2: 'one' follows from 'Intercept'"),
        ("y ~ x + time + I(x - 2 * time)", "rank 3: 'I\\(x - 2 \\* time\\)' follows from 'x', 'time'"),
        ("y ~ x + I(0 * x)", "'I\\(0 \\* x\\)' is 0 in every row"),
        ("y ~ C(id) + one + I(2 * one)", "'one' follows from 'Intercept', 'I\\(2 \\* one\\)' follows from 'Intercept'"),
        ("y ~ np.log(zero)", "the fixed effects: 'np.log\\(zero\\)' is nan in row 0 \\(and .* more rows\\); every value must be finite"),
        ("y ~ I(1 / zero)", "'I\\(1 / zero\\)' is inf in row 5; every value must be finite"),
        ("y ~ x + offset(1 / zero)", "the offset: 'offset\\(1 / zero\\)' is inf in row 5"),
        ("y ~ x + (I(1 / zero) | id)", "the random effects: 'I\\(1 / zero\\)' is inf in row 5"),
        ("1 / zero ~ x", "the outcome: '1 / zero' is inf in row 5"),
        ("y ~ empty", "no rows to fit: each of the 40 rows has a missing value \\('empty' in 40\\)"),
    ],
)
def test_data_without_a_design(data, formula, match):
    refuse(DesignError, match, data, formula, None if "|" in formula else RANDOM, family="poisson")


def test_data_that_are_no_usable_table(data):
    refuse(DesignError, "no rows to fit: data have columns, and not one row", data.iloc[:0])
    refuse(DesignError, "data has 2 columns named 'x'; rename all but one", pd.concat([data, data[["x"]]], axis=1))
    refuse(DesignError, "the cluster variable 'lists' has values that cannot be labels", data, random="~ 1 | lists")
    refuse(ArgumentError, "data has type NoneType and must be a DataFrame of pandas, polars or pyarrow, or a dict of columns", None)
    refuse(ArgumentError, "data='file.csv' is no table; read a file first, data=pandas.read_csv\\('file.csv'\\)", "file.csv")
    refuse(ArgumentError, "data has type dict and must be a DataFrame.*same length", {"y": [1, 2], "x": [1]})


def test_formulas_must_be_text(data):
    refuse(ArgumentError, "fixed=3 must be a formula as text, such as 'y ~ x'", data, 3)
    refuse(ArgumentError, "random=\\['id'\\] must be None, or a formula as text, such as '~ 1 \\| id'", data, random=["id"])
    refuse(ArgumentError, "family='binomal' is not known", data, family="binomal")


@pytest.mark.parametrize(
    ("formula", "family", "match"),
    [
        ("bad ~ x", "poisson", "poisson: the outcome 'bad' is -1 in row 17; it must be whole numbers >= 0; give the counts themselves"),
        ("part ~ x", "poisson", "the outcome 'part' is 0.* in row 0 \\(and 39 more rows\\)"),
        ("count ~ x", "binomial", "binomial: the outcome 'count' is .* it must be 0 or 1 in one column, or whole numbers"),
        ("cbind(bad, one) ~ x", "binomial", "binomial: the outcome 'cbind\\(bad, one\\)' is \\(-1, 1\\) in row 17; it must be 0 or 1"),
        ("one ~ x", "binomial", "every outcome is 1, so that 'one' leaves nothing to estimate"),
        ("I(0 * y) ~ x", "binomial", "every outcome is 0"),
        ("const ~ x", "binomial", "every outcome is 'same'"),
        ("count > 0 ~ x", "binomial", "every outcome is True"),
        ("three ~ x", "binomial", "the outcome 'three' has 3 levels \\('a', 'b', 'c'\\) and must have two.*I\\(three == 'c'\\)"),
        ("sex ~ x", "poisson", "poisson: the outcome 'sex' has the levels 'f', 'm' and no numbers; it must be whole numbers"),
        ("x > 0 ~ x", "poisson", "has the levels False, True and no numbers.*\\.astype\\(int\\)"),
        ("cbind(sex, one) ~ x", "binomial", "the outcome 'sex' of 'cbind\\(sex, one\\)' is not numeric"),
        ("cbind(y, one) ~ x", "poisson", "poisson: the outcome 'cbind\\(y, one\\)' has 2 column\\(s\\) and must be one column"),
    ],
)
def test_outcomes_that_the_family_cannot_have_produced(data, formula, family, match):
    refuse(OutcomeError, match, data, formula, family=family)


def test_row_labels_of_the_caller_are_quoted(data):
    renamed = data.set_axis([f"visit {k}" for k in range(40)])
    refuse(OutcomeError, "'bad' is -1 in row 'visit 17'", renamed, "bad ~ x", family="poisson")
    refuse(DesignError, "in row 'visit 5'", renamed, "y ~ I(1 / zero)")
    refuse(OutcomeError, "in row 'visit 17'", renamed.assign(x=renamed["x"].where(renamed["id"] > 1)), "bad ~ x", family="poisson")


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (np.ones(40), "weights has shape \\(40,\\), and the rows used have 10 clusters; weights are one for each cluster"),
        (2.0, "weights has shape \\(\\), and the rows used have 10 clusters"),
        ({1: 2.0, 2: 2.0}, "weights has no entry for 8 of 10 clusters, the first of them 0;"),
        (pd.Series(1.0, index=range(9)), "weights has no entry for 1 of 10 clusters, the first of them 9"),
        (pd.Series(1.0, index=[0] * 10), "weights is a Series with repeated labels"),
        ("time", "weights='time' is .* and .* in cluster 0; it must be constant within each cluster"),
        ("tme", "weights='tme' names 'tme', and data have no such column: did you mean 'time'"),
        ("const", "weights='const' holds values that are not numbers, such as 'same'"),
        (["a"] * 10, "weights holds values that are not numbers, such as 'a'"),
        (np.r_[np.ones(9), -1], "weights is -1 for cluster 9; every weight must be a finite number >= 0"),
        (np.r_[np.nan, np.ones(9)], "weights is nan for cluster 0"),
        (np.r_[np.inf, np.ones(9)], "weights is inf for cluster 0"),
        (np.zeros(10), "weights is 0 for every cluster"),
    ],
)
def test_weights(data, weights, match):
    refuse(DesignError, match, data, weights=weights)


@pytest.mark.parametrize(
    ("offset", "match"),
    [
        (np.ones(3), "offset has shape \\(3,\\), and must be a column name or one number for each of the 40 rows of data"),
        (1.0, "offset has shape \\(\\)"),
        ("tme", "offset='tme' names 'tme', and data have no such column: did you mean 'time'"),
        ("sex", "offset holds values that are not numbers, such as 'f'"),
        (pd.Series(np.ones(40), index=range(1, 41)), "offset is a Series with another index than data; pass offset.to_numpy\\(\\)"),
        (np.r_[np.inf, np.ones(39)], "the offset: 'offset' is inf in row 0"),
    ],
)
def test_offset(data, offset, match):
    refuse(DesignError, match, data, offset=offset)


def test_dates_are_not_levels(data):
    frame = data.assign(day=pd.date_range("2024-01-01", periods=len(data)))
    with pytest.raises(FormulaError, match=r"'day' has dates or times, and a formula needs numbers: count from a day"):
        make_design("y ~ day", random="~ 1 | id", data=frame, family="binomial")
