"""Columns of new rows: those of the fit by its own levels, means and knots; and what new data may not be."""

import re

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.design.new_rows import cluster_rows, read_new_rows
from glmmjax.errors import ArgumentError, DesignError, OutcomeError
from glmmjax.options import Options


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    n = 60
    return pd.DataFrame(
        {
            "y": rng.integers(0, 2, n),
            "x": rng.normal(size=n),
            "arm": np.array(["a", "b", "c"])[rng.integers(0, 3, n)],
            "e": rng.uniform(1, 2, n),
            "id": np.repeat(np.arange(20), 3),
        }
    )


def design_of(data, fixed="y ~ bs(x, df=4) + center(e):arm + offset(np.log(e))", **arguments):
    return gj.make_design(fixed, random="~ x | id", data=data, family=arguments.pop("family", "binomial"), **arguments)


def own_columns(design, n):
    """(p, n) of the fit, in the caller's order."""
    parts = [np.moveaxis(np.asarray(bucket.X[0]), 1, 0).reshape(bucket.X[0].shape[1], -1) for bucket in design.clusters.buckets]
    return np.concatenate(parts, axis=1)[:, design.order.row_slots]


def test_some_rows_have_the_columns_that_they_had_in_the_fit(data):
    design = design_of(data)
    part = data.iloc[[50, 7, 7, 3]]  # not all levels, another mean, other ends of the spline
    rows = read_new_rows(design, part, with_outcome=True, with_groups=True)
    np.testing.assert_allclose(rows.X[0], own_columns(design, len(data))[:, [50, 7, 7, 3]], atol=1e-6)
    np.testing.assert_allclose(rows.Z[0], [np.ones(4), part["x"]], atol=1e-6)
    np.testing.assert_allclose(rows.offset[0], np.log(part["e"]), atol=1e-6)
    assert rows.outcome[0].tolist() == part["y"].tolist()
    assert rows.groups is not None
    assert rows.groups.labels.tolist() == [16, 2, 1]
    assert rows.groups.codes.tolist() == [0, 1, 1, 2]


def test_the_outcome_and_the_clusters_are_needed_only_where_they_are_asked_for(data):
    rows = read_new_rows(design_of(data), data[["x", "arm", "e"]])
    assert rows.outcome == ()
    assert rows.groups is None
    assert rows.X[0].shape[1] == len(data)


def test_rows_with_a_missing_value_are_marked_not_forgotten(data):
    holes = data.iloc[:4].assign(x=[0.1, np.nan, 0.2, 0.3], arm=["a", "b", None, "c"])
    rows = read_new_rows(design_of(data), holes)
    assert rows.is_complete.tolist() == [True, False, False, True]
    assert rows.X[0].shape[1] == 2
    assert len(rows.labels) == 4


def test_an_outcome_of_two_levels_is_coded_as_in_the_fit(data):
    text = data.assign(y=np.where(data["y"] == 1, "yes", "no"))
    rows = read_new_rows(design_of(text), text[text["y"] == "yes"], with_outcome=True)
    assert (rows.outcome[0] == 1.0).all()


def test_levels_of_an_ordinal_outcome_are_those_of_the_fit(data):
    ordinal = data.assign(y=data.index % 3)
    design = design_of(ordinal, "y ~ x", family="cumulative")
    rows = read_new_rows(design, ordinal[ordinal["y"] > 0], with_outcome=True)
    assert rows.X[0].shape[0] == 1  # no intercept
    assert set(rows.outcome[0]) == {1.0, 2.0}
    with pytest.raises(OutcomeError, match=re.escape("'y' is 7 in row 0, and the levels fitted are 0, 1, 2")):
        read_new_rows(design, ordinal.assign(y=7), with_outcome=True)


def test_zero_part_and_dispersion_have_columns_of_their_own(data):
    design = design_of(data.assign(y=data.index % 4), "y ~ x", family="zero_inflated_negative_binomial", zi_fixed="~ arm", dispersion="~ e")
    rows = read_new_rows(design, data.iloc[:5])
    assert [len(x) for x in rows.X] == [2, 3, 2]
    assert [len(z) for z in rows.Z] == [2, 0, 0]


def test_names_of_the_caller_are_those_of_the_fit(data):
    power = 2
    design = gj.make_design("y ~ I(x**power)", random="~ 1 | id", data=data, family="binomial")
    power = 3
    np.testing.assert_allclose(read_new_rows(design, data.iloc[:3]).X[0][1], data["x"][:3] ** 2, atol=1e-6)
    assert power == 3
    assert "power" in design.recipe.namespace
    assert "data" not in design.recipe.namespace  # what the formulas do not name is not kept


def test_new_rows_by_cluster_are_what_the_fit_has(data):
    design = design_of(data)
    clusters = cluster_rows(read_new_rows(design, data, with_outcome=True, with_groups=True), Options(), design)
    for ours, fitted in zip(clusters.buckets, design.clusters.buckets, strict=True):
        np.testing.assert_array_equal(ours.X[0], fitted.X[0])
        np.testing.assert_array_equal(ours.y, fitted.y)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda d: d.drop(columns="x"), DesignError, "names 'x', and newdata has no such column: the columns are 'y', 'arm'"),
        (
            lambda d: d.assign(arm="d"),
            DesignError,
            "newdata: 'arm' is 'd' in row 0, a level that the rows fitted do not have; its levels are",
        ),
        (lambda d: d.assign(e=-1.0), DesignError, "the offset: 'offset(np.log(e))' is nan in row 0"),
        (lambda d: d.assign(x="high"), DesignError, "newdata: 'x' has values such as 'high', and the rows fitted have numbers"),
        (lambda d: 3, ArgumentError, "newdata has type int and must be a DataFrame"),
    ],
)
def test_unusable_new_data_are_refused(data, change, error, message):
    with pytest.raises(error, match=re.escape(message)):
        read_new_rows(design_of(data), change(data))


def test_an_offset_given_as_numbers_cannot_be_had_for_new_rows(data):
    design = design_of(data, "y ~ x", offset=np.zeros(len(data)))
    with pytest.raises(ArgumentError, match=r"newdata: the fit has offset= as an array of numbers"):
        read_new_rows(design, data)
    by_name = design_of(data, "y ~ x", offset="e")
    np.testing.assert_allclose(read_new_rows(by_name, data.iloc[:4]).offset[0], data["e"][:4], atol=1e-6)
    with pytest.raises(DesignError, match=r"newdata with offset='e' names 'e', and newdata has no such column"):
        read_new_rows(by_name, data.drop(columns="e"))
