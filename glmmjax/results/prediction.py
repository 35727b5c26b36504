"""Random effects, predictions, fitted values and residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.fitted import FittedModel
from glmmjax.plots import prediction as plots
from glmmjax.postfit.prediction.predict import IntervalSettings
from glmmjax.tables import frames
from glmmjax.tables import prediction as tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Prediction"]


class Prediction:
    """What the model says of clusters and of rows, old and new."""

    fitted_model: FittedModel

    @property
    def random_effects(self) -> pd.DataFrame:
        """Conditional modes of the random effects given the data, one row a cluster."""
        return frames.random_effects_frame(self.fitted_model)

    @property
    def random_effects_cov(self) -> pd.DataFrame:
        """Conditional covariances of the random effects at the estimates, one row a cluster, columns (effect, with)."""
        return frames.random_effects_covariance_frame(self.fitted_model)

    def random_effects_table(self, kind: str = "mode", level: float = 0.95) -> pd.DataFrame:
        """Random effects of every cluster given its outcomes, with intervals, one row a cluster and effect.

        Parameters
        ----------
        kind : ``"mode"`` for conditional modes with standard errors from the curvature there, as R's ``ranef``; ``"mean"`` for the
            means and standard deviations of their distribution, by quadrature.
        level : of the normal intervals, which are conditional on the estimates: they leave out how sure these are.

        Returns
        -------
        DataFrame with the columns estimate, std_error, lower, upper; index (cluster, effect).

        Raises
        ------
        ArgumentError
            For another ``kind`` or ``level``.
        RowsNotKeptError
            For a fit of a stream.
        """
        return tables.random_effects_table(self.fitted_model, kind, level)

    def cluster_coefs(self) -> pd.DataFrame:
        """Coefficients of every cluster, fixed effect plus conditional mode, as R's ``coef``; those of the zero part begin with ``zi_``."""
        return tables.cluster_coefs_frame(self.fitted_model)

    def plot_random_effects(self, effect: str | None = None, level: float = 0.95, kind: str = "mode", ax: Axes | None = None) -> Axes:
        """Caterpillar plot: one random effect of all clusters in the order of its size, with intervals.

        Parameters
        ----------
        effect : name of the random effect, as in ``random_effects``; the first when not given.
        level, kind : as in ``random_effects_table``.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        The Axes. Intervals that leave out 0 are black with filled marks, the others grey with open ones.

        Raises
        ------
        ArgumentError
            For an ``effect`` that the model does not have, and as ``random_effects_table``.
        """
        return plots.plot_random_effects(self.fitted_model, effect, level, kind, ax)

    def predict(
        self,
        newdata: Any = None,
        newdata2: Any = None,
        kind: str = "mean_subject",
        scale: str = "response",
        interval: float | None = None,
        *,
        interval_for: str = "mean",
        robust: bool | str = False,
        seed: int = 0,
        n_draws: int = 1000,
    ) -> pd.Series | pd.DataFrame:
        r"""Predictions of the rows of a table.

        Parameters
        ----------
        newdata : DataFrame, or dict of columns, with the columns of the formulas; outcomes only where they are needed. None for the rows
            fitted. A row with a missing value in a column that is needed has the prediction NaN.
        newdata2 : rows to predict after a history, for dynamic predictions: with it ``newdata`` is the history, with outcomes, and random
            effects of every cluster, known to the fit or not, are those given the history alone.
        kind : ``"mean_subject"`` is :math:`g^{-1}(x'\beta)`, the subject whose random effects are 0; ``"subject_specific"`` adds the
            conditional modes of the random effects; ``"marginal"`` is the mean over the population, :math:`E_b\, g^{-1}(x'\beta + z'b)`,
            exactly; ``"zero_part"`` and ``"zero_part_subject_specific"`` are probabilities of a structural zero. Means include the zero
            part, and are those of the family. GLMMadaptive's "marginal" is :math:`g^{-1}` of marginal coefficients times x, another number.
        scale : ``"response"``: the mean of the outcome, for ``cbind(successes, failures)`` of the proportion, for ordinal outcomes of the
            code. ``"link"``: the linear predictor; for a marginal mean its link, or its logarithm (logit) where the family's link does not
            take all means to all numbers. ``"probability"``: probabilities of the levels of an ordinal outcome, one column each.
        interval : None, or the level of intervals, such as 0.95.
        interval_for : ``"mean"`` for the quantity predicted, ``"outcome"`` for a new outcome with it (``kind="subject_specific"``), of a
            new subject (``"marginal"``), or of one with random effects 0 (``"mean_subject"``). For ``cbind(successes, failures)`` the
            rows give the number of trials by the sum of both columns, and the interval is that of the proportion.
        robust : covariance of the estimates, as in ``cov_params``.
        seed, n_draws : of the draws behind ``interval_for="outcome"``; the same seed gives the same interval.

        Returns
        -------
        Series in the order of the rows, by their labels; with intervals a DataFrame with the columns prediction, std_error (on the same
        scale), lower, upper; for probabilities of levels a DataFrame with one column, or group of columns, a level.

        Random effects of a cluster: without ``newdata2``, a cluster whose label the fit knows is taken for that cluster, with the random
        effects given the rows fitted, whatever outcomes ``newdata`` has. Any other cluster must bring outcomes in ``newdata``.

        Intervals for a mean are formed on a scale without bounds. Their variance is the variance of the random effects given the outcomes,
        by quadrature, plus that of the estimates, by the delta method (Kass and Steffey 1989, JASA 84, 717-726); they are centred at the
        posterior mean on that scale, so that the prediction, which is at the mode, is not the exact middle. Intervals for an outcome are
        quantiles of draws from the same distribution.

        Raises
        ------
        ArgumentError
            For an argument outside what is allowed, a cluster without outcomes, and an interval where estimates have no covariance.
        DesignError, FormulaError, OutcomeError
            For rows that lack a column, or have a level that the rows fitted do not have.
        RowsNotKeptError
            For a fit of a stream, where its rows are needed.
        """
        settings = None if interval is None else IntervalSettings(interval, interval_for, robust, seed, n_draws)
        return tables.prediction_table(self.fitted_model, newdata, newdata2, kind, scale, settings)

    def fitted(self, kind: str = "mean_subject", scale: str = "response") -> pd.Series | pd.DataFrame:
        """Predictions of the rows fitted, in the caller's order, by their labels; ``kind`` and ``scale`` as in ``predict``."""
        return tables.fitted_table(self.fitted_model, kind, scale)

    def resid(self, kind: str = "raw", at: str = "subject_specific") -> pd.Series:
        """Residuals of the rows fitted, in the caller's order, by their labels.

        Parameters
        ----------
        kind : ``"raw"``, outcome minus mean; ``"pearson"``, divided by the standard deviation of the outcome; ``"deviance"``, the
            signed root of twice the log-likelihood ratio against a mean equal to the outcome, for exponential dispersion models.
        at : mean that it is taken from, a ``kind`` of ``predict``. For ``"marginal"`` Pearson residuals the variance is that of the
            outcome over the population, random effects included.

        Raises
        ------
        ArgumentError
            For another ``kind`` or ``at``, outcomes that may be censored, and families that lack what the residual needs.
        RowsNotKeptError
            For a fit of a stream.
        """
        return tables.residual_series(self.fitted_model, kind, at)
