"""What a message advises works: each piece of advice is taken out of the message itself and run."""

import datetime
import re

import numpy as np
import pandas as pd
import pytest

from glmmjax.design import make_design
from glmmjax.errors import DesignWarning, GlmmError

RANDOM = "~ 1 | id"


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    n = 60
    frame = pd.DataFrame(
        {"id": np.repeat(np.arange(12), 5), "x": rng.uniform(1, 9, n), "sex": ["f", "m"] * 30, "g1": np.repeat([0, 1], 30)}
    )
    frame = frame.assign(y=rng.integers(0, 2, n), g2=frame["id"] // 2, three=list("abc") * 20, day=pd.date_range("2024-01-01", periods=n))
    frame["date"] = [datetime.date(2024, 1, 1) + datetime.timedelta(int(k)) for k in rng.integers(0, 28, n)]
    frame["mixed"] = [*(float(k) for k in range(30)), *(float(k) for k in range(29)), "n/a"]
    frame["number"] = frame["mixed"].astype(str).replace("n/a", "3.0")
    frame["one"] = "same"
    frame["each"] = [f"{k}" for k in range(n)]
    return frame


def message_of(data, formula, random=RANDOM, family="binomial", **arguments):
    with pytest.raises(GlmmError) as caught:
        make_design(formula, random, data=data, family=family, **arguments)
    return str(caught.value)


def advice_in(message, pattern):
    """The groups of ``pattern`` in the message, which must have it."""
    found = re.search(pattern, message)
    assert found is not None, message
    return found.groups()


# (formula that is refused, where the advice stands in the message, formula that follows it)
TERMS = [
    ("floor(x)", r"write (np\.floor)\(\.\.\.\)", "{}(x)"),
    ("bs(x, knots=c(3, 5))", r"write a list, (\[1, 2\])", "bs(x, knots={})"),
    ("s(x)", r"such as (ns\(x, 3\))", "{}"),
    ("relevel(sex, 'm')", r"write (C\(x, Treatment\('level'\)\))", "{}"),
    ("ordered(three)", r"write (C\(x, Poly\))", "{}"),
    ("ifelse(x > 1, 1, 0)", r"write (np\.where\(x > 1, 1, 0\))", "{}"),
    ("cr(x, df=3)", r"write (ns\(x, 3\)), or", "{}"),
    ("cr(x, df=3)", r"or (cr\(x, df=3, constraints='center'\))\.", "{}"),
    ("I(sex %in% x)", r"write (I\(x\.isin\(\['a', 'b'\]\)\))", "{}"),
    ("as.numeric(x)", r"such as (I\(x == 'a'\))\.", "{}"),
    ("C(y, levels=['0', '1'])", r"(factor\(x, levels=)\[\.\.\.\]", "{}['0', '1'])"),
    ("mixed", r"a level of its own: (C\(mixed\))\.", "{}"),
    ("nothing", r"names ('nothing')", "x"),
    ("one + x", r"'one' has one level only in the rows used, ('same').*leave it out", "x"),
]


@pytest.mark.parametrize(("refused", "pattern", "advised"), TERMS, ids=[case[0] for case in TERMS])
def test_advice_on_terms(data, refused, pattern, advised):
    (found,) = advice_in(message_of(data, f"y ~ {refused}"), pattern)
    terms = advised.format(found)
    if "'a'" in terms:  # x stands for a column of texts
        terms = terms.replace("x", "three", 1)
    elif "Treatment" in terms or "Poly" in terms:
        terms = terms.replace("x", "three").replace("level", "b")
    elif "np.where" in terms:
        terms = terms.replace("> 1", "> 5")
    elif "knots" in terms:
        terms = terms.replace("[1, 2]", "[3, 5]")
    elif "levels=" in terms:
        terms = terms.replace("x", "g1")
    if "C(mixed)" in terms:
        data["mixed"] = data["mixed"].astype(str)
    assert len(make_design(f"y ~ {terms}", RANDOM, data=data, family="binomial").fixed_names) > 1


# (formula that is refused, statement in the message, formula after it)
STATEMENTS = [
    ("day", r"such as (data\['days'\] = .*)\.$", "days"),
    ("date", r"such as (data\['days'\] = .*)\.$", "days"),
    ("mixed", r"(data\['mixed'\] = .*?), which makes the texts missing", "mixed"),
    ("as.numeric(number)", r"(data\['x'\] = data\['x'\]\.astype\(float\)), or", "number"),
    ("each", r"into numbers with (pandas\.to_numeric)\.", "each"),
]


@pytest.mark.parametrize(("refused", "pattern", "after"), STATEMENTS, ids=[case[0] for case in STATEMENTS])
def test_advice_on_the_data(data, refused, pattern, after):
    (statement,) = advice_in(message_of(data, f"y ~ {refused}"), pattern)
    statement = f"data['each'] = {statement}(data['each'])" if refused == "each" else statement.replace("'x'", "'number'")
    exec(statement, {"data": data, "pandas": pd})
    assert make_design(f"y ~ {after}", RANDOM, data=data, family="binomial").fixed_names == ("Intercept", after)


def test_advice_on_the_outcome(data):
    (event,) = advice_in(message_of(data, "three ~ x"), r"such as (I\(three == 'c'\)) ~")
    assert make_design(f"{event} ~ x", RANDOM, data=data, family="binomial").success_level is True
    (convert,) = advice_in(message_of(data, "number ~ x", family="gaussian"), r"into numbers with (pd\.to_numeric)\(\)")
    exec(f"data['number'] = {convert}(data['number'])", {"data": data, "pd": pd})
    assert make_design("number ~ x", RANDOM, data=data, family="gaussian").fixed_names == ("Intercept", "x")
    (order,) = advice_in(message_of(data, "three ~ x", family="cumulative"), r"(data\['three'\] = pd\.Categorical.*)\.$")
    exec(order.replace("lowest, ..., highest", "'a', 'c', 'b'"), {"data": data, "pd": pd})
    assert make_design("three ~ x", RANDOM, data=data, family="cumulative").levels == ("a", "c", "b")


def test_advice_on_random_effects(data):
    (argument,) = advice_in(message_of(data, "y ~ x", "~ x"), r"write random='(~ 1 \| id)'")
    assert make_design("y ~ x", argument, data=data, family="binomial").random_names == ("Intercept",)
    (bar,) = advice_in(message_of(data, "y ~ x", "~ x"), r"or add (\(1 \| id\)) to the formula")
    assert make_design(f"y ~ x + {bar}", data=data, family="binomial").group_name == "id"
    (statement,) = advice_in(message_of(data, "y ~ x", "~ 1 | g1:g2"), r"(df\['g12'\] = .*), and write \| g12")
    exec(statement, {"df": data})
    assert make_design("y ~ x", "~ 1 | g12", data=data, family="binomial").groups[0] == "0/0"
    with pytest.warns(DesignWarning, match=r"are nested and not crossed; \| (g1/g2) integrates") as given:
        make_design("y ~ x + (1 | g1) + (1 | g2)", data=data, family="binomial")
    (group,) = advice_in(str(given[0].message), r"are nested and not crossed; \| (g1/g2) integrates")
    assert make_design("y ~ x", f"~ 1 | {group}", data=data, family="binomial").n_upper == 1
    (bars,) = advice_in(message_of(data, "y ~ (1 | id) + (x | id)", None), r"as in (\(1 \| id\) \+ \(0 \+ x \| id\))")
    assert make_design(f"y ~ x + {bars}", data=data, family="binomial").random_names == ("Intercept", "x")


def test_advice_on_the_form(data):
    (formula,) = advice_in(message_of(data, "y ~"), r"write '(y ~ 1)'")
    assert make_design(formula, RANDOM, data=data, family="binomial").fixed_names == ("Intercept",)
    found = advice_in(message_of(data, "y ~ x", zi_fixed="~ 1"), r"family='(zero_inflated_poisson)' or '(hurdle_poisson)'")
    for family in found:
        assert make_design("g2 ~ x", RANDOM, data=data, family=family, zi_fixed="~ 1").zi_fixed_names == ("Intercept",)
