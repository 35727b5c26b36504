"""Random effects, predictions, fitted values and residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.arguments import AXES, LEVEL, SEED, TABLE, Container, Maybe, OneOf, Text, Whole, takes
from glmmjax.fitted import FittedModel
from glmmjax.plots import prediction as plots
from glmmjax.postfit.checking.residuals import RESIDUALS, RESIDUALS_AT
from glmmjax.postfit.prediction.predict import KINDS, SCALES, IntervalSettings
from glmmjax.postfit.uncertainty.sandwich import ROBUST
from glmmjax.tables import frames
from glmmjax.tables import prediction as tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Prediction"]

_EFFECT_KIND = OneOf({"mode": "conditional modes", "mean": "posterior means"})


class Prediction:
    """Predictions for clusters and rows, old and new."""

    fitted_model: FittedModel

    @property
    def random_effects(self) -> Any:
        """Conditional modes of the random effects given the data, on the scale of the link: DataFrame (m, q), one row a cluster. Of two
        levels, a dict of those of each.
        """
        return frames.random_effects_frame(self.fitted_model)

    @property
    def random_effects_cov(self) -> Any:
        """Conditional covariances of the random effects at the estimates: DataFrame, one row a cluster, columns (effect, with). Of two
        levels, a dict of those of each.
        """
        return frames.random_effects_covariance_frame(self.fitted_model)

    @takes(kind=_EFFECT_KIND, level=LEVEL)
    def random_effects_table(self, kind: str = "mode", level: float = 0.95) -> pd.DataFrame:
        """Random effects of every cluster given its outcomes, with intervals, one row a cluster and effect.

        Parameters
        ----------
        kind : ``"mode"`` for conditional modes with standard errors from the curvature there, as R's ``ranef``; ``"mean"`` for the
            means and standard deviations of their distribution, by quadrature.
        level : coverage of the normal intervals. They are conditional on the estimates and leave out the uncertainty of these.

        Returns
        -------
        DataFrame
            Columns ``estimate``, ``std_error``, ``lower``, ``upper``, on the scale of the link; index (cluster, effect), or of two levels
            (level, upper cluster, lower cluster, effect).

        Raises
        ------
        ArgumentError
            For another ``kind`` or ``level``.
        RowsNotKeptError
            For a fit of a stream.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.random_effects_table().head(2).round(2)
                      estimate  std_error  lower  upper
        id effect
        1  Intercept     -1.38       0.91  -3.17   0.41
        2  Intercept      2.37       0.89   0.62   4.12
        """
        return tables.random_effects_table(self.fitted_model, kind, level)

    def cluster_coefs(self) -> pd.DataFrame:
        """Coefficients of every cluster, fixed effect plus conditional mode, as R's ``coef``.

        Returns
        -------
        DataFrame
            One row a cluster, one column a coefficient, on the scale of the link. Names of the zero part begin with ``zi_``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.cluster_coefs().head(2).round(2)
            Intercept  sex[T.female]  time  sex[T.female]:time
        id
        1       -4.00          -1.32  0.29                0.04
        2       -0.25          -1.32  0.29                0.04
        """
        return tables.cluster_coefs_frame(self.fitted_model)

    @takes(effect=Maybe(Text("the name of a random effect")), level=LEVEL, kind=_EFFECT_KIND, ax=AXES)
    def plot_random_effects(self, effect: str | None = None, level: float = 0.95, kind: str = "mode", ax: Axes | None = None) -> Axes:
        """Caterpillar plot: one random effect of all clusters in the order of its size, with intervals.

        Intervals that leave out 0 are black with filled marks, the others grey with open ones.

        Parameters
        ----------
        effect : name of the random effect, as in ``random_effects``; the first when not given.
        level, kind : as in ``random_effects_table``.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            For an ``effect`` that the model does not have, and as ``random_effects_table``.
        RowsNotKeptError
            For a fit of a stream.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.plot_random_effects()
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('100 clusters (id), by size of the effect', 'Intercept: conditional mode, 95 % interval')
        """
        return plots.plot_random_effects(self.fitted_model, effect, level, kind, ax)

    @takes(effect=Maybe(Text("the name of a random effect")), ax=AXES)
    def plot_random_effects_density(self, effect: str | None = None, ax: Axes | None = None) -> Axes:
        r"""The density of a random effect: that of its law at the estimates, beside what the clusters say of it.

        A histogram of the conditional modes, which are drawn towards 0 and lie closer together than the law, and the mean of the posterior
        densities of the clusters, :math:`m^{-1} \sum_i p(b \mid y_i)`, which estimates the law where the model is right. Where both bend
        away from the law, another one (``random_effects_law``) may suit the clusters better. Where a cluster has few rows, both follow the
        law that was taken, whatever it is, and say little.

        Parameters
        ----------
        effect : name of the random effect, as in ``random_effects``; the first when not given.
        ax : matplotlib Axes to draw on; a new figure when not given.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            For an ``effect`` that the model does not have or whose standard deviation is 0, and for several grouping factors.
        RowsNotKeptError
            For a fit of a stream.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.plot_random_effects_density()
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['conditional modes of 100 clusters', 'law: normal', 'mean of posterior densities']
        """
        return plots.plot_random_effects_density(self.fitted_model, effect, ax)

    @takes(
        newdata=Maybe(TABLE),
        newdata2=Maybe(Container("a DataFrame, or a dict of columns; kind='marginal' and scale='link' go by name")),
        kind=OneOf(*KINDS),
        scale=OneOf(*SCALES),
        interval=Maybe(LEVEL),
        interval_for=OneOf("mean", "outcome"),
        robust=ROBUST,
        seed=SEED,
        n_draws=Whole(100, 10**9),
    )
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
        r"""Predictions for the rows of a table.

        Parameters
        ----------
        newdata : DataFrame, or dict of columns, with the columns of the formulas; outcomes only where they are needed. None for the rows
            fitted. A row with a missing value in a column that is needed has the prediction NaN.
        newdata2 : rows to predict after a history, for dynamic predictions. ``newdata`` is then the history, with outcomes, and the random
            effects of every cluster, known to the fit or not, are those given the history alone.
        kind : ``"mean_subject"`` is :math:`g^{-1}(x'\beta)`, the subject whose random effects are 0. ``"subject_specific"`` adds the
            conditional modes of the random effects. ``"marginal"`` is the mean over the population, :math:`E_b\, g^{-1}(x'\beta + z'b)`,
            exactly. ``"zero_part"`` and ``"zero_part_subject_specific"`` are probabilities of a structural zero. Means include the zero
            part, and are those of the family. GLMMadaptive's "marginal" is :math:`g^{-1}` of marginal coefficients times x, another number.
        scale : ``"response"``: the mean of the outcome; for ``cbind(successes, failures)`` the mean proportion, for an ordinal outcome the
            mean code. ``"link"``: the linear predictor; for a marginal mean its link, or its logarithm (logit) where the family's link does
            not take all means to all numbers. ``"probability"``: probabilities of the levels of an ordinal outcome, one column each.
        interval : None, or the level of intervals, such as 0.95.
        interval_for : ``"mean"`` for the quantity predicted. ``"outcome"`` for a new outcome: with the random effects of the subject
            (``kind="subject_specific"``), of a new subject (``"marginal"``), or of a subject with random effects 0 (``"mean_subject"``).
            For ``cbind(successes, failures)`` the sum of both columns is the number of trials, and the interval is that of the proportion.
        robust : covariance of the estimates, as in ``cov_params``.
        seed, n_draws : seed and number of the draws behind ``interval_for="outcome"``; the same seed gives the same interval.

        Returns
        -------
        Series or DataFrame
            One prediction a row, in the order of the rows, by their labels; its name is the ``kind``. With intervals a DataFrame with
            columns ``prediction``, ``std_error`` (on the same scale), ``lower``, ``upper``. For probabilities of levels a DataFrame with
            one column, or group of columns, a level.

        Raises
        ------
        ArgumentError
            For an argument outside what is allowed, a cluster without outcomes, and an interval where estimates have no covariance.
        DesignError, FormulaError, OutcomeError
            For rows that lack a column, or have a level that the rows fitted do not have.
        RowsNotKeptError
            For a fit of a stream, where its rows are needed.

        Notes
        -----
        Without ``newdata2``, a cluster whose label the fit knows is taken for that cluster: its random effects are those given the rows
        fitted, whatever outcomes ``newdata`` has. Any other cluster must bring outcomes in ``newdata``.

        Intervals for a mean are formed on a scale without bounds. Their variance is the variance of the random effects given the outcomes,
        by quadrature, plus the variance of the estimates, by the delta method (Kass and Steffey 1989, JASA 84, 717-726). They are centred
        at the posterior mean on that scale; the prediction is at the mode, so it is not the exact middle. Intervals for an outcome are
        quantiles of draws from the same distribution.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.predict({"sex": ["male", "female"], "time": [8, 8]}, kind="marginal", interval=0.95).round(2)
        marginal  prediction  std_error  lower  upper
        0               0.45       0.05   0.36   0.55
        1               0.31       0.04   0.23   0.40
        """
        settings = None if interval is None else IntervalSettings(interval, interval_for, robust, seed, n_draws)
        return tables.prediction_table(self.fitted_model, newdata, newdata2, kind, scale, settings)

    @takes(kind=OneOf(*KINDS), scale=OneOf(*SCALES))
    def fitted(self, kind: str = "mean_subject", scale: str = "response") -> pd.Series | pd.DataFrame:
        """Predictions of the rows fitted.

        Parameters
        ----------
        kind, scale : as in ``predict``.

        Returns
        -------
        Series
            One prediction a row, in the caller's order, by the labels of the rows; a DataFrame with one column a level for
            ``"probability"``.

        Raises
        ------
        ArgumentError
            For another ``kind`` or ``scale``, and those that the model does not have.
        RowsNotKeptError
            For a fit of a stream.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.fitted("subject_specific").head(3).round(2)
        0    0.02
        1    0.02
        2    0.03
        Name: fitted, dtype: float64
        """
        return tables.fitted_table(self.fitted_model, kind, scale)

    @takes(kind=OneOf(*RESIDUALS), at=OneOf(*RESIDUALS_AT))
    def resid(self, kind: str = "raw", at: str = "subject_specific") -> pd.Series:
        """Residuals of the rows fitted.

        Parameters
        ----------
        kind : ``"raw"``, outcome minus mean; ``"pearson"``, divided by the standard deviation of the outcome; ``"deviance"``, the
            signed root of twice the log-likelihood ratio against a mean equal to the outcome, for exponential dispersion models.
        at : mean that the outcome is compared with, a ``kind`` of ``predict``. For ``"marginal"`` Pearson residuals the variance is that of
            the outcome over the population, random effects included.

        Returns
        -------
        Series
            One residual a row, in the caller's order, by the labels of the rows.

        Raises
        ------
        ArgumentError
            For another ``kind`` or ``at``, outcomes that may be censored, and families that lack what the residual needs.
        RowsNotKeptError
            For a fit of a stream.

        Source: Pierce and Schafer (1986), JASA 81, 977-986, for deviance residuals.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.resid("pearson").head(3).round(2)
        0   -0.14
        1   -0.14
        2   -0.17
        Name: resid_pearson, dtype: float64
        """
        return tables.residual_series(self.fitted_model, kind, at)
