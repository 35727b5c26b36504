"""Groups in formulas: one level, or two of which one is nested in the other."""

import pytest

from glmmjax.design.formula.split import Bar, split_formula
from glmmjax.errors import FormulaError

UPPER, LOWER = Bar("1", "school", False), Bar("1", "school", False, "class")


@pytest.mark.parametrize(
    ("fixed", "random"),
    [
        ("y ~ x", "~ 1 | school/class"),
        ("y ~ x + (1 | school/class)", None),
        ("y ~ x + (1 | school:class) + (1 | school)", None),
        ("y ~ x + (1 | school) + (1 | class:school)", None),
        ("y ~ x", "~ (1 | school) + (1 | school:class)"),
        ("y ~ x", "~ 1 | school + 1 | school:class"),
    ],
)
def test_spellings_of_two_levels(fixed, random):
    parts = split_formula(fixed, random)
    assert parts.bars == (UPPER, LOWER)
    assert (parts.group, parts.lower_group) == ("school", "class")
    assert [bar.level for bar in parts.bars] == ["school", "school:class"]


def test_effects_of_the_levels_may_differ():
    bars = split_formula("y ~ x + (1 | school:class) + (x || school)").bars
    assert bars == (Bar("x", "school", True), LOWER)


@pytest.mark.parametrize(
    ("fixed", "random", "text"),
    [
        ("y ~ x", "~ 1 | a/b/c", r"neither one column nor one nested in another\. For classes nested in schools write \| school/class"),
        ("y ~ x", "~ 1 | a:b", r"has the group 'a:b' alone.*df\['g12'\] = "),
        ("y ~ x", "~ 1 | a/a", "neither one column"),
    ],
)
def test_other_groups_are_refused(fixed, random, text):
    with pytest.raises(FormulaError, match=text):
        split_formula(fixed, random)


def test_a_zero_part_has_effects_of_the_lower_level_only():
    given = {"fixed": "y ~ x", "random": "~ 1 | a/b", "zi_fixed": "~ 1"}
    assert split_formula(**given, zi_random="~ 1 | a:b").right_sides["zero"].bars == (Bar("1", "a", False, "b"),)
    with pytest.raises(FormulaError, match=r"write zi_random='~ 1 \| a:b'"):
        split_formula(**given, zi_random="~ 1 | a")
    with pytest.raises(FormulaError, match=r"the main part has no effects of a:b; add \(1 \| a:b\)"):
        split_formula("y ~ x", "~ 1 | a", zi_fixed="~ 1", zi_random="~ 1 | a:b")


@pytest.mark.parametrize(
    ("random", "factors"),
    [
        ("(1 | a) + (1 | b)", {"a": ("a",), "b": ("b",)}),
        ("(1 | b) + (x | a) + (0 + z | b)", {"b": ("b",), "a": ("a",)}),
        ("(1 | a) + (1 | a:b) + (1 | c)", {"a": ("a",), "a:b": ("a", "b"), "c": ("c",)}),
        ("(1 | b:a) + (1 | a) + (1 | c)", {"a:b": ("a", "b"), "a": ("a",), "c": ("c",)}),
        ("(1 | c) + (1 | a:b)", {"c": ("c",), "a:b": ("a", "b")}),
    ],
)
def test_other_groups_are_crossed(random, factors):
    parts = split_formula("y ~ x", random)
    assert parts.factors == factors
    assert parts.group is None
    assert parts.lower_group is None
    levels = [bar.level for bar in parts.bars]
    assert levels == sorted(levels, key=list(factors).index)  # effects of a factor side by side


def test_nested_levels_are_not_crossed():
    assert split_formula("y ~ x", "~ 1 | a/b").factors == {}
    assert split_formula("y ~ x", "(1 | b:a) + (1 | a)").lower_group == "b"
