"""Fits whose family is at the limit of a parameter: each against the fit of the family that it is there."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import glmmjax as gj
from glmmjax.estimation import maximise
from glmmjax.estimation.convergence import Code
from glmmjax.families import StudentT

pytestmark = pytest.mark.usefixtures("compile_quickly")

TRIALS = 10


def _simulated(seed: int) -> pd.DataFrame:
    """Outcomes that vary less than those of the simpler families (medians of draws, uniform errors), in 60 clusters of 6."""
    random = np.random.default_rng(seed)
    group, x = np.repeat(np.arange(60), 6), random.normal(size=360)
    eta = 0.5 + 0.4 * x + random.normal(size=60)[group] * 0.5
    successes = np.median(random.binomial(TRIALS, 1.0 / (1.0 + np.exp(-eta)), (3, 360)), axis=0)
    return pd.DataFrame(
        {
            "group": group,
            "x": x,
            "count": np.median(random.poisson(np.exp(eta), (3, 360)), axis=0),
            "success": successes,
            "failure": TRIALS - successes,
            "normal": eta + random.uniform(-1.0, 1.0, size=360),
        }
    )


DATA = _simulated(1)
COUNT, SHARE, NORMAL = "count ~ x", "cbind(success, failure) ~ x", "normal ~ x"
# outcome, the simpler family, the one at its limit, the parameter, its value there, what is missing
CASES = [
    (COUNT, "poisson", {"family": "negative_binomial"}, "size", np.inf, "no overdispersion"),
    pytest.param(COUNT, "poisson", {"family": "negative_binomial1"}, "dispersion", 0.0, "no overdispersion", marks=pytest.mark.slow),
    pytest.param(COUNT, "poisson", {"family": "generalized_poisson"}, "dispersion", 1.0, "no overdispersion", marks=pytest.mark.slow),
    pytest.param(SHARE, "binomial", {"family": "beta_binomial"}, "precision", np.inf, "no overdispersion", marks=pytest.mark.slow),
    (NORMAL, "gaussian", {"family": StudentT(df=None)}, "df", np.inf, "no heavy tails"),
    (COUNT, "poisson", {"family": "zero_inflated_poisson", "zi_fixed": "~ 1"}, "Intercept", None, "no extra zeros"),
]


def _fit(formula, data=DATA, **how):
    return gj.mixed_model(formula, random="~ 1 | group", data=data, **how)


@pytest.fixture(scope="module")
def simpler():
    """The fits of the simpler families, by name."""
    outcomes = {"poisson": COUNT, "binomial": SHARE, "gaussian": NORMAL}
    return {family: _fit(formula, family=family) for family, formula in outcomes.items()}


@pytest.mark.parametrize(("formula", "name", "how", "parameter", "value", "finding"), CASES, ids=lambda case: str(case)[:30])
def test_the_fit_is_that_of_the_simpler_family(simpler, formula, name, how, parameter, value, finding):
    fit, expected = _fit(formula, **how), simpler[name]
    assert fit.convergence.code is Code.CONVERGED_AT_FAMILY_LIMIT
    assert fit.converged
    sentence = f"{finding}: the model with family='{name}' fits as well"
    assert sentence in fit.convergence.message
    assert sentence in " ".join(str(fit.summary()).split())
    assert fit.llf == pytest.approx(expected.llf, abs=1e-6)
    np.testing.assert_allclose(fit.fe_params, expected.fe_params, atol=1e-6)
    np.testing.assert_allclose(fit.cov_params(), expected.cov_params(), rtol=1e-5, atol=1e-9)
    table = fit.tables["zero part" if value is None else "phi"]
    assert np.isnan(table.loc[parameter, "std_error"])
    if value is not None:
        assert table.loc[parameter, "estimate"] == value

    # half of a point mass at 0 and half of chi-square(1), by hand
    test = gj.anova(expected, fit)
    statistic = max(2.0 * (fit.llf - expected.llf), 0.0)
    assert test.p_value == pytest.approx(1.0 if statistic == 0.0 else 0.5 * scipy.stats.chi2.sf(statistic, 1), abs=1e-12)
    assert "Self & Liang" in str(test)


def test_a_rounding_error_far_out_does_not_decide(monkeypatch):
    """At a limit the sign of the slope is one of rounding: the other sign gives the same answer."""
    climb = maximise.ascend

    def of_other_sign(*arguments):
        end = climb(*arguments)
        gradient = np.array(end.newton.at.gradient)
        gradient[-1] = -abs(gradient[-1])
        moved = end.newton._replace(at=end.newton.at._replace(gradient=gradient))  # type: ignore[arg-type]
        return end._replace(newton=moved, code=int(Code.CONVERGED))

    monkeypatch.setattr(maximise, "ascend", of_other_sign)
    fit = _fit(COUNT, family="negative_binomial")
    assert fit.convergence.code is Code.CONVERGED_AT_FAMILY_LIMIT
    assert "no overdispersion" in fit.convergence.message


@pytest.mark.slow
def test_two_limits_and_a_singular_covariance_matrix_are_all_reported():
    fit = _fit(
        COUNT,
        DATA.assign(group=np.random.default_rng(2).permutation(DATA["group"])),
        family="zero_inflated_negative_binomial",
        zi_fixed="~ 1",
    )
    assert fit.converged
    assert {"no overdispersion", "no extra zeros"} <= {text.split(":")[0] for text in fit.convergence.message.split("; ")}
    assert np.isfinite(fit.cov_params()).all(axis=None)


def test_a_dispersion_with_a_covariate_is_at_its_limit_in_every_row(simpler):
    fit = _fit(COUNT, family="negative_binomial", dispersion="~ x")
    assert fit.convergence.code is Code.CONVERGED_AT_FAMILY_LIMIT
    assert fit.llf == pytest.approx(simpler["poisson"].llf, abs=1e-6)
    assert fit.tables["dispersion"]["std_error"].isna().all()
    np.testing.assert_allclose(fit.cov_params(), simpler["poisson"].cov_params(), rtol=1e-5, atol=1e-9)
    assert gj.anova(simpler["poisson"], fit).p_value is None  # no known mixture: the slope is not identified in the smaller model


@pytest.mark.slow
def test_random_effects_of_a_zero_part_at_its_limit_are_not_needed_either():
    """Five counts of 1 among 600 zeros tell of no extra zeros, nor of what varies between clusters."""
    random = np.random.default_rng(5)
    data = pd.DataFrame({"group": np.repeat(np.arange(60), 10), "x": random.normal(size=600), "count": (np.arange(600) % 131 == 7) * 1.0})
    fit = _fit(COUNT, data, family="zero_inflated_poisson", zi_fixed="~ 1", zi_random="~ 1 | group")
    expected = _fit(COUNT, data, family="poisson")
    assert fit.convergence.code is expected.convergence.code is Code.CONVERGED_ON_BOUNDARY
    assert "no extra zeros: the model with family='poisson' fits as well" in fit.convergence.message
    assert fit.convergence.limits == (3, 4, 5)  # L of the zero part, and its intercept
    assert fit.llf == pytest.approx(expected.llf, abs=1e-6)
    np.testing.assert_allclose(fit.fe_params, expected.fe_params, atol=1e-5)
    np.testing.assert_allclose(fit.bse_fe, expected.bse_fe, rtol=1e-5)
    assert fit.tables["zero part"]["std_error"].isna().all()
    assert fit.update(data=data).llf == pytest.approx(fit.llf, abs=1e-6)


def test_a_start_beyond_the_maximum_is_no_limit():
    random = np.random.default_rng(3)
    over = DATA.assign(count=random.poisson(np.exp(random.normal(0.5, 0.5, 60)[DATA["group"]]) * random.gamma(1.0, 1.0, 360)))
    expected = _fit(COUNT, over, family="negative_binomial")
    assert expected.convergence.code.name == "CONVERGED"
    far = gj.Params(expected.params.beta, expected.params.chol, np.array([28.0]))
    fit = _fit(COUNT, over, family="negative_binomial", initial_values=far)
    assert fit.convergence.code is not Code.CONVERGED_AT_FAMILY_LIMIT
    assert fit.llf == pytest.approx(expected.llf, abs=1e-6)


def test_a_step_so_far_that_no_slope_is_left_ends_at_the_limit(simpler):
    poisson = simpler["poisson"]
    far = gj.Params(poisson.params.beta, poisson.params.chol, np.array([1e6]))
    fit = _fit(COUNT, family="negative_binomial", initial_values=far)
    assert fit.convergence.code is Code.CONVERGED_AT_FAMILY_LIMIT
    assert fit.llf == pytest.approx(poisson.llf, abs=1e-6)


@pytest.mark.slow
def test_two_limits_of_which_one_is_left_without_a_slope():
    random = np.random.default_rng(7)
    x = random.normal(size=360)
    random.normal(size=60)
    data = DATA.assign(x=x, count=random.poisson(np.exp(0.5 + 0.4 * x)), group=np.repeat(np.arange(60), 6))
    fit = _fit(COUNT, data, family="zero_inflated_negative_binomial", zi_fixed="~ 1")
    assert fit.convergence.code.is_certified
    assert fit.convergence.limits == (3, 4)
    assert fit.llf == pytest.approx(_fit(COUNT, data, family="poisson").llf, abs=1e-6)


@pytest.mark.slow
def test_both_extra_parameters_against_neither():
    """The largest tail of all mixtures of chi-square distributions for two limits, by hand."""
    random = np.random.default_rng(4)
    over = DATA.assign(count=random.poisson(np.exp(0.5) * random.gamma(4.0, 0.25, 360)) * (random.random(360) < 0.93))
    poisson, both = _fit(COUNT, over, family="poisson"), _fit(COUNT, over, family="zero_inflated_negative_binomial", zi_fixed="~ 1")
    test = gj.anova(poisson, both)
    statistic = 2.0 * (both.llf - poisson.llf)
    assert statistic > 1.0
    assert test.p_value == pytest.approx(0.5 * scipy.stats.chi2.sf(statistic, 1) + 0.5 * scipy.stats.chi2.sf(statistic, 2), rel=1e-9)
    assert "two parameters of the family to their limits" in str(test)
    assert "zero_inflated_negative_binomial(log)" in str(test)
    with_slope = _fit(COUNT, over, family="zero_inflated_negative_binomial", zi_fixed="~ x")
    assert gj.anova(poisson, with_slope).p_value is None  # the slope of the zero part is not identified in the smaller model


def test_an_update_leaves_the_limit_where_the_data_ask_for_it():
    fit = _fit(COUNT, family="negative_binomial")
    random = np.random.default_rng(3)
    over = DATA.assign(count=random.poisson(np.exp(random.normal(0.5, 0.5, 60)[DATA["group"]]) * random.gamma(1.0, 1.0, 360)))
    expected = _fit(COUNT, over, family="negative_binomial")
    assert fit.update(data=over).llf == pytest.approx(expected.llf, abs=1e-6)


def test_what_comes_after_the_fit_takes_the_parameter_as_known(simpler, tmp_path):
    fit, expected, rows = _fit(COUNT, family="negative_binomial"), simpler["poisson"], DATA.head(5)
    for how in ({"kind": "marginal"}, {"kind": "mean_subject"}):
        found, known = (f.predict(rows, interval=0.95, **how) for f in (fit, expected))
        np.testing.assert_allclose(found, known, rtol=1e-5)
    np.testing.assert_allclose(fit.conf_int(), expected.conf_int(), rtol=1e-5)
    fit.save(tmp_path / "fit.glmm")
    assert gj.load(tmp_path / "fit.glmm").convergence == fit.convergence
    with pytest.raises(gj.errors.ArgumentError, match="at its limit"):
        fit.conf_int(which="phi")
