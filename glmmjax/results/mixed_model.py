"""``MixedModelResults``: all methods of a fit, from one base class a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from glmmjax.arguments import Maybe, Text, takes
from glmmjax.fitted import FittedModel
from glmmjax.other_names import missing_attribute
from glmmjax.results.checking import Checking
from glmmjax.results.dynamic_plot import DynamicPlot
from glmmjax.results.estimates import Estimates
from glmmjax.results.exchange import Exchange
from glmmjax.results.inference import Inference
from glmmjax.results.population import Population
from glmmjax.results.prediction import Prediction
from glmmjax.results.refitting import Refitting
from glmmjax.results.uncertainty import Uncertainty
from glmmjax.results.variance_shares import VarianceShares
from glmmjax.tables import summary as tables

__all__ = ["MixedModelResults"]


class MixedModelResults(
    Estimates, Uncertainty, Inference, Prediction, Population, VarianceShares, Checking, Refitting, Exchange, DynamicPlot
):
    """A fitted mixed model, as ``mixed_model`` returns it.

    The examples of its methods assume ``import glmmjax as gj``. All of them fit the same model, which is compiled once.

    Parameters
    ----------
    fitted : the record of the fit. Everything below is computed from it, when it is asked for.
    refit : function of a ``FittedModel`` and changed keywords, for ``update``.
    """

    def __init__(self, fitted: FittedModel, refit: Callable[[FittedModel, Mapping[str, Any]], MixedModelResults]):
        self.fitted_model = fitted
        self._refit = refit

    @takes(fixed=Maybe(Text("a formula such as 'y ~ x'")))
    def update(self, fixed: str | None = None, **changes: Any) -> MixedModelResults:
        """Refit with changed keywords of ``mixed_model``. The search starts at these estimates when the parameters stay the same.

        Parameters
        ----------
        fixed : the new formula of the fixed effects; None keeps it. In ``". ~ . - x"`` a dot stands for its side of this one, as in R.
        **changes : other keywords of ``mixed_model`` with their new values, such as ``n_agq=21``; all others stay as they were.

        Returns
        -------
        MixedModelResults
            The new fit; this one stays as it is.

        Raises
        ------
        ArgumentError
            For a keyword that ``mixed_model`` does not have.
        ArgumentError, FormulaError, DesignError, OutcomeError
            As ``mixed_model`` raises them.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.update("y ~ sex + time")
        <MixedModelResults: binomial(logit), y ~ sex + time, ~ 1 | id; 800 rows in 100 clusters, log-likelihood -374.7909, converged>
        """
        return self._refit(self.fitted_model, changes if fixed is None else {"fixed": fixed, **changes})

    if not TYPE_CHECKING:  # a type checker knows the names itself

        def __getattr__(self, name: str) -> Any:  # for names that are not found
            raise missing_attribute(self, name)

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return tables.one_line(self.fitted_model)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
