"""Data sets of clusters of a fit, drawn with replacement, with outcomes of their own: all of them in the shape of the largest.

The draws of a data set depend on nothing but the seed, its number, and the number of the cluster in it. So a data set of fewer clusters is
the first part of one of more, whatever shape both have.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design.layout.grouping import block_shape, ladder, lay_out
from glmmjax.design.layout.row_table import row_table
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.padding import Padding, padding
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.model_rows import ModelRows, predictors_at
from glmmjax.postfit.prediction.rows import own_clusters
from glmmjax.postfit.uncertainty.scores import cluster_weights_of

__all__ = ["DrawnClusters"]

_WIDTH_STEPS = 8  # sizes an octave, as in the layout of a fit
_AT_A_TIME = 16  # clusters that are drawn together


class DrawnClusters:
    """Makes the data sets; call its methods inside ``jax.enable_x64(True)``.

    Parameters
    ----------
    most : largest number of clusters of a data set; those of fewer are padded to its shape.
    seed : of clusters and outcomes.

    Raises
    ------
    ArgumentError
        For a family that cannot be simulated from.
    RowsNotKeptError
        For a streamed fit.
    """

    def __init__(self, fitted: FittedModel, most: int, seed: int):
        design = fitted.design
        clusters = design.clusters
        codes = np.asarray(own_clusters(fitted))
        self._fitted, self._seed = fitted, int(seed)
        self._sizes = np.bincount(codes)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._weights = np.asarray(cluster_weights_of(fitted), float)
        self._table = row_table(clusters, design.order, np.argsort(codes, kind="stable"))
        self._frame = None if clusters.buckets[0].frame is None else np.asarray(clusters.buckets[0].frame)[:1]
        self._width = int(ladder(int(self._sizes.max()), _WIDTH_STEPS))
        self.shape = block_shape(most, self._width, fitted.options.max_block_rows)
        self._check_sample()

    @property
    def n_rows(self) -> int:
        """Padded rows of a data set."""
        return self._width * self.shape[0] * self.shape[1]

    def with_outcomes(self, theta: np.ndarray, size: int, r: int) -> tuple[Bucket, ...]:
        """Data set r: ``size`` clusters, with outcomes of the model at ``theta`` (P,)."""
        bucket = self.design_of(size, r)
        wide = self._wide
        (padded,) = wide.buckets((bucket,))
        y = _drawn(wide.problem, wide.vector(theta), padded, np.array([self._seed, r]))
        return (bucket._replace(y=jax.tree.map(np.asarray, y)),)

    def design_of(self, size: int, r: int) -> Bucket:
        """The clusters of data set r with their own outcomes."""
        chosen = np.random.default_rng([self._seed, r]).integers(len(self._sizes), size=size)
        sizes = self._sizes[chosen]
        layout = lay_out(sizes, self._width, self.shape)
        rows = np.repeat(self._starts[chosen] - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))
        weights = np.where(layout.is_cluster, self._weights[chosen][layout.clusters], 0.0)
        bucket = self._table.bucket(rows[layout.rows], layout.is_row, weights)
        frame: Any = None if self._frame is None else np.repeat(self._frame, self.shape[0], axis=0)
        return bucket._replace(frame=frame)

    @functools.cached_property
    def _wide(self) -> Padding:
        return padding(self._fitted.problem, (self.design_of(1, 0),), self._fitted.n_agq)

    def _check_sample(self) -> None:
        try:
            wide = self._wide
            (padded,) = wide.buckets((self.design_of(1, 0),))
            jax.eval_shape(functools.partial(_drawn, wide.problem), wide.vector(self._fitted.theta), padded, np.array([0, 0]))
        except NotImplementedError:
            raise ArgumentError(
                f"the {self._fitted.problem.family.name} family cannot be simulated from, so its power is not known; give a Custom family "
                "the function sample=."
            ) from None


@as_program(0)
def _drawn(problem: Problem, theta: Array, bucket: Bucket, seed: Array) -> Any:
    """The ``y`` of a bucket; ``seed`` holds the seed and the number of the data set.

    A few clusters at a time, with a key of their own and always as many of them, so that no draw depends on the shape of the bucket.
    """
    key = jax.random.fold_in(jax.random.key(seed[0]), seed[1])
    params, q = problem.layout.params(theta), problem.layout.covariance.q
    n_blocks, width, n_lanes = bucket.shape
    n_parts = -(-n_blocks * n_lanes // _AT_A_TIME)
    padded = jnp.arange(n_parts * _AT_A_TIME) % (n_blocks * n_lanes)

    def in_parts(values: Array) -> Array:
        """(parts, ..., w, clusters) of values (S, ..., w, B)."""
        flat = jnp.moveaxis(values, -1, 1).reshape(n_blocks * n_lanes, *values.shape[1:-1])
        return jnp.moveaxis(flat[padded].reshape(n_parts, _AT_A_TIME, *values.shape[1:-1]), 1, -1)

    def in_blocks(drawn: Array) -> Array:
        flat = jnp.moveaxis(drawn, -1, 1).reshape(-1, width)[: n_blocks * n_lanes]
        return jnp.moveaxis(flat.reshape(n_blocks, n_lanes, width), -1, 1)

    def one(part: tuple[Any, ModelRows, Array]) -> Any:
        y, rows, number = part
        for_effects, for_outcomes = jax.random.split(jax.random.fold_in(key, number))
        u = problem.prior.sample(for_effects, (q, _AT_A_TIME), theta.dtype)
        eta = predictors_at(params, rows, u[:, None])
        phi = jnp.asarray(params.phi, theta.dtype)
        phi = jnp.broadcast_to(phi.reshape(-1, 1, 1), (len(phi), width, _AT_A_TIME))
        return problem.family.sample(for_outcomes, y, eta[0], phi, *eta[1:])

    parts = jax.tree.map(in_parts, (bucket.y, ModelRows(bucket.X, bucket.Z, bucket.offset)))
    return jax.tree.map(in_blocks, jax.lax.map(one, (*parts, jnp.arange(n_parts))))
