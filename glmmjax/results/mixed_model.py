"""``MixedModelResults``: everything that can be asked of a fit, one base class a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from glmmjax.fitted import FittedModel
from glmmjax.results.checking import Checking
from glmmjax.results.estimates import Estimates
from glmmjax.results.exchange import Exchange
from glmmjax.results.inference import Inference
from glmmjax.results.population import Population
from glmmjax.results.prediction import Prediction
from glmmjax.results.refitting import Refitting
from glmmjax.results.uncertainty import Uncertainty
from glmmjax.tables import summary as tables

__all__ = ["MixedModelResults"]


class MixedModelResults(Estimates, Uncertainty, Inference, Prediction, Population, Checking, Refitting, Exchange):
    """A fitted mixed model, as ``mixed_model`` returns it.

    Parameters
    ----------
    fitted : the record of the fit; everything below is computed from it, when asked for.
    refit : function of a ``FittedModel`` and changed keywords, for ``update``.
    """

    def __init__(self, fitted: FittedModel, refit: Callable[[FittedModel, Mapping[str, Any]], MixedModelResults]):
        self.fitted_model = fitted
        self._refit = refit

    def update(self, **changes: Any) -> MixedModelResults:
        """Refit with changed keywords of ``mixed_model``, from these estimates when the parameters are the same."""
        return self._refit(self.fitted_model, changes)

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return tables.one_line(self.fitted_model)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
