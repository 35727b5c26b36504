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
        ("y ~ x", "~ 1 | a:b", r"both with effects of their own.*df\['g12'\] = "),
        ("y ~ x + (1 | a) + (1 | b)", None, r"2 grouping factors: 'a', 'b'\..*write \| a/b if each b belongs to one a"),
        ("y ~ x + (1 | a) + (1 | a:b) + (1 | a:c)", None, r"has the groups 'a', 'a:b', 'a:c'"),
        ("y ~ x + (1 | c) + (1 | a:b)", None, r"has the groups 'c', 'a:b'"),
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
