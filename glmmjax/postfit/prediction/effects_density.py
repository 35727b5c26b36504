r"""The density of a random effect: that of its law at the estimates, and what the clusters say of it.

The posterior modes of clusters are drawn towards 0, and means are too, so that their histogram is narrower than the law. The mean of the
posterior densities of all clusters is not: where the model is right it estimates the density of the law,

.. math:: \frac{1}{m} \sum_i p(b \mid y_i) \to p(b), \qquad \text{because}\quad E\, p(b \mid y_i) = p(b).

It is the law after one EM step towards its nonparametric estimate. For one random effect a posterior is the joint density over its
integral, on a grid. Of several each posterior is taken for normal, with its own mean and variance.
Source: Laird (1978), Journal of the American Statistical Association 73, 805-811.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.levels import check_one_level
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.adaptive import integrate
from glmmjax.likelihood.clusters import Bucket, cluster_weights, padded_rows, to_clusters
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.posterior import posterior
from glmmjax.likelihood.prior import Prior
from glmmjax.likelihood.quadrature import moment_rule
from glmmjax.likelihood.rows import integrand, log_joint
from glmmjax.postfit.prediction.jit_by_work import sized
from glmmjax.postfit.prediction.random_effects import random_effects, random_effects_covariance, random_effects_means
from glmmjax.postfit.prediction.subjects import blocks_of_modes, posterior_points

__all__ = ["EffectDensity", "effect_density"]

_N_POINTS = 201
_WIDEST = 4.0  # standard deviations to each side; further where modes are


class EffectDensity(NamedTuple):
    """Densities of one random effect on the scale of the link.

    Attributes
    ----------
    at : (G,) values of the random effect
    law : (G,) density of the law at the estimates
    posterior : (G,) mean of the posterior densities of the clusters
    modes : (m,) their conditional modes
    """

    at: np.ndarray
    law: np.ndarray
    posterior: np.ndarray
    modes: np.ndarray


def effect_density(fitted: FittedModel, k: int) -> EffectDensity:
    """Densities of the random effect number ``k``.

    Raises
    ------
    ArgumentError
        For several grouping factors, and an effect whose standard deviation is 0.
    RowsNotKeptError
        For a streamed fit.
    """
    check_one_level(fitted.design, "the density of a random effect")
    if fitted.design.lower is not None:
        raise ArgumentError("the density of a random effect needs one grouping factor, and this model has two levels.")
    sd, name = float(np.linalg.norm(fitted.params.chol[k])), fitted.design.random_names[k]
    if not sd * fitted.design.random_reach[k] > 1e-6:
        raise ArgumentError(f"the random effect {name!r} has the standard deviation 0 at the estimates, and no density.")
    modes = random_effects(fitted)[:, k]
    half = max(_WIDEST * sd, 1.1 * float(np.abs(modes).max()))
    at = np.linspace(-half, half, _N_POINTS)
    prior = fitted.problem.prior
    with jax.enable_x64(True):
        law = np.asarray(_law_density(_N_POINTS)(prior, at / sd)) / sd
    density = _mean_of_posteriors(fitted, at / sd) / sd if fitted.modes.shape[1] == 1 else _mean_of_normals(fitted, k, at)
    return EffectDensity(at, law, density, modes)


def _law_at(prior: Prior, u: Array) -> Array:
    return jnp.exp(prior.log_density(u[None]) + prior.log_constant(1))


def _mean_of_posteriors(fitted: FittedModel, u: np.ndarray) -> np.ndarray:
    """(G,) mean over clusters, each with its weight, of the posterior density of one spherical random effect."""
    clusters, points, found = fitted.design.clusters, posterior_points(fitted), []
    with jax.enable_x64(True):
        wide = padding_of(fitted)
        params = wide.params(fitted.params)
        for bucket, start in zip(wide.buckets(clusters.buckets), blocks_of_modes(fitted.modes, clusters), strict=True):
            run = _posterior_densities(padded_rows([bucket]) * (len(u) + points))
            found.append(np.asarray(run(wide.problem, points, params, bucket, start, u)))
    weights = cluster_weights(clusters)
    return to_clusters(clusters, found) @ weights / weights.sum()


def _densities_of_bucket(problem: Problem, n_points: int, params: Params, bucket: Bucket, start: Array, u: Array) -> Array:
    """(S, G, B) posterior densities at ``u``."""
    rule = moment_rule(max(n_points, 47), 1, problem.prior)

    def of_block(block_and_start: tuple[Bucket, Array]) -> Array:
        block, start = block_and_start
        f = integrand(params, block, problem.family, problem.prior)
        log_integral = integrate(f, rule.place(f, posterior(f, start)), rule)
        values = jax.lax.map(lambda at: log_joint(f, jnp.full_like(start, at)), u)
        return jnp.exp(values + problem.prior.log_constant(1) - log_integral)

    return jax.lax.map(of_block, (bucket, start))


_law_density, _posterior_densities = sized(_law_at, (0,)), sized(_densities_of_bucket, (0, 1))


def _mean_of_normals(fitted: FittedModel, k: int, at: np.ndarray) -> np.ndarray:
    """(G,) mean over clusters of normal densities with the posterior means and variances of the random effect ``k``."""
    means, variances = random_effects_means(fitted)[:, k], random_effects_covariance(fitted, "mean")[:, k, k]
    weights, sd = cluster_weights(fitted.design.clusters), np.sqrt(np.maximum(variances, 1e-300))
    z = (at[:, None] - means) / sd
    return np.exp(-0.5 * z * z) / (sd * np.sqrt(2.0 * np.pi)) @ weights / weights.sum()
