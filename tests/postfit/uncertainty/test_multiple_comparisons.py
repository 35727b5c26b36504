"""P-values of several comparisons together against one-dimensional integrals of their joint distributions."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from glmmjax.postfit.uncertainty.multiple_comparisons import adjusted_tests


def range_below(q: float, n: int) -> float:
    """P(range of n standard normals < q), by the smallest of them."""
    return quad(lambda x: n * norm.pdf(x) * (norm.cdf(x + q) - norm.cdf(x)) ** (n - 1), -9, 9, epsabs=1e-12)[0]


def largest_below(c: float, k: int) -> float:
    """P(max |Z_j| < c) of k differences from one mean, all means with equal variances: correlations of 1/2."""
    root = np.sqrt(2.0)
    return quad(lambda x: norm.pdf(x) * (norm.cdf(root * c - x) - norm.cdf(-root * c - x)) ** k, -9, 9, epsabs=1e-12)[0]


@pytest.mark.parametrize("n", [2, 3, 6])
def test_tukey_is_the_range_of_independent_means(n):
    z = np.array([0.3, -1.9, 2.7, 4.2])
    p_value, reach = adjusted_tests(z, lambda: np.eye(4), n, "tukey", 0.95)
    np.testing.assert_allclose(p_value, [1 - range_below(np.sqrt(2) * abs(one), n) for one in z], atol=1e-9)
    assert range_below(np.sqrt(2) * reach, n) == pytest.approx(0.95, abs=1e-9)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("method", ["dunnett", "single_step"])
def test_dunnett_is_the_largest_difference_from_one_mean(k, method):
    correlation = np.full((k, k), 0.5) + 0.5 * np.eye(k)
    z = np.linspace(-3.4, 2.1, k)
    p_value, reach = adjusted_tests(z, lambda: correlation, k + 1, method, 0.95)
    np.testing.assert_allclose(p_value, [1 - largest_below(abs(one), k) for one in z], atol=2e-5)
    assert largest_below(reach, k) == pytest.approx(0.95, abs=2e-5)


def test_tests_that_are_one_and_the_same_need_no_adjustment():
    correlation = np.outer([1, -1, 0], [1, -1, 0]) + np.diag([0, 0, 1.0])
    p_value, reach = adjusted_tests(np.array([2.0, -2.0, np.nan]), lambda: correlation, 3, "single_step", 0.9)
    np.testing.assert_allclose(p_value[:2], 2 * norm.sf(2.0), atol=1e-5)
    assert np.isnan(p_value[2])
    assert reach == pytest.approx(norm.ppf(0.95), abs=1e-5)


def test_single_step_of_all_pairs_is_tukey_for_independent_means():
    """The statistics of all pairs have rank 2."""
    pairs = np.array([[-1, 1, 0], [-1, 0, 1], [0, -1, 1]]) / np.sqrt(2.0)
    z = np.array([1.0, 2.5, 1.5])
    ours, tukey = (adjusted_tests(z, lambda: pairs @ pairs.T, 3, method, 0.95) for method in ("single_step", "tukey"))
    np.testing.assert_allclose(ours[0], tukey[0], atol=2e-5)
    assert ours[1] == pytest.approx(tukey[1], abs=1e-3)
