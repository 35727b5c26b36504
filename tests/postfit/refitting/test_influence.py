"""Influence of clusters: against stored refits of an independent engine, and against fits of the data without a cluster."""

import copy
import dataclasses
import json
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.stats

import glmmjax as gj
from glmmjax.errors import ArgumentError, ConvergenceWarning, RowsNotKeptError
from glmmjax.plots.refitting import _free_places
from glmmjax.postfit.refitting import influence
from glmmjax.postfit.refitting.influence import Influence, cooks_distances, leave_cluster_out, refitted_without
from glmmjax.results import InfluenceResults
from tests.reference_cases import FOLDER, load_case

mpl.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.usefixtures("compile_quickly")


ADDITIVE = "y ~ sex + time + np.cos(time)"  # as many coefficients as the introductory model, so that nothing new is compiled


def without(data, cluster):
    """The arguments of the introductory model without a cluster."""
    return {"fixed": "y ~ sex * time", "random": "~ 1 | id", "data": data[data["id"] != cluster], "family": "binomial"}


def cook(fit, other):
    change = fit.fe_params - other.fe_params
    return float(change @ np.linalg.solve(fit.cov_params(), change))


@pytest.fixture(scope="module")
def cbpp():
    return gj.mixed_model(**load_case("o40").arguments)


@pytest.fixture(scope="module")
def lone_fit(intro_binomial):
    """(fit, weights, label) with one female of positive weight, without whom nothing is known of the sexes; one male stands for three."""
    by_cluster = intro_binomial.groupby("id")
    females = by_cluster["sex"].first().eq("female")
    lone = (by_cluster["y"].mean()[females] - 0.5).abs().idxmin()
    weights = (~females).astype(float)
    weights[lone], weights[(~females).idxmax()] = 1.0, 3.0
    return gj.mixed_model(ADDITIVE, "~ 1 | id", data=intro_binomial, family="binomial", weights=weights), weights, lone


# exact values


def test_stored_distances_and_estimates(cbpp):
    stored = json.loads((FOLDER / "p_o40_cbpp_cooks.json").read_text())
    found = cbpp.cooks_distance()
    assert list(found.index.astype(str)) == stored["clusters"]
    np.testing.assert_allclose(found, stored["engine"], rtol=1e-4)
    np.testing.assert_allclose(found, stored["GLMMadaptive"], rtol=1e-2)  # its optimiser stops earlier
    theta = leave_cluster_out(cbpp.influence().record).theta
    np.testing.assert_allclose(np.column_stack([theta[:, :4], np.log(theta[:, 4])]), stored["loo_theta"], atol=3e-6)
    np.testing.assert_allclose(cbpp.cooks_distance(scaled=True), found / 4)


def test_refits_by_hand(intro_fit, intro_binomial):
    distances, changes, scores = intro_fit.cooks_distance(), intro_fit.dfbetas(), intro_fit.leave_cluster_out_score()
    assert list(changes.columns) == [*intro_fit.fe_params.index, "sd(Intercept)"]
    for cluster in (intro_fit.random_effects.index[3], distances.idxmax()):
        other = gj.mixed_model(**without(intro_binomial, cluster))
        assert distances[cluster] == pytest.approx(cook(intro_fit, other), rel=1e-4)
        expected = (intro_fit.fe_params - other.fe_params) / intro_fit.bse_fe
        np.testing.assert_allclose(changes.loc[cluster].iloc[:4], expected, atol=1e-5)
        sd = [np.sqrt(fit.cov_re.to_numpy()[0, 0]) for fit in (intro_fit, other)]
        assert changes.loc[cluster].iloc[4] == pytest.approx((sd[0] - sd[1]) / intro_fit.bse_re.iloc[0], abs=1e-5)
        assert scores[cluster] == pytest.approx(log_marginal(other, intro_binomial[intro_binomial["id"] == cluster]), abs=1e-3)
    assert scores.sum() < intro_fit.llf


def log_marginal(fit, rows):
    """Log-likelihood of one cluster of the introductory data by adaptive integration."""
    x = np.column_stack([np.ones(len(rows)), rows["sex"] == "female", rows["time"], (rows["sex"] == "female") * rows["time"]])
    names = ["Intercept", "sex[T.female]", "time", "sex[T.female]:time"]
    eta, sd, sign = x @ fit.fe_params[names].to_numpy(), float(np.sqrt(fit.cov_re.iloc[0, 0])), 2.0 * rows["y"].to_numpy() - 1.0

    def integrand(b):
        return np.prod(1.0 / (1.0 + np.exp(-sign * (eta + b)))) * scipy.stats.norm.pdf(b, scale=sd)

    return np.log(scipy.integrate.quad(integrand, -12 * sd, 12 * sd, limit=400, epsabs=0.0, epsrel=1e-9)[0])


def test_a_penalised_fit_keeps_its_penalty(penalized_fit, intro_binomial):
    distances = penalized_fit.cooks_distance()
    cluster = distances.idxmax()
    assert distances[cluster] == pytest.approx(
        cook(penalized_fit, gj.mixed_model(**without(intro_binomial, cluster), penalized=True)), rel=1e-4
    )


def test_weights_and_data_without_a_maximum(lone_fit, intro_binomial):
    fit, weights, lone = lone_fit
    with pytest.warns(ConvergenceWarning, match=f"without 1 of 100 clusters the model has no certified maximum; they get NaN: {lone}"):
        distances = fit.cooks_distance()
    assert np.isnan(distances[lone])
    assert (distances[weights == 0.0] == 0.0).all()
    for cluster in (weights.idxmax(), weights.index[weights == 1.0].drop(lone)[0]):
        arguments = {**without(intro_binomial, cluster), "fixed": ADDITIVE, "n_agq": fit.convergence.n_agq}  # the rule of the refits
        other = gj.mixed_model(**arguments, weights=weights.drop(cluster))
        assert distances[cluster] == pytest.approx(cook(fit, other), rel=1e-4)
    with pytest.warns(ConvergenceWarning, match="without 1 of"):
        scores = fit.leave_cluster_out_score()
    assert np.isnan(scores[lone])
    assert (scores[weights == 0.0] == 0.0).all()
    assert scores.drop(lone).lt(0.0).sum() == (weights > 0).sum() - 1


@pytest.mark.slow
def test_a_zero_part_has_distances_of_its_own():
    case = load_case("o17")
    fit = gj.mixed_model(**case.arguments)
    both = {part: fit.cooks_distance(part=part) for part in ("fixed", "zero")}
    cluster = both["zero"].idxmax()
    data = case.data[case.data[case.group] != cluster]
    other = gj.mixed_model(**{**case.arguments, "data": data})
    assert both["fixed"][cluster] == pytest.approx(cook(fit, other), rel=1e-3)
    layout = fit.fitted_model.problem.layout
    v = np.linalg.inv(fit.fitted_model.information)[layout.zero, layout.zero]
    change = (fit.zi_params - other.zi_params).to_numpy()
    assert both["zero"][cluster] == pytest.approx(change @ np.linalg.solve(v, change), rel=1e-3)
    assert "zi_Intercept" in fit.dfbetas()


@pytest.mark.slow
def test_a_singular_fit_has_distances_and_no_changes_of_its_covariance(singular_fit):
    distances, changes = singular_fit.cooks_distance(), singular_fit.dfbetas()
    assert np.isfinite(distances).all()
    assert (distances > 0).all()
    is_spread = changes.columns.str.startswith(("sd(", "corr("))
    assert changes.loc[:, is_spread].isna().all(axis=None)
    assert np.isfinite(changes.loc[:, ~is_spread]).all(axis=None)
    approximate = singular_fit.cooks_distance("one_step")  # keeps D singular, as most of the refits do
    assert np.corrcoef(approximate, distances)[0, 1] > 0.9


def test_one_set_of_refits_serves_every_measure_and_lives_with_the_fit(intro_fit, monkeypatch):
    fit, runs = copy.copy(intro_fit), []
    vars(fit).pop("_influence", None)

    def counted(fitted):
        runs.append(fitted)
        return refitted_without(fitted)

    monkeypatch.setattr(influence, "refitted_without", counted)
    record = fit.influence()
    assert not runs
    distances = fit.cooks_distance()
    assert fit.influence() is record
    pd.testing.assert_series_equal(record.cooks_distance(), distances)
    assert record.dfbetas().equals(fit.dfbetas())
    assert record.leave_cluster_out_score().equals(fit.leave_cluster_out_score())
    assert len(runs) == 1
    assert np.isfinite(InfluenceResults(Influence(fit.fitted_model)).dfbetas()).all(axis=None)
    assert len(runs) == 2  # another record makes its own


# one step


def test_one_step_is_close_to_the_refit(intro_fit):
    exact, approximate = intro_fit.cooks_distance(), intro_fit.cooks_distance("one_step")
    assert np.abs(approximate - exact).max() < 0.1 * exact.max()
    assert np.corrcoef(approximate, exact)[0, 1] > 0.99
    np.testing.assert_allclose(intro_fit.dfbetas("one_step"), intro_fit.dfbetas(), atol=0.1)


# refusals


def test_refused_arguments(intro_fit):
    with pytest.raises(ArgumentError, match=r"method='loo' is not known; choose one of 'refit' \(the exact fit .*\), 'one_step' \("):
        intro_fit.cooks_distance("loo")
    with pytest.raises(ArgumentError, match=r"^part='phi' is not known; choose one of 'fixed', 'zero'"):
        intro_fit.cooks_distance(part="phi")
    with pytest.raises(ArgumentError, match=r"part='zero'\): the model has no such coefficients"):
        intro_fit.cooks_distance(part="zero")
    with pytest.raises(ArgumentError, match=r"^n_labels=-1 must be a whole number >= 0"):
        intro_fit.plot_influence(n_labels=-1)


def test_a_single_cluster_is_refused(intro_fit):
    fitted = intro_fit.fitted_model
    alone = dataclasses.replace(fitted, design=dataclasses.replace(fitted.design, cluster_sizes=np.array([800])))
    with pytest.raises(ArgumentError, match="the fit has only one"):
        cooks_distances(Influence(alone))


def test_a_fit_that_is_no_maximum_is_refused(intro_binomial):
    separated = intro_binomial.assign(y=(intro_binomial["time"] > intro_binomial["time"].median()).astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = gj.mixed_model("y ~ sex * time", "~ 1 | id", data=separated, family="binomial")
    with pytest.raises(ArgumentError, match="not known to be a maximum: no certificate"):
        fit.cooks_distance()


@pytest.mark.slow
def test_a_streamed_fit_is_refused(intro_binomial):
    fit = gj.mixed_model("y ~ sex * time", "~ 1 | id", data=gj.stream([intro_binomial]), family="binomial")
    for method in (fit.cooks_distance, fit.leave_cluster_out_score, lambda: fit.bootstrap(n=2)):
        with pytest.raises(RowsNotKeptError):
            method()


# picture


def test_the_picture_has_a_stem_for_each_cluster_and_names_the_largest(intro_fit, tmp_path):
    distances = intro_fit.cooks_distance()
    ax = intro_fit.plot_influence(n_labels=3)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), distances)
    assert [text.get_text() for text in ax.texts] == [str(label) for label in distances.nlargest(3).index]
    assert ax.get_ylabel() == "Cook's distance"
    assert "(id)" in ax.get_xlabel()
    ax.figure.savefig(tmp_path / "influence.png")
    assert intro_fit.plot_influence(scaled=True, ax=ax) is ax
    assert not intro_fit.influence().plot(n_labels=0).texts
    assert isinstance(distances, pd.Series)
    assert distances.index.name == "id"
    plt.close("all")


def test_labels_do_not_cover_one_another(intro_fit):
    ax = intro_fit.plot_influence(method="one_step", n_labels=8)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 8
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    crowded = _free_places([(0.5, 0.5)] * 4)
    assert len(set(crowded)) == 4
    plt.close("all")
