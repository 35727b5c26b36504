"""``NeuralFit``: what ``NeuralMixedModel.fit`` gives."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from glmmjax.arguments import FOLDER, Judged, Text, takes
from glmmjax.design.columns.table import as_frame
from glmmjax.design.new_rows import cluster_rows, read_new_rows
from glmmjax.errors import ArgumentError
from glmmjax.likelihood.clusters import total_weight
from glmmjax.likelihood.marginal import log_likelihood
from glmmjax.neural.columns import NetworkColumns
from glmmjax.neural.files import MODEL_FILE, SavedNetwork, folder_for, write_network
from glmmjax.neural.network import checked_inputs, evaluated
from glmmjax.progress_records import TrainingProgress
from glmmjax.results import MixedModelResults

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NeuralFit"]

_ROWS = {"newdata": Judged("a pandas DataFrame, or a dict of columns"), "inputs": Judged("an array with a row for each row of newdata")}


@dataclasses.dataclass(frozen=True, eq=False)
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

    @takes(inputs=Judged("an array, or a pytree of arrays, with n rows"))
    def network_output(self, inputs: Any) -> np.ndarray:
        """What the network gives for rows of inputs.

        Parameters
        ----------
        inputs : of the network, an array or a pytree of arrays with n rows.

        Returns
        -------
        ndarray
            (n,) values on the scale of the linear predictor, or (n, d) features.

        Raises
        ------
        ArgumentError
            For inputs that are no arrays, or not finite.

        Examples
        --------
        >>> import numpy as np
        >>> data = gj.datasets.load_intro_binomial()
        >>> inputs = data[["time"]].to_numpy("float32")
        >>> model, weights = gj.NeuralMixedModel("y ~ sex", "~ 1 | id", "binomial"), {"slope": np.zeros(1, "float32")}
        >>> fit = model.fit(lambda weights, x: x @ weights["slope"], weights, data, inputs, epochs=2, batch=25)
        >>> fit.network_output(inputs[:3]).shape
        (3,)
        """
        return evaluated(self.apply, self.network, checked_inputs(inputs))

    @takes(**_ROWS, kind=Text("a kind of prediction, such as 'marginal'"))
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

        Examples
        --------
        >>> import numpy as np
        >>> data = gj.datasets.load_intro_binomial()
        >>> inputs = data[["time"]].to_numpy("float32")
        >>> model, weights = gj.NeuralMixedModel("y ~ sex", "~ 1 | id", "binomial"), {"slope": np.zeros(1, "float32")}
        >>> fit = model.fit(lambda weights, x: x @ weights["slope"], weights, data, inputs, epochs=2, batch=25)
        >>> fit.predict(data.head(3), inputs[:3]).shape
        (3,)
        """
        return self.mixed_model.predict(self._with_network(newdata, inputs), kind=kind, **arguments)

    @takes(**_ROWS)
    def score(self, newdata: Any, inputs: Any) -> float:
        r"""Log marginal likelihood of new clusters with outcomes, a cluster: the higher the better.

        .. math:: \frac1m \sum_i \log \int \prod_j p(y_{ij} \mid x_{ij}'\beta + f_{ij} + z_{ij}' L u)\, N(u; 0, I)\, du

        Parameters
        ----------
        newdata : table with the columns of the formulas, outcomes among them. Rows with a missing value are left out. Every cluster is
            taken for a new one.
        inputs : of the network, with a row for each of its rows.

        Returns
        -------
        float
            Mean over the m clusters.

        Raises
        ------
        ArgumentError, DesignError, FormulaError, OutcomeError
            For rows that lack a column or have an outcome that the family cannot have produced, and where no row is complete.

        Examples
        --------
        >>> import numpy as np
        >>> data = gj.datasets.load_intro_binomial()
        >>> inputs = data[["time"]].to_numpy("float32")
        >>> model, weights = gj.NeuralMixedModel("y ~ sex", "~ 1 | id", "binomial"), {"slope": np.zeros(1, "float32")}
        >>> fit = model.fit(lambda weights, x: x @ weights["slope"], weights, data, inputs, epochs=2, batch=25)
        >>> score = fit.score(data, inputs)
        >>> score < 0
        True
        """
        fitted = self.mixed_model.fitted_model
        rows = read_new_rows(fitted.design, self._with_network(newdata, inputs), with_outcome=True, with_groups=True)
        if not rows.is_complete.any():
            raise ArgumentError(f"newdata has a missing value in each of its {len(rows.is_complete)} rows; there is nothing to score.")
        with jax.enable_x64(True):
            clusters = cluster_rows(rows, fitted.options, fitted.design)
            return float(log_likelihood(fitted.params, clusters, fitted.design.family, fitted.n_agq)) / total_weight(clusters.buckets)

    @takes(folder=FOLDER)
    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the weights of the network and the mixed model into a folder, which is made where there is none.

        ``gj.load_neural`` reads both; ``mixed_model.glmmjax`` alone is what ``gj.load`` reads.

        Parameters
        ----------
        folder : path of the folder; files of these names in it are replaced.

        Raises
        ------
        StorageError
            Where it cannot be written.

        Examples
        --------
        >>> import numpy as np
        >>> data = gj.datasets.load_intro_binomial()
        >>> inputs = data[["time"]].to_numpy("float32")
        >>> model, weights = gj.NeuralMixedModel("y ~ sex", "~ 1 | id", "binomial"), {"slope": np.zeros(1, "float32")}
        >>> fit = model.fit(lambda weights, x: x @ weights["slope"], weights, data, inputs, epochs=2, batch=25)
        >>> fit.save("network")
        >>> gj.load("network/mixed_model.glmmjax").llf == fit.mixed_model.llf
        True
        """
        place = folder_for(folder)
        self.mixed_model.save(place / MODEL_FILE)
        write_network(place, SavedNetwork(self.network, self.columns, self.history))

    def _with_network(self, newdata: Any, inputs: Any) -> pd.DataFrame:
        frame = as_frame(newdata, "newdata")
        return self.columns.added(frame, evaluated(self.apply, self.network, checked_inputs(inputs, len(frame))))
