"""Adjusted p-values against SciPy and against their definitions."""

import numpy as np
import pytest
import scipy.stats

from glmmjax.postfit.uncertainty.adjustment import adjusted

P = np.array([0.01, 0.04, 0.03, 0.2, 0.005, 0.04, 1.0])


@pytest.mark.parametrize("method", ["fdr_bh", "fdr_by"])
def test_false_discovery_rates_are_those_of_scipy(method):
    np.testing.assert_allclose(adjusted(P, method), scipy.stats.false_discovery_control(P, method=method[4:]))


def test_holm_by_its_definition():
    order, n = np.argsort(P), len(P)
    expected = np.empty(n)
    expected[order] = [min(1.0, max((n - j) * P[order[j]] for j in range(i + 1))) for i in range(n)]
    np.testing.assert_allclose(adjusted(P, "holm"), expected)
    np.testing.assert_allclose(adjusted(P, "bonferroni"), np.minimum(n * P, 1.0))


def test_tests_that_were_not_made_are_not_counted():
    with_gaps = np.column_stack([np.insert(P, 2, np.nan), np.full(8, np.nan)])
    found = adjusted(with_gaps, "fdr_bh")
    np.testing.assert_allclose(np.delete(found[:, 0], 2), adjusted(P, "fdr_bh"))
    assert np.isnan(found[2, 0])
    assert np.isnan(found[:, 1]).all()
