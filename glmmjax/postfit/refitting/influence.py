r"""Influence of each cluster on the estimates: the fit without it, exactly or by one Newton step.

One step uses the scores ``s_i`` and Hessians ``H_i`` of the clusters at the estimates. Without cluster i the gradient there is
``-w_i s_i`` and the information is ``I + w_i H_i``, so :math:`\hat\theta_{(i)} \approx \hat\theta - (I + w_i H_i)^{-1} w_i s_i`.

Source: Cook (1977), Technometrics 19, 15-18; Pregibon (1981), Annals of Statistics 9, 705-724; Belsley, Kuh and Welsch (1980).
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.columns.table import show_label
from glmmjax.errors import ArgumentError, ConvergenceWarning, warn_caller
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.phases.newton import FLAT
from glmmjax.estimation.refits import refit_all, with_weights
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.clusters import ClusterData
from glmmjax.likelihood.marginal import cluster_log_likelihoods_by_rule
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.postfit.refitting.bootstrap import check_is_maximum, origin_of, reported_values
from glmmjax.postfit.uncertainty.parameter_draws import covariance_root
from glmmjax.postfit.uncertainty.parameters import errors_of, estimates, reported
from glmmjax.postfit.uncertainty.scores import cluster_hessians, cluster_scores, cluster_weights_of
from glmmjax.postfit.uncertainty.vcov import theta_covariance

__all__ = [
    "METHODS",
    "PARTS",
    "Influence",
    "LeaveOut",
    "cooks_distances",
    "dfbetas",
    "leave_cluster_out",
    "leave_cluster_out_scores",
    "refitted_without",
]

METHODS = {"refit": "the exact fit without each cluster", "one_step": "one Newton step"}
PARTS = ("fixed", "zero", "dispersion")


@dataclasses.dataclass(frozen=True, eq=False)
class LeaveOut:
    """The estimates without each of the m clusters, in the order of ``design.groups``.

    Attributes
    ----------
    theta : (m, P) estimates
    converged : (m,) bool: whether the refit is a certified maximum; for one step whether the information is positive definite
    method : "refit" or "one_step"
    """

    theta: np.ndarray
    converged: np.ndarray
    method: str


@dataclasses.dataclass(frozen=True, eq=False)
class Influence:
    """A fit with its refits without each cluster. They are made when a measure first needs them; all measures share them."""

    fitted: FittedModel

    @functools.cached_property
    def refits(self) -> LeaveOut:
        """The exact fit without each cluster."""
        return refitted_without(self.fitted)


def cooks_distances(influence: Influence, method: str = "refit", part: str = "fixed", scaled: bool = False) -> np.ndarray:
    r"""(m,) Cook's distances of the clusters, :math:`(\hat\beta - \hat\beta_{(i)})' V^{-1} (\hat\beta - \hat\beta_{(i)})`.

    Parameters
    ----------
    method : ``"refit"``, the maximum of the (penalised) log-likelihood without the cluster; ``"one_step"``, one Newton step towards it.
    part : coefficients compared, ``"fixed"``, ``"zero"`` or ``"dispersion"``; V is their covariance at the fit of all clusters.
    scaled : divide by the number of coefficients.

    Returns
    -------
    NaN, with a warning, for a cluster without which the model has no maximum.

    Raises
    ------
    ArgumentError
        For a fit without certificate, or of one cluster.
    RowsNotKeptError
        For a streamed fit.
    """
    fitted = influence.fitted
    where = getattr(fitted.problem.layout, part)
    size = where.stop - where.start
    if not size:
        raise ArgumentError(f"cooks_distance(part={part!r}): the model has no such coefficients; part='fixed' are those of the main part.")
    found = leave_cluster_out(influence, method)
    change = fitted.theta[where] - found.theta[:, where]
    distance = np.einsum("ij,ij->i", change, np.linalg.solve(theta_covariance(fitted)[where, where], change.T).T)
    return np.where(found.converged, distance / size if scaled else distance, np.nan)


def dfbetas(influence: Influence, method: str = "refit") -> np.ndarray:
    r"""(m, N) :math:`(\hat\psi - \hat\psi_{(i)}) / \mathrm{se}(\hat\psi)` of the N parameters that are reported, on the scale of summaries.

    The standard errors are those of the fit of all clusters; at a singular D its standard deviations and correlations have none (NaN).
    ``method``, other values that are NaN, and errors are as in ``cooks_distances``.
    """
    found, fitted = leave_cluster_out(influence, method), influence.fitted
    parameters = reported(fitted)
    change = estimates(fitted, parameters) - reported_values(fitted, found.theta)
    return np.where(found.converged[:, None], change / errors_of(fitted, parameters, theta_covariance(fitted)), np.nan)


def leave_cluster_out_scores(influence: Influence) -> np.ndarray:
    r"""(m,) :math:`w_i \log \int \prod_j p(y_{ij} \mid b)\, N(b; 0, D)\, db` at the estimates without cluster i.

    Their sum is the log score of leave-one-cluster-out cross-validation, an estimate of how well the model predicts new clusters.
    NaN and errors are as in ``cooks_distances``.
    """
    found, fitted = leave_cluster_out(influence), influence.fitted
    with jax.enable_x64(True):
        wide = padding_of(fitted)
        own = _own_values(wide.problem, fitted.quadrature, wide.vector(found.theta), wide.clusters(fitted.design.clusters))
    return np.where(found.converged, cluster_weights_of(fitted) * np.asarray(own), np.nan)


def leave_cluster_out(influence: Influence, method: str = "refit") -> LeaveOut:
    """The estimates without each cluster, by refits or one step.

    Warns
    -----
    ConvergenceWarning
        When the model has no maximum without some cluster.
    """
    fitted = influence.fitted
    _ = fitted.design.clusters  # raises the error of a stream
    check_is_maximum(fitted, "influence")
    if len(fitted.design.cluster_sizes) < 2:
        raise ArgumentError("influence leaves out one cluster at a time, and the fit has only one.")
    found = influence.refits if method == "refit" else _one_step(fitted)
    if not found.converged.all():
        lost = np.flatnonzero(~found.converged)
        shown = ", ".join(show_label(fitted.design.groups[i]) for i in lost[:5])
        text = f"without {len(lost)} of {len(found.theta)} clusters the model has no certified maximum; they get NaN: {shown}"
        warn_caller(text + ("" if len(lost) <= 5 else ", ..."), ConvergenceWarning)
    return found


def refitted_without(fitted: FittedModel) -> LeaveOut:
    """The exact fit without each cluster. A cluster of weight 0 changes nothing, and is not left out."""
    weights = cluster_weights_of(fitted)
    theta, converged = np.tile(fitted.theta, (len(weights), 1)), np.ones(len(weights), bool)
    counted = np.flatnonzero(weights > 0)
    numbers = np.arange(len(weights))
    without = with_weights(fitted.design.clusters, len(counted), lambda r: np.where(numbers == counted[r], 0.0, weights))
    with jax.enable_x64(True):
        found = refit_all(origin_of(fitted), without)
    theta[counted], converged[counted] = found.theta, found.converged
    return LeaveOut(theta, converged, "refit")


def _one_step(fitted: FittedModel) -> LeaveOut:
    """One Newton step in the directions that have a variance. At a singular D these are the directions that keep it singular."""
    weights, root = cluster_weights_of(fitted), covariance_root(np.nan_to_num(theta_covariance(fitted)), 1e3 * FLAT)
    gradient = -weights[:, None] * (cluster_scores(fitted) @ root)
    # In these coordinates the information of all clusters is the identity. Coordinates without variance do not move.
    information = np.eye(root.shape[1]) + weights[:, None, None] * (root.T @ cluster_hessians(fitted) @ root)
    values, vectors = np.linalg.eigh(information)
    positive = values[:, 0] > 1e3 * FLAT
    step = np.einsum("ijk,ik,ilk,il->ij", vectors, 1.0 / np.where(positive[:, None], values, 1.0), vectors, gradient)
    return LeaveOut(fitted.theta + step @ root.T, positive, "one_step")


@as_program((0, 1))
def _own_values(problem: Problem, quadrature: Quadrature, theta: Array, clusters: ClusterData) -> Array:
    """(m,) log-likelihood of cluster i at row i of ``theta`` (m, P)."""

    rule = quadrature.fixed(problem.layout.covariance.q, problem.prior)

    def of_cluster(number_and_theta: tuple[Array, Array]) -> Array:
        number, own = number_and_theta
        return cluster_log_likelihoods_by_rule(problem.layout.params(own), clusters, problem.family, rule, problem.prior)[number]

    return jax.lax.map(of_cluster, (jnp.arange(len(theta)), theta))
