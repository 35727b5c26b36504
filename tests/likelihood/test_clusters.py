"""Rows and clusters to blocks and back: exact inverses, padding that repeats what is real, and derivatives that padding has no part in."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.likelihood.clusters import (
    cluster_starts,
    cluster_weights,
    clusters_of_rows,
    from_clusters,
    from_rows,
    in_longer_buckets,
    on_all_lanes,
    outcome_columns,
    places_of_clusters,
    to_clusters,
    to_rows,
    weights_in_blocks,
)

SIZES = {
    "equal": [3] * 20,
    "almost all of one row": [1] * 9 + [2],
    "skewed": [1, 2, 3, 50, 1, 1, 9, 17, 4, 33] * 7,
    "some span lanes": [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610] * 6,
}


def design_of(sizes, **arguments):
    rng = np.random.default_rng(0)
    ids = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    data = pd.DataFrame({"y": rng.integers(0, 2, len(ids)), "x": rng.normal(size=len(ids)), "id": ids})
    weights = pd.Series(rng.uniform(0.5, 2.0, len(sizes)), np.arange(len(sizes)))
    options = gj.Options(max_block_rows=64)
    with jax.enable_x64(True):
        return data, gj.make_design("y ~ x", "~ 1 | id", data=data, family="binomial", weights=weights, options=options, **arguments)


@pytest.fixture(params=SIZES)
def made(request):
    return design_of(SIZES[request.param])


def test_the_cases_have_padding_and_split_clusters():
    _, design = design_of(SIZES["some span lanes"])
    assert any(bucket.lane_clusters is not None for bucket in design.clusters.buckets)
    assert any((np.asarray(bucket.row_weight) == 0).any() for bucket in design.clusters.buckets)
    assert any((np.asarray(bucket.cluster_weight) == 0).any() for bucket in design.clusters.buckets)


@pytest.mark.parametrize("leading", [(), (2,), (2, 3), (0,)], ids=str)
def test_rows_go_to_blocks_and_back(made, leading):
    _, design = made
    values = np.random.default_rng(1).normal(size=(*leading, len(design.row_labels)))
    blocks = from_rows(design.order, values)
    for block, bucket in zip(blocks, design.clusters.buckets, strict=True):
        assert isinstance(block, np.ndarray)
        assert block.shape == (bucket.shape[0], *leading, *bucket.shape[1:])
    np.testing.assert_array_equal(to_rows(design.order, blocks), values)


@pytest.mark.parametrize("leading", [(), (2,), (2, 3), (0,)], ids=str)
def test_clusters_go_to_blocks_and_back(made, leading):
    _, design = made
    values = np.random.default_rng(2).normal(size=(*leading, len(design.groups)))
    blocks = from_clusters(design.clusters, values)
    for block, bucket in zip(blocks, design.clusters.buckets, strict=True):
        assert isinstance(block, np.ndarray)
        assert block.shape == (bucket.shape[0], *leading, bucket.shape[2])
    np.testing.assert_array_equal(to_clusters(design.clusters, blocks), values)


def test_the_columns_of_a_design_are_those_of_its_data(made):
    data, design = made
    clusters = design.clusters
    assert [len(to_rows(design.order, blocks)) for blocks in outcome_columns(clusters)] == [len(data)]
    np.testing.assert_array_equal(to_rows(design.order, outcome_columns(clusters)[0]), data["y"])
    np.testing.assert_array_equal(to_rows(design.order, [bucket.X[0] for bucket in clusters.buckets])[1], data["x"])
    np.testing.assert_array_equal(design.groups[np.asarray(clusters_of_rows(clusters, design.order))], data["id"])


def test_blocks_of_rows_are_those_of_the_design_padding_included(made):
    data, design = made
    for block, bucket in zip(from_rows(design.order, data["x"].to_numpy()), design.clusters.buckets, strict=True):
        np.testing.assert_array_equal(block, bucket.X[0][:, 1])


def test_a_value_of_a_cluster_stands_on_all_its_rows_and_a_padding_value_is_real(made):
    _, design = made
    own = from_clusters(design.clusters, np.arange(len(design.groups)))
    of_rows = from_rows(design.order, np.asarray(clusters_of_rows(design.clusters, design.order)))
    for block, rows, bucket in zip(own, of_rows, design.clusters.buckets, strict=True):
        is_row = np.asarray(bucket.row_weight) > 0
        np.testing.assert_array_equal(np.broadcast_to(block[:, None], rows.shape)[is_row], rows[is_row])
        assert set(block.ravel().tolist()) <= set(rows.ravel().tolist())


def test_weights_stand_on_first_lanes_only(made):
    _, design = made
    blocks = weights_in_blocks(cluster_starts(design.clusters), np.asarray(cluster_weights(design.clusters)))
    for block, bucket in zip(blocks, design.clusters.buckets, strict=True):
        np.testing.assert_array_equal(block, bucket.cluster_weight)


def test_places_say_where_a_cluster_stands(made):
    _, design = made
    place = places_of_clusters(design.clusters)
    blocks = from_clusters(design.clusters, np.arange(len(design.groups)))
    found = [int(blocks[b][s, k]) for b, s, k in np.stack(place).T]
    assert found == list(range(len(design.groups)))


def test_a_value_of_the_first_lane_comes_to_all():
    _, design = design_of(SIZES["some span lanes"])
    bucket = next(bucket for bucket in design.clusters.buckets if bucket.lane_clusters is not None)
    lanes = jnp.broadcast_to(jnp.arange(bucket.shape[2]), (bucket.shape[0], 2, bucket.shape[2]))
    np.testing.assert_array_equal(on_all_lanes(bucket, lanes)[:, 1], bucket.lane_clusters)


def test_clusters_keep_their_places_when_blocks_are_added(made):
    _, design = made
    longer = tuple(jax.tree.map(lambda leaf: np.concatenate([leaf, leaf[-1:], leaf[-1:]]), bucket) for bucket in design.clusters.buckets)
    values = np.random.default_rng(7).normal(size=len(design.groups))
    blocks = [np.concatenate([block, np.zeros((2, *block.shape[1:]))]) for block in from_clusters(design.clusters, values)]
    np.testing.assert_array_equal(to_clusters(in_longer_buckets(design.clusters, longer), blocks), values)


def test_conversions_are_jitted_vmapped_and_differentiated(made):
    _, design = made
    order, clusters, rng = design.order, design.clusters, np.random.default_rng(3)
    with jax.enable_x64(True):
        rows, own = jnp.asarray(rng.normal(size=(4, len(design.row_labels)))), jnp.asarray(rng.normal(size=(4, len(design.groups))))
        there = jax.jit(jax.vmap(lambda v: to_rows(order, from_rows(order, v))))(rows)
        np.testing.assert_array_equal(there, rows)
        back = jax.jit(jax.vmap(lambda c, v: to_clusters(c, from_clusters(c, v)), in_axes=(None, 0)))(clusters, own)
        np.testing.assert_array_equal(back, own)
        weighted = lambda v: sum((b.row_weight * x**2).sum() for b, x in zip(clusters.buckets, from_rows(order, v), strict=True))  # noqa: E731
        counts = np.zeros(len(design.row_labels))
        np.add.at(
            counts, np.concatenate([rows.ravel() for rows in order.rows]), np.concatenate([b.row_weight.ravel() for b in clusters.buckets])
        )
        np.testing.assert_allclose(jax.grad(weighted)(rows[0]), 2.0 * counts * rows[0], rtol=1e-12)
        index = jax.jit(lambda c: from_clusters(c, np.arange(len(design.groups))))(clusters)  # NumPy values, a traced order
        jax.tree.map(np.testing.assert_array_equal, index, from_clusters(clusters, np.arange(len(design.groups))))


def test_the_log_likelihood_differentiates_in_an_offset_under_jit_and_vmap():
    data, design = design_of([2, 7, 3, 1, 5, 4] * 3)
    with jax.enable_x64(True):
        params = gj.Params(beta=jnp.array([0.2, -0.4]), chol=jnp.array([[0.8]]))
        value = lambda offset: gj.log_likelihood(params, design.with_offset(offset), "binomial", 5)  # noqa: E731
        offsets = jnp.asarray(np.random.default_rng(4).normal(size=(2, len(data))))
        found = jax.jit(jax.vmap(jax.grad(value)))(offsets)
        for row in (0, 17, len(data) - 1):
            step = 1e-5 * jnp.eye(len(data))[row]
            for offset, gradient in zip(offsets, found, strict=True):
                slope = (value(offset + step) - value(offset - step)) / 2e-5
                np.testing.assert_allclose(gradient[row], slope, rtol=1e-6, atol=1e-9)


def test_an_offset_stands_in_the_place_of_the_formulas():
    data, given = design_of(SIZES["skewed"], offset="x")
    _, plain = design_of(SIZES["skewed"])
    with jax.enable_x64(True):
        for own, new in zip(given.clusters.buckets, plain.with_offset(data["x"].to_numpy()).buckets, strict=True):
            np.testing.assert_array_equal(own.offset, new.offset)
        for own, new in zip(plain.clusters.buckets, given.with_offset([0.0] * len(data)).buckets, strict=True):
            np.testing.assert_array_equal(own.offset, new.offset)


def test_an_offset_of_another_part():
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"y": rng.poisson(1.0, 40), "id": np.repeat(np.arange(10), 4)})
    design = gj.make_design("y ~ 1", "~ 1 | id", data=data, family="zero_inflated_poisson", zi_fixed="~ 1")
    values = rng.normal(size=40).astype(np.float32)
    offset = to_rows(design.order, [bucket.offset for bucket in design.with_offset(values, part="zero").buckets])
    np.testing.assert_array_equal(offset, [np.zeros(40, np.float32), values])
    with pytest.raises(gj.errors.ArgumentError, match=r"part='dispersion'.*choose from main, zero"):
        design.with_offset(values, part="dispersion")


def test_other_outcomes_and_weights_are_those_of_a_design_made_of_them(made):
    data, design = made
    rng = np.random.default_rng(6)
    other, weights = data.assign(y=rng.integers(0, 2, len(data))), rng.uniform(0.1, 3.0, len(design.groups))
    with jax.enable_x64(True):
        expected = gj.make_design(
            "y ~ x", "~ 1 | id", data=other, family="binomial", weights=weights, options=gj.Options(max_block_rows=64)
        ).clusters
        found = design.with_outcome(other["y"])
        found = found._replace(
            buckets=tuple(
                bucket._replace(cluster_weight=new.cluster_weight)
                for bucket, new in zip(found.buckets, design.with_weights(weights).buckets, strict=True)
            )
        )
        jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_an_outcome_in_two_columns():
    data = pd.DataFrame({"a": [1, 0, 3, 2], "b": [2, 2, 0, 1], "id": [0, 0, 1, 1]})
    design = gj.make_design("cbind(a, b) ~ 1", "~ 1 | id", data=data, family="binomial")
    found = design.with_outcome((data["b"].to_numpy(), data["a"].to_numpy()))
    np.testing.assert_array_equal([to_rows(design.order, blocks) for blocks in outcome_columns(found)], [data["b"], data["a"]])
    with pytest.raises(gj.errors.ArgumentError, match=r"1 column\(s\), and the design has 2; pass a tuple of 2 arrays"):
        design.with_outcome(data["a"])


def test_derivatives_in_weights_are_the_clusters_log_likelihoods():
    _, design = design_of([2, 7, 3, 1, 5, 4] * 3)
    with jax.enable_x64(True):
        params = gj.Params(beta=jnp.array([0.2, -0.4]), chol=jnp.array([[0.8]]))
        value = lambda weights: gj.log_likelihood(params, design.with_weights(weights), "binomial", 5)  # noqa: E731
        own = gj.cluster_log_likelihoods(params, design.clusters, "binomial", 5)
        np.testing.assert_allclose(jax.grad(value)(jnp.ones(len(design.groups))), own, rtol=1e-12)


@pytest.mark.parametrize(
    ("method", "values", "message"),
    [
        ("with_offset", np.zeros((18, 1)), r"with_offset\(values\) has shape \(18, 1\).*must be \(18,\), one number for each row"),
        ("with_outcome", np.zeros(17), r"with_outcome\(values\) has shape \(17,\)"),
        ("with_weights", np.zeros(18), r"with_weights\(values\) has shape \(18,\).*must be \(6,\), one number for each cluster"),
        ("with_weights", ["a"] * 6, "type <U1"),
    ],
)
def test_a_wrong_shape_or_type_is_refused(method, values, message):
    _, design = design_of([3] * 6)
    with pytest.raises(gj.errors.ArgumentError, match=message):
        getattr(design, method)(values)


def test_a_design_in_64_bits_takes_values_in_a_32_bit_process(intro_fit):
    design = intro_fit.fitted_model.design
    params = gj.Params(beta=jnp.array([-2.6, -1.3, 0.28, 0.04]), chol=jnp.array([[2.0]]))
    gradient = jax.grad(lambda offset: gj.log_likelihood(params, design.with_offset(offset), "binomial"))(jnp.zeros(len(design.row_labels)))
    assert gradient.dtype == jnp.float32
    assert np.isfinite(gradient).all()
