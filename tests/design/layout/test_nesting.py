"""Places of the rows of nested clusters."""

import numpy as np
import pytest

from glmmjax.design.layout.nesting import nest_rows


def clusters(rng, n_upper: int, most_lower: int, most_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Lower cluster of each row, in no order, and upper cluster of each lower one."""
    upper_of = rng.permutation(np.repeat(np.arange(n_upper), rng.integers(1, most_lower + 1, n_upper)))
    codes = np.repeat(np.arange(len(upper_of)), rng.integers(1, most_rows + 1, len(upper_of)))
    return rng.permutation(codes), upper_of


@pytest.mark.parametrize(
    ("sizes", "most"), [((1, 1, 1), 2048), ((7, 4, 3), 2048), ((60, 30, 9), 2048), ((60, 30, 9), 64), ((3, 400, 2), 64)]
)
def test_every_row_has_one_place_and_every_lane_one_cluster(sizes, most):
    codes, upper_of = clusters(np.random.default_rng(sum(sizes)), *sizes)
    layout, lower_slots = nest_rows(codes, upper_of, most)
    rows = np.concatenate([bucket.rows.ravel() for bucket in layout.buckets])
    is_row = np.concatenate([bucket.is_row.ravel() for bucket in layout.buckets])
    np.testing.assert_array_equal(np.sort(rows[is_row]), np.arange(len(codes)))
    np.testing.assert_array_equal(rows[layout.row_slots], np.arange(len(codes)))
    lanes = np.concatenate([np.moveaxis(bucket.rows, 1, -1).reshape(-1, bucket.rows.shape[1])[:, 0] for bucket in layout.buckets])
    np.testing.assert_array_equal(codes[lanes[lower_slots]], np.arange(len(upper_of)))
    for bucket in layout.buckets:
        assert bucket.lane_clusters is not None
        of_lane = np.where(bucket.is_row, codes[bucket.rows], -1)
        assert all(len(np.unique(lane[lane >= 0])) <= 1 for lane in np.moveaxis(of_lane, 1, -1).reshape(-1, of_lane.shape[1]))
        first = np.take_along_axis(bucket.clusters, bucket.lane_clusters, axis=1)
        used = bucket.is_row.any(1)
        np.testing.assert_array_equal(upper_of[codes[bucket.rows[:, 0]]][used], first[used])
        assert np.take_along_axis(bucket.is_cluster, bucket.lane_clusters, axis=1)[used].all()
    is_first = np.concatenate([bucket.is_cluster.ravel() for bucket in layout.buckets])
    assert is_first.sum() == len(layout.slots)
    assert is_first[layout.slots].all()
