"""Splitting of formula texts; nothing here needs a table."""

import dataclasses
import pickle

import pytest

from glmmjax.design.formula.split import Bar, FormulaParts, split_formula, split_right_side
from glmmjax.design.formula.tokens import call_argument, names_in, split_at, unquoted_name


@pytest.mark.parametrize(
    ("random", "bar"),
    [
        ("~ 1 | id", Bar("1", "id", False)),
        ("~ time | id", Bar("time", "id", False)),
        ("~ time || id", Bar("time", "id", True)),
        ("~ 0 + x | id", Bar("0 + x", "id", False)),
        ("~t+I(t**2)|id", Bar("t+I(t**2)", "id", False)),
        ("1 | id", Bar("1", "id", False)),
        ("~ I(a | b) | id", Bar("I(a | b)", "id", False)),
        ("~ x['a|b'] | id", Bar("x['a|b']", "id", False)),
        ("~ 1 | Q('my id')", Bar("1", "my id", False)),
        ('~ 1 | Q("a/b")', Bar("1", "a/b", False)),
        ("~ time\n  | id ", Bar("time", "id", False)),
    ],
)
def test_random_argument(random, bar):
    parts = split_formula("y ~ x", random)
    assert parts.bars == (bar,)
    assert parts.group == bar.group


@pytest.mark.parametrize(
    ("right", "fixed", "bars"),
    [
        ("sex * time + (1 | id)", "sex * time", [Bar("1", "id", False)]),
        ("(time | id)", "1", [Bar("time", "id", False)]),
        ("(1 | id) + x", "x", [Bar("1", "id", False)]),
        ("x + (1 | id) - 1", "x - 1", [Bar("1", "id", False)]),
        ("(1 | id) - 1 + x", "- 1 + x", [Bar("1", "id", False)]),
        ("(1 | id) + x + (0 + x || id)", "x", [Bar("1", "id", False), Bar("0 + x", "id", True)]),
        ("(a + b) * c + (1 | id)", "(a + b) * c", [Bar("1", "id", False)]),
        ("I(a | b) + (f(a | b) | id)", "I(a | b)", [Bar("f(a | b)", "id", False)]),
        ("C(g, Treatment('a+(1|b)'))", "C(g, Treatment('a+(1|b)'))", []),
        ("bs(x, df=3) / z", "bs(x, df=3) / z", []),
        ("I(x**-1) + I(-x)", "I(x**-1) + I(-x)", []),
    ],
)
def test_bars_are_cut_out_of_the_fixed_formula(right, fixed, bars):
    parts = split_formula(f"y ~ {right}")
    assert parts.fixed == fixed
    assert parts.bars == tuple(bars)


def test_no_random_effects():
    parts = split_formula("y ~ x")
    assert parts.bars == ()
    assert parts.group is None


@pytest.mark.parametrize(
    ("right", "fixed", "offsets"),
    [
        ("x + offset(np.log(t))", "x", ("np.log(t)",)),
        ("offset(a) + offset(b - 1)", "1", ("a", "b - 1")),
        ("x + offset", "x + offset", ()),
        ("x - 1 + offset(t)", "x - 1", ("t",)),
    ],
)
def test_offsets_are_cut_out(right, fixed, offsets):
    found = split_right_side(right, right)
    assert (found.fixed, found.offsets) == (fixed, offsets)


@pytest.mark.parametrize(
    ("left", "columns"),
    [
        ("y", ("y",)),
        ("np.log(y + 1)", ("np.log(y + 1)",)),
        ("cbind(s, n - s)", ("s", "n - s")),
        ("cbind(np.minimum(s, 3), f['a,b'])", ("np.minimum(s, 3)", "f['a,b']")),
        ("Q('a ~ b')", ("Q('a ~ b')",)),
    ],
)
def test_outcome_columns(left, columns):
    parts = split_formula(f"{left} ~ x")
    assert parts.outcome == left
    assert parts.outcome_columns == columns


def test_parts_are_plain_frozen_values():
    parts = split_formula("y ~ x + offset(t) + (x || id)")
    assert parts == split_formula("y ~ x + offset(t) + (x || id)")
    assert hash(parts) == hash(pickle.loads(pickle.dumps(parts)))
    assert {type(value) for value in dataclasses.astuple(parts)} == {str, tuple, type(None)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        parts.fixed = "1"  # type: ignore[misc]
    assert isinstance(parts, FormulaParts)


@pytest.mark.parametrize(
    ("text", "names", "called", "bare"),
    [
        ("sex * time", {"sex", "time"}, set(), {"sex", "time"}),
        ("bs(x, df=k) + np.log(t)", {"bs", "x", "k", "np", "t"}, {"bs"}, set()),
        ("Q('my col'):x", {"my col", "x"}, set(), {"my col", "x"}),
        ("np.log(Q('my col'))", {"np", "my col"}, set(), set()),
        ("date.dt.month + d['key']", {"date", "d"}, set(), set()),
        ("(a + b)**2", {"a", "b"}, set(), {"a", "b"}),
        ("I(x if a and not b else None)", {"I", "x", "a", "b"}, {"I"}, set()),
        ("x == 'name'", {"x"}, set(), {"x"}),
        ("1 + 2e3", set(), set(), set()),
    ],
)
def test_names(text, names, called, bare):
    found = names_in(text)
    assert {name.text for name in found} == names
    assert {name.text for name in found if name.is_called} == called
    assert {name.text for name in found if name.is_bare} == bare


def test_tokens_know_brackets_and_quotes():
    assert split_at("a + f(b + c) + 'd + e'", "+") == ["a", "f(b + c)", "'d + e'"]
    assert call_argument("f(a)(b)", "f") is None
    assert call_argument("f(a) + g(b)", "f") is None
    assert call_argument("(a) + (b)", "") is None
    assert call_argument(" f( a, (b) ) ", "f") == "a, (b)"
    assert unquoted_name("Q('a' + 'b')") is None
    assert unquoted_name("Q(a)") is None
    assert unquoted_name("a.b") is None
