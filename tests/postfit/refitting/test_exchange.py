"""Exchanges of the values of a covariate: what stays together, what stays in its group, and how many arrangements there are."""

import itertools
import math

import numpy as np
import pytest

from glmmjax.errors import ArgumentError
from glmmjax.postfit.refitting.exchange import CovariateValues, exchange_of

CLUSTERS = np.array([2, 0, 1, 0, 3, 2, 1, 3, 0, 2])  # rows of clusters in no order; sizes 3, 2, 3, 2


def values(codes, strata=None, weights=None) -> CovariateValues:
    strata = np.zeros(10, int) if strata is None else np.asarray(strata)
    return CovariateValues("x", np.asarray(codes), CLUSTERS, np.ones(4) if weights is None else np.asarray(weights), strata)


def of(cluster: int) -> np.ndarray:
    """(rows,) bool: which rows belong to the cluster."""
    return np.equal(CLUSTERS, cluster)


def drawn(found, codes, n=400) -> np.ndarray:
    """(n, rows) the covariate in n exchanges."""
    return np.asarray(codes)[found.sources(np.arange(n), 7)]


def test_whole_clusters_exchange_a_constant_covariate():
    of_cluster = np.array([5, 6, 6, 9])
    found = exchange_of(values(of_cluster[CLUSTERS]))
    assert found.kind == "between"
    seen = set()
    for row in drawn(found, of_cluster[CLUSTERS]):
        each = [set(row[of(c)]) for c in range(4)]
        assert all(len(one) == 1 for one in each)
        seen.add(tuple(next(iter(one)) for one in each))
    assert seen == set(itertools.permutations((5, 6, 6, 9)))
    assert math.exp(found.log_arrangements) == pytest.approx(len(seen))


def test_rows_of_a_cluster_exchange_what_varies_in_it():
    codes = np.array([1, 0, 4, 0, 1, 2, 4, 2, 3, 1])
    found = exchange_of(values(codes))
    assert found.kind == "within"
    rows = drawn(found, codes)
    for c in range(4):
        own = tuple(codes[of(c)])
        assert {tuple(row) for row in rows[:, of(c)]} == set(itertools.permutations(own))
    assert math.exp(found.log_arrangements) == pytest.approx(3 * 1 * 3 * 2)


def test_a_varying_covariate_moves_as_a_series_between_clusters_of_one_size():
    codes = np.arange(10)
    rows = drawn(exchange_of(values(codes), "between"), codes)
    series = {c: tuple(np.flatnonzero(of(c))) for c in range(4)}
    for row in rows:
        found = {c: tuple(row[of(c)]) for c in range(4)}
        assert {found[0], found[2]} == {series[0], series[2]}
        assert {found[1], found[3]} == {series[1], series[3]}
    assert len({tuple(row) for row in rows}) == 4


def test_strata_and_weights_keep_units_apart():
    of_cluster, stratum = np.array([5, 6, 7, 9]), np.array([0, 1, 0, 1])
    rows = drawn(exchange_of(values(of_cluster[CLUSTERS], stratum[CLUSTERS])), of_cluster[CLUSTERS])
    first = [np.flatnonzero(of(c))[0] for c in range(4)]
    assert {tuple(row[first]) for row in rows} == {(5, 6, 7, 9), (7, 6, 5, 9), (5, 9, 7, 6), (7, 9, 5, 6)}
    rows = drawn(exchange_of(values(of_cluster[CLUSTERS], weights=[1.0, 2.0, 2.0, 1.0])), of_cluster[CLUSTERS])
    assert {tuple(row[first]) for row in rows} == {(5, 6, 7, 9), (9, 6, 7, 5), (5, 7, 6, 9), (9, 7, 6, 5)}
    halves = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    for row in drawn(exchange_of(values(np.arange(10), halves), "within"), np.arange(10)):
        np.testing.assert_array_equal(halves[row], halves)


def test_an_exchange_depends_on_its_number_and_the_seed_alone():
    found = exchange_of(values(np.arange(10)))
    many = found.sources(np.arange(20), 3)
    np.testing.assert_array_equal(found.sources(np.array([11, 4]), 3), many[[11, 4]])
    assert (found.sources(np.arange(20), 4) != many).any()


def test_what_cannot_be_exchanged_is_refused():
    constant = np.array([5, 6, 6, 9])[CLUSTERS]
    with pytest.raises(ArgumentError, match="'x' is constant in every cluster"):
        exchange_of(values(constant), "within")
    with pytest.raises(ArgumentError, match="no two clusters of one stratum and weight differ in it"):
        exchange_of(values(constant, CLUSTERS))
    with pytest.raises(ArgumentError, match="strata differ within a cluster"):
        exchange_of(values(constant, np.arange(10) % 2))
    with pytest.raises(ArgumentError, match=r"in no cluster \(and stratum\) do two rows differ"):
        exchange_of(values(np.arange(10), np.arange(10)), "within")
    with pytest.raises(ArgumentError, match="no two clusters of one size"):
        exchange_of(values(np.arange(10), CLUSTERS), "between")
