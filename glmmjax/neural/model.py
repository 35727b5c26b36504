"""``NeuralMixedModel``: a network in the place of fixed effects, trained by minibatches, and a certified fit at its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from glmmjax.arguments import COUNT, Having, InstanceOf, Judged, Maybe, Number, Text, Whole, takes
from glmmjax.design import ModelArguments, build_design, caller_namespace
from glmmjax.design.columns.table import as_frame
from glmmjax.devices import resolve_devices
from glmmjax.errors import ArgumentError, ConvergenceWarning, warn_caller
from glmmjax.families import Family
from glmmjax.fitted import problem_of
from glmmjax.likelihood.sharding import plain_mesh
from glmmjax.model import fit_of
from glmmjax.neural.batches import generator, key_of
from glmmjax.neural.columns import network_columns
from glmmjax.neural.network import checked_inputs, checked_weights, evaluated
from glmmjax.neural.result import NeuralFit
from glmmjax.neural.training import Model, Schedule, Trained, train
from glmmjax.options import Options
from glmmjax.progress import Watch
from glmmjax.request import FitRequest
from glmmjax.values import shown

__all__ = ["NeuralMixedModel"]

_DEFAULTS = Options()
_FUNCTION = Having(("__call__",), "a function of a network's weights and inputs")
_FIT = {
    "apply": _FUNCTION,
    "init_params": Judged("a pytree of arrays"),
    "data": Judged("a pandas DataFrame, or a dict of columns"),
    "inputs": Judged("an array, or a pytree of arrays, with a row for each row of data"),
    "optimizer": Judged("None, or an optax GradientTransformation such as optax.adam(1e-3)"),
    "epochs": COUNT,
    "batch": Whole(1, why=" clusters"),
    "validation": Number(-1e-300, 1.0, "a share of the clusters, at least 0 and below 1"),
    "early_stopping": Whole(1, why=" epochs"),
    "apply_training": Maybe(_FUNCTION),
    "devices": Judged("None, the name or number of devices, or a list of them"),
    "key": Judged("a key such as jax.random.key(0), or a whole number"),
    "progress": Judged("True, False, or a function of one record"),
}


@dataclasses.dataclass(frozen=True)
class NeuralMixedModel:
    r"""A generalized linear mixed model whose fixed part has a network: :math:`\eta = x'\beta + f(\text{inputs}) + z' b`.

    Training maximises the marginal likelihood, with the random effects integrated out, by minibatches of whole clusters. At its end the
    network is held, and everything else is estimated as ``mixed_model`` does it: with the same certificate, and standard errors that take
    the network as known.

    Parameters
    ----------
    fixed : outcome and ordinary fixed effects, ``"y ~ 1"``; as in ``mixed_model``.
    random : random effects and cluster variable, ``"~ 1 | id"``.
    family : as in ``mixed_model``.
    covariance, n_agq, options : as in ``mixed_model``, for the fit at the end.
    n_agq_training : quadrature points per random effect in training.

    Raises
    ------
    ArgumentError
        For an argument of another type; formulas and family are judged with the data, by ``fit``.

    References
    ----------
    Simchoni and Rosset (2023), Journal of Machine Learning Research 24(156).

    Examples
    --------
    >>> import jax, jax.numpy as jnp, optax
    >>> data = gj.datasets.load_intro_binomial()
    >>> inputs = data[["time"]].to_numpy() / 10
    >>> weights = {"in": jax.random.normal(jax.random.key(0), (1, 8)), "out": jnp.zeros(8)}
    >>> apply = lambda weights, inputs: jnp.tanh(inputs @ weights["in"]) @ weights["out"]
    >>> model = gj.NeuralMixedModel("y ~ sex", "~ 1 | id", "binomial")
    >>> fit = model.fit(apply, weights, data, inputs, optimizer=optax.adam(0.02), epochs=3, batch=25)
    >>> fit.mixed_model.converged, len(fit.history)
    (True, 3)
    """

    fixed: str
    random: str
    family: str | Family
    covariance: str | None = None
    n_agq: int | str | None = None
    n_agq_training: int = 7
    options: Options = _DEFAULTS

    def __post_init__(self) -> None:
        Text("outcome and fixed effects, such as 'y ~ 1'").check("fixed", self.fixed)
        Text("random effects and cluster variable, such as '~ 1 | id'").check("random", self.random)
        InstanceOf(Options, "a glmmjax.Options").check("options", self.options)
        Whole(1, 200).check("n_agq_training", self.n_agq_training)

    @takes(**_FIT)
    def fit(
        self,
        apply: Callable[[Any, Any], Any],
        init_params: Any,
        data: Any,
        inputs: Any,
        *,
        optimizer: Any = None,
        epochs: int = 20,
        batch: int = 256,
        validation: float = 0.1,
        early_stopping: int = 5,
        apply_training: Callable[[Any, Any, Any], Any] | None = None,
        devices: Any = None,
        key: Any = 0,
        progress: Any = False,
    ) -> NeuralFit:
        """Train the network, then fit the rest.

        Parameters
        ----------
        apply : ``apply(network, inputs)`` with inputs of k rows gives (k,) values, which are added to the linear predictor, or (k, d)
            features, whose coefficients (the last linear layer) are trained too and estimated at the end. A function of its own, the
            ``apply`` of a Flax module, or a function that calls an Equinox module.
        init_params : weights of the network at the beginning, a pytree of arrays.
        data : DataFrame, or a dict of columns, with the columns of the formulas. Rows with a missing value are dropped.
        inputs : an array, or a pytree of arrays, with a row for each row of ``data``.
        optimizer : any optax ``GradientTransformation``; ``optax.adam(1e-3)`` when not given. It moves the network, its last layer, and the
            free vector of the model.
        epochs : passes over the data, at most.
        batch : clusters of a batch.
        validation : share of the clusters that are held back, to tell when to stop and which epoch was best. 0 holds back none.
        early_stopping : epochs without a lower loss on these clusters, after which training ends.
        apply_training : ``apply(network, inputs, key)`` for training alone, with dropout and its kin.
        devices : as in ``mixed_model``, for training and for the fit at the end. Several devices share the clusters of every batch; the
            losses are those of one device, but for dropout, which each draws by a key of its own.
        key : a key of ``jax.random``, or a whole number. The same key gives the same fit.
        progress : as in ``mixed_model``; a function gets a ``TrainingProgress`` after each epoch.

        Returns
        -------
        NeuralFit
            The network, and an ordinary fit of everything else.

        Raises
        ------
        ArgumentError
            For inputs of another length or not finite, a batch that is larger than the data, an optimizer that is none, and a network that
            gives another shape.
        FormulaError, OutcomeError, DesignError
            As ``mixed_model``.

        Warns
        -----
        ConvergenceWarning
            When steps were not finite and were left out, and where the fit at the end has no certificate.

        Examples
        --------
        >>> import numpy as np
        >>> data = gj.datasets.load_intro_binomial()
        >>> inputs = data[["time"]].to_numpy("float32")
        >>> features = lambda weights, x: jnp.concatenate([x, x**2], axis=1) * weights["scale"]
        >>> import jax.numpy as jnp
        >>> model, weights = gj.NeuralMixedModel("y ~ sex", "~ 1 | id", "binomial"), {"scale": np.full(2, 0.1, "float32")}
        >>> fit = model.fit(features, weights, data, inputs, epochs=2, batch=25)
        >>> fit.mixed_model.fe_params.index.to_list()
        ['Intercept', 'sex[T.female]', 'network_1', 'network_2']
        """
        namespace = caller_namespace()
        frame = as_frame(data).reset_index(drop=True)
        chosen, optimizer, mesh = checked_inputs(inputs, len(frame)), _optimizer(optimizer), resolve_devices(devices)
        design = build_design(ModelArguments(self.fixed, self.random, frame, self.family, covariance=self.covariance), namespace)
        problem, used = problem_of(design, None), np.asarray(design.row_labels)
        own = Model(apply, apply_training, problem, design, jax.tree.map(lambda leaf: leaf[used], chosen), self.n_agq_training)
        key = key_of(key)
        held_back = _held_back(len(design.groups), validation, batch, key)
        with Watch(progress) as watch:
            schedule = Schedule(optimizer, epochs, batch, held_back, early_stopping, None if mesh is None else plain_mesh(mesh))
            found = train(own, schedule, checked_weights(init_params), key, watch)
        _tell(found)
        network = jax.tree.map(np.asarray, found.weights.network)
        values = evaluated(apply, network, chosen)
        if not np.isfinite(values[used]).all():
            raise ArgumentError("apply gives values that are not finite for some rows; take a smaller learning rate, or bound its output.")
        columns = network_columns(frame, design, values[used])
        request = FitRequest(
            fixed=columns.formula(self.fixed), random=self.random, data=columns.added(frame, values), family=self.family,
            offset=columns.offset, covariance=self.covariance, n_agq=self.n_agq, options=self.options, devices=devices,
        )  # fmt: skip
        return NeuralFit(network, fit_of(request, namespace), found.history, columns, apply)


def _optimizer(optimizer: Any) -> Any:
    """The optimizer, checked; Adam when there is none.

    Raises
    ------
    ArgumentError
    """
    import optax

    if optimizer is None:
        optimizer = optax.adam(1e-3)
    if isinstance(optimizer, type) or not (callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))):
        raise ArgumentError(f"optimizer={shown(optimizer)} must be an optax GradientTransformation, such as optax.adam(1e-3).")
    return optax.with_extra_args_support(optimizer)


def _held_back(m: int, validation: float, batch: int, key: Any) -> np.ndarray:
    """Numbers of the clusters of ``m`` that are not trained on.

    Raises
    ------
    ArgumentError
        When too few are left.
    """
    n = int(np.ceil(validation * m)) if validation > 0 else 0
    if batch > m - n:
        less = f", of which validation={validation} holds back {n}" if n else ""
        raise ArgumentError(
            f"batch={shown(batch)} is more than the clusters to train on: the data have {m}{less}; take at most {max(1, m - n)}."
        )
    return np.sort(generator(jax.random.fold_in(key, 1)).permutation(m)[:n])


def _tell(found: Trained) -> None:
    held = [epoch.validation_loss for epoch in found.history if epoch.validation_loss is not None]
    if held and not np.isfinite(held).any():
        warn_caller("the loss of the clusters held back was finite in no epoch; the network is that before training.", ConvergenceWarning)
    lost = sum(epoch.n_skipped for epoch in found.history)
    if lost:
        text = (
            f"{lost} steps of the training had a loss or a gradient that is not finite and were left out. "
            "Try a smaller learning rate, optax.clip_by_global_norm(1.0), or inputs of size 1."
        )
        warn_caller(text, ConvergenceWarning)
