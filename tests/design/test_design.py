"""Clusters, outcomes, offsets and weights of a design, taken back to the caller's rows and compared with the table."""

import warnings

import jax
import numpy as np
import pandas as pd
import pytest

from glmmjax.design import make_design
from glmmjax.errors import DesignWarning
from glmmjax.families import Binomial, Poisson
from glmmjax.options import Options
from tests.design.unpack import by_row, cluster_weights, fixed, outcome

RANDOM = "~ 1 | id"


def test_clusters_in_order_of_first_appearance(data):
    design = make_design("y ~ x", RANDOM, data=data, family="binomial")
    assert list(design.groups) == list(data["id"].drop_duplicates())
    assert design.group_name == design.groups.name == "id"
    assert dict(zip(design.groups, design.cluster_sizes, strict=True)) == data["id"].value_counts().to_dict()
    weights, flat = cluster_weights(design)
    assert set(weights.values()) == {1.0}
    assert flat.sum() == 12
    real = sum(float((bucket.row_weight * bucket.cluster_weight[:, None]).sum()) for bucket in design.clusters.buckets)
    assert real == len(data)
    assert design.clusters.slots.dtype == np.int32


def test_shapes_follow_the_contract(data):
    design = make_design("cbind(s, trials - s) ~ x + sex", "~ time | id", data=data, family="binomial", options=Options(max_block_rows=32))
    for bucket in design.clusters.buckets:
        blocks, width, lanes = bucket.row_weight.shape
        assert [y.shape for y in bucket.y] == [(blocks, width, lanes)] * 2
        assert [X.shape for X in bucket.X] == [(blocks, 3, width, lanes)]
        assert [Z.shape for Z in bucket.Z] == [(blocks, 2, width, lanes)]
        assert bucket.offset.shape == (blocks, 1, width, lanes)
        assert bucket.cluster_weight.shape == (blocks, lanes)
    assert {leaf.dtype for leaf in jax.tree.leaves(design.clusters.buckets)} == {np.dtype("float64")}


def test_float32_process_gets_float32_without_a_warning(data):
    with jax.enable_x64(False):
        design = make_design("y ~ x", RANDOM, data=data, family="binomial")
    assert {leaf.dtype for leaf in jax.tree.leaves(design.clusters.buckets)} == {np.dtype("float32")}


def test_a_design_has_the_precision_that_is_asked_for_wherever_it_is_made(data):
    """One that was made outside the context, and is used inside it, was float32 without a word."""
    made = {dtype: make_design("y ~ x", random="~ 1 | id", data=data, family="binomial", dtype=dtype) for dtype in ("float64", "float32")}
    with jax.enable_x64(True):
        inside = make_design("y ~ x", random="~ 1 | id", data=data, family="binomial")
        single = make_design("y ~ x", random="~ 1 | id", data=data, family="binomial", dtype="float32")
    assert [design.clusters.buckets[0].offset.dtype for design in (*made.values(), single)] == ["float64", "float32", "float32"]
    for one, other in zip(jax.tree.leaves(made["float64"].clusters), jax.tree.leaves(inside.clusters), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_without_random_effects_every_row_is_a_cluster(data):
    design = make_design("y ~ x", data=data, family="binomial", weights=np.arange(60.0))
    assert design.covariance.q == 0
    assert design.random_names == ()
    assert design.group_name is None
    assert design.groups.equals(data.index)
    assert [bucket.Z[0].shape[1:3] for bucket in design.clusters.buckets] == [(0, 1)]
    assert list(cluster_weights(design)[0].values()) == list(range(60))


# labels -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label",
    [
        lambda k: k,
        lambda k: -k / 3,
        lambda k: (k % 3, f"t{k}"),
        lambda k: pd.Timestamp("2020-01-01") + pd.Timedelta(days=k),
        lambda k: frozenset([k]),
        lambda k: k if k % 2 else f"text {k}",
    ],
    ids=["int", "float", "tuple", "timestamp", "frozenset", "mixed"],
)
def test_labels_of_any_hashable_type(data, label):
    labels = [label(int(text[1:])) for text in data["id"]]
    design = make_design("y ~ x", RANDOM, data=data.assign(id=pd.Series(labels, data.index)), family="binomial")
    plain = make_design("y ~ x", RANDOM, data=data, family="binomial")
    assert list(design.groups) == list(dict.fromkeys(labels))
    assert design.groups.nlevels == 1
    np.testing.assert_array_equal(design.order.row_slots, plain.order.row_slots)


def test_duplicated_row_labels(data):
    doubled = data.set_axis(["same"] * 60)
    design = make_design("y ~ x + sex", RANDOM, data=doubled, family="binomial", offset=doubled["time"])
    np.testing.assert_array_equal(fixed(design)[:, 2], data["x"])
    np.testing.assert_array_equal(by_row(design, lambda bucket: bucket.offset)[0], data["time"])
    assert list(design.row_labels) == ["same"] * 60


def test_cluster_variable_with_spaces_and_as_a_fixed_effect(data):
    design = make_design("y ~ x + sex", "~ 1 | Q('my id')", data=data.rename(columns={"id": "my id"}), family="binomial")
    assert design.group_name == "my id"
    design = make_design("y ~ sex", "~ 1 | sex", data=data, family="binomial")
    assert list(design.groups) == list(dict.fromkeys(data["sex"]))


# outcome ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "success", "expected"),
    [
        ("y", None, lambda data: data["y"]),
        ("sex", "male", lambda data: data["sex"] == "male"),
        ("I(sex == 'female')", True, lambda data: data["sex"] == "female"),
        ("x > 0", True, lambda data: data["x"] > 0),
        ("np.where(x > 0, 'up', 'down')", "up", lambda data: data["x"] > 0),
        ("pair", "low", lambda data: data["g"] == "low"),
        ("two", 2, lambda data: data["y"] == 1),
    ],
)
def test_two_level_outcomes(data, left, success, expected):
    pair = pd.Categorical(np.where(data["g"] == "low", "low", "other"), ["unused", "other", "low"])
    data = data.assign(pair=pair, two=pd.Categorical(data["y"] + 1))
    design = make_design(f"{left} ~ time", RANDOM, data=data, family="binomial")
    assert design.success_level == success
    assert type(design.success_level) is type(success)
    np.testing.assert_array_equal(outcome(design), expected(data))


def test_outcome_expressions_are_arithmetic(data):
    design = make_design("count + s ~ x", RANDOM, data=data, family=Poisson())
    np.testing.assert_array_equal(outcome(design), data["count"] + data["s"])
    design = make_design("cbind(s, 10) ~ x", RANDOM, data=data, family=Binomial())
    assert set(by_row(design, lambda bucket: bucket.y[1])[0]) == {10.0}


def test_unsigned_columns_do_not_wrap_around(data):
    design = make_design("cbind(s, trials - s) ~ x", RANDOM, data=data, family="binomial")
    failures = by_row(design, lambda bucket: bucket.y[1])[0]
    np.testing.assert_array_equal(failures, 10.0 - data["s"].astype(float))
    np.testing.assert_array_equal(by_row(design, lambda bucket: bucket.y[0])[0], data["s"])
    assert design.outcome_name == "cbind(s, trials - s)"


# offset and weights -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", [lambda data: "x", lambda data: data["x"], lambda data: data["x"].to_numpy(), lambda data: list(data["x"])]
)
def test_offsets_add_up(data, form):
    design = make_design("count ~ sex + offset(np.log(time)) + offset(2)", RANDOM, data=data, family="poisson", offset=form(data))
    np.testing.assert_allclose(by_row(design, lambda bucket: bucket.offset)[0], np.log(data["time"]) + 2 + data["x"], rtol=1e-14)
    assert design.fixed_names == ("Intercept", "sex[T.male]")


def test_weights_in_every_form(data):
    labels = list(data["id"].drop_duplicates())
    by_label = {label: float(label[1:]) + 0.5 for label in labels}
    forms = [
        [by_label[label] for label in labels],
        np.array([by_label[label] for label in labels]),
        by_label,
        pd.Series(by_label).sort_index(ascending=False),
        {**by_label, "not there": 7.0},
        "w",
    ]
    for weights in forms:
        design = make_design("y ~ x", RANDOM, data=data.assign(w=data["id"].map(by_label)), family="binomial", weights=weights)
        found, flat = cluster_weights(design)
        assert found == by_label
        assert flat.sum() == sum(by_label.values())  # padding clusters weigh nothing


# warnings ---------------------------------------------------------------------------------------------------------------


def test_nothing_repeats(data):
    with pytest.warns(
        DesignWarning, match="nothing repeats: the cluster variable 'row' has a different value in each of the 60 rows"
    ) as caught:
        design = make_design("y ~ x", "~ 1 | row", data=data.assign(row=range(60)), family="binomial")
    assert caught[0].filename == __file__
    assert len(design.groups) == 60


def test_one_cluster(data):
    with pytest.warns(DesignWarning, match="the cluster variable 'all' has one value only"):
        make_design("y ~ x", "~ 1 | all", data=data.assign(all="same"), family="binomial")


def test_a_usual_design_warns_of_nothing(data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_design("y ~ np.log(time) + sex", RANDOM, data=data, family="binomial")
    assert caught == []
