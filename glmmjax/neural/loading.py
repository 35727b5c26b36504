"""``load_neural``: a trained network and its mixed model from the folder that ``NeuralFit.save`` wrote."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from glmmjax.arguments import FOLDER, Having, InstanceOf, Judged, Maybe, OneOf, takes
from glmmjax.design import caller_namespace
from glmmjax.families import Family
from glmmjax.model import refit
from glmmjax.neural.files import MODEL_FILE, read_network
from glmmjax.neural.result import NeuralFit
from glmmjax.results import MixedModelResults
from glmmjax.storage import OwnParts, read_fit

__all__ = ["load_neural"]


@takes(
    folder=FOLDER,
    apply=Having(("__call__",), "a function of a network's weights and inputs"),
    init_params=Judged("a pytree of arrays"),
    family=Maybe(InstanceOf(Family, "a family object")),
    trust=OneOf(True, False),
)
def load_neural(
    folder: str | os.PathLike[str],
    apply: Callable[[Any, Any], Any],
    init_params: Any,
    *,
    family: Family | None = None,
    trust: bool = False,
) -> NeuralFit:
    """The fit that ``NeuralFit.save(folder)`` wrote: the same numbers to the bit.

    The files hold text and numbers, and nothing in them is run.

    Parameters
    ----------
    folder : that ``save`` was given.
    apply : the function of the network, which no file can hold; the one of ``fit``.
    init_params : weights of any values in the structure of the network, such as those that the fit began with.
    family, trust : as in ``load``.

    Returns
    -------
    NeuralFit
        The fit.

    Raises
    ------
    StorageError
        For a file that is damaged, and for a mixed model that was not saved with this network.
    ArgumentError
        For a folder without these files, and ``init_params`` of another structure.
    FormulaError, DesignError
        As ``load``.

    Examples
    --------
    >>> import numpy as np
    >>> data = gj.datasets.load_intro_binomial()
    >>> inputs = data[["time"]].to_numpy("float32")
    >>> apply, weights = lambda weights, x: x @ weights["slope"], {"slope": np.zeros(1, "float32")}
    >>> fit = gj.NeuralMixedModel("y ~ sex", "~ 1 | id", "binomial").fit(apply, weights, data, inputs, epochs=2, batch=25)
    >>> fit.save("trained")
    >>> again = gj.load_neural("trained", apply, weights)
    >>> bool((again.network_output(inputs) == fit.network_output(inputs)).all())
    True
    """
    place = Path(folder)
    saved = read_network(place, init_params)
    with jax.enable_x64(True):
        fitted = read_fit(place / MODEL_FILE, OwnParts(family, None), caller_namespace() if trust else None)
    return NeuralFit(saved.network, MixedModelResults(fitted, refit), saved.history, saved.columns, apply)
