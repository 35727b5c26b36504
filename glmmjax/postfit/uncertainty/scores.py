"""Contribution of each cluster to the log-likelihood and its first two derivatives at the estimates.

The log-likelihood is a sum over clusters. Robust covariances, influence measures and score tests are made of its summands. The
derivatives are exact for the quadrature log-likelihood, for each cluster with weight 1 and without the penalty.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
from jax import Array

from glmmjax.design.levels import check_has_clusters
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.padding import Padding
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel, check_rows_count_once, padding_of
from glmmjax.likelihood.clusters import ClusterData, cluster_weights
from glmmjax.likelihood.marginal import cluster_log_likelihoods_by_rule
from glmmjax.likelihood.quadrature import Quadrature

__all__ = ["cluster_hessians", "cluster_scores", "cluster_scores_at", "cluster_values", "cluster_weights_of"]


def cluster_values(fitted: FittedModel) -> np.ndarray:
    """(m,) log-likelihood of each cluster, unweighted."""
    return _of_clusters(_values, fitted, padding_of(fitted))


def cluster_scores(fitted: FittedModel) -> np.ndarray:
    """(m, P) derivatives of each cluster's log-likelihood in theta, unweighted."""
    return cluster_scores_at(fitted.quadrature, fitted.theta, fitted.design.clusters, padding_of(fitted))


def cluster_scores_at(quadrature: Quadrature, theta: np.ndarray, clusters: ClusterData, wide: Padding) -> np.ndarray:
    """(m, P) the same of any model, with its padding ``wide``."""
    return wide.cut(_run(_scores, quadrature, theta, clusters, wide))


def cluster_hessians(fitted: FittedModel) -> np.ndarray:
    """(m, P, P) second derivatives of each cluster's log-likelihood in theta, unweighted."""
    wide = padding_of(fitted)
    return wide.cut_matrix(_of_clusters(_hessians, fitted, wide))


def cluster_weights_of(fitted: FittedModel) -> np.ndarray:
    """(m,) weights of the clusters in the order of ``design.groups``."""
    check_has_clusters(fitted.design, "a result that compares clusters, or leaves some of them out,")
    if fitted.design.group_name is None:
        check_rows_count_once(fitted, "this method compares clusters; without random effects each row is one. It")
    return cluster_weights(fitted.design.clusters)


def _of_clusters(program: Any, fitted: FittedModel, wide: Padding) -> np.ndarray:
    check_has_clusters(fitted.design, "the log-likelihood of each cluster, on which robust errors and influence rest,")
    return _run(program, fitted.quadrature, fitted.theta, fitted.design.clusters, wide)


def _run(program: Any, quadrature: Quadrature, theta: np.ndarray, clusters: ClusterData, wide: Padding) -> np.ndarray:
    likelihood = dataclasses.replace(wide.problem, penalty=None, is_intercept=())  # one program with and without a penalty
    with jax.enable_x64(True):
        return np.asarray(program(likelihood, quadrature, wide.vector(theta), wide.clusters(clusters)))


@as_program((0, 1))
def _values(problem: Problem, quadrature: Quadrature, theta: Array, clusters: ClusterData) -> Array:
    return cluster_log_likelihoods_by_rule(
        problem.layout.params(theta), clusters, problem.family, quadrature.fixed(problem.layout.covariance.q, problem.prior), problem.prior
    )


@as_program((0, 1))
def _scores(problem: Problem, quadrature: Quadrature, theta: Array, clusters: ClusterData) -> Array:
    return jax.jacfwd(lambda t: _values(problem, quadrature, t, clusters))(theta)


@as_program((0, 1))
def _hessians(problem: Problem, quadrature: Quadrature, theta: Array, clusters: ClusterData) -> Array:
    return jax.jacfwd(lambda t: _scores(problem, quadrature, t, clusters))(theta)
