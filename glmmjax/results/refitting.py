"""Refits: influence of clusters, bootstrap."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from glmmjax.fitted import FittedModel
from glmmjax.plots import refitting as plots
from glmmjax.postfit.refitting import bootstrap as bootstraps
from glmmjax.postfit.refitting.influence import Influence
from glmmjax.tables import refitting as tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["BootstrapResults", "InfluenceResults", "Refitting"]


class BootstrapResults:
    """Refits to bootstrap data sets, as ``fit.bootstrap`` returns them; ``bootstrap`` holds the plain numbers."""

    def __init__(self, fitted: FittedModel, bootstrap: bootstraps.Bootstrap):
        self.fitted_model = fitted
        self.bootstrap = bootstrap

    @property
    def params(self) -> pd.DataFrame:
        """Estimates of every refit, one row a data set: coefficients, standard deviations, correlations and extra parameters."""
        return tables.bootstrap_parameter_frame(self.fitted_model, self.bootstrap)

    @property
    def converged(self) -> pd.Series:
        """Which refits are certified maxima. The others are in ``params`` where they ended, and not in ``conf_int``."""
        return tables.bootstrap_converged_series(self.bootstrap)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Estimates of the fit, bootstrap standard errors and percentile intervals, from the refits that converged."""
        return tables.bootstrap_interval_frame(self.fitted_model, self.bootstrap, level)

    def __repr__(self) -> str:
        return tables.bootstrap_text(self.bootstrap)


class InfluenceResults:
    """How much each cluster moves the estimates, as ``fit.influence`` returns it: one set of refits serves all of its methods."""

    def __init__(self, influence: Influence):
        self.record = influence

    def cooks_distance(self, method: str = "refit", part: str = "fixed", scaled: bool = False) -> pd.Series:
        """See ``fit.cooks_distance``."""
        return tables.cooks_series(self.record, method, part, scaled)

    def dfbetas(self, method: str = "refit") -> pd.DataFrame:
        """See ``fit.dfbetas``."""
        return tables.dfbetas_frame(self.record, method)

    def leave_cluster_out_score(self) -> pd.Series:
        """See ``fit.leave_cluster_out_score``."""
        return tables.leave_cluster_out_series(self.record)

    def plot(self, ax: Axes | None = None, method: str = "refit", part: str = "fixed", scaled: bool = False, n_labels: int = 5) -> Axes:
        """See ``fit.plot_influence``."""
        return plots.plot_influence(self.record, ax, method, part, scaled, n_labels)


class Refitting:
    """What changes when the data change."""

    fitted_model: FittedModel

    @functools.cached_property
    def _influence(self) -> InfluenceResults:
        return InfluenceResults(Influence(self.fitted_model))

    def influence(self) -> InfluenceResults:
        """How much each cluster moves the estimates.

        Returns
        -------
        InfluenceResults
            ``.cooks_distance()``, ``.dfbetas()``, ``.leave_cluster_out_score()``, ``.plot()``, which share the refits without each cluster.
            They are made when a method first needs them, and kept as long as this fit.
        """
        return self._influence

    def cooks_distance(self, method: str = "refit", part: str = "fixed", scaled: bool = False) -> pd.Series:
        r"""Cook's distance of every cluster: how far the coefficients move when it is left out.

        .. math:: (\hat\beta - \hat\beta_{(i)})' V^{-1} (\hat\beta - \hat\beta_{(i)})

        Parameters
        ----------
        method : ``"refit"`` maximises the likelihood without each cluster (kept for later calls); ``"one_step"`` takes one Newton step
            towards that from the cluster's score and Hessian at the estimates.
        part : ``"fixed"``, ``"zero"`` for the coefficients of the zero part, ``"dispersion"``. V is their covariance in this fit.
        scaled : divide by the number of coefficients.

        Returns
        -------
        Series by cluster label. A cluster is left out with its whole weight. NaN, with a ``ConvergenceWarning``, for a cluster without
        which the model has no maximum.

        Raises
        ------
        ArgumentError
            For another argument; for a fit without certificate, or of one cluster.
        RowsNotKeptError
            For a streamed fit.
        """
        return self.influence().cooks_distance(method, part, scaled)

    def dfbetas(self, method: str = "refit") -> pd.DataFrame:
        """Change of every parameter when a cluster is left out, in standard errors of this fit: (all clusters - without it) / se.

        One row a cluster; columns are the coefficients, standard deviations and correlations of the random effects, extra parameters on
        their natural scale, then the zero part (``zi_``) and the dispersion (``dispersion_``). At a singular D its standard
        deviations and correlations have no standard error, and their columns are NaN. Arguments and errors as ``cooks_distance``.
        """
        return self.influence().dfbetas(method)

    def leave_cluster_out_score(self) -> pd.Series:
        """Log marginal likelihood of every cluster at the estimates without it, times its weight; Series by cluster label.

        ``.sum()`` is the log score of leave-one-cluster-out cross-validation: of models for the same outcomes the one with the largest
        sum predicts new clusters best. NaN and errors as ``cooks_distance``; the refits are shared with it.
        """
        return self.influence().leave_cluster_out_score()

    def plot_influence(
        self, ax: Axes | None = None, method: str = "refit", part: str = "fixed", scaled: bool = False, n_labels: int = 5
    ) -> Axes:
        """Cook's distances by cluster, the ``n_labels`` largest with their labels; returns the Axes. Arguments as ``cooks_distance``."""
        return self.influence().plot(ax, method, part, scaled, n_labels)

    def bootstrap(self, n: int = 1000, kind: str = "parametric", seed: int = 0) -> BootstrapResults:
        """Refit the model to ``n`` bootstrap data sets, from its estimates.

        Parameters
        ----------
        n : data sets.
        kind : ``"parametric"`` draws random effects from N(0, D) and outcomes from the family, with the covariates, offsets, trials and
            weights as they are; ``"cluster"`` draws whole clusters with replacement, which does not rest on the model within clusters.
        seed : whole number >= 0; the same one gives the same data sets.

        Returns
        -------
        ``BootstrapResults``: ``.params``, ``.converged``, ``.conf_int(level)``.

        Raises
        ------
        ArgumentError
            For another argument, a fit without certificate, a family that cannot be simulated from, or clusters drawn from only one.
        RowsNotKeptError
            For a streamed fit.
        """
        return BootstrapResults(self.fitted_model, bootstraps.bootstrap(self.fitted_model, n, kind, seed))
