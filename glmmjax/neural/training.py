"""Steps and epochs of stochastic optimisation of a network and the parameters of the model together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.design import Design
from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.starting_values import starting_values
from glmmjax.likelihood.clusters import total_weight
from glmmjax.neural.batches import ClusterBatch, batches_of, generator
from glmmjax.neural.loss import marginal_loss
from glmmjax.progress import TrainingProgress, Watch

__all__ = ["Model", "Schedule", "Trained", "Weights", "checked_inputs", "evaluated", "output_of", "train"]

_SAME = 0
_EVALUATED = 65_536  # rows of inputs that are evaluated at a time, where no derivative is taken


class Weights(NamedTuple):
    """What is trained.

    Attributes
    ----------
    network : the caller's pytree
    last : (k,) coefficients of the k features of a network that gives these; (0,) of one that gives the predictor itself
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
    """

    optimizer: Any
    epochs: int
    batch: int
    held_back: np.ndarray
    patience: int


class _Part(NamedTuple):
    """What a step takes of the data."""

    batch: ClusterBatch
    inputs: Any  # of its rows
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


def output_of(apply: Callable[..., Any], network: Any, inputs: Any, *key: Any) -> Array:
    """(k,) values or (k, d) features of the rows of ``inputs``.

    Raises
    ------
    ArgumentError
        For a network that gives another shape.
    """
    n = len(jax.tree.leaves(inputs)[0])
    found = jnp.asarray(apply(network, inputs, *key))
    if found.ndim not in (1, 2) or found.shape[0] != n or not jnp.issubdtype(found.dtype, jnp.floating):
        raise ArgumentError(
            f"apply gives {found.dtype}{list(found.shape)} for {n} rows of inputs; it must give floating-point values of shape ({n},), "
            f"added to the linear predictor, or features ({n}, d), whose coefficients are estimated."
        )
    return found


def checked_inputs(inputs: Any, n: int, argument: str = "inputs") -> Any:
    """The inputs of a network as NumPy arrays with ``n`` rows.

    Raises
    ------
    ArgumentError
        For another number of rows, and numbers that are not finite.
    """
    leaves, tree = jax.tree.flatten(inputs)
    arrays = [np.asarray(leaf) for leaf in leaves]
    if not arrays:
        raise ArgumentError(f"{argument} have no array; pass an array, or a pytree of arrays, with a row for each of the {n} rows of data.")
    for array in arrays:
        if array.ndim == 0 or len(array) != n:
            raise ArgumentError(f"{argument} have an array of shape {array.shape}; its first axis must be the {n} rows of the data.")
        if array.dtype.kind not in "fiub":
            raise ArgumentError(f"{argument} have an array of dtype {array.dtype}; a network takes numbers.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array).reshape(n, -1).all(axis=1))[0])
            raise ArgumentError(f"{argument} are not finite in row {row}; drop such rows from data and inputs, or fill them.")
    return jax.tree.unflatten(tree, arrays)


def evaluated(apply: Callable[..., Any], network: Any, inputs: Any) -> np.ndarray:
    """``output_of`` for many rows, a part at a time."""
    n, run = len(jax.tree.leaves(inputs)[0]), jax.jit(lambda network, part: output_of(apply, network, part))
    parts = [run(network, jax.tree.map(lambda leaf: leaf[first : first + _EVALUATED], inputs)) for first in range(0, n, _EVALUATED)]
    return np.concatenate([np.asarray(part, np.float64) for part in parts])


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
        self._members = np.setdiff1d(np.arange(len(model.design.groups)), schedule.held_back)
        self._step, self._loss = jax.jit(self._stepped), jax.jit(self._loss_of)

    def begin(self, network: Any) -> Weights:
        """Starting values."""
        model = self._model
        found = output_of(model.apply, network, _rows_of(model.inputs, slice(0, 2)))
        last = 0.1 * jax.random.normal(self._key, found.shape[1:]) / np.sqrt(max(1, found.size // 2))
        theta = jax.jit(lambda buckets: starting_values(model.problem, buckets).theta)(model.design.clusters.buckets)
        self.weights = Weights(jax.tree.map(jnp.asarray, network), last.astype(theta.dtype), theta)
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
        same = np.random.default_rng(_SAME)  # batches at every epoch
        return _mean(np.array([self._loss(self.weights, part) for part in self._batches(same, held_back)]))

    def _batches(self, draws: np.random.Generator, members: np.ndarray) -> Iterator[_Part]:
        size = min(self._schedule.batch, len(members))
        for batch in batches_of(self._model.design, size, draws, members):
            yield _Part(batch, _rows_of(self._model.inputs, batch.rows), np.float32(total_weight(batch.clusters.buckets)))

    def _loss_of(self, weights: Weights, part: _Part, *key: Any) -> Array:
        """Negative log-likelihood of a batch, a cluster."""
        model = self._model
        apply = model.apply_training if key and model.apply_training is not None else model.apply
        found = output_of(apply, weights.network, part.inputs, *(key if apply is model.apply_training else ()))
        values = found if found.ndim == 1 else found @ weights.last.astype(found.dtype)
        params = model.problem.layout.params(weights.theta)
        return marginal_loss(values, params, part.batch, model.problem.family, model.n_agq) / part.weight

    def _stepped(self, weights: Weights, memory: Any, part: _Part, key: Any) -> tuple[Weights, Any, Array]:
        """One step; where something is not finite, the same weights and a loss that is not a number."""
        loss, slopes = jax.value_and_grad(self._loss_of)(weights, part, key)
        changes, after = self._schedule.optimizer.update(slopes, memory, weights)
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
