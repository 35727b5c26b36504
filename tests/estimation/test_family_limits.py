"""Fits that end at a limit of their family: an ordinary answer, equal to that of the simpler family."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import glmmjax as gj
from glmmjax.errors import ArgumentError
from glmmjax.estimation.convergence import Code

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(scope="module")
def data():
    """Outcomes of the simpler families: counts, successes and measurements without overdispersion, extra zeros or heavy tails."""
    rng = np.random.default_rng(5)
    g, x = np.repeat(np.arange(60), 6), rng.normal(size=360)
    eta = 0.5 + 0.4 * x + 1.5 * rng.normal(size=60)[g]
    y, s = rng.poisson(np.exp(eta)), rng.binomial(10, 1.0 / (1.0 + np.exp(-eta)))
    return pd.DataFrame({"y": y, "s": s, "f": 10 - s, "z": eta + 0.7 * rng.normal(size=360), "x": x, "g": g})


def fit(data, outcome, family, **given):
    return gj.mixed_model(f"{outcome} ~ x", random="~ 1 | g", data=data, family=family, **given)


@pytest.fixture(scope="module")
def pairs(data):
    """The fits of a family and of the simpler one that it becomes, each made once."""
    made = {}

    def found(outcome, family, **given):
        key = (outcome, str(family), *given)
        if key not in made:
            made[key] = fit(data, outcome, family, **given)
        return made[key]

    return found


CASES = [
    pytest.param("y", "negative_binomial", "poisson", {}, "no overdispersion", id="negative binomial"),
    pytest.param("cbind(s, f)", "beta_binomial", "binomial", {}, "no overdispersion", id="beta-binomial", marks=pytest.mark.slow),
    pytest.param("y", "negative_binomial1", "poisson", {}, "no overdispersion", id="negative binomial 1", marks=pytest.mark.slow),
    pytest.param("y", "generalized_poisson", "poisson", {}, "no overdispersion", id="generalized Poisson", marks=pytest.mark.slow),
    pytest.param("z", gj.families.StudentT(df=None), "gaussian", {}, "no heavy tails", id="Student's t", marks=pytest.mark.slow),
    pytest.param("y", "zero_inflated_poisson", "poisson", {"zi_fixed": "~ 1"}, "no extra zeros", id="zeros", marks=pytest.mark.slow),
    pytest.param("y", "zero_inflated_poisson", "poisson", {"zi_fixed": "~ x"}, "no extra zeros", id="zeros by x", marks=pytest.mark.slow),
    pytest.param("y", "negative_binomial", "poisson", {"dispersion": "~ x"}, "no overdispersion", id="size by x", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("outcome", "family", "simpler", "given", "finding"), CASES)
def test_a_family_at_its_limit_is_the_simpler_one(pairs, outcome, family, simpler, given, finding):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        larger, smaller = pairs(outcome, family, **given), pairs(outcome, simpler)
    assert larger.convergence.code is Code.CONVERGED_AT_FAMILY_LIMIT
    assert larger.converged
    assert larger.llf == pytest.approx(smaller.llf, abs=1e-6)
    np.testing.assert_allclose(larger.fe_params, smaller.fe_params, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(larger.bse_fe, smaller.bse_fe, rtol=1e-5)
    summary = str(larger.summary())
    assert f"{finding}: the model with family='{simpler}' fits as well" in " ".join(summary.split())
    assert "not defined, because the estimate runs to a limit of the family" in " ".join(summary.split())
    assert "separation" not in summary


def test_the_parameter_at_its_limit_has_no_standard_error_and_the_others_have(pairs):
    larger, smaller = pairs("y", "negative_binomial"), pairs("y", "poisson")
    tidy, simple = larger.tidy(effects="all").set_index("term"), smaller.tidy(effects="all").set_index("term")
    assert np.isnan(tidy.loc["size", "std.error"])
    others = tidy.drop(index="size")["std.error"]
    np.testing.assert_allclose(others, simple.loc[others.index, "std.error"], rtol=1e-5)


@pytest.mark.slow
def test_the_scale_of_students_t_keeps_its_standard_error(pairs):
    larger, smaller = pairs("z", gj.families.StudentT(df=None)).tidy(effects="all"), pairs("z", "gaussian").tidy(effects="all")
    errors = larger.set_index("term")["std.error"]
    assert errors["scale"] == pytest.approx(smaller.set_index("term")["std.error"].iloc[-1], rel=1e-4)
    assert np.isnan(errors["df"])


def test_predictions_and_simulations_do_not_feel_it(pairs, data):
    larger, smaller = pairs("y", "negative_binomial"), pairs("y", "poisson")
    a, b = (one.predict(data.iloc[:3], kind="marginal", interval=0.95).to_numpy(float) for one in (larger, smaller))
    np.testing.assert_allclose(a, b, rtol=1e-4)


def test_boundary_test_of_a_family_by_hand(pairs, data):
    smaller = pairs("y", "poisson")
    rng = np.random.default_rng(1)
    clumped = data.assign(y=rng.poisson(data.y * rng.gamma(3.0, 1.0 / 3.0, size=len(data))))
    a, b = fit(clumped, "y", "poisson"), fit(clumped, "y", "negative_binomial")
    assert b.convergence.code is Code.CONVERGED
    assert b.convergence.limits == ()
    ratio = 2.0 * (b.llf - a.llf)
    assert ratio > 10.0
    assert gj.anova(a, b, boundary=True).p_value == pytest.approx(0.5 * chi2.sf(ratio, 1), rel=1e-6)
    plain = gj.anova(a, b)
    assert plain.p_value == pytest.approx(chi2.sf(ratio, 1), rel=1e-6)
    assert "at the boundary of its parameter" in " ".join(str(plain).split())
    # nothing gained: the ratio is 0, which has probability one half at least
    assert gj.anova(smaller, pairs("y", "negative_binomial"), boundary=True).p_value == pytest.approx(1.0)


def test_families_that_are_no_limits_are_not_compared(pairs, data):
    found = gj.anova(pairs("y", "poisson"), fit(data, "y", "conway_maxwell_poisson"))
    assert found.p_value is None
    assert "not nested" in str(found)


def test_two_changes_at_once_have_no_mixture(pairs, data):
    constant = gj.mixed_model("y ~ 1", random="~ 1 | g", data=data, family="poisson")
    with pytest.raises(ArgumentError, match="two steps"):
        gj.anova(constant, pairs("y", "negative_binomial"), boundary=True)


@pytest.mark.slow
def test_zeros_in_a_part_of_the_rows_are_no_limit(data):
    """A zero part that runs to 0 in some rows and to 1 in others is not the Poisson model."""
    low = data.x < -1.0
    found = data.assign(y=np.where(low, 0, data.y + 1), low=low.astype(float))
    with pytest.warns(gj.errors.ConvergenceWarning):
        ended = fit(found, "y", "zero_inflated_poisson", zi_fixed="~ low")
    assert ended.convergence.code is not Code.CONVERGED_AT_FAMILY_LIMIT
    assert ended.convergence.limits == ()


def test_it_is_saved_and_loaded(pairs, tmp_path):
    larger = pairs("y", "negative_binomial")
    larger.save(tmp_path / "fit.gjz")
    assert gj.load(tmp_path / "fit.gjz").convergence == larger.convergence
