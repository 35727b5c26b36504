"""Settings are checked when they are made, and are equal by value."""

import doctest
from typing import Any

import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.options import Options, StudentTPenalty, default_n_agq


def test_options_are_hashable_and_equal_by_value():
    assert hash(Options(n_em=3)) == hash(Options(n_em=3))
    assert Options(n_em=3) != Options()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"n_em": -1}, r"Options\(n_em=-1\) must be a whole number >= 0"),
        ({"max_agq": 2.5}, r"Options\(max_agq=2.5\) must be a whole number >= 1"),
        ({"optimizer": "adam"}, r"Options\(optimizer='adam'\) must be one of 'bfgs', 'lbfgs'"),
        ({"optimizer": None}, r"Options\(optimizer=None\) must be one of 'bfgs', 'lbfgs'"),
        ({"n_draws": 7}, r"Options\(n_draws=7\) must be an even number"),
        ({"max_block_rows": "a"}, r"Options\(max_block_rows='a'\) must be a whole number >= 1"),
        ({"certificate": float("nan")}, r"Options\(certificate=nan\) must be a finite number > 0"),
        ({"em_gain": "x"}, r"Options\(em_gain='x'\) must be a finite number > 0"),
    ],
)
def test_options_name_what_is_wrong(changes: dict[str, Any], text):
    with pytest.raises(ArgumentError, match=text):
        Options(**changes)


@pytest.mark.parametrize(("changes", "name"), [({"scale": 0}, "scale"), ({"df": "x"}, "df"), ({"mean": float("nan")}, "mean")])
def test_penalty_names_what_is_wrong(changes: dict[str, Any], name):
    with pytest.raises(ArgumentError, match=rf"StudentTPenalty\({name}="):
        StudentTPenalty(**changes)


def test_default_points_keep_the_number_of_nodes_in_reach():
    assert [default_n_agq(q) for q in (0, 1, 2, 3)] == [11, 11, 11, 7]
    assert all(default_n_agq(q) ** q <= 1000 for q in range(20))


@pytest.mark.parametrize("record", [gj.Options, gj.Params, gj.Priors, gj.StudentTPenalty], ids=lambda record: record.__name__)
def test_the_examples_of_records_run(record):
    (test,) = doctest.DocTestFinder(recurse=False).find(record, record.__name__, globs={"gj": gj})
    failures: list[str] = []
    result = doctest.DocTestRunner().run(test, out=failures.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(failures)
