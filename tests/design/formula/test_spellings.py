"""Formulas as R's users write them give the matrix of the formula as patsy reads it."""

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.design import make_design
from glmmjax.design.formula.spellings import as_patsy_reads
from glmmjax.errors import FormulaError
from tests.design.unpack import fixed, random


@pytest.fixture
def frame():
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"y": rng.normal(size=40), "a": rng.normal(size=40), "b": np.tile(["u", "v"], 20), "id": np.arange(40) // 4})
    return table.assign(**{"blood.pressure": rng.normal(size=40), "x.1": rng.normal(size=40), "class": rng.normal(size=40)})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("I(a^2)", "I(a ** 2)"),
        ("(a + b)^2", "(a + b) ** 2"),
        ("b %in% a", "b:a"),
        ("a + b %in% a", "a + b:a"),
        ("b/a", "b + b:a"),
        ("as.factor(b) + a", "factor(b) + a"),
        ("blood.pressure + a", "Q('blood.pressure') + a"),
        ("log(blood.pressure^2) * x.1", "log(Q('blood.pressure') ** 2) * Q('x.1')"),
        (".", "a + b + Q('blood.pressure') + Q('x.1') + Q('class')"),
        (". - b", "a + Q('blood.pressure') + Q('x.1') + Q('class')"),
        (". + I(a^2)", "a + b + Q('blood.pressure') + Q('x.1') + Q('class') + I(a ** 2)"),
        ("a:(. - b)", "a + a:(Q('blood.pressure') + Q('x.1') + Q('class'))"),
        ("I(2. * a + .5)", "I(2. * a + .5)"),
        ("I(b == 'x.1 ^ .')", "I(b == 'x.1 ^ .')"),
    ],
)
def test_both_spellings_give_one_matrix(frame, written, read):
    if written == "a:(. - b)":  # patsy's a:a is a
        frame = frame.copy()
    if "==" in written:
        frame = frame.assign(b=np.where(np.arange(40) % 3, "u", "x.1 ^ ."))
    first, second = (make_design(f"y ~ {text}", "~ 1 | id", data=frame, family="gaussian") for text in (written, read))
    assert first.fixed_names == second.fixed_names
    np.testing.assert_array_equal(fixed(first), fixed(second))


def test_dots_in_outcome_cluster_and_random_effects(frame):
    table = frame.rename(columns={"y": "y.1", "id": "subject.id"})
    design = make_design("log(y.1^2) ~ a + (blood.pressure | subject.id)", data=table, family="gaussian")
    assert (design.group_name, design.random_names) == ("subject.id", ("Intercept", "Q('blood.pressure')"))
    np.testing.assert_array_equal(random(design)[:, 1], frame["blood.pressure"])


def test_the_dot_leaves_out_what_has_another_part(frame):
    table = frame.assign(w=1.0, t=2.0)
    design = make_design("y ~ .", "~ 1 | id", data=table, family="gaussian", weights="w", offset="t")
    assert design.fixed_names == ("Intercept", "b[T.v]", "a", "Q('blood.pressure')", "Q('x.1')", "Q('class')")
    design = make_design("cbind(s, f) ~ .", "~ 1 | id", data=frame.assign(s=1, f=2).drop(columns="y"), family="binomial")
    assert "s" not in design.fixed_names
    assert "f" not in design.fixed_names


def test_a_column_comes_before_an_attribute_and_nothing_else_changes(frame):
    assert as_patsy_reads("np.log(a) + a.b + f.g(a)", lambda: ["a", "f.g"]) == "np.log(a) + a.b + f.g(a)"
    assert as_patsy_reads("a.b + 'a.b' + Q('a.b')", lambda: ["a", "a.b"]) == "Q('a.b') + 'a.b' + Q('a.b')"

    def never():
        raise AssertionError

    assert as_patsy_reads("a + (1 | id)", never) == "a + (1 | id)"


def test_dots_that_stand_for_nothing(frame):
    with pytest.raises(
        FormulaError, match=r"fixed='y ~ \.': the dot stands for the columns that are not named otherwise, and there are none"
    ):
        make_design("y ~ .", "~ 1 | id", data=frame[["y", "id"]], family="gaussian")
    with pytest.raises(FormulaError, match="For a stream they must be written always"):
        gj.mixed_model("y ~ .", random="~ 1 | id", data=gj.stream([frame]), family="gaussian")
    with pytest.raises(FormulaError, match="whose names are texts, and 0 is one that is none"):
        make_design("y ~ .", "~ 1 | id", data=frame.rename(columns={"a": 0}), family="gaussian")


def test_a_saved_fit_reads_its_formula_again(as_if_fitted, frame, tmp_path):
    fit = as_if_fitted("y ~ . + I(a^2)", random="~ 1 | id", data=frame, family="gaussian")
    fit.save(tmp_path / "fit")
    assert gj.load(tmp_path / "fit").fe_params.equals(fit.fe_params)
