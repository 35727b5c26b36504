"""R2 and the ICC: published figures, what R prints with lme4's estimates, and the definition written out."""

import numpy as np
import pandas as pd
import pytest

import glmmjax as gj
from glmmjax.errors import ArgumentError, RowsNotKeptError
from tests.postfit.stated import stated_fit, stated_params


def sleepstudy():
    """lme4's model of its data by REML, as its help prints it. Reaction times play no part in R2."""
    days = pd.DataFrame({"Days": np.tile(np.arange(10.0), 18), "Subject": np.repeat(np.arange(18), 10), "Reaction": 300.0})
    sd, correlation = np.array([24.741, 5.922]), 0.066
    d = np.outer(sd, sd) * np.array([[1, correlation], [correlation, 1]])
    params = stated_params(np.array([251.405, 10.467]), np.linalg.cholesky(d), phi=np.log([25.592]))
    return stated_fit(params, "Reaction ~ Days", "~ Days | Subject", data=days, family="gaussian")


def test_published_figures_of_the_sleep_study():
    """R's package performance: r2_nakagawa() 0.799 (conditional), 0.279 (marginal); icc() 0.722 (adjusted), 0.521 (unadjusted)."""
    fit = sleepstudy()
    assert fit.r2().round(3).to_dict() == {"marginal": 0.279, "conditional": 0.799}
    assert fit.icc().round(3).to_dict() == {"adjusted": 0.722, "unadjusted": 0.521}


def epil():
    params = stated_params(
        np.array([1.793741003528, -0.315348050104, 1.027256519952, 0.331786252990]), np.array([[0.517386185775]]), phi=np.zeros(0)
    )
    return stated_fit(params, "y ~ trt + lbase + lage", "~ 1 | subject", data=gj.datasets.load_epil(), family="poisson")


# m <- glmer(y ~ trt + lbase + lage + (1|subject), epil, poisson, nAGQ=25); f <- var(drop(model.matrix(m) %*% fixef(m)));
# a <- VarCorr(m)$subject[1]; l <- mean(epil$y); e <- log(1 + 1/l)  # or 1/l, or trigamma(l)
# c(f, f + a) / (f + a + e); c(a / (a + e), a / (f + a + e))
EPIL = {
    "lognormal": (0.606086504, 0.882092115, 0.70067569, 0.27600561),
    "delta": (0.601869704, 0.875955026, 0.688431212, 0.274085322),
    "trigamma": (0.597201631, 0.869161161, 0.67517535, 0.27195953),
}


@pytest.mark.parametrize("approximation", EPIL)
def test_counts_as_r_computes_them(approximation):
    fit = epil()
    found = [*fit.r2(approximation), *fit.icc(approximation)]
    np.testing.assert_allclose(found, EPIL[approximation], rtol=2e-8)


def test_a_mean_of_ones_own():
    fit = epil()
    parts = fit.r2(mean=7.90589614).attrs["variances"]  # exp(b0 + var / 2) of lme4's fit without covariates
    assert parts["residual"] == pytest.approx(np.log(1 + 1 / 7.90589614))
    assert fit.r2().attrs["variances"]["residual"] == pytest.approx(np.log(1 + 1 / 8.25423729), rel=1e-8)
    for wrong in (0, -1.0, "x"):
        with pytest.raises(ArgumentError, match=r"mean=.* must be None"):
            fit.r2(mean=wrong)


def test_a_mean_that_is_no_probability():
    data = gj.datasets.load_cbpp()
    fit = stated_fit(
        stated_params(np.array([-1.0]), np.array([[0.6]])), "y ~ 1", data=data.assign(y=np.arange(len(data)) % 2.0), family="binomial"
    )
    for mean in (1.0, 2.0):
        with pytest.raises(ArgumentError, match=f"mean={mean:g} is the share of successes .* between 0 and 1"):
            fit.r2("delta", mean=mean)


def test_proportions_as_r_computes_them():
    """``glmer(cbind(incidence, noninc) ~ period + (1|herd), cbpp, binomial, nAGQ=25)``, with pi^2 / 3."""
    params = stated_params(
        np.array([-1.399223727829, -0.991408883813, -1.127809594158, -1.579480950705]), np.array([[0.647519914522]]), phi=np.zeros(0)
    )
    data = gj.datasets.load_cbpp()
    fit = stated_fit(params, "cbind(incidence, noninc) ~ factor(period)", "~ 1 | herd", data=data, family="binomial")
    np.testing.assert_allclose([*fit.r2(), *fit.icc()], [0.0851794954, 0.1885907322, 0.113039920, 0.103411237], rtol=2e-8)
    p = (data["incidence"] / (data["incidence"] + data["noninc"])).mean()
    assert fit.r2("delta").attrs["variances"]["residual"] == pytest.approx(1 / (p * (1 - p)))


def test_weights_count_clusters():
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"x": rng.normal(size=24), "id": np.repeat(np.arange(6), 4), "y": rng.normal(size=24)})
    weights = np.array([1.0, 2, 1, 3, 1, 2])
    params = stated_params(np.array([1.0, 0.7]), np.array([[0.9, 0.0], [0.2, 0.4]]), phi=np.array([0.1]))
    weighted = stated_fit(params, "y ~ x", "~ x | id", data=data, family="gaussian", weights=weights)
    repeated = pd.concat([data.assign(id=data["id"] + 10 * k)[weights[data["id"]] > k] for k in range(3)], ignore_index=True)
    plain = stated_fit(params, "y ~ x", "~ x | id", data=repeated, family="gaussian")
    np.testing.assert_allclose([*weighted.r2(), *weighted.icc()], [*plain.r2(), *plain.icc()], rtol=1e-12)


def test_without_random_effects_there_is_r2_and_no_icc():
    data = pd.DataFrame({"x": np.arange(20.0), "y": np.arange(20) % 3})
    fit = stated_fit(stated_params(np.array([0.1, 0.2]), np.zeros((0, 0)), phi=np.array([0.0])), "y ~ x", data=data, family="gaussian")
    share = 0.04 * data["x"].var() / (0.04 * data["x"].var() + 1.0)
    assert fit.r2().to_dict() == pytest.approx({"marginal": share, "conditional": share})
    with pytest.raises(ArgumentError, match=r"no ICC: the model has no random effects; add some, random='~ 1 \| id'"):
        fit.icc()


def test_fits_without_one(as_if_fitted):
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.normal(size=40), "y": rng.poisson(2, 40), "id": np.repeat(np.arange(8), 5)})
    fit = as_if_fitted("y ~ x", random="~ 1 | id", data=data, family="zero_inflated_poisson")
    with pytest.raises(ArgumentError, match=r"no R2 and no ICC for the zero_inflated_poisson family .* two linear predictors"):
        fit.r2()
    fit = as_if_fitted("y ~ x", random="~ 1 | id", data=data, family="negative_binomial", dispersion="~ x")
    with pytest.raises(ArgumentError, match="every row has a variance of its own"):
        fit.icc()
    fit = as_if_fitted("y ~ x", random="~ 1 | id", data=gj.stream([data]), family="poisson")
    with pytest.raises(RowsNotKeptError):
        fit.r2()


def test_parts_add_up_and_are_kept():
    fit = sleepstudy()
    parts = fit.r2().attrs["variances"]
    assert parts == fit.icc().attrs["variances"]
    total = sum(parts.values())
    assert fit.r2()["conditional"] == pytest.approx((parts["fixed"] + parts["random"]) / total)
    mean_square = 28.5  # of the days
    d = np.outer([24.741, 5.922], [24.741, 5.922]) * np.array([[1, 0.066], [0.066, 1]])
    assert parts["random"] == pytest.approx(d[0, 0] + 2 * 4.5 * d[0, 1] + mean_square * d[1, 1])
    assert parts["fixed"] == pytest.approx(10.467**2 * np.var(np.tile(np.arange(10.0), 18), ddof=1))
