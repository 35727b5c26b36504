"""Wald and bootstrap intervals: R's, closed forms on the working scales, and what singular fits say."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

import glmmjax as gj
from glmmjax.errors import ArgumentError, ConvergenceWarning
from glmmjax.postfit.inference import confidence
from glmmjax.postfit.inference.confidence import confidence_intervals
from glmmjax.postfit.uncertainty.parameters import estimates, natural_values, reported, working_at
from glmmjax.postfit.uncertainty.random_covariance import spread

pytestmark = pytest.mark.usefixtures("compile_quickly")

# GLMMadaptive's covariance matrix is not that of the exact Hessian: of the width of an interval, up to 2e-3
CLOSE = 2e-3


def limits_of_r(stored):
    return {row: (values[0], values[2]) for row, values in zip(stored["rows"], stored["values"], strict=True)}


def assert_close(frame, expected, close=CLOSE):
    found = frame[["lower", "upper"]].to_numpy()
    width = found[:, 1] - found[:, 0]
    np.testing.assert_allclose(found / width[:, None], np.array(expected) / width[:, None], atol=close)


@pytest.mark.parametrize(("table", "arguments"), [("fixed", {}), ("fixed_sandwich", {"robust": True}), ("level90_fixed", {"level": 0.90})])
def test_intervals_of_r_for_fixed_effects(postfit_case, table, arguments):
    stored = postfit_case.p["confint"][table]
    if "error" in stored:
        pytest.skip(f"R's package stops there: {stored['error']}")
    expected = list(limits_of_r(stored).values())
    found = postfit_case.fit.conf_int(**arguments)
    assert_close(found.iloc[postfit_case.fixed_order], expected)
    assert found.attrs == {"level": arguments.get("level", 0.95), "method": "wald"}


def test_intervals_of_r_for_standard_deviations(postfit_case):
    # R has variances, by the logarithm; with correlated effects by entries of a factor, which is no interval for others than the first
    stored = limits_of_r(postfit_case.p["confint"]["var_cov"])
    found = postfit_case.fit.conf_int("random")
    variances = [limits for name, limits in stored.items() if name.startswith("var.")]
    n = len(variances) if len(stored) == len(variances) else 1
    assert_close(found.iloc[:n], np.sqrt(variances[:n]))
    assert (found["lower"] < found["estimate"]).all()
    assert (found["estimate"] < found["upper"]).all()


def test_intervals_of_r_for_the_zero_part_and_extra_parameters(postfit_case):
    zero, extra = postfit_case.p["confint"]["zero_part"], postfit_case.p["confint"]["extra"]
    if zero:
        assert_close(postfit_case.fit.conf_int("zero").iloc[postfit_case.zero_order], list(limits_of_r(zero).values()))
    if extra:
        # negative binomial families are reported on the scale of the size, others by the logarithm
        is_log = postfit_case.p["parameters"]["phis"][0] == pytest.approx(extra["values"][0][1])
        expected = [np.exp(limits) if is_log else limits for limits in limits_of_r(extra).values()]
        assert_close(postfit_case.fit.conf_int("phi"), expected)


def test_bounded_parameters_have_symmetric_intervals_on_scales_without_bounds(intro_fit):
    # two correlated effects with a covariance of their free vector that is known
    found, fit = intro_fit.conf_int("random").loc["sd(Intercept)"], intro_fit.fitted_model
    error = intro_fit.bse_re.iloc[0] / found["estimate"]
    reach = norm.ppf(0.975) * error
    np.testing.assert_allclose(found[["lower", "upper"]], fit.params.chol[0, 0] * np.exp([-reach, reach]), rtol=1e-9)


def test_correlations_are_on_fishers_scale(singular_fit):
    fit: Any = dataclasses.replace(singular_fit.fitted_model, is_singular=False)
    free, P = np.array([1.2, -0.4, 0.7]), fit.problem.layout.size
    covariance = np.diag([1.0] * 4 + [0.02, 0.03, 0.01])
    fit = dataclasses.replace(
        fit,
        theta=np.concatenate([fit.theta[:4], free]),
        params=fit.params._replace(chol=np.array([[1.2, 0.0], [-0.4, 0.7]])),
        information=np.linalg.inv(covariance),
    )
    assert P == 7

    def z(free):
        return np.arctanh(free[1] / np.hypot(free[1], free[2]))

    slope = np.array([(z(free + 1e-6 * e) - z(free - 1e-6 * e)) / 2e-6 for e in np.eye(3)])
    reach = norm.ppf(0.95) * np.sqrt(slope**2 @ [0.02, 0.03, 0.01])
    found = confidence_intervals(fit, "random", level=0.9)
    assert found.labels == ("sd(Intercept)", "sd(time)", "corr(Intercept, time)")
    np.testing.assert_allclose([found.lower[2], found.upper[2]], np.tanh([z(free) - reach, z(free) + reach]), rtol=1e-6)
    assert found.estimates[2] == pytest.approx(-0.4 / np.hypot(0.4, 0.7))


def test_all_parameters_are_labelled_by_their_part(intro_fit):
    assert list(intro_fit.conf_int("all").index) == [*intro_fit.conf_int().index, "sd(Intercept)"]


def test_a_singular_fit_says_which_parameters_have_no_wald_interval(singular_fit):
    names = r"sd\(Intercept\), sd\(time\), corr\(Intercept, time\)"
    with pytest.raises(ArgumentError, match=f"no Wald interval for {names}: .* is singular.*Use method='profile' or method='bootstrap'"):
        singular_fit.conf_int("random")
    with pytest.warns(ConvergenceWarning, match=f"no Wald interval for {names}"):
        found = singular_fit.conf_int("all")
    assert found[["lower", "upper"]].iloc[4:].isna().all(axis=None)
    assert found["estimate"].notna().all()
    assert np.isfinite(found.iloc[:4]).all(axis=None)
    np.testing.assert_array_equal(found.iloc[:4], singular_fit.conf_int())


def test_a_fit_without_certificate_says_so(intro_fit):
    lost = dataclasses.replace(intro_fit.fitted_model, information=np.full((5, 5), np.nan))
    with pytest.raises(ArgumentError, match=r"no Wald interval for Intercept, .*: the fit has no certificate of a maximum"):
        confidence_intervals(lost)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"which": "zi"}, "which='zi' is not known; choose one of 'fixed', 'random', 'phi', 'zero', 'dispersion', 'all'"),
        ({"which": "phi"}, r"which='phi': the model has no such parameters; it has 'fixed', 'random', 'all'"),
        ({"method": "Wald"}, "method='Wald' is not known; choose one of 'wald', 'profile', 'bootstrap'"),
        ({"level": 95}, r"level=95 must be a number between 0 and 1, such as 0\.95"),
        ({"level": True}, "level=True must be a number"),
        ({"method": "profile", "robust": True}, "robust=True goes with method='wald' only.*kind='cluster'"),
        ({"robust": "CR9"}, "robust='CR9' is not known; choose one of False"),
    ],
)
def test_wrong_arguments_are_refused(intro_fit, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        intro_fit.conf_int(**arguments)


@dataclasses.dataclass
class Refits:
    theta: np.ndarray
    converged: np.ndarray


def test_bootstrap_intervals_are_percentiles_of_the_refits_that_converged(intro_fit, monkeypatch):
    fit = intro_fit.fitted_model
    asked: dict[str, Any] = {}
    draws = fit.theta + np.random.default_rng(2).normal(size=(200, 5)) * [0.4, 0.6, 0.04, 0.05, 0.25]
    converged = np.arange(200) >= 4
    draws[:4] = 1e3  # must not count

    def bootstrap(fitted, n, kind, seed):
        asked.update(n=n, kind=kind, seed=seed)
        return Refits(draws, converged)

    monkeypatch.setattr(confidence, "bootstrap", bootstrap)
    found = intro_fit.conf_int("all", method="bootstrap", level=0.9, n=200, kind="cluster", seed=7)
    assert asked == {"n": 200, "kind": "cluster", "seed": 7}
    expected = np.quantile(np.column_stack([draws[4:, :4], np.abs(draws[4:, 4])]), [0.05, 0.95], axis=0)
    np.testing.assert_allclose(found[["lower", "upper"]], expected.T, rtol=1e-12)
    assert found.attrs == {"level": 0.9, "method": "bootstrap", "n_used": 196, "n_not_converged": 4}
    converged[:20] = False
    with pytest.warns(ConvergenceWarning, match="20 of 200 bootstrap refits reached no maximum and are left out"):
        intro_fit.conf_int(method="bootstrap", n=200)
    converged[1:] = False
    with pytest.raises(ArgumentError, match="only 0 of n=200 refits reached a maximum"):
        intro_fit.conf_int(method="bootstrap", n=200)


def test_reported_parameters_go_to_the_working_scale_and_back(diagonal_fit):
    parameters, fit = reported(diagonal_fit.fitted_model), diagonal_fit.fitted_model
    assert parameters.kinds == ("fixed",) * 4 + ("random",) * 2
    np.testing.assert_allclose(estimates(fit, parameters), [*fit.params.beta, *spread(fit).deviations])
    np.testing.assert_allclose(natural_values(parameters, working_at(parameters, fit.theta), fit.theta), estimates(fit, parameters))


@pytest.mark.slow
def test_thresholds_have_intervals_on_their_own_scale():
    generator = np.random.default_rng(5)
    group = np.repeat(np.arange(60), 6)
    latent = generator.normal(size=60)[group] + 0.7 * (x := generator.normal(size=360)) + generator.logistic(size=360)
    data = {"y": np.digitize(latent, [-1.0, 0.5, 2.0]), "x": x, "g": group}
    fit = gj.mixed_model("y ~ x", random="~ 1 | g", data=data, family="cumulative")
    found = fit.conf_int("phi")
    assert list(found.index) == ["0|1", "1|2", "2|3"]
    errors = fit.tables["phi"]["std_error"]
    reach = norm.ppf(0.975) * errors
    np.testing.assert_allclose(found["upper"] - found["estimate"], reach, rtol=1e-8)
    # a profile is the same whatever the scale: the first threshold has the same one in a fit with the outcome reversed
    profile = fit.conf_int("phi", method="profile")
    reversed_fit = gj.mixed_model("y ~ x", random="~ 1 | g", data={**data, "y": 3 - data["y"]}, family="cumulative")
    mirrored = -reversed_fit.conf_int("phi", method="profile")[["upper", "lower"]].to_numpy()[::-1]
    np.testing.assert_allclose(profile[["lower", "upper"]], mirrored, rtol=1e-4)


@pytest.mark.slow
def test_bootstrap_and_profile_agree_where_both_are_regular(poisson_fit):
    boot = poisson_fit.conf_int("all", method="bootstrap", n=300, seed=3)
    profile = poisson_fit.conf_int("all", method="profile")
    width = (profile["upper"] - profile["lower"]).to_numpy()[:, None]
    difference = (boot[["lower", "upper"]] - profile[["lower", "upper"]]).to_numpy() / width
    assert np.abs(difference).max() < 0.15  # Monte Carlo error of a percentile of 300 is 0.03 to 0.06 of the width
    assert boot.attrs["n_used"] + boot.attrs["n_not_converged"] == 300
