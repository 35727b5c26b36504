"""Scores and Hessians of clusters: their sums, finite differences, and R's sandwich which is made of them."""

import numpy as np

from glmmjax.postfit.uncertainty.scores import cluster_hessians, cluster_scores, cluster_values


def test_they_add_up_to_the_log_likelihood_a_zero_gradient_and_the_information(intro_fit):
    fit = intro_fit.fitted_model
    scores = cluster_scores(fit)
    np.testing.assert_allclose(cluster_values(fit).sum(), fit.log_likelihood, rtol=1e-12)
    assert (np.abs(scores.sum(0)) < 1e-6 * np.abs(scores).sum(0)).all()
    np.testing.assert_allclose(-cluster_hessians(fit).sum(0), fit.information, rtol=1e-8, atol=1e-10)
