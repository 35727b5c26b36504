"""Cross-validation: refits against a loop of ordinary fits, scores against integrals and pairs written out, errors against a jackknife."""

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError, RowsNotKeptError
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.refits import refit_all
from glmmjax.postfit.checking.marginal_scores import marginal_scores
from glmmjax.postfit.inference import cross_validation as module
from glmmjax.postfit.prediction.rows import read_own_rows

pytestmark = pytest.mark.usefixtures("compile_quickly")
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(81)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@pytest.fixture(scope="module")
def smaller_fit(intro_fit):
    return intro_fit.update(fixed="y ~ sex + time")


@pytest.fixture(scope="module")
def found(smaller_fit, intro_fit):
    return gj.cross_validate(smaller_fit, intro_fit, folds=4, score=("log", "brier", "crps", "auc"), seed=2)


@pytest.fixture(scope="module")
def by_hand(found, smaller_fit, intro_fit, intro_binomial):
    """For each fit: log scores of the clusters, and marginal probabilities of 1 in the rows, from ordinary fits without each fold."""
    fold = intro_binomial["id"].map(found.folds)
    results = []
    for fit in (smaller_fit, intro_fit):
        logs, p = pd.Series(0.0, index=found.folds.index), np.zeros(len(fold))
        for f in range(4):
            one = fit.update(data=intro_binomial[fold != f])
            out = intro_binomial[fold == f]
            eta, sd = one.predict(out, kind="mean_subject", scale="link").to_numpy(), np.sqrt(one.cov_re.iloc[0, 0])
            at = scipy.special.expit(eta[:, None] + sd * NODES)
            p[(fold == f).to_numpy()] = at @ WEIGHTS
            with jax.enable_x64(True):
                design = gj.make_design(fit.fitted_model.request.fixed, random="~ 1 | id", data=out, family="binomial")
                values = np.asarray(gj.cluster_log_likelihoods(one.params, design.clusters, "binomial", n_agq=41))
            logs[design.groups] = values
        results.append((logs, p))
    return results


def test_folds_are_of_whole_clusters_and_even(found, intro_fit):
    assert list(found.folds.index) == list(intro_fit.random_effects.index)
    assert list(found.folds.value_counts()) == [25] * 4
    other = gj.cross_validate(intro_fit, folds=4, seed=2).folds
    assert (other == found.folds).all()
    assert (gj.cross_validate(intro_fit, folds=4, seed=3).folds != other).any()


def test_log_scores_are_those_of_ordinary_fits(found, by_hand):
    for name, (logs, _) in zip(("fit0", "fit1"), by_hand, strict=True):
        np.testing.assert_allclose(found.log_scores[name], logs, atol=2e-4)
    table = found.table[found.table["score"] == "log"]
    logs = np.array([one[0] for one in by_hand])
    np.testing.assert_allclose(table["estimate"], logs.sum(axis=1), atol=2e-3)
    np.testing.assert_allclose(table["std_error"], np.sqrt(100) * logs.std(axis=1, ddof=1), rtol=1e-4)
    assert table["difference"].iloc[1] == pytest.approx(logs[1].sum() - logs[0].sum(), abs=2e-3)
    assert table["difference_error"].iloc[1] == pytest.approx(10 * (logs[1] - logs[0]).std(ddof=1), rel=1e-3)
    assert table["difference"].isna().iloc[0]


def test_one_cluster_by_an_integral(found, intro_binomial, smaller_fit):
    """The log score of a cluster, with the likelihood of Bernoulli outcomes written out."""
    cluster = found.folds.index[7]
    one = smaller_fit.update(data=intro_binomial[intro_binomial["id"].map(found.folds) != found.folds[cluster]])
    rows = intro_binomial[intro_binomial["id"] == cluster]
    b0, b1, b2 = one.fe_params
    eta, sd = b0 + b1 * (rows["sex"] == "female") + b2 * rows["time"], np.sqrt(one.cov_re.iloc[0, 0])
    y = rows["y"].to_numpy(float)
    inside = lambda b: np.exp((y * (eta + b) - np.logaddexp(0, eta + b)).sum()) * scipy.stats.norm.pdf(b, scale=sd)  # noqa: E731
    assert found.log_scores.loc[cluster, "fit0"] == pytest.approx(np.log(scipy.integrate.quad(inside, -30, 30)[0]), abs=1e-4)


def test_scores_of_rows_are_those_of_the_marginal_probabilities(found, by_hand, intro_binomial):
    y, cluster = intro_binomial["y"].to_numpy(float), intro_binomial["id"].to_numpy()
    means = {kind: found.table[found.table["score"] == kind] for kind in ("brier", "crps", "auc")}
    briers = []
    for k, (_, p) in enumerate(by_hand):
        brier = 1 - 2 * (y - p) ** 2
        assert means["brier"]["estimate"].iloc[k] == pytest.approx(brier.mean(), abs=1e-6)
        assert means["crps"]["estimate"].iloc[k] == pytest.approx(-((y - p) ** 2).mean(), abs=1e-6)
        pairs = p[y == 1][:, None] - p[y == 0]
        assert means["auc"]["estimate"].iloc[k] == pytest.approx(((pairs > 1e-9) + 0.5 * (np.abs(pairs) <= 1e-9)).mean(), abs=1e-3)
        briers.append(pd.Series(brier).groupby(cluster).mean().to_numpy())  # eight rows each
    assert means["brier"]["std_error"].iloc[1] == pytest.approx(briers[1].std(ddof=1) / 10, rel=1e-5)
    assert means["brier"]["difference_error"].iloc[1] == pytest.approx((briers[1] - briers[0]).std(ddof=1) / 10, rel=1e-4)


def area(p, y):
    pairs = p[y == 1][:, None] - p[y == 0]
    return ((pairs > 0) + 0.5 * (pairs == 0)).mean()


def test_error_of_the_area_is_that_of_a_jackknife_over_clusters():
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(60), rng.integers(2, 9, 60))
    y = rng.random(len(cluster)) < scipy.special.expit(rng.normal(size=60)[cluster])
    p = (0.3 * y + rng.random(len(cluster))).round(1)
    value, shares = module._area(p, y, np.ones(len(y)))
    assert value == pytest.approx(area(p, y))
    left = np.array([area(p[cluster != c], y[cluster != c]) for c in range(60)])
    jackknife = np.sqrt(59 / 60 * ((left - left.mean()) ** 2).sum())
    assert module._error(np.bincount(cluster, shares)) == pytest.approx(jackknife, rel=0.03)
    twice = module._area(p, y, np.full(len(y), 2.0))
    assert twice[0] == pytest.approx(value)


def test_leaving_one_cluster_out_is_the_score_of_influence(intro_fit):
    found = gj.cross_validate(intro_fit, folds=100)
    np.testing.assert_allclose(found.log_scores["fit0"], intro_fit.leave_cluster_out_score(), atol=1e-6)
    assert list(found.table.columns) == ["score", "estimate", "std_error"]


def counts(m=40) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"id": np.repeat(np.arange(m), 3), "x": rng.normal(size=3 * m), "t": rng.uniform(0, 1, 3 * m)})
    b = rng.multivariate_normal([0, 0], [[0.5, 0.1], [0.1, 0.3]], m)[data["id"]]
    data["y"] = rng.poisson(np.exp(0.7 + 0.4 * data["x"] + b[:, 0] + b[:, 1] * data["t"]))
    data["z"] = 2.0 + data["x"] + b[:, 0] + 0.8 * rng.normal(size=3 * m)
    return data


def test_scores_of_counts_are_sums_over_their_distribution():
    data = counts()
    fit = gj.mixed_model("y ~ x", random="~ t | id", data=data, family="poisson", n_agq=5, options=gj.Options(quadrature_limit=1.0))
    numbers = np.array([0, 17, 60, 119])
    with jax.enable_x64(True):
        found = marginal_scores(fit.fitted_model, fit.fitted_model.theta, read_own_rows(fit.fitted_model), numbers, 0)
    k = np.arange(2000)
    z = np.column_stack([np.ones(4), data["t"].to_numpy()[numbers]])
    sd = np.sqrt(np.einsum("ni,ij,nj->n", z, fit.cov_re.to_numpy(), z))
    eta = fit.fe_params.iloc[0] + fit.fe_params.iloc[1] * data["x"].to_numpy()[numbers]
    mass = np.array([scipy.stats.poisson.pmf(k[:, None], np.exp(e + s * NODES)) @ WEIGHTS for e, s in zip(eta, sd, strict=True)])
    y = data["y"].to_numpy()[numbers]
    at = mass[np.arange(4), y]
    np.testing.assert_allclose(found.probability, at, rtol=1e-6)
    np.testing.assert_allclose(found.brier, 2 * at - (mass**2).sum(axis=1), atol=1e-6)
    np.testing.assert_allclose(found.crps, -((np.cumsum(mass, axis=1) - (y[:, None] <= k)) ** 2).sum(axis=1), atol=1e-5)


def test_crps_of_a_normal_outcome_is_the_closed_form_up_to_its_draws():
    data = counts()
    fit = gj.mixed_model("z ~ x", random="~ 1 | id", data=data, family="gaussian")
    fitted, numbers = fit.fitted_model, np.arange(120)
    with jax.enable_x64(True):
        rows = read_own_rows(fitted)
        found = marginal_scores(fitted, fitted.theta, rows, numbers, 3)
        part = marginal_scores(fitted, fitted.theta, rows, numbers[50:60], 3)
    np.testing.assert_allclose(part.crps, found.crps[50:60], rtol=1e-12)  # draws of a row do not depend on the others
    sigma = np.sqrt(fit.cov_re.iloc[0, 0] + float(fit.phi.iloc[0]) ** 2)
    w = (data["z"] - fit.fe_params.iloc[0] - fit.fe_params.iloc[1] * data["x"]).to_numpy() / sigma
    exact = -sigma * (w * (2 * scipy.stats.norm.cdf(w) - 1) + 2 * scipy.stats.norm.pdf(w) - 1 / np.sqrt(np.pi))
    error = 1.5 * sigma / np.sqrt(1000)  # more than the standard deviation of |X - y|, over the root of the number of draws
    assert np.abs(found.crps - exact).max() < 4 * error
    assert found.crps.mean() == pytest.approx(exact.mean(), abs=4 * error / np.sqrt(120))


def test_a_model_without_random_effects_has_the_folds_of_the_others(smaller_fit, intro_binomial, no_effects_fit):
    found = gj.cross_validate(no_effects_fit, smaller_fit, folds=3, names=["glm", "glmm"])
    fold = intro_binomial["id"].map(found.folds)
    total = 0.0
    for f in range(3):
        one = no_effects_fit.update(data=intro_binomial[fold != f])
        p = one.predict(intro_binomial[fold == f], kind="mean_subject").to_numpy()
        total += np.log(np.where(intro_binomial["y"][fold == f] > 0, p, 1 - p)).sum()
    assert found.table.loc["glm", "estimate"] == pytest.approx(total, abs=1e-4)
    assert len(found.log_scores) == 100


def test_a_cluster_counts_with_its_weight(intro_fit, intro_binomial):
    weights = pd.Series(np.where(np.arange(100) % 2, 2.0, 1.0), index=intro_fit.random_effects.index)
    weighted = intro_fit.update(weights=weights)
    found = gj.cross_validate(weighted, folds=2, score=("log", "brier"))
    fold = found.folds
    doubled = pd.concat([intro_binomial, intro_binomial[intro_binomial["id"].map(weights) == 2].assign(id=lambda d: d["id"] + 1000)])
    one = intro_fit.update(data=doubled[(doubled["id"] % 1000).map(fold) != 0])
    with jax.enable_x64(True):
        out = doubled[(doubled["id"] % 1000).map(fold) == 0]
        design = gj.make_design("y ~ sex * time", random="~ 1 | id", data=out, family="binomial")
        values = np.asarray(gj.cluster_log_likelihoods(one.params, design.clusters, "binomial", n_agq=41))
    assert found.log_scores["fit0"][fold == 0].sum() == pytest.approx(values.sum(), abs=1e-3)


def test_folds_without_certificate_are_named_and_counted_nowhere(intro_fit, smaller_fit, monkeypatch):
    calls: list[None] = []

    def lost(origin, changes):
        calls.append(None)
        found = refit_all(origin, changes)
        is_lost = (np.arange(changes.n) == 1) & (len(calls) == 2)
        return found._replace(code=np.where(is_lost, int(Code.NOT_A_MAXIMUM), found.code))

    monkeypatch.setattr(module, "refit_all", lost)
    found = gj.cross_validate(smaller_fit, intro_fit, folds=4, score=["log", "brier"])
    assert "Fold 1 (25 clusters) is not counted: without it fit1 has no certified maximum." in " ".join(str(found).split())
    assert found.log_scores["fit1"].isna().sum() == 25
    kept = found.log_scores[found.folds != 1]
    np.testing.assert_allclose(found.table["estimate"].iloc[:2], kept.sum())
    assert np.isfinite(found.table.drop(columns="score").iloc[[1, 3]].to_numpy(float)).all()
    monkeypatch.setattr(module, "refit_all", lambda *given: refit_all(*given)._replace(code=np.full(4, int(Code.DIVERGING))))
    with pytest.raises(ArgumentError, match="fit simpler models"):
        gj.cross_validate(intro_fit, folds=4)


def test_refusals(intro_fit, poisson_fit, as_if_fitted):
    with pytest.raises(ArgumentError, match="cross_validate takes one or more fits"):
        gj.cross_validate()
    with pytest.raises(ArgumentError, match="folds=101 must be at most the number of clusters, 100"):
        gj.cross_validate(intro_fit, folds=101)
    with pytest.raises(ArgumentError, match=r"fit0 .* and fit1"):
        gj.cross_validate(intro_fit, poisson_fit)
    with pytest.raises(ArgumentError, match="score='auc' is of outcomes 0 and 1"):
        gj.cross_validate(poisson_fit, score="auc")
    with pytest.raises(ArgumentError, match="score='mse' is not known"):
        gj.cross_validate(poisson_fit, score="mse")
    normal = as_if_fitted("z ~ x", random="~ 1 | id", data=counts(), family="gaussian")
    with pytest.raises(ArgumentError, match="score='brier' is of whole numbers"):
        gj.cross_validate(normal, score="brier")
    streamed = as_if_fitted("z ~ x", random="~ 1 | id", data=gj.stream([counts()]), family="gaussian")
    with pytest.raises(RowsNotKeptError):
        gj.cross_validate(streamed)
