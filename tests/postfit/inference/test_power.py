"""Power by simulation: data sets of whole clusters, p-values against ordinary fits, power against a closed form."""

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError, RowsNotKeptError
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.refits import Origin, refit_all, refit_in_chunks, with_data_sets
from glmmjax.postfit.inference import power as module
from glmmjax.postfit.refitting.drawn_clusters import DrawnClusters

pytestmark = pytest.mark.usefixtures("compile_quickly")


def counts(m=30) -> pd.DataFrame:
    """Counts of clusters of two to four rows, in no order."""
    rng = np.random.default_rng(8)
    cluster = np.repeat(np.arange(m), rng.integers(2, 5, m))
    data = pd.DataFrame({"id": cluster, "x": rng.normal(size=len(cluster)), "arm": np.array(["a", "b"])[cluster % 2]})
    data["y"] = rng.poisson(np.exp(1.0 + 0.3 * data["x"] + 0.5 * rng.normal(size=m)[cluster]))
    return data.sample(frac=1.0, random_state=1, ignore_index=True)


@pytest.fixture(scope="module")
def count_fit():
    return gj.mixed_model("y ~ arm + x", random="~ 1 | id", data=counts(), family="poisson", n_agq=11)


def table_of(bucket) -> pd.DataFrame:
    """The rows of a bucket as a table."""
    is_row = (np.asarray(bucket.row_weight) > 0) & (np.asarray(bucket.cluster_weight) > 0)[:, None, :]
    number = np.broadcast_to(np.arange(bucket.shape[0] * bucket.shape[2]).reshape(bucket.shape[0], 1, -1), is_row.shape)
    columns = {"id": number, "y": bucket.y, "b": bucket.X[0][:, 1], "x": bucket.X[0][:, 2]}
    return pd.DataFrame({name: np.asarray(values)[is_row] for name, values in columns.items()})


def test_data_sets_are_of_whole_clusters(count_fit):
    data, fitted = counts(), count_fit.fitted_model
    series = {tuple(sorted(rows["x"].round(9))): (rows["arm"].iloc[0] == "b", sorted(rows["y"])) for _, rows in data.groupby("id")}
    draws = DrawnClusters(fitted, 40, 3)
    seen = []
    for r in range(6):
        for _, rows in table_of(draws.design_of(40, r)).groupby("id"):
            is_b, y = series[tuple(sorted(rows["x"].round(9)))]  # a KeyError where a cluster is not whole
            assert set(rows["b"]) == {float(is_b)}
            assert sorted(rows["y"]) == y
            seen.append(tuple(sorted(rows["x"].round(9))))
    assert len(seen) == 240
    assert len(set(seen)) == 30  # each of them, with replacement


def test_a_smaller_data_set_is_the_first_part_of_a_larger_one(count_fit):
    fitted = count_fit.fitted_model
    with jax.enable_x64(True):
        (small,), (large,) = (DrawnClusters(fitted, most, 3).with_outcomes(fitted.theta, most, 2) for most in (5, 60))
        (padded,) = DrawnClusters(fitted, 60, 3).with_outcomes(fitted.theta, 5, 2)
        (other,) = DrawnClusters(fitted, 5, 4).with_outcomes(fitted.theta, 5, 2)
    key = ["id", "x"]
    first = table_of(small).sort_values(key, ignore_index=True)
    for one in (large, padded):
        found = table_of(one)
        pd.testing.assert_frame_equal(found[found["id"] < 5].sort_values(key, ignore_index=True), first)
    assert set(table_of(padded)["id"]) == set(range(5))
    assert not np.array_equal(other.y, small.y)


def test_outcomes_have_the_moments_of_the_model(count_fit):
    fitted = count_fit.fitted_model
    theta = fitted.theta.copy()
    theta[1] = 0.8
    with jax.enable_x64(True):
        draws = DrawnClusters(fitted, 300, 5)
        tables = [table_of(draws.with_outcomes(theta, 300, r)[0]) for r in range(20)]
    rows = pd.concat(tables, keys=range(20)).reset_index()
    mu, d = np.exp(theta[0] + theta[1] * rows["b"] + theta[2] * rows["x"]), theta[3] ** 2
    scaled = rows["y"] / (mu * np.exp(d / 2))  # mean 1; covariance exp(d) - 1 between rows of a cluster
    clusters = scaled.groupby([rows["level_0"], rows["id"]]).mean()
    assert clusters.mean() == pytest.approx(1.0, abs=4 * clusters.std() / np.sqrt(len(clusters)))
    pairs = scaled.groupby([rows["level_0"], rows["id"]]).agg(["first", "last"]) - 1.0
    product = pairs["first"] * pairs["last"]
    assert product.mean() == pytest.approx(np.exp(d) - 1, abs=4 * product.std() / np.sqrt(len(product)))


@pytest.mark.parametrize("test", ["wald", "likelihood_ratio"])
def test_p_values_are_those_of_ordinary_fits(count_fit, test):
    found = gj.power(count_fit, {"arm[T.b]": [0.1, 0.7], "x": 0.0}, [12, 25], n_sim=4, test=test, seed=2)
    assert found.record.p_values.shape == (2, 2, 4)
    fitted = count_fit.fitted_model
    theta = fitted.theta.copy()
    theta[[1, 2]] = 0.7, 0.0
    with jax.enable_x64(True):
        for k, size in enumerate((12, 25)):
            table = table_of(DrawnClusters(fitted, 25, 2).with_outcomes(theta, size, 3)[0])
            one = gj.mixed_model("y ~ b + x", random="~ 1 | id", data=table, family="poisson", n_agq=11)
            wald = one.wald_test("b = 0, x = 0").p_value
            expected = wald if test == "wald" else gj.anova(one.update(fixed="y ~ 1"), one).p_value
            assert found.record.p_values[k, 1, 3] == pytest.approx(expected, rel=1e-4)


def closed_form(effect: float, m: int, variance: float, alpha: float) -> float:
    """Power of the Wald test of a treatment of m clusters of equal size, each treated with probability one half.

    The maximum likelihood estimate of the variance of the m means is their sum of squares over m, so that z is t times
    sqrt(m / (m - 2)).
    """
    split = np.arange(1, m)
    error = np.sqrt(variance * (1 / split + 1 / (m - split)))
    bound = scipy.stats.norm.isf(alpha / 2) * np.sqrt((m - 2) / m)
    law = scipy.stats.nct(m - 2, effect / error) if effect else scipy.stats.t(m - 2)
    weights = scipy.stats.binom.pmf(split, m, 0.5)
    return float((weights * (law.sf(bound) + law.cdf(-bound))).sum() / weights.sum())


@pytest.fixture(scope="module")
def balanced_fit():
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"id": np.repeat(np.arange(40), 5), "treated": np.repeat(np.arange(40) % 2, 5)})
    data["y"] = rng.normal(size=40)[data["id"]] + 0.6 * rng.normal(size=200)
    return gj.mixed_model("y ~ treated", random="~ 1 | id", data=data, family="gaussian")


@pytest.mark.slow
def test_power_of_a_balanced_design_is_the_closed_form(balanced_fit):
    n = 400
    found = gj.power(balanced_fit, {"treated": [0.0, 0.4, 0.9]}, [20, 60], n_sim=n, seed=1)
    assert (found.table["certified"] == 1.0).all()
    variance = balanced_fit.cov_re.iloc[0, 0] + float(balanced_fit.phi.iloc[0]) ** 2 / 5
    exact = np.array([[closed_form(effect, m, variance, 0.05) for effect in (0.0, 0.4, 0.9)] for m in (20, 60)])
    assert exact[0, 0] > 0.07  # a Wald test of twenty clusters rejects too often, and the simulation shows it
    np.testing.assert_array_less(np.abs(found.record.power - exact) / np.sqrt(exact * (1 - exact) / n), 3.5)
    lower, upper = found.record.band
    inside = (lower <= exact) & (exact <= upper)
    assert inside.sum() >= 4


@pytest.mark.slow
def test_the_size_of_the_test_is_alpha_up_to_its_band(count_fit):
    found = gj.power(count_fit, {"x": 0.0}, 100, n_sim=300, alpha=0.1, seed=4)
    row = found.table.iloc[0]
    assert row["lower"] <= 0.1 <= row["upper"]
    assert row["clusters"] == 100


def test_the_band_is_wilsons():
    k, n = np.array([0, 3, 20, 40]), np.array([40, 40, 41, 40])
    lower, upper = module.wilson_band(k / n, n)
    for i in range(4):
        expected = scipy.stats.binomtest(int(k[i]), int(n[i])).proportion_ci(method="wilson")
        assert (lower[i], upper[i]) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert np.isnan(module.wilson_band(np.array([np.nan]), np.array([0]))).all()


def test_data_sets_without_a_maximum_are_counted_and_said():
    """Two of thirty clusters are treated, so that many small data sets have none."""
    data = counts().assign(treated=lambda d: (d["id"] < 2).astype(float))
    fit = gj.mixed_model("y ~ treated", random="~ 1 | id", data=data, family="poisson", n_agq=11)
    found = gj.power(fit, {"treated": 0.5}, 6, n_sim=60)
    is_treated = np.asarray(fit.random_effects.index) < 2
    none = np.array([not is_treated[np.random.default_rng([0, r]).integers(30, size=6)].any() for r in range(60)])
    known = np.isfinite(found.record.p_values[0, 0])
    assert 20 < none.sum() < 55
    assert not known[none].any()
    assert known[~none].mean() > 0.8
    assert found.table["certified"].iloc[0] == known.mean()
    assert f"{(~known).sum()} of 60 data sets are not counted" in str(found)
    assert found.record.power[0, 0] == (found.record.p_values[0, 0][known] <= 0.05).mean()


def test_a_seed_gives_the_same_and_shapes_do_not_matter(count_fit):
    whole = gj.power(count_fit, {"x": [0.1, 0.2]}, [8, 20], n_sim=4, seed=9).record.p_values
    np.testing.assert_allclose(gj.power(count_fit, {"x": 0.2}, 8, n_sim=3, seed=9).record.p_values[0, 0], whole[0, 1, :3], rtol=1e-4)
    np.testing.assert_array_equal(gj.power(count_fit, {"x": [0.1, 0.2]}, [8, 20], n_sim=4, seed=9).record.p_values, whole)
    assert (gj.power(count_fit, {"x": 0.2}, 20, n_sim=4, seed=10).record.p_values[0, 0] != whole[1, 1]).all()
    assert module._shapes([50, 400, 100, 13, 10]) == [50, 400, 400, 50, 10]


@pytest.mark.slow
def test_an_accelerator_gives_the_same_refits(count_fit):
    """Refits in vmapped chunks, as an accelerator has them, against those side by side."""
    fitted = count_fit.fitted_model
    with jax.enable_x64(True):
        draws = DrawnClusters(fitted, 20, 1)
        changes = with_data_sets(5, lambda r: draws.with_outcomes(fitted.theta, 20, r))
        buckets = jax.device_put(changes.values(0))
        modes = module._no_modes(1, buckets)
        origin = Origin(fitted.problem, fitted.options, fitted.quadrature, buckets, fitted.theta, fitted.information, modes)
        expected = refit_all(origin, changes)
        for size in (2, 5):
            ends = refit_in_chunks(origin, changes, size=size)
            np.testing.assert_allclose([end.log_likelihood for end in ends], expected.log_likelihood, rtol=1e-10)
            assert [int(end.code) for end in ends] == [int(Code.CONVERGED)] * 5


@pytest.mark.slow
def test_trials_and_levels():
    rng = np.random.default_rng(2)
    data = counts().assign(n=lambda d: rng.integers(4, 9, len(d)))
    data["k"] = rng.binomial(data["n"], 0.4)
    data["miss"] = data["n"] - data["k"]
    data["level"] = pd.Categorical.from_codes(rng.integers(0, 3, len(data)), ["low", "mid", "high"], ordered=True)
    trials = gj.mixed_model("cbind(k, miss) ~ x", random="~ 1 | id", data=data, family="binomial")
    draws = DrawnClusters(trials.fitted_model, 30, 0)
    with jax.enable_x64(True):
        (bucket,), before = draws.with_outcomes(trials.fitted_model.theta, 30, 1), draws.design_of(30, 1)
    np.testing.assert_array_equal(bucket.y[0] + bucket.y[1], before.y[0] + before.y[1])
    assert not np.array_equal(bucket.y[0], before.y[0])
    ordinal = gj.mixed_model("level ~ x", random="~ 1 | id", data=data, family="cumulative")
    assert gj.power(ordinal, {"x": 0.8}, 30, n_sim=5).table["certified"].iloc[0] == 1.0
    plain = gj.mixed_model("y ~ x", data=data, family="poisson")
    assert list(gj.power(plain, {"x": 0.2}, 50, n_sim=3).table.columns)[:2] == ["rows", "x"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"effects": {"z": 1.0}}, "'z', which is no fixed effect"),
        ({"effects": {"arm[T.c]": 1.0}}, r"did you mean 'arm\[T.b\]'"),
        ({"effects": {}}, "must be a dict"),
        ({"effects": {"x": [1.0, np.nan]}}, "must be finite numbers"),
        ({"effects": {"x": [1.0, 2.0], "arm[T.b]": [1.0, 2.0, 3.0]}}, "in lists of one length"),
        ({"effects": {"x": "large"}}, "no numbers"),
        ({"sizes": [10, 10]}, "different whole numbers"),
        ({"sizes": [1]}, "2 or more"),
        ({"sizes": [2.5]}, "whole numbers"),
        ({"alpha": 5}, "alpha=5 must be a number between 0 and 1"),
        ({"test": "score"}, "test='score' is not known"),
    ],
)
def test_refusals(count_fit, given, text):
    with pytest.raises(ArgumentError, match=text):
        gj.power(**{"fit": count_fit, "effects": {"x": 0.3}, "n_sim": 2, **given})


def test_fits_that_have_no_power_are_refused(penalized_fit, as_if_fitted):
    with pytest.raises(ArgumentError, match="fit is a penalised fit"):
        gj.power(penalized_fit, {"time": 0.1}, test="likelihood_ratio")
    custom = gj.families.Custom(lambda y, eta, phi: y * eta - np.e**eta, link="log", mean=np.exp)
    own = as_if_fitted("y ~ x", random="~ 1 | id", data=counts(), family=custom)
    with pytest.raises(ArgumentError, match="cannot be simulated from"):
        gj.power(own, {"x": 0.1})
    streamed = as_if_fitted("y ~ x", random="~ 1 | id", data=gj.stream([counts().sort_values("id")]), family="poisson")
    with pytest.raises(RowsNotKeptError):
        gj.power(streamed, {"x": 0.1})


def test_the_picture_has_a_curve_an_effect(count_fit):
    found = gj.power(count_fit, {"x": [0.0, 0.4]}, [20, 10], n_sim=5)
    ax = found.plot()
    assert [line.get_label() for line in ax.lines[:2]] == ["x = 0", "x = 0.4"]
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), [10, 20])
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), found.record.power[::-1, 1])
    assert ax.get_xlabel() == "Number of clusters"
    by_effect = gj.power(count_fit, {"x": [0.4, 0.0]}, 10, n_sim=5)
    assert by_effect.plot().get_xlabel() == "x"
    np.testing.assert_array_equal(by_effect.plot().lines[0].get_xdata(), [0.0, 0.4])
    assert "Power of the Wald test of x = 0" in found._repr_html_()
