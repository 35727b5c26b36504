"""Profile limits: lme4's, refits with the parameter held fixed, the boundary of D, and searches that fail."""

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import patsy
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

import glmmjax as gj
from glmmjax import datasets
from glmmjax.errors import ConvergenceWarning
from glmmjax.postfit.inference import profile
from glmmjax.postfit.inference.profile_search import Search
from tests.reference_cases import FOLDER, load_case

pytestmark = pytest.mark.usefixtures("compile_quickly")

DROP = 0.5 * chi2.ppf(0.95, 1)
TERMS = {"(Intercept)": "Intercept", "sexfemale": "sex[T.female]", "sexfemale:time": "sex[T.female]:time"}
LME4 = json.loads((FOLDER / "profile_lme4.json").read_text())


def assert_is_that_of_lme4(fit, name, level, close=1e-3):
    """``close`` is relative to the width of an interval: lme4 interpolates its profiles by splines."""
    found = fit.conf_int("all", method="profile", level=level)
    stored = LME4["limits"][name][f"{level:g}"]
    for label, limits in stored.items():
        ours = found.loc[our_label(label), ["lower", "upper"]].to_numpy()
        np.testing.assert_allclose(ours, limits, atol=close * (ours[1] - ours[0]), err_msg=f"{name} {label}")
    assert len(found) == len(stored)


def our_label(label):
    if label.startswith("sd_"):
        return f"sd({label[3:].split('|')[0].replace('(Intercept)', 'Intercept')})"
    if label.startswith("cor_"):
        first, second = label[4:].split("|")[0].replace("(Intercept)", "Intercept").split(".")
        return f"corr({second}, {first})"
    return TERMS.get(label, f"period[T.{label[6:]}]" if label.startswith("period") else label)


def test_limits_of_lme4_for_a_binomial_random_intercept(intro_fit):
    for level in (0.95, 0.8):
        assert_is_that_of_lme4(intro_fit, "intro_binomial", level)


def test_one_kind_of_parameter_has_the_same_limits(intro_fit):
    whole = intro_fit.conf_int("all", method="profile")
    np.testing.assert_allclose(intro_fit.conf_int("random", method="profile"), whole.iloc[4:], rtol=1e-6)


def test_limits_that_are_not_found_are_nan_and_named(intro_fit, monkeypatch):
    def searches(parameters, setting, sides):
        bad = jnp.where((sides.number == 1) & (sides.sign > 0), jnp.inf, 0.0)
        zero = jnp.zeros(len(bad))
        flat = (sides.number == 4) & (sides.sign < 0)
        found: Any = ([zero] * 6, (), zero, zero, flat, jnp.where(flat, 1.0, bad), zero + 0.5 * sides.sign)
        return Search(*found[0], *found[1:])

    monkeypatch.setattr(profile, "searches", searches)
    with pytest.warns(ConvergenceWarning, match=r"no profile limit .* for sex\[T.female\]: .* Try method='bootstrap'"):
        found = intro_fit.conf_int("all", method="profile")
    assert found.loc["sex[T.female]", "lower"] == -0.5
    assert np.isnan(found.loc["sex[T.female]", "upper"])
    assert found.loc["sd(Intercept)", "lower"] == 0.0  # the edge, where the profile is flat before it has dropped
    assert found.loc["sd(Intercept)", "upper"] == pytest.approx(np.exp(0.5))


@pytest.mark.slow
def test_limits_of_lme4_for_other_models(poisson_fit):
    assert_is_that_of_lme4(poisson_fit, "intro_poisson", 0.95)
    cbpp = gj.mixed_model("cbind(incidence, noninc) ~ period", random="~ 1 | herd", data=datasets.load_cbpp(), family="binomial")
    assert_is_that_of_lme4(cbpp, "cbpp", 0.95)


@pytest.mark.slow
def test_limits_of_lme4_for_correlated_slopes_by_laplace():
    fit = gj.mixed_model(**load_case("o30").arguments, n_agq=1)
    # lme4's deviance is to about 1e-4 there, a thousandth of an interval or two
    assert_is_that_of_lme4(fit, "poisson_slope_laplace", 0.95, close=4e-3)


def refits_with_fixed_coefficients(fit, found, data):
    """(label, end, log-likelihood above the target) of fits with one coefficient held at a limit by an offset."""
    X = patsy.dmatrix("sex * time", data, return_type="dataframe")
    for name in X.columns:
        for end in ("lower", "upper"):
            others = {f"x{k}": X[column] for k, column in enumerate(c for c in X.columns if c != name)}
            held = data.assign(**others, held=found.loc[name, end] * X[name])
            refit = fit.update(fixed="y ~ 0 + x0 + x1 + x2", data=held, offset="held")
            yield name, end, refit.penalized_llf - (fit.penalized_llf - DROP)


@pytest.mark.slow
@pytest.mark.parametrize("fixture", ["diagonal_fit", "singular_fit"])
def test_coefficients_against_refits_with_each_held_at_its_limits(fixture, request, intro_binomial):
    fit = request.getfixturevalue(fixture)
    found = fit.conf_int("all", method="profile")
    for name, end, above in refits_with_fixed_coefficients(fit, found, intro_binomial):
        assert above == pytest.approx(0.0, abs=1e-5), (name, end)


@pytest.mark.slow
def test_a_variance_that_the_data_do_not_need_has_the_limit_zero(diagonal_fit, singular_fit):
    found = diagonal_fit.conf_int("random", method="profile")
    assert found.loc["sd(Intercept)", "lower"] == 0.0
    # and rightly so: without the effect the log-likelihood lies less than the drop below
    without = diagonal_fit.update(random="~ 0 + time || id", n_agq=None)  # 11 points have not settled
    assert diagonal_fit.llf - without.llf < DROP
    assert found.loc["sd(time)", "lower"] > 0.1
    on_boundary = singular_fit.conf_int("random", method="profile")
    assert on_boundary.loc["corr(Intercept, time)", "upper"] == 1.0
    assert -1.0 < on_boundary.loc["corr(Intercept, time)", "lower"] < 0.0


@pytest.mark.slow
def test_spreads_against_constrained_maxima_by_scipy(singular_fit, diagonal_fit):
    """Each parameter of D held at its limit, the rest maximised by another optimiser from other parameters: sd, sd, r."""
    for fit in (singular_fit, diagonal_fit):
        record, found = fit.fitted_model, fit.conf_int("random", method="profile")
        has_correlation = len(found) == 3

        def params(values):
            s1, s2, angle = values[4], values[5], values[6] if has_correlation else 0.5 * np.pi
            chol = jnp.array([[s1, 0.0], [s2 * jnp.cos(angle), s2 * jnp.sin(angle)]])
            return gj.Params(values[:4], chol)

        with jax.enable_x64(True):
            clusters = jax.tree.map(jnp.asarray, record.design.clusters)
            value = jax.jit(jax.value_and_grad(lambda v: gj.log_likelihood(params(v), clusters, record.problem.family, record.n_agq)))
            for row, name in enumerate(found.index):
                for end in ("lower", "upper"):
                    limit = found.loc[name, end]
                    if limit in (0.0, 1.0):
                        continue
                    held, at = (np.arccos(limit), 6) if row == 2 else (limit, 4 + row)
                    best = -np.inf
                    for angle in (0.05, 0.6, 1.2):
                        start = np.array([*record.theta[:4], 0.7, 0.25, angle])[: 7 if has_correlation else 6]
                        free = np.delete(np.arange(len(start)), at)

                        def negative(x, free=free, held=held, at=at, start=start):
                            v = start.copy()
                            v[free], v[at] = x, held
                            f, g = value(jnp.asarray(v))
                            return -float(f), -np.asarray(g)[free]

                        best = max(best, -minimize(negative, start[free], jac=True, method="BFGS", options={"gtol": 1e-7}).fun)
                    assert best == pytest.approx(record.log_likelihood - DROP, abs=2e-5), (name, end)


@pytest.mark.slow
def test_a_penalised_fit_has_profiles_of_its_objective(penalized_fit, intro_binomial):
    found = penalized_fit.conf_int("fixed", method="profile")
    record = penalized_fit.fitted_model
    X = patsy.dmatrix("sex * time", intro_binomial, return_type="dataframe")

    def above(value):
        # the coefficient of time held fixed; its own share of the penalty is a constant that is added here
        others = {f"x{k}": X[column] for k, column in enumerate(c for c in X.columns if c != "time")}
        held = intro_binomial.assign(**others, held=value * X["time"])
        formula = "y ~ 1 + x1 + x2"
        refit = penalized_fit.update(fixed=formula, data=held, offset="held", n_agq=record.n_agq)  # at the limits the default differs
        constant = -2.0 * np.log1p(value**2 / 3.0) + penalty_constant()
        return refit.penalized_llf + constant - (record.objective - DROP)

    assert above(found.loc["time", "lower"]) == pytest.approx(0.0, abs=1e-5)
    assert above(found.loc["time", "upper"]) == pytest.approx(0.0, abs=1e-5)


def penalty_constant():
    from scipy.stats import t

    return float(t.logpdf(0.0, 3))


@pytest.mark.slow
def test_extra_parameters_and_the_zero_part_against_constrained_maxima_by_scipy():
    fit = gj.mixed_model(**load_case("o19").arguments)
    record, found = fit.fitted_model, fit.conf_int("all", method="profile")
    layout = record.problem.layout
    with jax.enable_x64(True):
        clusters = jax.tree.map(jnp.asarray, record.design.clusters)
        value = jax.jit(jax.value_and_grad(lambda v: gj.log_likelihood(layout.params(v), clusters, record.problem.family, record.n_agq)))
        for label, at in (("size", layout.extra.start), ("zi_sex[T.female]", layout.zero.start + 1)):
            for end in ("lower", "upper"):
                limit = found.loc[label, end]
                start, free = record.theta.copy(), np.delete(np.arange(layout.size), at)
                start[at] = np.log(limit) if label == "size" else limit

                def negative(x, free=free, start=start):
                    v = start.copy()
                    v[free] = x
                    f, g = value(jnp.asarray(v))
                    return -float(f), -np.asarray(g)[free]

                best = -minimize(negative, start[free], jac=True, method="BFGS", options={"gtol": 1e-6}).fun
                assert best == pytest.approx(record.log_likelihood - DROP, abs=1e-4), (label, end)


@pytest.mark.slow
def test_a_profile_that_never_drops_has_an_infinite_limit():
    # counts with less variance than a Poisson distribution has: the size of the negative binomial has no upper limit
    generator = np.random.default_rng(3)
    data = {"y": generator.binomial(12, 0.5, size=400) * 1.0}
    poisson = gj.mixed_model("y ~ 1", data=data, family="poisson")
    overdispersed = {"y": generator.negative_binomial(60, 60 / 66, size=150) * 1.0}
    fit: Any = gj.mixed_model("y ~ 1", data=overdispersed, family="negative_binomial")
    assert poisson.converged
    found = fit.conf_int("phi", method="profile").iloc[0]
    without = gj.mixed_model("y ~ 1", data=overdispersed, family="poisson")
    if fit.llf - without.llf < DROP:
        assert found["upper"] == np.inf
    assert 0 < found["lower"] < found["estimate"]
    # one mean and one size: a profile by bisection
    y = overdispersed["y"]

    def above(size):
        from scipy.stats import nbinom

        return nbinom.logpmf(y, size, size / (size + y.mean())).sum() - (fit.llf - DROP)

    assert found["lower"] == pytest.approx(brentq(above, 1.0, found["estimate"]), rel=1e-5)


def test_streams_have_none(intro_fit):
    from glmmjax.design import StreamedRows
    from glmmjax.errors import RowsNotKeptError

    record = intro_fit.fitted_model
    rows = StreamedRows(np.arange(100), b"", b"")
    streamed = dataclasses.replace(record, design=dataclasses.replace(record.design, rows=rows))
    from glmmjax.postfit.inference.confidence import confidence_intervals

    np.testing.assert_array_equal(confidence_intervals(streamed).lower, intro_fit.conf_int()["lower"])
    for arguments in ({"method": "profile"}, {"robust": True}):
        with pytest.raises(RowsNotKeptError):
            confidence_intervals(streamed, **arguments)
