r"""Prediction intervals of a new outcome: quantiles of draws of theta, of random effects and of the outcome.

The random effects of a subject given its outcomes are drawn at the estimates, by resampling candidates (``t_proposals``). A draw
``theta_m ~ N(theta_hat, V)`` moves them to first order,

.. math:: b_m + \frac{\partial E(b \mid y, \theta)}{\partial \theta} (\theta_m - \hat\theta),

so that the linear predictor ``x' beta_m + z' b_m`` has the variance of ``prediction_intervals``. Source: Kass and Steffey (1989), JASA 84,
717-726, for the move.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.new_rows import NewRows
from glmmjax.estimation.objective import Problem
from glmmjax.families.base import Family
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.conditional import block_conditional, conditional_means
from glmmjax.likelihood.model_rows import ModelRows, predictors_at, random_part
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.posterior import Posterior
from glmmjax.likelihood.quadrature import moment_rule
from glmmjax.likelihood.rows import Integrand, from_first_lane, integrand
from glmmjax.postfit.prediction.jit_by_work import sized
from glmmjax.postfit.prediction.node_draws import drawn_from_nodes
from glmmjax.postfit.prediction.predict import IntervalSettings, Request, in_chunks
from glmmjax.postfit.prediction.row_blocks import MOST_ROWS, BlockRows, rows_by_bucket
from glmmjax.postfit.prediction.subjects import posterior_points
from glmmjax.postfit.prediction.t_proposals import log_weight, t_draws
from glmmjax.postfit.prediction.targets import Targets
from glmmjax.postfit.uncertainty.parameter_draws import normal_draws
from glmmjax.values import check_size

__all__ = ["DrawSettings", "Quantiles", "ThetaDraws", "flat_quantiles", "quantiles_of_blocks", "subject_quantiles"]

_WORK_OF_DRAW = 25  # a draw of an outcome takes as long as this many densities


class Quantiles(NamedTuple):
    """Quantiles and standard deviations of draws of the outcome, (n,) each.

    Attributes
    ----------
    lower : quantile at half of 1 - level
    upper : quantile at half of 1 + level
    deviation : standard deviation of the draws
    """

    lower: np.ndarray
    upper: np.ndarray
    deviation: np.ndarray


class DrawSettings(NamedTuple):
    """Number of draws, and the tail probability on each side. Static."""

    n: int
    tail: float
    n_columns: int  # of the outcome


class ThetaDraws(NamedTuple):
    """Draws of theta around the estimates."""

    centre: Any  # (P,) the estimates
    moves: Any  # (M, P) away from them


class _Given(NamedTuple):
    """Rows whose outcomes are drawn M times."""

    rows: ModelRows  # R rows
    b: Array | None  # (M, q, R) random effects; None for 0
    outcome: tuple[Array, ...]  # (R,) columns that hold the trials, () for other outcomes


def subject_quantiles(fitted: FittedModel, targets: Targets, covariance: np.ndarray, settings: IntervalSettings) -> Quantiles:
    """Quantiles of new outcomes of subjects given their outcomes."""
    found = np.zeros((3, len(targets.codes)))
    points, problem = posterior_points(fitted), padding_of(fitted).problem
    with jax.enable_x64(True):
        draws, thetas = _draws(fitted, settings), _theta_draws(fitted, covariance, settings)
        for k, block in enumerate(rows_by_bucket(fitted, targets)):
            program = _subject_quantiles(_WORK_OF_DRAW * draws.n * block.numbers.size)
            block.put(program(problem, points, draws, thetas, np.array([settings.seed, k]), block.arrays), found)
    return Quantiles(*found)


def flat_quantiles(fitted: FittedModel, request: Request, rows: NewRows, covariance: np.ndarray, settings: IntervalSettings) -> Quantiles:
    """Quantiles of new outcomes of subjects with b = 0, or of new subjects of the population."""
    with jax.enable_x64(True):
        (chunks, _), n_rows = in_chunks(rows, width=MOST_ROWS)
        outcome = (
            () if not rows.outcome else in_chunks(rows._replace(X=(), Z=(), offset=np.stack(rows.outcome)), width=MOST_ROWS)[0][0].offset
        )
        draws, thetas = _draws(fitted, settings), _theta_draws(fitted, covariance, settings)
        program = _flat_quantiles(_WORK_OF_DRAW * draws.n * n_rows)
        wide = padding_of(fitted)
        found = program(wide.problem, request, draws, thetas, np.int64(settings.seed), (wide.rows(chunks), outcome))
        return Quantiles(*np.asarray(found).swapaxes(0, 1).reshape(3, -1)[:, :n_rows])


def _draws(fitted: FittedModel, settings: IntervalSettings) -> DrawSettings:
    return DrawSettings(settings.n_draws, 0.5 - 0.5 * settings.level, len(fitted.design.formula.outcome_columns))


def _theta_draws(fitted: FittedModel, covariance: np.ndarray, settings: IntervalSettings) -> ThetaDraws:
    check_size(f"n_draws={settings.n_draws:,}", (settings.n_draws, len(fitted.theta) + MOST_ROWS), "a few thousand draws are enough")
    moves = normal_draws(covariance, settings.n_draws, np.random.default_rng(settings.seed))
    wide = padding_of(fitted)
    return ThetaDraws(wide.vector(fitted.theta), wide.vector(moves))


def _flat(problem: Problem, request: Request, draws: DrawSettings, thetas: ThetaDraws, seed: Array, chunks: tuple[ModelRows, Any]) -> Array:
    """(S, 3, R) summaries of chunks of rows. A chunk has rows and their outcome columns."""
    params = jax.vmap(problem.layout.params)(thetas.centre + thetas.moves)

    def of_chunk(chunk: tuple[Array, ModelRows, Any]) -> Array:
        key, rows, y = chunk
        for_b, for_y = jax.random.split(key)
        b = None
        if request.effects == "population":
            u = problem.prior.sample(for_b, (draws.n, problem.layout.covariance.q, rows.offset.shape[-1]), thetas.centre.dtype)
            b = jnp.einsum("mab,mbr->mar", params.chol, u)
        return _summary(draws, _outcomes(problem.family, draws, for_y, params, _Given(rows, b, tuple(y))))

    return jax.lax.map(of_chunk, (jax.random.split(jax.random.key(seed), len(chunks[0].offset)), *chunks))


def quantiles_of_blocks(problem: Problem, n_points: int, draws: DrawSettings, thetas: ThetaDraws, seed: Array, blocks: BlockRows) -> Array:
    """(S, 3, R) summaries of rows to predict; ``seed`` holds the seed and the number of the bucket."""
    key = jax.random.fold_in(jax.random.key(seed[0]), seed[1])
    params = jax.vmap(problem.layout.params)(thetas.centre + thetas.moves)

    def of_block(block_and_key: tuple[BlockRows, Array]) -> Array:
        block, key = block_and_key
        for_b, for_y = jax.random.split(key)
        b = _effects(problem, n_points, draws, thetas, for_b, block)
        width = block.clusters.shape[-1]
        n_parts = max(1, width // MOST_ROWS)

        def of_part(part: tuple[Array, ModelRows, Array, Any]) -> Array:
            key, rows, clusters, y = part
            return _summary(draws, _outcomes(problem.family, draws, key, params, _Given(rows, b[:, :, clusters], y)))

        cut = lambda leaf: jnp.moveaxis(leaf.reshape(*leaf.shape[:-1], n_parts, width // n_parts), -2, 0)  # noqa: E731
        parts = jax.tree.map(cut, (block.rows, block.clusters, block.outcome))
        found = jax.lax.map(of_part, (jax.random.split(for_y, n_parts), *parts))
        return jnp.moveaxis(found, 0, 1).reshape(3, width)

    return jax.lax.map(of_block, (blocks, jax.random.split(key, blocks.clusters.shape[0])))


_flat_quantiles, _subject_quantiles = sized(_flat, (0, 1, 2)), sized(quantiles_of_blocks, (0, 1, 2))


def _effects(problem: Problem, n_points: int, draws: DrawSettings, thetas: ThetaDraws, key: Array, block: BlockRows) -> Array:
    """(M, q, B) draws of b of the clusters of a block, moved with theta."""
    q = problem.layout.covariance.q
    rule = moment_rule(n_points, q, problem.prior)

    def mean(theta: Array) -> tuple[Array, Any]:
        params = problem.layout.params(theta)
        post, given = block_conditional(params, block.bucket, block.start, problem.family, rule, problem.prior)
        return jnp.tensordot(params.chol, conditional_means(given, rule), 1), (post, given)

    slopes, (post, given) = jax.jacfwd(mean, has_aux=True)(thetas.centre)
    params = problem.layout.params(thetas.centre)
    f = integrand(params, block.bucket, problem.family, problem.prior)
    u = _by_candidates(key, f, post, draws.n) if problem.prior.is_symmetric else drawn_from_nodes(key, f, given, rule, draws.n)
    return jnp.einsum("ac,mcb->mab", params.chol, u) + jnp.einsum("abp,mp->mab", slopes, thetas.moves)


def _by_candidates(key: Array, f: Integrand, post: Posterior, n: int) -> Array:
    """(M, q, B) draws of u, resampled from as many candidates."""
    for_normal, for_scale, for_choice = jax.random.split(key, 3)
    z = t_draws(for_normal, for_scale, f, (n, len(post.mode)))
    level = from_first_lane(f.observed, jax.random.uniform(for_choice, z.shape[-1:], z.dtype))
    weights = jax.nn.softmax(jax.lax.map(lambda z: log_weight(f, post.at(z), z), z), axis=0)
    chosen = _resampled(weights, level)
    return jax.vmap(post.at)(jnp.take_along_axis(z, chosen[:, None], axis=0))


def _resampled(weights: Array, level: Array) -> Array:
    """(M, B) numbers of the candidates chosen, by systematic resampling from weights (M, B); ``level`` (B,) in [0, 1)."""
    n = len(weights)
    total = jnp.cumsum(weights, axis=0)
    places = (jnp.arange(n)[:, None] + level) / n
    chosen = jax.vmap(lambda edges, at: jnp.searchsorted(edges, at), in_axes=-1, out_axes=-1)(total / total[-1], places)
    return jnp.minimum(chosen, n - 1)


def _outcomes(family: Family, draws: DrawSettings, key: Array, params: Params, given: _Given) -> Array:
    """(M, R) outcomes drawn at M parameter vectors and random effects (M, q, R); with trials, the shares of successes."""
    (rows, b, y), n = given, len(params.beta)
    width = rows.offset.shape[-1]
    eta = jax.vmap(predictors_at, (0, None), 1)(params, rows)
    if b is not None:
        eta = eta + jax.vmap(random_part, (None, 0), 1)(rows, b)
    phi = jnp.broadcast_to(params.phi.T[:, :, None], (params.phi.shape[-1], n, width))
    template = tuple(jnp.broadcast_to(column, (n, width)) for column in y) or (jnp.ones((n, width), eta[0].dtype),) * draws.n_columns
    if family.is_binary and not y:  # the mean determines 0/1 outcomes, and the sampler of many trials is slow
        return (jax.random.uniform(key, (n, width), eta[0].dtype) < family.mean(eta[0], phi, *eta[1:])).astype(eta[0].dtype)
    drawn = family.sample(key, template if len(template) > 1 else template[0], eta[0], phi, *eta[1:])
    if not isinstance(drawn, tuple):
        return drawn
    return drawn[0] / (drawn[0] + drawn[1]) if y else drawn[0]


def _summary(draws: DrawSettings, values: Array) -> Array:
    """(3, R) lower and upper quantiles, each the nearest draw outside of it, and standard deviations of the values (M, R)."""
    ordered = jnp.sort(values, axis=0)
    last = draws.n - 1
    low, high = int(np.floor(draws.tail * last)), int(np.ceil((1.0 - draws.tail) * last))
    return jnp.stack([ordered[low], ordered[high], values.std(axis=0)])
