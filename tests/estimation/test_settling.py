"""A fit without ``n_agq`` ends by a rule that has settled, and says so where none has."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

import glmmjax as gj
from benchmarks.stress.cases import Natural, case
from benchmarks.stress.integral import integral
from glmmjax.errors import ConvergenceWarning
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.judgement import Judgement, error_of_rule, is_settled
from glmmjax.estimation.settling import _merit
from glmmjax.likelihood.cluster_sums import sums_of
from glmmjax.likelihood.quadrature import GAUSS_HERMITE, TRAPEZOID
from glmmjax.options import Options

TOENAIL = Path(__file__).parents[1] / "reference" / "toenail.csv"
MODEL: Any = {"fixed": "y ~ treatment * time", "family": "binomial"}


@pytest.fixture(scope="module")
def toenail():
    return pd.read_csv(TOENAIL)


@pytest.fixture(scope="module")
def toenail_fit(toenail):
    return gj.mixed_model(**MODEL, random="~ 1 | patientID", data=toenail)


@pytest.mark.parametrize(
    ("error", "shift", "expected"),
    [(9e-5, 0.01, True), (-2e-4, 0.01, False), (0.0, 0.03, False), (np.nan, 0.0, False), (0.0, np.inf, False)],
)
def test_values_and_slopes_of_two_rules_must_agree(error, shift, expected):
    assert is_settled(Judgement(error, shift), Options()) is expected


def test_settled_data_keep_the_first_rule(intro_fit, intro_binomial):
    found = intro_fit.convergence
    assert (found.method, found.n_agq, found.finer_n_agq) == (GAUSS_HERMITE, 11, 17)
    assert intro_fit.llf == pytest.approx(-374.519707, abs=1e-6)
    assert found.largest_shift < 1e-3
    exact = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=intro_binomial, family="binomial", n_agq=11)
    assert exact.llf == pytest.approx(intro_fit.llf, abs=1e-9)  # a session's fit may have been compiled with other options
    counted = ("code", "n_em", "n_quasi_newton", "n_newton", "n_agq", "finer_n_agq")
    assert [getattr(exact.convergence, name) for name in counted] == [getattr(found, name) for name in counted]


def test_a_finer_rule_that_moves_nothing_is_taken_without_another_ascent(intro_binomial, intro_fit):
    model: Any = {"fixed": "y ~ sex * time", "random": "~ 1 | id", "data": intro_binomial, "family": "binomial"}
    fit = gj.mixed_model(**model, options=Options(quadrature_tolerance=2e-5))
    finer = gj.mixed_model(**model, n_agq=17)
    assert fit.convergence.n_agq == 17
    assert fit.convergence.n_evaluations == intro_fit.convergence.n_evaluations  # those by 11 points
    assert fit.llf == pytest.approx(finer.llf, abs=1e-7)
    assert fit.convergence.quadrature_error == pytest.approx(finer.convergence.quadrature_error, abs=1e-7)
    # the certificate is that of the finer rule: its maximum is no further away than it says
    assert 0.0 < fit.convergence.newton_decrement < 1e-6
    gain = finer.llf - fit.llf
    assert gain == pytest.approx(fit.convergence.newton_decrement, rel=0.01)
    shift = np.abs(fit.fe_params - finer.fe_params) / finer.bse_fe
    assert 1e-6 < shift.max() < 1e-3
    np.testing.assert_allclose(fit.bse_fe, finer.bse_fe, rtol=1e-3)


def test_an_estimate_that_would_move_is_found_by_an_ascent(toenail):
    """Where the finer rule asks for another place, its value here is not taken for its maximum."""
    options = Options(quadrature_tolerance=0.3, quadrature_limit=1.0, max_agq=17)
    with pytest.warns(ConvergenceWarning, match="No rule has settled"):
        fit = gj.mixed_model(**MODEL, random="~ 1 | patientID", data=toenail, options=options)
    assert fit.convergence.n_agq == 17
    exact = gj.mixed_model(**MODEL, random="~ 1 | patientID", data=toenail, n_agq=17, options=options)
    assert fit.llf == pytest.approx(exact.llf, abs=1e-8)
    assert fit.convergence.newton_decrement < 1e-10


def test_an_integer_means_exactly_that_rule_and_an_unsettled_one_has_not_converged(toenail):
    with pytest.warns(ConvergenceWarning, match="the integral is not settled"):
        fit = gj.mixed_model(**MODEL, random="~ 1 | patientID", data=toenail, n_agq=11)
    assert fit.convergence.code is Code.QUADRATURE_NOT_SETTLED
    assert fit.convergence.n_agq == 11
    assert fit.llf == pytest.approx(-625.0752, abs=1e-3)
    assert fit.convergence.largest_shift > 0.02


def test_skewed_posteriors_settle_by_the_trapezoidal_rule(toenail_fit):
    assert toenail_fit.converged
    assert toenail_fit.convergence.method == TRAPEZOID
    assert toenail_fit.llf == pytest.approx(-625.3975, abs=1e-4)
    assert float(np.sqrt(toenail_fit.cov_re.iloc[0, 0])) == pytest.approx(4.0066, abs=1e-4)
    assert abs(toenail_fit.convergence.quadrature_error) < 1e-4
    text = str(toenail_fit.summary())
    assert "method: trapezoidal rule between bounds" in text
    assert "changes of log.Lik with smaller steps and with wider bounds" in text


def test_what_follows_a_fit_uses_its_rule(toenail_fit, tmp_path):
    scores = toenail_fit.cov_params(robust="CR0")
    assert np.isfinite(scores.to_numpy()).all()
    toenail_fit.save(tmp_path / "fit")
    again = gj.load(tmp_path / "fit")
    assert again.fitted_model.quadrature == toenail_fit.fitted_model.quadrature
    assert str(again.summary()) == str(toenail_fit.summary())


@pytest.mark.slow  # 2,209 nodes a row
def test_two_effects_where_no_gauss_hermite_rule_settles(toenail):
    fit = gj.mixed_model(**MODEL, random="~ time | patientID", data=toenail)
    assert fit.converged
    assert fit.convergence.method == TRAPEZOID
    assert fit.llf == pytest.approx(-549.1623, abs=1e-3)
    assert abs(fit.convergence.quadrature_error) < 1e-4


@pytest.mark.slow  # a zero part with random effects, by trapezoids
@pytest.mark.parametrize(
    ("seed", "index"),
    [
        pytest.param(2, 830, id="posteriors with two peaks: extra zeros and a small mean explain a cluster of zeros alike"),
        pytest.param(3, 55, id="clusters of zeros err by 9e-5 to either side, and the changes of their sum are a sixth of its error"),
    ],
)
def test_the_error_that_is_reported_holds_against_another_integral(seed, index):
    c = case(seed, index)
    with pytest.warns(ConvergenceWarning, match="No rule has settled"):  # to 1e-4
        fit = c.fit()
    assert fit.converged
    parameters = Natural(*(np.asarray(part, float) for part in fit.params[:4]))
    own = integral(c, parameters, np.asarray(fit.fitted_model.modes))
    assert own is not None
    error = fit.convergence.quadrature_error
    assert abs(error) < 1e-3
    assert 2e-4 < abs(own.value - fit.llf) < 2.0 * abs(error) + 1e-4


def test_the_error_of_a_rule_is_not_less_than_what_its_clusters_change_by():
    """Changes of either sign, whose sum is 0; those of one sign, whose sum counts; and no value."""
    n, changes = 400, np.random.default_rng(2).normal(size=400)
    changes -= changes.mean()

    def error(*values):
        sums = [sums_of(jnp.asarray(each), gj.Params(jnp.zeros(1), jnp.zeros((1, 1)))) for each in values]
        return error_of_rule([float(each.value) for each in sums], [each.signed for each in sums])

    with jax.enable_x64(True):
        assert abs(error(np.zeros(n), changes)) == pytest.approx(np.sqrt((changes**2).sum()), rel=0.5)
        assert error(np.zeros(n), np.full(n, -0.1)) == pytest.approx(-0.1 * n)
        assert error(np.zeros(n), np.full(n, 0.1), np.full(n, 0.05)) == pytest.approx(0.15 * n)
        assert np.isnan(error(np.zeros(n), np.full(n, np.nan)))


@pytest.mark.slow  # a zero part with random effects takes 15 s to compile
def test_zeros_and_counts_that_vary_together_are_looked_for_too():
    """Twelve clusters, two maxima: one inside, and one with a correlation of 1 that is .25 higher by another integral."""
    c = case(3, 94)
    fit, inside = c.fit(), c.fit(initial_values=c.given(c.truth), n_agq=11)
    assert inside.convergence.code is Code.CONVERGED
    assert fit.convergence.code is Code.CONVERGED_ON_BOUNDARY
    values = []
    for found in (fit, inside):
        parameters = Natural(*(np.asarray(part, float) for part in found.params[:4]))
        own = integral(c, parameters, np.asarray(found.fitted_model.modes))
        assert own is not None
        assert found.llf == pytest.approx(own.value, abs=1e-4)
        values.append(own.value)
    assert values[0] > values[1] + 0.2


def _integral_of_binary(data, beta, chol, n=401, reach=6.5):
    """The log-likelihood of binary y with ``~ x | id`` by a plain sum over a grid of spherical effects."""
    t = np.linspace(-reach, reach, n)
    u = np.stack([axis.ravel() for axis in np.meshgrid(t, t, indexing="ij")])
    weight = 2 * np.log(t[1] - t[0]) - np.log(2 * np.pi) - 0.5 * (u**2).sum(0)
    total = 0.0
    for _, rows in data.groupby("id"):
        Z = np.column_stack([np.ones(len(rows)), rows["x"]])
        eta = (Z @ beta)[:, None] + Z @ chol @ u
        sign = np.where(rows["y"].to_numpy() == 1, 1.0, -1.0)[:, None]
        total += logsumexp(weight - np.logaddexp(0.0, -sign * eta).sum(0))
    return total


@pytest.mark.slow  # two effects, and rules that do not settle
@pytest.mark.parametrize(("seed", "has_maximum"), [(51, False), (25, True)])
def test_a_maximum_that_a_finer_rule_does_not_see_is_not_certified(seed, has_maximum):
    """Steep clusters tell little of the variances. Of the first data the rule alone has a maximum; the integral rises without end."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(5, 9)), 12
    ids, x, b = np.repeat(np.arange(m), n), rng.normal(size=m * n), 4.0 * rng.normal(size=(m, 2))
    eta = -1.0 + b[ids, 0] + x * (0.5 + b[ids, 1])
    data = pd.DataFrame({"id": ids, "x": x, "y": 1 * (rng.random(m * n) < 1 / (1 + np.exp(-eta)))})
    with pytest.warns(ConvergenceWarning, match="No rule has settled|the integral is not settled"):
        fit = gj.mixed_model("y ~ x", random="~ x | id", data=data, family="binomial")
    assert abs(fit.convergence.quadrature_error) < Options().quadrature_limit  # which refuses neither
    beta, chol = np.asarray(fit.params.beta), np.asarray(fit.params.chol)
    along = [_integral_of_binary(data, size * beta, size * chol) for size in (1.0, 1.3, 2.0, 4.0)]
    assert (np.diff(along) < 0).all() if has_maximum else (np.diff(along) > 1e-3).all()
    assert fit.converged is has_maximum
    assert fit.convergence.code is (Code.CONVERGED if has_maximum else Code.QUADRATURE_NOT_SETTLED)


def test_an_end_whose_error_is_unknown_is_no_rival():
    ends: list[Any] = [
        SimpleNamespace(is_certified=is_certified, value=value, judgement=Judgement(error, 0.0))
        for is_certified, value, error in ((False, -9.0, np.nan), (False, -10.0, 1e-3), (False, -10.0, 0.1), (True, -11.0, np.nan))
    ]
    assert sorted(ends, key=_merit, reverse=True) == [ends[k] for k in (3, 1, 2, 0)]


def test_an_effect_without_variance_gets_a_second_start():
    rng = np.random.default_rng(3)
    x = rng.normal(size=240)
    data = pd.DataFrame({"id": np.repeat(np.arange(40), 6), "x": x, "y": rng.binomial(1, 1 / (1 + np.exp(-x)))})
    fit = gj.mixed_model("y ~ x", random="~ 1 | id", data=data, family="binomial")
    once = gj.mixed_model("y ~ x", random="~ 1 | id", data=data, family="binomial", n_agq=11)
    assert fit.convergence.code is once.convergence.code is Code.CONVERGED_ON_BOUNDARY
    assert fit.llf == pytest.approx(once.llf, abs=1e-9)
    assert fit.convergence.n_evaluations > once.convergence.n_evaluations
