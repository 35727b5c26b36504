"""Steps and epochs of stochastic optimisation of a network and the parameters of the model together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from glmmjax.design import Design
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.starting_values import starting_values
from glmmjax.likelihood.clusters import total_weight
from glmmjax.neural.batches import ClusterBatch, batches_of, by_cluster, generator
from glmmjax.neural.loss import marginal_loss
from glmmjax.neural.network import output_of
from glmmjax.neural.sharding import SharedBatch, share_out, sum_of_shares
from glmmjax.progress import Watch
from glmmjax.progress_records import TrainingProgress

__all__ = ["Model", "Schedule", "Trained", "Weights", "train"]


class Weights(NamedTuple):
    """What is trained.

    Attributes
    ----------
    network : the caller's pytree
    last : (d,) coefficients of the features of a network that gives these; () of one that gives the predictor itself, where it is not used
    theta : (P,) the free vector of the model
    """

    network: Any
    last: Array
    theta: Array


class Model(NamedTuple):
    """What does not change in training.

    Attributes
    ----------
    apply : network and inputs (k, ...) to values (k,) or features (k, d)
    apply_training : the same with a key as third argument, for dropout and its kin; None where training takes ``apply``
    problem : the static part of the mixed model
    design : its rows
    inputs : pytree of arrays with a row for each row of the design
    n_agq : quadrature points per random effect
    """

    apply: Callable[..., Any]
    apply_training: Callable[..., Any] | None
    problem: Problem
    design: Design
    inputs: Any
    n_agq: int


class Schedule(NamedTuple):
    """How training goes.

    Attributes
    ----------
    optimizer : an optax ``GradientTransformation``
    epochs : at most
    batch : clusters of a batch
    held_back : (h,) numbers of the clusters that are not trained on
    patience : epochs without a better loss of these, after which training ends
    mesh : devices that share every batch; None for one
    """

    optimizer: Any
    epochs: int
    batch: int
    held_back: np.ndarray
    patience: int
    mesh: Mesh | None = None


class _Part(NamedTuple):
    """What a step takes of the data."""

    batch: ClusterBatch | SharedBatch
    inputs: Any  # of its rows; () of a batch that devices share, which has them
    weight: Any  # of its clusters


class Trained(NamedTuple):
    """The end of a training.

    Attributes
    ----------
    weights : of the epoch with the lowest validation loss, or of the last one
    history : a record of every epoch
    """

    weights: Weights
    history: tuple[TrainingProgress, ...]


def train(model: Model, schedule: Schedule, network: Any, key: Any, watch: Watch) -> Trained:
    """Train from ``network``, and from starting values of the model without it.

    A step whose loss or gradient is not finite is not taken. Training ends when no step of an epoch was.
    """
    begun, run = time.perf_counter(), _Training(model, schedule, key)
    weights = run.begin(network)
    best, lowest, since, history = weights, np.inf, 0, list[TrainingProgress]()
    while len(history) < schedule.epochs and since < schedule.patience:
        losses, n_skipped = run.epoch(len(history))
        held = run.validation_loss()
        history.append(TrainingProgress(len(history) + 1, schedule.epochs, _mean(losses), held, n_skipped, time.perf_counter() - begun))
        watch.report(history[-1])
        if n_skipped == len(losses):
            break
        if held is None or held < lowest:
            best, lowest, since = run.weights, np.inf if held is None else held, 0
        else:
            since += 1
    return Trained(best, tuple(history))


class _Training:
    """The state of a training."""

    def __init__(self, model: Model, schedule: Schedule, key: Any):
        self._model, self._schedule, self._key = model, schedule, key
        self._draws = generator(key)
        self._data = by_cluster(model.design)
        self._members = np.setdiff1d(np.arange(len(model.design.groups)), schedule.held_back)
        self._step, self._loss = jax.jit(self._stepped), jax.jit(self._loss_of)

    def begin(self, network: Any) -> Weights:
        """Starting values."""
        model = self._model
        found = output_of(model.apply, network, _rows_of(model.inputs, slice(0, 2)))
        last = 0.1 * jax.random.normal(self._key, found.shape[1:]) / np.sqrt(max(1, found.size // 2))
        theta = jax.jit(lambda buckets: starting_values(model.problem, buckets).theta)(model.design.clusters.buckets)
        self.weights = Weights(network, last.astype(theta.dtype), theta)
        self._memory = self._schedule.optimizer.init(self.weights)
        return self.weights

    def epoch(self, number: int) -> tuple[np.ndarray, int]:
        """One pass over the data: the loss of every batch, and how many steps were not taken."""
        losses, keys = [], jax.random.fold_in(self._key, number)
        for k, part in enumerate(self._batches(self._draws, self._members)):
            self.weights, self._memory, loss = self._step(self.weights, self._memory, part, jax.random.fold_in(keys, k))
            losses.append(loss)
        found = np.array(jax.device_get(losses))
        return found, int((~np.isfinite(found)).sum())

    def validation_loss(self) -> float | None:
        """The mean loss of the clusters that are held back, a cluster."""
        held_back = self._schedule.held_back
        if not len(held_back):
            return None
        losses = [self._loss(self.weights, part) for part in self._batches(np.random.default_rng(0), held_back)]  # the same at every epoch
        return _mean(np.array(jax.device_get(losses)))

    def _batches(self, draws: np.random.Generator, members: np.ndarray) -> Iterator[_Part]:
        size = min(self._schedule.batch, len(members))
        for batch in batches_of(self._data, size, draws, members):
            inputs, weight, mesh = (
                _rows_of(self._model.inputs, batch.rows),
                np.float32(total_weight(batch.clusters.buckets)),
                self._schedule.mesh,
            )
            yield _Part(batch, inputs, weight) if mesh is None else _Part(share_out(batch, inputs, mesh), (), weight)

    def _loss_of(self, weights: Weights, part: _Part, *key: Any) -> Array:
        """Negative log-likelihood of a batch, a cluster."""
        return self._summed(self._loss_of_share, weights, part, key) / part.weight

    def _loss_and_slopes(self, weights: Weights, part: _Part, key: Any) -> tuple[Array, Weights]:
        """The same with its derivatives, which each device takes of its own share."""
        found = self._summed(jax.value_and_grad(self._loss_of_share), weights, part, (key,))
        return jax.tree.map(lambda leaf: (leaf / part.weight).astype(leaf.dtype), found)

    def _summed(self, function: Callable[..., Any], weights: Weights, part: _Part, key: tuple[Any, ...]) -> Any:
        """``function`` of a batch, or its sum over the shares of devices, which draw by keys of their own."""
        if isinstance(part.batch, ClusterBatch):
            return function(weights, part.batch, part.inputs, *key)
        assert self._schedule.mesh is not None

        def of_share(shared: Any, batch: ClusterBatch, inputs: Any, number: Array) -> Any:
            weights, key = shared
            return function(weights, batch, inputs, *(jax.random.fold_in(one, number) for one in key))

        return sum_of_shares(of_share, self._schedule.mesh, (weights, key), part.batch)

    def _loss_of_share(self, weights: Weights, batch: ClusterBatch, inputs: Any, *key: Any) -> Array:
        model = self._model
        is_training = bool(key) and model.apply_training is not None
        apply: Any = model.apply_training if is_training else model.apply
        found = output_of(apply, weights.network, inputs, *(key if is_training else ()))
        if found.shape[1:] != weights.last.shape:
            raise ArgumentError(f"apply_training gives rows of shape {found.shape[1:]}, and apply {weights.last.shape}; both must be one.")
        values = found @ weights.last.astype(found.dtype) if weights.last.ndim else found
        params = model.problem.layout.params(weights.theta)
        return marginal_loss(values, params, batch, model.problem.family, model.n_agq)

    def _stepped(self, weights: Weights, memory: Any, part: _Part, key: Any) -> tuple[Weights, Any, Array]:
        """One step; where something is not finite, the same weights and a loss that is not a number."""
        loss, slopes = self._loss_and_slopes(weights, part, key)
        # a line search takes the value at other weights as well
        value_fn = lambda moved: self._loss_of(moved, part, key)  # noqa: E731
        changes, after = self._schedule.optimizer.update(slopes, memory, weights, value=loss, grad=slopes, value_fn=value_fn)
        moved = jax.tree.map(lambda value, change: (value + change).astype(value.dtype), weights, changes)
        is_finite = jnp.isfinite(loss) & jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(moved)]).all()
        kept = jax.tree.map(lambda new, old: jnp.where(is_finite, new, old), (moved, after), (weights, memory))
        return *kept, jnp.where(is_finite, loss, jnp.nan)


def _rows_of(inputs: Any, rows: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], inputs)


def _mean(losses: np.ndarray) -> float:
    """The mean of those that are finite."""
    finite = losses[np.isfinite(losses)]
    return float(finite.mean()) if len(finite) else float("nan")
