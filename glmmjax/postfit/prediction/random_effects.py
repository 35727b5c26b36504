"""The random effects of each cluster given its outcomes, at the estimates: modes and means, covariances, intervals.

The mode b = L u_hat has the covariance ``L H^-1 L'``, with H the negative Hessian of the log joint density in u at the mode. Mean and
covariance of the distribution itself are by quadrature. Both are conditional on the estimates and leave out the uncertainty of these.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.design import Design
from glmmjax.design.levels import check_one_level, effects_by_level, has_levels
from glmmjax.estimation.objective import Problem
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.clusters import Bucket, padded_rows, to_clusters
from glmmjax.likelihood.conditional import block_conditional, conditional_covariances, conditional_means
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.quadrature import moment_rule
from glmmjax.postfit.prediction.crossed_effects import crossed_covariances
from glmmjax.postfit.prediction.jit_by_work import sized
from glmmjax.postfit.prediction.nested_effects import nested_curvature
from glmmjax.postfit.prediction.subjects import blocks_of_modes, posterior_points
from glmmjax.postfit.uncertainty.link_intervals import normal_quantile

__all__ = [
    "EffectIntervals",
    "EffectLevel",
    "cluster_coefficients",
    "levels_of_effects",
    "random_effects",
    "random_effects_covariance",
    "random_effects_intervals",
    "random_effects_means",
]


class EffectIntervals(NamedTuple):
    """Random effects with intervals, (m, q) each, in the order of ``design.units`` and ``design.random_names``.

    Attributes
    ----------
    estimate : conditional modes or posterior means, on the scale of the link
    std_error : standard deviations given the outcomes, at the estimates
    lower : lower limits
    upper : upper limits
    """

    estimate: np.ndarray
    std_error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class EffectLevel(NamedTuple):
    """A level of random effects.

    Attributes
    ----------
    name : of the level
    labels : pandas Index of its clusters
    first : where these stand among ``design.units``, of which an upper cluster has several
    place : places of its effects among all
    effects : their names
    """

    name: str
    labels: Any
    first: Any
    place: slice
    effects: tuple[str, ...]


def levels_of_effects(design: Design) -> list[EffectLevel]:
    """The levels of random effects, the upper of two first."""
    found = []
    if design.factors:
        places = effects_by_level(design).values()
        return [EffectLevel(f.name, f.labels, f.first_rows, *own) for f, own in zip(design.factors, places, strict=True)]
    for name, (place, effects) in effects_by_level(design).items():
        if design.lower is None or name != design.group_name:
            found.append(EffectLevel(name, design.units, slice(None), place, effects))
        else:
            found.append(EffectLevel(name, design.groups, np.unique(design.lower.upper_of, return_index=True)[1], place, effects))
    return found


def random_effects(fitted: FittedModel) -> np.ndarray:
    """(m, q) conditional modes b = L u, in the order of ``design.units``."""
    return fitted.modes @ fitted.params.chol.T


def random_effects_means(fitted: FittedModel) -> np.ndarray:
    """(m, q) posterior means of b by quadrature, in the order of ``design.groups``.

    Raises
    ------
    RowsNotKeptError
        For a streamed fit.
    """
    return _moments(fitted)[0]


def random_effects_covariance(fitted: FittedModel, kind: str = "mode") -> np.ndarray:
    """(m, q, q) conditional covariance of b.

    Parameters
    ----------
    kind : ``"mode"`` for the inverse negative Hessian at the mode, ``"mean"`` for the posterior covariance by quadrature.

    Raises
    ------
    RowsNotKeptError
        For a streamed fit.
    """
    return _moments(fitted)[1] if kind == "mean" else _curvature(fitted)


def random_effects_intervals(fitted: FittedModel, kind: str = "mode", level: float = 0.95) -> EffectIntervals:
    """Normal intervals around modes or means, conditional on the estimates.

    Raises
    ------
    RowsNotKeptError
        For a streamed fit.
    """
    estimate, spread = _moments(fitted)[:2] if kind == "mean" else (random_effects(fitted), _curvature(fitted))
    error = np.sqrt(np.maximum(np.diagonal(spread, axis1=1, axis2=2), 0.0))
    half = normal_quantile(level) * error
    return EffectIntervals(estimate, error, estimate - half, estimate + half)


def cluster_coefficients(fitted: FittedModel) -> tuple[np.ndarray, tuple[str, ...]]:
    """(m, k) coefficients of every cluster, fixed effect plus conditional mode, and their names.

    The coefficients of the main part come first, then those of the zero part under names that begin with ``zi_``. A random effect whose
    column is no column of the fixed part has a coefficient of its own, with a fixed effect of 0.
    """
    design, values = fitted.design, []
    names: list[str] = []
    modes, first = random_effects(fitted), 0
    parts = {"": (design.fixed_names, np.asarray(fitted.params.beta)), "zi_": (design.zi_fixed_names, np.asarray(fitted.params.gamma))}
    for prefix, (fixed, coefficients) in parts.items():
        if not len(fixed):
            continue
        random = design.random_names[first : first + _n_effects(fitted, prefix)]
        bare = [name.removeprefix("zi_").partition(" | ")[0] if has_levels(design) else name.removeprefix("zi_") for name in random]
        columns = [*fixed, *dict.fromkeys(name for name in bare if name not in fixed)]
        table = np.zeros((len(modes), len(columns)))
        table += np.concatenate([coefficients, np.zeros(len(columns) - len(fixed))])
        for k, name in enumerate(bare):
            table[:, columns.index(name)] += modes[:, first + k]
        first += len(random)
        values.append(table)
        names += [prefix + name for name in columns]
    return np.concatenate(values, axis=1), tuple(names)


def _n_effects(fitted: FittedModel, prefix: str) -> int:
    """Number of random effects of the main part (no prefix) or of the zero part."""
    of_zero = sum(name.startswith("zi_") for name in fitted.design.random_names) if fitted.problem.family.has_zero_part else 0
    return of_zero if prefix else len(fitted.design.random_names) - of_zero


def _curvature(fitted: FittedModel) -> np.ndarray:
    """(m, q, q) the covariances of b that the curvature at the modes gives."""
    if fitted.design.factors:
        return crossed_covariances(fitted)
    return _moments(fitted)[2] if fitted.design.lower is None else nested_curvature(fitted, fitted.design.lower)


def _moments(fitted: FittedModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Posterior means (m, q) and covariances (m, q, q) of b, and the covariances that the curvature at the modes gives."""
    check_one_level(fitted.design, "kind='mean'")
    clusters, (m, q) = fitted.design.clusters, fitted.modes.shape
    if q == 0:
        return np.zeros((m, 0)), np.zeros((m, 0, 0)), np.zeros((m, 0, 0))
    points = posterior_points(fitted)
    with jax.enable_x64(True):
        found, wide = [], padding_of(fitted)
        params = wide.params(fitted.params)
        for bucket, start in zip(wide.buckets(clusters.buckets), blocks_of_modes(fitted.modes, clusters), strict=True):
            found.append(_bucket_moments(padded_rows([bucket]) * points**q)(wide.problem, points, params, bucket, start))
        by_cluster = (to_clusters(clusters, [np.asarray(leaf) for leaf in leaves]) for leaves in zip(*found, strict=True))
    mean, covariance, curvature = (np.moveaxis(values, -1, 0) for values in by_cluster)
    return mean, covariance, curvature


def _moments_of_bucket(problem: Problem, n_points: int, params: Params, bucket: Bucket, start: Array) -> tuple[Array, Array, Array]:
    """Posterior means (S, q, B) and covariances (S, q, q, B) of b, and covariances (S, q, q, B) from the curvature at the modes."""
    rule = moment_rule(n_points, params.chol.shape[0], problem.prior)

    def turned(of_u: Array) -> Array:
        return jnp.einsum("ac,cdm,bd->abm", params.chol, of_u, params.chol)

    def of_block(block_and_start: tuple[Bucket, Array]) -> tuple[Array, Array, Array]:
        block, start = block_and_start
        post, given = block_conditional(params, block, start, problem.family, rule, problem.prior)
        curvature = jnp.einsum("acm,bcm->abm", post.root, post.root)
        mean = jnp.tensordot(params.chol, conditional_means(given, rule), 1)
        return mean, turned(conditional_covariances(given, rule)), turned(curvature)

    return jax.lax.map(of_block, (bucket, start))


_bucket_moments = sized(_moments_of_bucket, (0, 1))
