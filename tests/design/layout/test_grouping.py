"""The block layout, checked against what it promises: nothing lost, padding marked, sizes bounded and repeating."""

import itertools

import numpy as np
import pytest

from glmmjax.design.layout.grouping import block_shape, choose_widths, group_rows, ladder, pack
from glmmjax.design.layout.split_clusters import fill_blocks


def bucket_cost(sizes):
    return np.clip(int(sizes.sum()) // 20, 8_000, 500_000)


def skewed_codes(rng, sizes):
    """Cluster numbers with the given sizes, rows shuffled, clusters numbered by first appearance."""
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    first: dict[int, int] = {}
    return np.array([first.setdefault(code, len(first)) for code in codes.tolist()])


CASES = {
    "balanced": [4] * 30,
    "one cluster": [7],
    "one row": [1],
    "rows of their own": [1] * 300,
    "skewed": [1, 2, 3, 50, 1, 1, 9, 17, 4, 33] * 7,
    "one giant": [2] * 5000 + [10_000],
    "heavy tail": [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597] * 9,
}


@pytest.fixture(params=CASES)
def grouped(request):
    """(codes, layout) of one case with small blocks."""
    sizes = CASES[request.param]
    codes = skewed_codes(np.random.default_rng(0), sizes)
    return codes, group_rows(codes, len(sizes), 64)


def laid_end_to_end(arrays):
    return np.concatenate([array.ravel() for array in arrays])


def is_used(bucket):
    """(S, w, B) True where a row of the table stands that counts."""
    return bucket.is_row if bucket.lane_clusters is not None else bucket.is_row & bucket.is_cluster[:, None, :]


def test_row_slots_restore_every_row(grouped):
    codes, layout = grouped
    values = np.random.default_rng(1).normal(size=len(codes))
    packed = laid_end_to_end([pack(bucket, values) for bucket in layout.buckets])
    np.testing.assert_array_equal(packed[layout.row_slots], values)


def test_slots_restore_every_cluster(grouped):
    codes, layout = grouped
    clusters = laid_end_to_end([bucket.clusters for bucket in layout.buckets])
    np.testing.assert_array_equal(clusters[layout.slots], np.arange(codes.max() + 1))


def test_each_row_counts_once(grouped):
    codes, layout = grouped
    counted = [bucket.rows[is_used(bucket)] for bucket in layout.buckets]
    np.testing.assert_array_equal(np.sort(np.concatenate(counted)), np.arange(len(codes)))
    clusters = laid_end_to_end([bucket.clusters[bucket.is_cluster] for bucket in layout.buckets])
    np.testing.assert_array_equal(np.sort(clusters), np.arange(codes.max() + 1))


def test_rows_stand_in_the_column_of_their_cluster_in_their_order(grouped):
    codes, layout = grouped
    for bucket in layout.buckets:
        np.testing.assert_array_equal(codes[bucket.rows], np.broadcast_to(bucket.clusters[:, None, :], bucket.rows.shape))
        steps, used = np.diff(bucket.rows, axis=1), bucket.is_row.any(axis=1)[:, None, :]
        assert np.all((steps > 0) == bucket.is_row[:, 1:, :], where=used)  # increasing row numbers, then the last one repeated
        assert bucket.is_row[:, 0, :].all() or bucket.lane_clusters is not None


def test_padding_clusters_repeat_the_first(grouped):
    _, layout = grouped
    for bucket in (bucket for bucket in layout.buckets if bucket.lane_clusters is None):
        is_cluster, rows = bucket.is_cluster.ravel(), bucket.rows.swapaxes(0, 1).reshape(bucket.rows.shape[1], -1)
        assert np.all(is_cluster[:-1] >= is_cluster[1:])
        assert np.all(bucket.clusters.ravel()[~is_cluster] == bucket.clusters[0, 0])
        assert np.all(rows[:, ~is_cluster] == rows[:, :1])


def test_blocks_are_bounded(grouped):
    _, layout = grouped
    plain = [bucket for bucket in layout.buckets if bucket.lane_clusters is None]
    widths = [bucket.rows.shape[1] for bucket in plain]
    assert widths == sorted(set(widths))
    for bucket in plain:
        _, width, lanes = bucket.rows.shape
        assert lanes == 1 or width * lanes <= 64


def test_clusters_that_span_lanes_stand_in_neighbouring_ones():
    sizes = np.array(CASES["heavy tail"])
    layout = group_rows(np.repeat(np.arange(len(sizes)), sizes), len(sizes), 2048)
    assert any(bucket.lane_clusters is not None for bucket in layout.buckets)
    assert sum(bucket.rows.size for bucket in layout.buckets) < 1.35 * sizes.sum()
    for bucket in layout.buckets:
        if bucket.lane_clusters is None:
            continue
        n_lanes = bucket.rows.shape[2]
        used: np.ndarray = np.logical_or.reduce(bucket.is_row, axis=1)
        assert np.all(bucket.is_cluster == (used & (bucket.lane_clusters == np.arange(n_lanes))))
        first = np.take_along_axis(bucket.clusters, bucket.lane_clusters, axis=1)
        np.testing.assert_array_equal(first[used], bucket.clusters[used])
        rows = np.bincount(bucket.clusters[used], bucket.is_row.sum(axis=1)[used], len(sizes))
        np.testing.assert_array_equal(rows[rows > 0], sizes[rows > 0])
        assert np.all(np.diff(bucket.lane_clusters, axis=1) >= 0, where=used[:, 1:])


@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_lanes_are_filled_without_overlap(seed):
    lanes = np.minimum(np.random.default_rng(seed).pareto(1.0, 5000).astype(int) + 1, 64)
    block, first = fill_blocks(lanes, 64)
    used = np.zeros((block.max() + 1, 64), int)
    for b, f, n in zip(block, first, lanes, strict=True):
        used[b, f : f + n] += 1
    assert used.max() == 1
    assert used.sum() == lanes.sum()
    assert used.mean() > 0.99


def test_sorted_rows_give_the_same_layout_as_shuffled_ones():
    rng = np.random.default_rng(2)
    sizes = rng.integers(1, 30, 100)
    codes = np.repeat(np.arange(100), sizes)
    shuffle = np.concatenate([np.flatnonzero(codes == c)[:1] for c in range(100)] + [np.flatnonzero(codes == c)[1:] for c in range(100)])
    one, other = group_rows(codes, 100, 128), group_rows(codes[shuffle], 100, 128)
    for a, b in zip(one.buckets, other.buckets, strict=True):
        np.testing.assert_array_equal(a.rows, shuffle[b.rows])
        np.testing.assert_array_equal(a.is_row, b.is_row)
    np.testing.assert_array_equal(one.slots, other.slots)
    np.testing.assert_array_equal(one.row_slots[shuffle], other.row_slots)


def test_pack_puts_columns_before_rows_and_clusters():
    codes = np.array([0, 0, 1])
    (bucket,) = group_rows(codes, 2, 1024).buckets
    columns = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    np.testing.assert_array_equal(pack(bucket, columns), [[[[1, 3], [2, 3]], [[10, 30], [20, 30]]]])
    assert pack(bucket, columns).flags.c_contiguous
    assert pack(bucket, np.zeros((0, 3))).shape == (1, 0, 2, 2)


def test_ladder_of_widths():
    steps = sorted(set(ladder(np.arange(1, 65), 4).tolist()))
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64]


@pytest.mark.parametrize("steps", [4, 8, 32])
def test_ladder_rounds_up_by_less_than_a_step(steps):
    values = np.concatenate([np.arange(1, 5000), 2 ** np.arange(13, 40), 2 ** np.arange(13, 40) + 1])
    rounded = ladder(values, steps)
    assert np.all(rounded >= values)
    assert np.all(rounded < values * (1 + 1 / steps) + 1e-9)
    np.testing.assert_array_equal(ladder(rounded, steps), rounded)  # a size on the ladder stays


def padded_cells(widths, sizes, cost):
    return sum(int(min(w for w in widths if w >= size)) for size in sizes.tolist()) + cost * len(widths)


@pytest.mark.parametrize("seed", range(4))
def test_widths_are_the_best_of_all_choices(seed):
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.geometric(0.02, 20_000), 60) if seed % 2 else rng.choice([1, 3, 20, 64, 300], 20_000)
    candidates = sorted(set(ladder(sizes, 8).tolist()))[-9:]
    sizes = np.minimum(sizes[ladder(sizes, 8) >= candidates[0]], candidates[-1])
    chosen = choose_widths(sizes)
    choices = [(*some, candidates[-1]) for k in range(len(candidates)) for some in itertools.combinations(candidates[:-1], k)]
    # the counts of each width make the exhaustive search cheap
    widths, counts = np.unique(ladder(sizes, 8), return_counts=True)
    costs = [
        sum(min(w for w in choice if w >= width) * n for width, n in zip(widths.tolist(), counts.tolist(), strict=True))
        + bucket_cost(sizes) * len(choice)
        for choice in choices
    ]
    assert padded_cells(chosen.tolist(), ladder(sizes, 8), bucket_cost(sizes)) == min(costs)


def test_one_giant_cluster_does_not_pad_the_others():
    layout = group_rows(np.concatenate([np.repeat(np.arange(1000), 5), np.full(10_000, 1000)]), 1001, 8192)
    assert [bucket.rows.shape[1] for bucket in layout.buckets] == [5, 10_240]
    assert [int(bucket.is_cluster.sum()) for bucket in layout.buckets] == [1000, 1]


def test_few_clusters_share_one_width():
    assert choose_widths(np.array([3, 9, 30])).tolist() == [30]


@pytest.mark.parametrize("width", [1, 4, 10, 40, 100])
def test_padding_of_the_number_of_clusters(width):
    limit = 8192 // width
    for count in np.unique(np.geomspace(1, 2_000_000 // width, 700).astype(int)).tolist():
        blocks, lanes = block_shape(count, width, 8192)
        assert lanes <= limit
        waste = blocks * lanes / count - 1
        assert waste <= 0.13
        if count > 18 * limit:
            assert waste <= 0.04 if limit < 100 else waste <= 0.032
            assert lanes > limit / 2


def test_shapes_repeat_for_data_of_similar_size():
    shapes = {block_shape(count, 10, 8192) for count in range(90_000, 110_000, 7)}
    assert len(shapes) <= 11  # 32 sizes an octave
    assert len({block_shape(count, 10, 8192) for count in range(250, 500)}) <= 9


def test_a_cluster_longer_than_a_block_is_a_block():
    assert block_shape(3, 10_000, 8192) == (3, 1)


def test_a_million_rows_are_grouped_by_whole_arrays():
    codes = np.random.default_rng(3).permutation(np.repeat(np.arange(100_000), 10))  # a loop over rows would be noticed
    layout = group_rows(codes, 100_000, 8192)
    packed = np.concatenate([pack(bucket, codes.astype(float)).ravel() for bucket in layout.buckets])
    np.testing.assert_array_equal(packed[layout.row_slots], codes)
