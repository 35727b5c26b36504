"""``NeuralFit``: what ``NeuralMixedModel.fit`` gives."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from glmmjax.arguments import FOLDER, Judged, takes
from glmmjax.design.columns.table import as_frame
from glmmjax.design.new_rows import cluster_rows, read_new_rows
from glmmjax.errors import StorageError
from glmmjax.likelihood.clusters import total_weight
from glmmjax.likelihood.marginal import log_likelihood
from glmmjax.neural.columns import NetworkColumns
from glmmjax.neural.training import checked_inputs, evaluated
from glmmjax.progress import TrainingProgress
from glmmjax.results import MixedModelResults

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NeuralFit"]

_ROWS = {"newdata": Judged("a pandas DataFrame, or a dict of columns"), "inputs": Judged("an array with a row for each row of newdata")}
_NETWORK, _MODEL = "network.npz", "mixed_model.glmmjax"


@dataclasses.dataclass(frozen=True)
class NeuralFit:
    """A trained network with the mixed model around it.

    Attributes
    ----------
    network : pytree of NumPy arrays, weights of the network
    mixed_model : the ordinary fit with the network held: its output is the offset ``network``, or features ``network_1``, ... among the
        fixed effects. ``summary``, intervals, plots and everything else are asked of it. Standard errors take the network as known.
    history : a record of every epoch
    columns : names of the columns in which the mixed model finds the output of the network
    apply : the function of the network
    """

    network: Any
    mixed_model: MixedModelResults
    history: tuple[TrainingProgress, ...]
    columns: NetworkColumns
    apply: Callable[[Any, Any], Any]

    def __repr__(self) -> str:
        return f"<NeuralFit: {len(self.history)} epochs; {self.mixed_model!r}>"

    @property
    def random_effects(self) -> pd.DataFrame:
        """Conditional modes of the random effects, a row a cluster."""
        return self.mixed_model.random_effects

    def network_output(self, inputs: Any) -> np.ndarray:
        """(n,) values or (n, d) features of the rows of ``inputs``."""
        first = np.asarray(jax.tree.leaves(inputs)[0])
        return evaluated(self.apply, self.network, checked_inputs(inputs, len(first)))

    @takes(**_ROWS)
    def predict(self, newdata: Any, inputs: Any, kind: str = "marginal", **arguments: Any) -> pd.Series | pd.DataFrame:
        """Predictions for new rows.

        Parameters
        ----------
        newdata : table with the columns of the formulas.
        inputs : of the network, with a row for each of its rows.
        kind : ``"marginal"`` is the mean over the population, for new clusters; ``"subject_specific"`` takes the random effects of the
            clusters, known ones by their labels; ``"mean_subject"`` is the subject whose random effects are 0.
        **arguments : ``scale``, ``interval`` and more of ``MixedModelResults.predict``.

        Returns
        -------
        Series or DataFrame
            One prediction a row.

        Raises
        ------
        ArgumentError, DesignError, FormulaError, OutcomeError
            As ``MixedModelResults.predict``, and for inputs of another length.
        """
        return self.mixed_model.predict(self._with_network(newdata, inputs), kind=kind, **arguments)

    @takes(**_ROWS)
    def score(self, newdata: Any, inputs: Any) -> float:
        """Log marginal likelihood of new clusters with outcomes, a cluster: the higher the better.

        Raises
        ------
        ArgumentError, DesignError, FormulaError, OutcomeError
            For rows that lack a column or have an outcome that the family cannot have produced.
        """
        fitted = self.mixed_model.fitted_model
        rows = read_new_rows(fitted.design, self._with_network(newdata, inputs), with_outcome=True, with_groups=True)
        with jax.enable_x64(True):
            clusters = cluster_rows(rows, fitted.options, fitted.design)
            return float(log_likelihood(fitted.params, clusters, fitted.design.family, fitted.n_agq)) / total_weight(clusters.buckets)

    @takes(folder=FOLDER)
    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the arrays of the network and the mixed model into a folder, which is made where there is none.

        Raises
        ------
        StorageError
            Where it cannot be written.
        """
        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
            np.savez(place / _NETWORK, *jax.tree.leaves(self.network))
        except OSError as error:
            raise StorageError(f"the folder {str(place)!r} cannot be written: {error}.") from error
        self.mixed_model.save(place / _MODEL)

    def _with_network(self, newdata: Any, inputs: Any) -> pd.DataFrame:
        frame = as_frame(newdata, "newdata")
        return self.columns.added(frame, evaluated(self.apply, self.network, checked_inputs(inputs, len(frame))))
