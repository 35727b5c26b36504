"""Which outcomes the random effects of predicted rows are conditioned on, and the distributions that come of it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from glmmjax.errors import ArgumentError, RowsNotKeptError
from glmmjax.postfit.prediction import subjects
from glmmjax.postfit.prediction.subjects import modes_of, posterior_rule, subjects_for, targets_for

pytestmark = pytest.mark.usefixtures("compile_quickly")


@pytest.fixture(scope="module")
def six(intro_binomial):
    return intro_binomial[intro_binomial["id"] <= 6]


def renamed(rows):
    return rows.assign(id=rows["id"] + 1000)


def posterior_on_grid(fit, rows):
    """Mean and variance of u of one cluster of the binomial fit, on a fine grid, from the definition."""
    beta, sd = fit.fe_params.to_numpy(), np.sqrt(fit.cov_re.to_numpy()[0, 0])
    female, time, y = rows["sex"].to_numpy() == "female", rows["time"].to_numpy(), rows["y"].to_numpy()
    u = np.linspace(-9.0, 9.0, 4001)
    eta = (beta[0] + beta[1] * female + beta[2] * time + beta[3] * female * time)[:, None] + sd * u
    log_p = (y[:, None] * eta - np.logaddexp(0.0, eta)).sum(0) - 0.5 * u * u
    weight = np.exp(log_p - log_p.max())
    weight /= weight.sum()
    mean = (weight * u).sum()
    return mean, (weight * (u - mean) ** 2).sum()


def moments(fit, given):
    z = posterior_rule(fit.fitted_model).nodes[:, 0]
    u = np.asarray(given.origin)[0] + np.asarray(given.axes)[0, 0] * z[:, None]
    weight = np.asarray(given.weights)
    mean = (weight * u).sum(0)
    return mean, (weight * (u - mean) ** 2).sum(0)


def test_rows_fitted(intro_fit, intro_binomial):
    found = subjects_for(intro_fit.fitted_model)
    assert list(found.labels) == list(intro_binomial["id"].unique())
    np.testing.assert_array_equal(found.labels[found.codes], intro_binomial["id"])
    np.testing.assert_allclose(np.asarray(found.given.origin).T, intro_fit.fitted_model.modes, atol=1e-10)


def test_known_and_unknown_clusters_with_the_same_outcomes_have_the_same_distribution(intro_fit, six):
    both = pd.concat([renamed(six), six.assign(y=1 - six["y"])])  # of known clusters, the outcomes of new rows do not count
    found = subjects_for(intro_fit.fitted_model, both)
    assert list(found.labels) == [1001, 1002, 1003, 1004, 1005, 1006, 1, 2, 3, 4, 5, 6]
    mean, variance = moments(intro_fit, found.given)
    exact = np.array([posterior_on_grid(intro_fit, rows) for _, rows in six.groupby("id")])
    np.testing.assert_allclose(mean, np.tile(exact[:, 0], 2), atol=5e-4)
    np.testing.assert_allclose(variance, np.tile(exact[:, 1], 2), atol=5e-4)
    modes = modes_of(intro_fit.fitted_model, targets_for(intro_fit.fitted_model, both))
    np.testing.assert_allclose(modes[:6], modes[6:], atol=1e-8)


def test_a_history_stands_in_for_the_rows_fitted(intro_fit, six):
    early, late = six[six["time"] < 4], six[six["time"] >= 4]
    found = subjects_for(intro_fit.fitted_model, early, late)
    exact = np.array([posterior_on_grid(intro_fit, early[early["id"] == label]) for label in found.labels])
    np.testing.assert_allclose(moments(intro_fit, found.given)[0], exact[:, 0], atol=5e-4)
    assert len(found.codes) == len(late)


def test_rows_without_outcome_are_predicted_and_do_not_inform(intro_fit, six):
    rows = renamed(six)
    rows.loc[rows["time"] >= 4, "y"] = np.nan
    found = subjects_for(intro_fit.fitted_model, rows)
    assert len(found.codes) == len(rows)
    given_early = subjects_for(intro_fit.fitted_model, six[six["time"] < 4], six)
    np.testing.assert_allclose(found.given.origin, given_early.given.origin, atol=1e-8)


def test_a_subset_of_a_large_fit_is_conditioned_on_alone(intro_fit, six, monkeypatch):
    whole = subjects_for(intro_fit.fitted_model, six)
    monkeypatch.setattr(subjects, "_LARGE_FIT", 100)
    found = targets_for(intro_fit.fitted_model, six.iloc[::-1])
    assert len(np.asarray(found.sources[0].modes)) == 6
    part = subjects_for(intro_fit.fitted_model, six.iloc[::-1])
    np.testing.assert_allclose(np.asarray(part.given.origin)[:, ::-1], whole.given.origin, atol=1e-8)


def test_a_model_without_random_effects_needs_no_outcomes(no_effects_fit, six):
    found = subjects_for(no_effects_fit.fitted_model, six.drop(columns=["y", "id"]))
    assert found.given.origin.shape == (0, len(six))


def test_clusters_without_outcomes_are_named(intro_fit, six):
    fit, new = intro_fit.fitted_model, renamed(six)
    with pytest.raises(
        ArgumentError, match=r"newdata has cluster id = 1001 that the fit does not know, and no outcome column 'y'.*marginal"
    ):
        subjects_for(fit, new[new["id"] == 1001].drop(columns="y"))
    with pytest.raises(ArgumentError, match=r"newdata has cluster id = 1002 that the fit does not know, without an outcome"):
        subjects_for(fit, new.assign(y=new["y"].where(new["id"] != 1002)))
    with pytest.raises(ArgumentError, match=r"newdata2 has cluster id = 2 without a complete row in newdata, the history"):
        subjects_for(fit, six[six["id"] != 2], six)
    with pytest.raises(ArgumentError, match="newdata=None is no history"):
        subjects_for(fit, None, six)


def test_streamed_fits_have_no_rows(intro_fit, six):
    from glmmjax.design import StreamedRows

    fit = intro_fit.fitted_model
    gone = StreamedRows(np.asarray(fit.design.clusters.slots), b"", b"")
    streamed = dataclasses.replace(fit, design=dataclasses.replace(fit.design, rows=gone))
    np.testing.assert_allclose(modes_of(streamed, targets_for(streamed, six)), fit.modes[:6])  # modes are kept
    with pytest.raises(RowsNotKeptError):
        subjects_for(streamed, six)
    with pytest.raises(RowsNotKeptError):
        targets_for(streamed)
