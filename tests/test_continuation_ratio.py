"""Continuation-ratio rows and probabilities against GLMMadaptive's, and against each other."""

import json

import numpy as np
import pandas as pd
import pytest

from glmmjax.continuation_ratio import cr_marg_probs, cr_setup
from glmmjax.errors import ArgumentError
from tests.reference_cases import FOLDER

REFERENCE = json.loads((FOLDER / "o46_wine_ordinal.json").read_text(encoding="utf-8"))
SETUP, PROBABILITIES = REFERENCE["cr_setup_example"], REFERENCE["cr_marg_probs_example"]

each_direction = pytest.mark.parametrize("direction", ["forward", "backward"])


def example():
    """The outcome of the example, and which of its rows are not missing."""
    y = pd.Series(pd.Categorical(SETUP["y"], categories=SETUP["levels"], ordered=True))
    return y, np.flatnonzero(y.notna())


@each_direction
def test_rows_are_those_of_glmmadaptive(direction):
    """Its row with a missing outcome, which it carries along and cr_setup refuses, is left out on both sides."""
    y, present = example()
    expected = pd.DataFrame({name: SETUP[direction][name] for name in ("subs", "cohort", "y")}).dropna()
    cr = cr_setup(y.iloc[present], direction)
    assert list(cr) == ["row", "cohort", "y"]
    assert list(present[cr["row"]] + 1) == list(expected["subs"])
    assert list(cr["cohort"]) == list(expected["cohort"])
    assert list(cr["cohort"].cat.categories) == SETUP[direction]["cohort_levels"]
    assert list(cr["y"]) == list(expected["y"])
    assert list(cr["row"].value_counts(sort=False)) == [SETUP[direction]["reps"][i] for i in present]


def test_wine_is_expanded_as_in_its_reference_case():
    raw = pd.read_csv(FOLDER / "o46_wine_raw.csv")
    expected = pd.read_csv(FOLDER / "o45_wine_cr.csv")
    cr = cr_setup(raw["rating"])
    expanded = raw.iloc[cr["row"]].reset_index(drop=True).assign(y_new=cr["y"], cohort=cr["cohort"].astype(object))
    pd.testing.assert_frame_equal(expanded, expected, check_dtype=False)


@each_direction
def test_probabilities_are_those_of_glmmadaptive(direction):
    actual = cr_marg_probs(PROBABILITIES["eta"], direction)
    np.testing.assert_allclose(actual, PROBABILITIES[direction], rtol=1e-12)


@each_direction
def test_rows_and_probabilities_belong_together(direction):
    """The log probability of a level is the binomial log likelihood of its rows."""
    y = pd.Categorical(["a", "b", "c", "d"], ordered=True)
    eta = np.array([-0.4, 0.9, 0.2])
    by_cohort = eta if direction == "forward" else eta[::-1]
    cr = cr_setup(y, direction)
    row_eta = by_cohort[cr["cohort"].cat.codes]
    log_likelihood = (-np.logaddexp(0.0, np.where(cr["y"] == 1, -row_eta, row_eta))).tolist()
    expected = np.exp(pd.Series(log_likelihood).groupby(cr["row"]).sum())
    np.testing.assert_allclose(cr_marg_probs(eta[None], direction).iloc[0], expected, rtol=1e-12)


def test_probabilities_keep_labels_and_far_tails():
    eta = pd.DataFrame([[0.1, 0.2], [-800.0, 800.0]], index=["first", "second"])
    actual = cr_marg_probs(eta, levels=["low", "middle", "high"])
    assert list(actual.index) == ["first", "second"]
    assert list(actual) == ["low", "middle", "high"]
    np.testing.assert_allclose(actual.sum(axis=1), 1.0)
    np.testing.assert_array_equal(actual.loc["second"], [0.0, 1.0, 0.0])


def test_levels_are_those_that_occur_and_whole_numbers_look_whole():
    y = pd.Series(pd.Categorical([1.0, 2.0, 4.0], categories=[1.0, 2.0, 3.0, 4.0]), index=[7, 7, 7])
    assert list(cr_setup(y)["cohort"].cat.categories) == ["all", "y>=2"]
    assert list(cr_setup([1, 2, 4], "backward")["cohort"].cat.categories) == ["all", "y<=2"]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 2, 3, None], r"y has missing values in 1 of 4 rows; leave these rows out"),
        (pd.Categorical(["a", "b", None, "c"]), r"y has missing values in 1 of 4 rows"),
        ([0, 1, 1], r"y has the levels \[0, 1\], and a continuation ratio needs at least 3"),
        (pd.Categorical(["a", "b"], categories=["a", "b", "c"]), r"y has the levels \['a', 'b'\]"),
        (["low", "middle", "high"], r"levels have no order; give them one: pd.Categorical\(y, categories="),
    ],
)
def test_outcomes_that_cannot_be_expanded(y, message):
    with pytest.raises(ArgumentError, match=message):
        cr_setup(y)


@pytest.mark.parametrize(
    ("eta", "levels", "message"),
    [
        ([0.1, 0.2], None, r"eta has shape \(2,\) and must be \(n, K - 1\)"),
        ([[0.1], [0.2]], None, r"eta has shape \(2, 1\) and must be"),
        ([[0.1, np.nan], [0.2, 0.3]], None, r"eta has missing values in 1 of 2 rows"),
        ([["a", "b"]], None, r"eta must be a table of numbers, not list"),
        ([[0.1, 0.2]], ["a", "b"], r"levels has 2 names, and eta with 2 columns is about 3 levels"),
    ],
)
def test_predictors_that_give_no_probabilities(eta, levels, message):
    with pytest.raises(ArgumentError, match=message):
        cr_marg_probs(eta, levels=levels)


@pytest.mark.parametrize(("function", "argument"), [(cr_setup, [1, 2, 3]), (cr_marg_probs, [[0.1, 0.2]])])
def test_unknown_direction(function, argument):
    with pytest.raises(ArgumentError, match=r"direction='up' is not known; choose one of 'forward' \(from the lowest.*\), 'backward' \("):
        function(argument, "up")
