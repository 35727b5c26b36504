"""Maxima that an ascent from one place alone misses, against SciPy's maximum of the integral on a dense grid."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import optimize
from scipy.special import gammaln, log_expit, logsumexp

import glmmjax as gj
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.judgement import Judgement
from glmmjax.estimation.second_starts import second_starts
from glmmjax.likelihood.covariance import unstructured
from glmmjax.likelihood.params import Theta

pytestmark = pytest.mark.usefixtures("compile_quickly")

# five clusters of eight counts, simulated with a standard deviation of 4 and extra zeros: x, w, and the counts that are not 0. A zero is an
# extra one, or that of a cluster with a small mean: both make a maximum, and the one without a variance is the lower one
RARE = (
    "-23 61 5 -109 -100 -68 -5 -96 -53 -59 127 -126 -137 86 7 29 61 54 -118 47 47 -131 -12 -38 71 -77 -99 -98 -134 179 177 163 7 40 194 "
    "-68 197 -84 -36 74",
    "1111100111110010011000101100000011010101",
    {25: 2, 29: 5, 30: 6},
)
MANY = (
    "-45 -51 -20 -27 -117 -37 -110 145 -131 -77 80 -130 9 -92 -207 -26 44 52 -31 -73 54 -122 -178 4 -37 234 -19 -19 -116 -107 -108 48 114 "
    "-168 203 20 -71 33 -26 150",
    "0000000000000000111111111111111111111111",
    {0: 50, 2: 37, 4: 44, 5: 49, 6: 20, 32: 818, 34: 1233, 35: 490, 36: 292, 37: 541, 38: 402, 39: 951},
)


def frame(x, w, counts):
    y = np.zeros(40)
    y[list(counts)] = list(counts.values())
    return pd.DataFrame({"y": y, "x": np.array(x.split(), float) / 100, "w": np.array(list(w), float), "id": np.repeat(np.arange(5), 8)})


def integral(theta, data):
    """Log-likelihood of (beta, standard deviation, gamma): trapezoidal rule over the prior, by nodes that are denser near each peak."""
    *beta, deviation, gamma = theta
    y = data["y"].to_numpy()[:, None]
    eta = (np.column_stack([np.ones(40), data["x"], data["w"]]) @ beta)[:, None]

    def joint(u):  # (5, K)
        at = eta + deviation * np.repeat(u, 8, axis=0)
        count = y * at - np.exp(np.minimum(at, 300.0)) - gammaln(y + 1)
        row = np.where(y == 0, np.logaddexp(log_expit(gamma), log_expit(-gamma) + count), log_expit(-gamma) + count)
        return row.reshape(5, 8, -1).sum(1) - 0.5 * u**2 - 0.5 * np.log(2 * np.pi)

    coarse = np.tile(np.linspace(-8.0, 8.0, 801), (5, 1))
    peak = coarse[0, joint(coarse).argmax(1)]
    t = np.linspace(-8.8, 8.8, 601)  # 3e-3 of u at the peak, some 20 at the ends
    in_cluster = logsumexp(joint(peak[:, None] + 3e-3 * np.sinh(t)) + np.log(3e-3 * np.cosh(t)), axis=1)
    return float(in_cluster.sum() + 5 * np.log(t[1] - t[0]))


def estimates(fit):
    return np.concatenate([fit.params.beta, fit.params.chol[0], fit.params.gamma])


SOME = ((0.1, -2.0), (5.0, 1.0))  # deviation and gamma, where the reference begins
EACH = (*SOME, (0.1, 1.0), (2.0, -2.0), (2.0, 1.0), (5.0, -2.0))


@pytest.mark.parametrize(
    ("columns", "begin"),
    [
        pytest.param(MANY, SOME, id="many"),
        pytest.param(MANY, EACH, id="many, from each", marks=pytest.mark.slow),
        pytest.param(RARE, EACH, id="rare, from each", marks=pytest.mark.slow),
    ],
)
def test_extra_zeros_and_a_variance_that_makes_zeros(columns, begin):
    data = frame(*columns)
    fit = gj.mixed_model("y ~ x + w", random="~ 1 | id", data=data, family="zero_inflated_poisson", zi_fixed="~ 1")
    found = estimates(fit)
    assert fit.converged
    assert fit.llf == pytest.approx(integral(found, data), abs=1e-3)
    starts = [found, *(np.array([0.0, 0.0, 0.0, *place]) for place in begin)]
    searches = [optimize.minimize(lambda v: -integral(v, data), start, method="Nelder-Mead", options={"maxiter": 1500}) for start in starts]
    assert fit.llf > -min(search.fun for search in searches) - 1e-3
    # the data are ones that need a second start: the maximum that a fit by one rule comes to has no variance, and is lower
    once = gj.mixed_model("y ~ x + w", random="~ 1 | id", data=data, family="zero_inflated_poisson", zi_fixed="~ 1", n_agq=11)
    assert once.convergence.code is Code.CONVERGED_ON_BOUNDARY
    assert once.llf == pytest.approx(integral(estimates(once), data), abs=1e-6)
    assert once.llf < fit.llf - 0.1


BINOMIAL = gj.families.Binomial()


def end(code, chol, log_likelihood=-10.0, error=0.0, shift=0.0, family=BINOMIAL, predictor=(0.0, 0.0)):
    """An end with two fixed effects and two random ones."""
    layout = Theta(2, unstructured(2))
    theta = jnp.concatenate([jnp.array([0.5, -0.5]), layout.covariance.free(jnp.asarray(chol))])
    start = SimpleNamespace(effect_reach=jnp.array([1.0, 4.0]), effect_predictor=jnp.array(predictor), fallback=jnp.full(5, 0.1))
    whole = SimpleNamespace(settings=SimpleNamespace(problem=SimpleNamespace(layout=layout, family=family)))
    last = SimpleNamespace(begun=SimpleNamespace(start=start), newton=SimpleNamespace(theta=theta))
    is_certified = code in (Code.CONVERGED, Code.CONVERGED_ON_BOUNDARY)
    return SimpleNamespace(
        code=code, last=last, whole=whole, value=log_likelihood, judgement=Judgement(error, shift), is_certified=is_certified
    )


FULL = np.array([[1.0, 0.0], [0.3, 0.5]])


@pytest.mark.parametrize(
    ("first", "found", "expected"),
    [
        (end(Code.CONVERGED, FULL), end(Code.CONVERGED, FULL), 0),
        (end(Code.CONVERGED, FULL, error=0.5, shift=1e-4), end(Code.CONVERGED, FULL, -9.5), 0),  # many rows
        (end(Code.CONVERGED, FULL, error=0.5, shift=0.4), end(Code.CONVERGED, FULL, -9.5), 1),
        (end(Code.DIVERGING, FULL, error=0.5, shift=0.4), end(Code.DIVERGING, FULL), 0),
        (end(Code.DECREMENT_TOO_LARGE, FULL), end(Code.DECREMENT_TOO_LARGE, FULL), 1),
    ],
    ids=["settled", "large", "moved", "diverging", "no certificate"],
)
def test_only_doubt_is_paid_for(first, found, expected, monkeypatch):
    monkeypatch.setattr("glmmjax.estimation.second_starts.dispersed", lambda problem, start: (np.zeros(5), np.ones(5)))
    assert len(list(second_starts(first, found))) == expected


@pytest.mark.parametrize(
    ("chol", "deviations"),
    [
        ([[0.0, 0.0], [0.0, 0.0]], [2.0, 0.5]),  # 2 on the predictor, whose second column reaches 4
        ([[1.5, 0.0], [0.0, 0.0]], [1.5, 0.5]),
        ([[1.5, 0.0], [0.8, 0.0]], [1.5, 0.8]),  # a correlation of 1
    ],
    ids=["none", "one", "correlated"],
)
def test_a_lost_rank_comes_back(chol, deviations, monkeypatch):
    monkeypatch.setattr("glmmjax.estimation.second_starts.dispersed", lambda problem, start: (np.zeros(5), np.ones(5)))
    with jax.enable_x64(True):
        singular = end(Code.CONVERGED_ON_BOUNDARY, chol)
        (theta,) = second_starts(singular, singular)
        root = np.asarray(Theta(2, unstructured(2)).covariance.factor(jnp.asarray(theta[2:])))
    np.testing.assert_allclose(root @ root.T, np.diag(deviations) ** 2, atol=1e-12)
    np.testing.assert_array_equal(theta[:2], [0.5, -0.5])


def test_effects_of_two_parts_are_tried_near_both_ends_of_their_correlation():
    """Of a certified end too; of effects of one part, and of a family whose rows are log-concave, there is nothing to try."""
    family = gj.families.ZeroInflatedPoisson()
    with jax.enable_x64(True):
        found = end(Code.CONVERGED, FULL, family=family, predictor=(0.0, 1.0))
        roots = [np.asarray(Theta(2, unstructured(2)).covariance.factor(jnp.asarray(theta[2:]))) for theta in second_starts(found, found)]
        for other in (end(Code.CONVERGED, FULL, family=family), end(Code.CONVERGED, FULL, predictor=(0.0, 1.0))):
            assert list(second_starts(other, other)) == []
    expected = np.sqrt(np.diagonal(FULL @ FULL.T))
    assert len(roots) == 2
    for root, sign in zip(roots, (1.0, -1.0), strict=True):
        covariance = root @ root.T
        np.testing.assert_allclose(np.sqrt(np.diagonal(covariance)), expected, rtol=1e-12)
        assert covariance[0, 1] / expected.prod() == pytest.approx(0.98 * sign, abs=1e-12)
