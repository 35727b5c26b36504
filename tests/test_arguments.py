"""Kinds of arguments, and the declaration that checks them before a function begins."""

import inspect
import pickle
import re

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.arguments import AXES, FLAG, LEVEL, NAMES, PATH, SEED, TABLE, Maybe, OneOf, SomeOf, Text, Whole, takes
from glmmjax.errors import ArgumentError
from glmmjax.postfit.uncertainty.sandwich import ROBUST
from glmmjax.values import check_size, shown
from tests.test_docstrings import functions


@takes(level=LEVEL, n=Whole(1, 9))
def declared(level, n=3, *, other=None):
    """Returned as it came."""
    return level, n, other


def test_a_call_that_is_right_passes_and_one_that_is_not_is_refused_by_position_and_by_name():
    assert declared(0.5, np.int64(4), other="anything") == (0.5, 4, "anything")
    for call in (lambda: declared(95), lambda: declared(level=95), lambda: declared(0.5, n=0), lambda: declared(0.5, 10)):
        with pytest.raises(ArgumentError):
            call()
    with pytest.raises(ArgumentError, match=r"^level=95 must be a number between 0 and 1, such as 0.95\.$"):
        declared(95)
    with pytest.raises(TypeError, match="unexpected keyword"):
        declared(0.5, nosuch=1)  # type: ignore[call-arg]


def test_help_and_pickles_see_the_function():
    assert declared.__doc__ == "Returned as it came."
    assert list(inspect.signature(declared).parameters) == ["level", "n", "other"]
    assert pickle.loads(pickle.dumps(gj.mixed_model)) is gj.mixed_model


def test_a_declaration_for_an_argument_that_is_not_there_is_found():
    with pytest.raises(TypeError, match="levle"):
        takes(levle=LEVEL)(lambda level: level)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (LEVEL, (0.5, np.float32(0.9)), (0, 1, 95, True, float("nan"), "0.95", [0.9], 1j, None)),
        (FLAG, (True, False, np.True_), (1, 0, None, "yes", [True])),
        (ROBUST, (True, False, "CR2"), (None, 1, "cr2", ["CR2"], np.zeros(2))),
        (SEED, (0, 2**63 - 1, np.int64(3)), (-1, 2**63, 1.0, True, "0", None)),
        (NAMES, ("a", ["a", "b"], ("a",)), ([], "a b".split, 3, ["a", 3], None, {"a"}, ["a", "a"])),
        (TABLE, ({}, [], pd.DataFrame(), np.zeros(2)), (None, 3, "a", True, len, float, np)),
        (PATH, ("a", b"a".decode(), __import__("pathlib").Path("a")), ("", "a\0b", None, 3, b"a")),
        (AXES, (None,), (3, "ax", pd.DataFrame(), object())),
        (OneOf("a", None), ("a", None, np.str_("a")), ("b", ["a"], np.array(["a", "a"]), 0)),
        (SomeOf("a", "b"), ("a", ("a", "b"), ["b"]), ((), "c", ("a", "c"), None, 3)),
        (Maybe(Text()), (None, "a"), (3, b"a")),
        (Whole(2), (2, 10**30), (1, 2.0, None, True, float("inf"))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_kind_takes(kind, good, bad):
    assert [value for value in good if not kind.holds(value)] == []
    assert [value for value in bad if kind.holds(value)] == []
    for value in bad:
        with pytest.raises(ArgumentError, match=r"^x="):
            kind.check("x", value)


def test_a_message_stays_short_whatever_came():
    assert shown(pd.DataFrame({"a": range(1000)})) == "<DataFrame of shape (1000, 1)>"
    assert shown(gj.Options()) == "<Options>"
    assert len(shown("x" * 10**6)) < 100
    assert "\n" not in shown("a\nb" * 3)


def test_a_message_says_what_words_stand_for():
    kind = OneOf({False: "none", "a": "the first"}, "b")
    with pytest.raises(ArgumentError, match=r"^x='c' is not known; choose one of False \(none\), 'a' \(the first\), 'b'\.$"):
        kind.check("x", "c")
    with pytest.raises(ArgumentError, match=r"^x='c' is not known; choose one of None, False \(none\), 'a' \(the first\), 'b'\.$"):
        Maybe(kind).check("x", "c")
    with pytest.raises(ArgumentError, match=r"^x=0 must be None \(for all of them\), or a whole number >= 1\.$"):
        Maybe(Whole(1), "for all of them").check("x", 0)


def test_an_array_beyond_memory_is_refused_with_its_size():
    check_size("a small one", (10, 10), "nothing")
    with pytest.raises(ArgumentError, match=re.escape("n=10 draws takes 7,451 GiB of memory, and 4 GiB are allowed; take fewer.")):
        check_size("n=10 draws", (10**6, 10**6), "take fewer")


@pytest.mark.parametrize("name", sorted(functions()))
def test_every_public_argument_is_declared(name):
    parameters = inspect.signature(functions()[name]).parameters.values()
    takes_any = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = {parameter.name for parameter in parameters if parameter.name != "self" and parameter.kind not in takes_any}
    assert wanted <= set(getattr(functions()[name], "kinds", {}))
