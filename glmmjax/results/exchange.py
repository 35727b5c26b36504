"""Tables in other packages' terms, and files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from glmmjax.arguments import FLAG, LEVEL, PATH, TABLE, Maybe, OneOf, Whole, takes
from glmmjax.fitted import FittedModel
from glmmjax.marginaleffects_adapter import marginaleffects_model
from glmmjax.postfit.population.marginal_means import MEAN_KINDS
from glmmjax.postfit.prediction.dynamic_predictor import SubjectRows
from glmmjax.postfit.prediction.dynamic_program import subject_rows
from glmmjax.postfit.prediction.predict import KINDS, IntervalSettings
from glmmjax.postfit.uncertainty.sandwich import ROBUST
from glmmjax.storage import save_fit, save_predictor
from glmmjax.tables import paper
from glmmjax.tables import tidy as tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Exchange"]


class Exchange:
    """Methods that take a fit to other packages and to files."""

    fitted_model: FittedModel

    # the members that maketables.ETable, and etable of pyfixest, look for
    __maketables_stat_labels__ = paper.STATISTICS
    __maketables_default_stat_keys__ = paper.DEFAULT_STATISTICS

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        return paper.paper_frame(self.fitted_model)

    @property
    def __maketables_depvar__(self) -> str:
        return self.fitted_model.design.outcome_name

    def __maketables_stat__(self, key: str) -> Any:
        return paper.paper_statistic(self.fitted_model, key)

    @takes(conf_int=FLAG, level=LEVEL, exponentiate=FLAG, effects=OneOf(*tables.EFFECTS), robust=ROBUST)
    def tidy(
        self, conf_int: bool = False, level: float = 0.95, exponentiate: bool = False, effects: str = "fixed", robust: bool | str = False
    ) -> pd.DataFrame:
        """One row a parameter, with the column names of R's broom.mixed.

        Parameters
        ----------
        conf_int : add Wald limits, ``conf.low`` and ``conf.high``, as ``conf_int`` makes them.
        level : coverage of the limits, between 0 and 1.
        exponentiate : report exp of the coefficients and of their limits (odds ratios, rate ratios), with standard errors by the delta
            method. Statistics and p-values stay those of the coefficients.
        effects : ``"fixed"`` for the coefficients of all linear predictors, which ``component`` tells apart (``cond``, ``zi`` for the zero
            part, ``disp``); ``"ran_pars"`` for standard deviations and correlations of the random effects; ``"extra"`` for the extra
            parameters of the family; ``"all"`` for these three; ``"ran_vals"`` for the random effects of the clusters, with a
            column ``level`` and their conditional standard deviations.
        robust : covariance of the estimates, as in ``cov_params``.

        Returns
        -------
        DataFrame
            Columns ``effect``, ``component``, ``group``, ``term``, ``estimate``, ``std.error``, ``statistic``, ``p.value``, numbered rows.
            NaN where a parameter has no standard error or test, such as the parameters of the random effects at a singular D.

        Raises
        ------
        ArgumentError
            For another ``effects``, ``level`` or ``robust``, and for ``"ran_vals"`` of a model without random effects.
        RowsNotKeptError
            For a robust covariance and for ``"ran_vals"`` of a streamed fit.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.tidy(conf_int=True, exponentiate=True)[["term", "estimate", "conf.low", "conf.high"]].round(2)
                         term  estimate  conf.low  conf.high
        0           Intercept      0.07      0.03       0.17
        1       sex[T.female]      0.27      0.08       0.94
        2                time      1.33      1.23       1.44
        3  sex[T.female]:time      1.04      0.94       1.16
        """
        return tables.tidy_frame(self.fitted_model, conf_int, level, exponentiate, effects, robust)

    def glance(self) -> pd.DataFrame:
        """Statistics of the fit in one row, with the column names of R's broom.mixed.

        Returns
        -------
        DataFrame
            One row with ``nobs``, ``n.groups``, ``df`` (parameters), ``df.residual``, ``logLik``, ``AIC``, ``BIC``, ``deviance`` (-2
            logLik), ``family``, ``link``, ``nAGQ``, ``converged``, ``singular``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.glance()[["nobs", "n.groups", "logLik", "AIC", "BIC"]].round(2)
           nobs  n.groups  logLik     AIC     BIC
        0   800       100 -374.52  759.04  772.07
        """
        return tables.glance_frame(self.fitted_model)

    @takes(newdata=Maybe(TABLE), kind=Maybe(OneOf(*KINDS)))
    def augment(self, newdata: Any = None, kind: str | None = None) -> pd.DataFrame:
        """The rows used, or ``newdata``, with what the model says of each row.

        Parameters
        ----------
        newdata : rows to predict; the rows used when not given.
        kind : kind of ``.fitted`` and ``.resid``, as in ``predict``. The default for the rows used is ``"subject_specific"``, at the random
            effects of each cluster; the default for ``newdata`` is ``"mean_subject"``.

        Returns
        -------
        DataFrame
            The rows with their columns and labels, and ``.fitted``, ``.fixed`` (at random effects of 0) and, for the rows used, ``.resid``.
            All are means of the outcome, and ``.resid`` is the outcome minus ``.fitted``.

        Raises
        ------
        ArgumentError, DesignError, RowsNotKeptError
            As ``predict`` does.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.augment()[["id", "y", ".fitted", ".fixed", ".resid"]].head(3).round(2)
           id  y  .fitted  .fixed  .resid
        0   1  0     0.02    0.07   -0.02
        1   1  0     0.02    0.07   -0.02
        2   1  0     0.03    0.11   -0.03
        """
        return tables.augment_frame(self.fitted_model, newdata, kind)

    @takes(kind=OneOf(*MEAN_KINDS))
    def to_marginaleffects(self, kind: str = "mean_subject") -> Any:
        """The fit as a model of the package marginaleffects.

        Standard errors are by its delta method, with finite differences in all parameters, those of D included. Its argument
        ``vcov`` takes True, False, or ``"CR0"`` to ``"CR3"``. ``marginal_means`` and ``contrasts`` give such numbers without that package,
        from exact derivatives.

        Parameters
        ----------
        kind : what is predicted for a row, as in ``marginal_means``: ``"mean_subject"``, the mean at random effects of 0, ``"marginal"``,
            the mean averaged over them, or ``"zero_part"``. For an ordinal outcome it is the probability of every level.

        Returns
        -------
        Model for ``marginaleffects.avg_comparisons``, ``avg_predictions``, ``avg_slopes`` and the like.

        Raises
        ------
        ArgumentError
            Without that package, for another ``kind``, and for a fit whose rows are not kept.

        Source: Arel-Bundock, Greifer and Heiss (2024), Journal of Statistical Software 111(9), 1-32.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> import marginaleffects  # doctest: +SKIP
        >>> marginaleffects.avg_comparisons(fit.to_marginaleffects(), variables="sex")["contrast"].to_list()  # doctest: +SKIP
        ['female - male']
        """
        return marginaleffects_model(self.fitted_model, kind)

    @takes(path=PATH)
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to a file, from which ``glmmjax.load(path)`` brings it back.

        The file is a zip of JSON and arrays and holds no code. It has the columns that the model used, all their rows, the arguments of
        ``mixed_model``, the estimates and the record of convergence. For a streamed fit it holds no rows. The functions of a family of
        your own, and functions that a formula calls, are code: ``load`` asks for them again. A function given as ``progress`` is left out.

        Parameters
        ----------
        path : name of the file, such as ``"model.glmmjax"``. A file of that name is replaced.

        Raises
        ------
        ArgumentError
            For a path in a folder that does not exist, a column or an argument that cannot be written, and data that have changed since the
            fit.
        StorageError
            Where the file cannot be written; one that was there stays as it was.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.save("intro.glmmjax")
        >>> gj.load("intro.glmmjax")
        <MixedModelResults: binomial(logit), y ~ sex * time, ~ 1 | id; 800 rows in 100 clusters, log-likelihood -374.5197, converged>
        """
        save_fit(self.fitted_model, path)

    @takes(path=PATH, interval=LEVEL, interval_for=OneOf("mean", "outcome"), robust=ROBUST, n_draws=Whole(100, 10**6))
    def export_predictor(
        self,
        path: str | os.PathLike[str],
        *,
        interval: float = 0.95,
        interval_for: str = "mean",
        robust: bool | str = False,
        n_draws: int = 1000,
    ) -> None:
        """Write dynamic predictions for new subjects to a file that ``glmmjax.load_predictor(path)`` runs without data and formulas.

        The file is a zip of a program, as ``jax.export`` writes it, and JSON of its columns, outcome, family and versions. It computes
        ``predict(newdata, newdata2, "subject_specific", interval=...)`` on the CPU, for any number of subjects, history rows and future
        rows, up to 1,024 future rows of subjects that are worked on together (some 2,000 history rows). It has the estimates and no data.

        Parameters
        ----------
        path : name of the file, such as ``"visits.glmmpred"``. A file of that name is replaced.
        interval : level of the intervals.
        interval_for, robust, n_draws : as in ``predict``.

        Raises
        ------
        ArgumentError
            For a model without random effects, a fit of a stream, estimates without a covariance, a family of your own whose functions
            JAX cannot export, and without the package flatbuffers.
        StorageError
            Where the file cannot be written; one that was there stays as it was.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.export_predictor("visits.glmmpred", interval=0.9)
        >>> gj.load_predictor("visits.glmmpred").record.level
        0.9
        """
        save_predictor(self.fitted_model, path, IntervalSettings(interval, interval_for, robust, 0, n_draws))

    @takes(newdata=TABLE, newdata2=TABLE)
    def predictor_rows(self, newdata: Any, newdata2: Any) -> tuple[SubjectRows, SubjectRows]:
        """A history and the rows to predict as the arrays that an exported predictor takes.

        Parameters
        ----------
        newdata : rows of the history, with outcomes, as in ``predict``.
        newdata2 : rows to predict, of subjects that have a history.

        Returns
        -------
        history, future : SubjectRows
            ``subject`` (n,) numbers, ``columns`` (n, C) of the model matrices, ``offset`` (n, E), ``outcome`` (n, K), or None where it is
            not needed. Rows of the history with missing values are left out; those of ``newdata2`` are NaN.

        Raises
        ------
        ArgumentError, DesignError, FormulaError, OutcomeError
            As ``predict`` does.

        Examples
        --------
        >>> data = gj.datasets.load_intro_binomial()
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=data, family="binomial")
        >>> history, future = fit.predictor_rows(data[data.time < 10], data[data.time >= 10])
        >>> future.columns[0].round(2).tolist()
        [1.0, 0.0, 12.91, 0.0, 1.0]
        """
        return subject_rows(self.fitted_model, newdata, newdata2)
