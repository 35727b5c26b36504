"""Robust covariances: closed forms of linear and logistic models, R's sandwich, leave-one-cluster-out refits, weights and penalties."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

import glmmjax as gj
from glmmjax import datasets
from glmmjax.errors import ArgumentError
from glmmjax.postfit.prediction.rows import own_rows
from glmmjax.postfit.uncertainty.sandwich import KINDS, meat
from glmmjax.postfit.uncertainty.scores import cluster_hessians, cluster_scores
from glmmjax.postfit.uncertainty.vcov import covariance, fixed_covariance, theta_covariance
from tests.reference_cases import FOLDER

pytestmark = pytest.mark.usefixtures("compile_quickly")

# from 21 and 31 points, which agree to 1.3e-4, the engine's rule of 11 is off by 5.8e-3, and the rule in which our fit settles by 7e-4
QUADRATURE = {"o58": 6.6e-3}


def linear_model(m=6, n=5, p=3, seed=4):
    """Clusters of a linear model with least-squares residuals, and V = (X'X)^-1."""
    generator = np.random.default_rng(seed)
    X, y = generator.normal(size=(m, n, p)), generator.normal(size=(m, n))
    flat = X.reshape(-1, p)
    inverse = np.linalg.inv(flat.T @ flat)
    residuals = y - X @ (inverse @ flat.T @ y.ravel())
    return X, y, inverse, residuals


def robust(kind, X, inverse, residuals):
    root = np.linalg.cholesky(inverse)
    scores = np.einsum("inp,in->ip", X, residuals) @ root
    return root @ meat(kind, scores, root.T @ (X.swapaxes(1, 2) @ X) @ root) @ root.T


def inverse_root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors / np.sqrt(values) @ vectors.T


def test_cr3_of_a_linear_model_is_the_exact_jackknife():
    X, y, inverse, residuals = linear_model()
    whole = inverse @ np.einsum("inp,in->p", X, y)
    changes = []
    for i in range(len(X)):
        rest = np.delete(X, i, axis=0).reshape(-1, X.shape[2])
        changes.append(np.linalg.lstsq(rest, np.delete(y, i, axis=0).ravel(), rcond=None)[0] - whole)
    np.testing.assert_allclose(robust("CR3", X, inverse, residuals), np.transpose(changes) @ changes, rtol=1e-10, atol=1e-14)


def test_cr2_of_a_linear_model_is_that_of_bell_and_mccaffrey():
    X, _, inverse, residuals = linear_model()
    scores = np.array([x.T @ inverse_root(np.eye(len(x)) - x @ inverse @ x.T) @ e for x, e in zip(X, residuals, strict=True)])
    np.testing.assert_allclose(robust("CR2", X, inverse, residuals), inverse @ scores.T @ scores @ inverse, rtol=1e-10)


def test_cr1_counts_the_clusters():
    X, _, inverse, residuals = linear_model()
    np.testing.assert_allclose(robust("CR1", X, inverse, residuals), 6 / 5 * robust("CR0", X, inverse, residuals))
    with pytest.raises(ArgumentError, match="'CR1' needs two clusters or more"):
        meat("CR1", np.ones((1, 2)), None)


def test_a_direction_that_one_cluster_alone_informs():
    # its score is 0 there at a maximum; where it is not, the other clusters do not identify the model
    shares = np.array([np.diag([1.0, 0.5]), np.diag([0.0, 0.5])])
    scores = np.array([[0.0, 1.0], [0.0, -1.0]])
    np.testing.assert_allclose(meat("CR3", scores, shares), [[0.0, 0.0], [0.0, 8.0]])
    with pytest.raises(ArgumentError, match=r"without cluster number 0 .* do not identify all parameters. Use robust='CR1'"):
        meat("CR2", scores + np.array([[1.0, 0.0], [0.0, 0.0]]), shares)


@pytest.mark.parametrize("wrong", ["CR4", "HC0", None, 1, 0.5])
def test_other_kinds_are_refused_with_the_choices(intro_fit, wrong):
    with pytest.raises(
        ArgumentError, match=r"robust=.* choose one of False \(inverse of the information\), True \(as 'CR0'\), 'CR0', .*, 'CR3'"
    ):
        intro_fit.cov_params(robust=wrong)


def test_sandwich_of_r(postfit_case):
    order, where = postfit_case.fixed_order, postfit_case.fit.fitted_model.problem.layout
    stored, ours = postfit_case.p["vcov_sandwich"], covariance(postfit_case.fit.fitted_model, "CR0")
    at = [*order, *(where.zero.start + k for k in postfit_case.zero_order)]
    rows = [k for k, label in enumerate(postfit_case.p["vcov"]["order"]) if not label.startswith(("D_", "phi_"))]
    expected, found = np.array(stored["engine"])[np.ix_(rows, rows)], ours[np.ix_(at, at)]
    scale = np.sqrt(np.outer(np.diagonal(expected), np.diagonal(expected)))
    np.testing.assert_allclose(found / scale, expected / scale, atol=QUADRATURE.get(postfit_case.name, 2e-4))


def test_without_random_effects_it_is_the_closed_form_of_a_logistic_regression(no_effects_fit):
    fit = no_effects_fit.fitted_model
    X = np.asarray(own_rows(fit).X[0]).T
    mean = 1 / (1 + np.exp(-X @ fit.theta))
    y = datasets.load_intro_binomial()["y"].to_numpy(float)
    bread = np.linalg.inv(X.T * (mean * (1 - mean)) @ X)
    np.testing.assert_allclose(covariance(fit, True), bread @ (X.T * (y - mean) ** 2) @ X @ bread, rtol=1e-6)


def test_corrections_grow_and_stay_close_with_many_clusters(intro_fit):
    errors = [np.sqrt(np.diagonal(intro_fit.cov_params(kind))) for kind in KINDS]
    assert (errors[0] < errors[1]).all()
    assert (errors[1] < errors[2]).all()
    assert (errors[2] < errors[3]).all()
    assert (errors[3] < 1.05 * errors[0]).all()


def test_a_weight_multiplies_a_clusters_score(intro_fit):
    # weights of 2 halve V and double every score: V S V is the same
    fit = intro_fit.fitted_model
    buckets = tuple(b._replace(cluster_weight=2.0 * np.asarray(b.cluster_weight)) for b in fit.design.clusters.buckets)
    design = dataclasses.replace(fit.design, rows=fit.design.clusters._replace(buckets=buckets))
    heavier = dataclasses.replace(fit, design=design, information=2.0 * fit.information)
    for kind in ("CR0", "CR3"):
        np.testing.assert_allclose(covariance(heavier, kind), covariance(fit, kind), rtol=1e-9)


def test_a_penalty_is_in_the_bread_and_in_no_score(penalized_fit):
    # the slope of the penalty is minus the sum of the scores, and its curvature that of log t with 3 degrees of freedom
    fit = penalized_fit.fitted_model
    beta, df = fit.theta[1:4], 3.0
    curvature = (df + 1) * (df - beta**2) / (df + beta**2) ** 2
    information = -cluster_hessians(fit).sum(0) + np.diag([0.0, *curvature, 0.0])
    scores = cluster_scores(fit)
    np.testing.assert_allclose(scores.sum(0)[1:4], (df + 1) * beta / (df + beta**2), rtol=1e-4, atol=1e-6)
    bread = np.linalg.inv(information)
    np.testing.assert_allclose(covariance(fit, "CR0"), bread @ scores.T @ scores @ bread, rtol=1e-6)


def test_a_singular_fit_has_one_in_the_directions_that_it_identifies(singular_fit):
    # by symmetry the entry of L that is 0 has no score, and the rest is the sandwich without it
    fit = singular_fit.fitted_model
    bread, scores = np.linalg.inv(fit.information[:6, :6]), cluster_scores(fit)[:, :6]
    found = fixed_covariance(fit, "CR0")
    np.testing.assert_allclose(found, (bread @ scores.T @ scores @ bread)[:4, :4], rtol=1e-5)


def test_a_fit_without_information_has_none(intro_fit):
    fit = intro_fit.fitted_model
    information = fit.information.copy()
    information[1] = information[:, 1] = 0.0
    found = covariance(dataclasses.replace(fit, information=information), True)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[np.ix_([0, 2, 3, 4], [0, 2, 3, 4])]).all()
    assert np.isnan(np.diagonal(theta_covariance(dataclasses.replace(fit, information=np.full((5, 5), np.nan))))).all()


@pytest.mark.slow
def test_cr3_is_close_to_refits_without_each_cluster():
    stored = json.loads((FOLDER / "p_o40_cbpp_cooks.json").read_text())
    fit: Any = gj.mixed_model("cbind(incidence, noninc) ~ period", random="~ 1 | herd", data=datasets.load_cbpp(), family="binomial")
    changes = np.array(stored["loo_theta"])[:, :4] - fit.fe_params.to_numpy()
    jackknife = np.sqrt(np.diagonal(changes.T @ changes))
    errors = {kind: np.sqrt(np.diagonal(fit.cov_params(kind))) for kind in KINDS}
    np.testing.assert_allclose(errors["CR3"], jackknife, rtol=0.08)
    assert (np.abs(errors["CR3"] - jackknife) < np.abs(errors["CR0"] - jackknife)).all()
