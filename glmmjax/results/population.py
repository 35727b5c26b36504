"""Population averages: marginal coefficients and means, contrasts, effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glmmjax.arguments import AXES, FLAG, LEVEL, NAMES, Container, Judged, Maybe, NameOrTable, OneOf, SomeOf, Text, takes
from glmmjax.fitted import FittedModel
from glmmjax.plots import population as plots
from glmmjax.postfit.population.contrasts import ADJUSTMENTS, COMPARISONS, contrasts
from glmmjax.postfit.population.effects import EFFECT_SCALES, effects
from glmmjax.postfit.population.marginal_coefs import marginal_coefs
from glmmjax.postfit.population.marginal_means import MEAN_KINDS, marginal_means
from glmmjax.postfit.uncertainty.sandwich import ROBUST
from glmmjax.results.marginal_coefs import MarginalCoefsResults
from glmmjax.tables import population as tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Population"]

_ROWS = Maybe(Container("a DataFrame, or a dict of columns; the name of a column goes to by="))
_NAME_OR_TABLE = NameOrTable()
_KIND, _COLUMN = OneOf(*MEAN_KINDS), Maybe(Text("the name of a column"))
_CONTRAST = Judged("'pairwise', 'reference', 'sequential', a matrix of weights, or a dict of them by name")


class Population:
    """Averages over the population that clusters are drawn from."""

    fitted_model: FittedModel

    @takes(robust=ROBUST, se=FLAG)
    def marginal_coefs(self, robust: bool | str = False, se: bool = True) -> MarginalCoefsResults:
        r"""Fixed effects on the population's scale, with exact averages over the random effects.

        .. math:: \beta^{pop} = (X'X)^{-1} X' (g(m) - o), \qquad m_j = E_b[g^{-1}(x_j'\beta + o_j + z_j'b)],\ b \sim N(0, D)

        The sums run over the rows fitted, each with its row weight, else 1. With a zero part m is the mean of the outcome, (1 - pi) times
        the mean of the other part, so the coefficients include what moves pi. The offsets o are no part of them. For a log-normal family g
        is the logarithm.

        Parameters
        ----------
        robust : covariance of the estimates, as in ``cov_params``. Standard errors are by the delta method in all parameters, D and extra
            parameters included.
        se : False leaves standard errors out (NaN), which saves the derivatives.

        Returns
        -------
        MarginalCoefsResults
            ``params``, ``bse``, ``cov``, ``table``, ``conf_int(level)``, ``summary()``.

        Raises
        ------
        ArgumentError
            For an ordinal outcome, and for another ``robust``.
        RowsNotKeptError
            For a streamed fit.

        Source: Hedeker, du Toit, Demirtas and Gibbons (2018), Biometrics 74, 354-361. GLMMadaptive estimates the same averages from
        random draws, adds the offset to the intercept, and takes (1 - pi) mu for the mean of a hurdle model of counts.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.marginal_coefs().table.round(2)
                            estimate  std_error     z  p_value
        Intercept              -1.59       0.27 -5.89     0.00
        sex[T.female]          -0.89       0.44 -2.03     0.04
        time                    0.17       0.02  7.30     0.00
        sex[T.female]:time      0.03       0.04  0.90     0.37
        """
        return MarginalCoefsResults(marginal_coefs(self.fitted_model, robust, se))

    @takes(newdata=_ROWS, by=Maybe(NAMES), average=FLAG, kind=_KIND, robust=ROBUST, level=LEVEL)
    def marginal_means(
        self,
        newdata: Any = None,
        by: Any = None,
        *,
        average: bool = False,
        kind: str = "mean_subject",
        robust: bool | str = False,
        level: float = 0.95,
    ) -> pd.DataFrame:
        r"""Means of the outcome, at random effects of 0 or over the population of clusters, of rows or groups of rows (standardisation).

        .. math:: m_j = \mu(x_j'\beta + o_j) \ \text{or}\ E_b[\mu(x_j'\beta + o_j + z_j'b)],\ b \sim N(0, D), \qquad
                  \bar m_G = \frac{1}{|G|} \sum_{j \in G} m_j

        Parameters
        ----------
        newdata : table of rows; or a dict of values by covariate for all their combinations, each of which is a group. Other covariates are
            then at their mean or most frequent level. None for the rows fitted.
        by : column, or list of columns, of ``newdata``: average over the rows with equal values. With several copies of the data, in each
            of which the treatment is set to another value, ``by="treatment"`` gives standardised means (g-computation).
        average : average over all rows.
        kind : ``"mean_subject"``, at random effects of 0, as emmeans and ``predict`` have it; ``"marginal"``, the mean over the
            population; ``"zero_part"``, the probability of a structural zero at random effects of 0. The head of the table names it.
        robust : covariance of the estimates, as in ``cov_params``.
        level : coverage of the intervals. They are formed on a scale without bounds, mostly that of the link, and transformed back.

        Returns
        -------
        DataFrame
            ``estimate``, ``std_error``, ``lower``, ``upper`` by row label; or by group, and then with ``n``, the number of its rows. For an
            ordinal outcome they are probabilities, one row a level. A row with a missing value that is needed has NaN.

        Raises
        ------
        ArgumentError
            For unknown arguments, an average over rows with missing values, and a family without a mean.
        DesignError
            For a level that the rows fitted do not have, or a column that is missing.

        Source: Hedeker, du Toit, Demirtas and Gibbons (2018), Biometrics 74, 354-361, for the means; Robins (1986), Mathematical
        Modelling 7, 1393-1512, for g-computation.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.marginal_means({"sex": ["male", "female"], "time": [8]}, kind="marginal").round(2)
        marginal  estimate  std_error  lower  upper  n
        sex
        male        0.45       0.05   0.36   0.55  1
        female      0.31       0.04   0.23   0.40  1
        """
        return tables.mean_frame(marginal_means(self.fitted_model, newdata, by, average=average, kind=kind, robust=robust, level=level))

    @takes(
        newdata=_ROWS,
        contrast=_CONTRAST,
        by=Maybe(NAMES),
        within=Maybe(NAMES),
        comparison=OneOf(*COMPARISONS),
        adjust=OneOf(*ADJUSTMENTS),
        kind=_KIND,
        robust=ROBUST,
        level=LEVEL,
    )
    def contrasts(
        self,
        newdata: Any = None,
        contrast: Any = "pairwise",
        by: Any = None,
        *,
        within: Any = None,
        comparison: str = "difference",
        kind: str = "mean_subject",
        robust: bool | str = False,
        level: float = 0.95,
        adjust: str | None = None,
    ) -> pd.DataFrame:
        r"""Contrasts of means between rows or groups of rows: risk differences, ratios, odds ratios, by the delta method.

        For weights c of the means m, with h the identity, log, logit or link: :math:`\sum_k c_k h(m_k)`, tested against 0.

        Parameters
        ----------
        newdata, by, kind, robust : as in ``marginal_means``.
        contrast : ``"pairwise"`` (each later mean against each earlier one), ``"reference"`` (all against the first), ``"sequential"``
            (each against the one before); a matrix of weights, one row a contrast; or a dict of them by name, where a contrast may
            also be a dict of weights by label.
        within : column, or list of columns, of ``newdata``: only means with equal values there are compared, as emmeans does for
            ``pairwise ~ trt | month``. They make groups beside ``by``.
        comparison : ``"difference"`` (h the identity), ``"ratio"`` (log), ``"odds_ratio"`` (logit), ``"link"`` (the link of the family).
            Ratios are reported as ratios; their z and interval are those of the logarithm.
        level : coverage of the intervals; with ``adjust`` it holds for all of them together.
        adjust : None, or how p-values are adjusted over the contrasts of one stratum (and level of an ordinal outcome): ``"tukey"`` for
            pairwise contrasts, by the studentised range; ``"dunnett"`` for reference contrasts and ``"single_step"`` for any, by the
            joint normal distribution; ``"holm"``, ``"bonferroni"``, ``"fdr_bh"``. Intervals with the last three are Bonferroni's.

        Returns
        -------
        DataFrame
            ``estimate``, ``std_error``, ``z``, ``p_value``, ``lower``, ``upper`` by contrast, or by stratum and contrast; for an ordinal
            outcome one row a level.

        Raises
        ------
        ArgumentError
            As ``marginal_means``; for weights of another shape, fewer than two means, an ``adjust`` that is not for these contrasts, and
            means outside the range of ``comparison``.
        DesignError
            As ``marginal_means``.

        Source: Kramer (1956), Biometrics 12, 307-310; Dunnett (1955), JASA 50, 1096-1121; Holm (1979), Scandinavian Journal of Statistics
        6, 65-70; Benjamini and Hochberg (1995), JRSS B 57, 289-300.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.contrasts({"sex": ["male", "female"], "time": [0, 8]}, within="time", comparison="odds_ratio").round(2)
        mean_subject        estimate  std_error     z  p_value  lower  upper
        time contrast
        0    female / male      0.27       0.17 -2.06     0.04   0.08   0.94
        8    female / male      0.37       0.17 -2.11     0.03   0.14   0.93
        """
        chosen: Any = {"within": within, "comparison": comparison, "kind": kind, "robust": robust, "level": level, "adjust": adjust}
        found = contrasts(self.fitted_model, newdata, contrast, by, **chosen)
        return tables.contrast_frame(found)

    @takes(newdata=_NAME_OR_TABLE, kind=_KIND, scale=OneOf(*EFFECT_SCALES), robust=ROBUST, level=LEVEL)
    def effects(
        self, newdata: Any, *, kind: str = "mean_subject", scale: str = "response", robust: bool | str = False, level: float = 0.95
    ) -> pd.DataFrame:
        """The table behind an effect plot: the rows, with estimate, standard error and pointwise interval.

        Parameters
        ----------
        newdata : table of rows; or a dict of values by covariate, such as ``{"sex": ["male", "female"], "time": range(16)}``, for all
            their combinations, the first name varying slowest; or the name of a covariate, for its range or levels. Other covariates
            are then at their mean (numbers) or most frequent level in the rows fitted.
        kind : as in ``marginal_means``.
        scale : ``"response"``: the mean of the outcome (with a zero part, (1 - pi) times the mean of the other part), and the probability
            of each level of an ordinal outcome. ``"link"``: the linear predictor at random effects of 0, or the link of the marginal mean;
            for an ordinal outcome, and for a structural zero, the logit of each probability.
        robust : covariance of the estimates, as in ``cov_params``.
        level : coverage of the intervals; on the response scale they are transformed from a scale without bounds.

        Returns
        -------
        DataFrame
            ``newdata`` with ``estimate``, ``std_error``, ``lower``, ``upper``; for an ordinal outcome every row once for each ``level``.
            NaN in rows with a missing value that is needed.

        Raises
        ------
        ArgumentError, DesignError
            As ``marginal_means``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.effects({"sex": ["male", "female"], "time": [0, 8]}, kind="marginal").round(2)
        marginal     sex  time  estimate  std_error  lower  upper
        0    male     0      0.17       0.04   0.10   0.26
        1    male     8      0.45       0.05   0.36   0.55
        2  female     0      0.07       0.02   0.04   0.14
        3  female     8      0.31       0.04   0.23   0.40
        """
        return tables.effect_frame(effects(self.fitted_model, newdata, kind, scale, robust, level))

    @takes(
        newdata=_NAME_OR_TABLE,
        x=_COLUMN,
        by=_COLUMN,
        facets=_COLUMN,
        kind=SomeOf(*MEAN_KINDS),
        scale=OneOf(*EFFECT_SCALES),
        robust=ROBUST,
        level=LEVEL,
        rug=FLAG,
        ax=AXES,
    )
    def plot_effects(
        self,
        newdata: Any,
        x: str | None = None,
        by: str | None = None,
        *,
        facets: str | None = None,
        kind: str | tuple[str, ...] = "mean_subject",
        scale: str = "response",
        robust: bool | str = False,
        level: float = 0.95,
        rug: bool = True,
        ax: Axes | None = None,
    ) -> Any:
        """Draw ``effects`` as lines with bands, or as points with bars for a covariate that is no number.

        Parameters
        ----------
        newdata : name of the covariate along the horizontal axis, whose range is then drawn with all levels (or quartiles) of ``by`` and
            ``facets``, other covariates at typical values; or rows or values as in ``effects``.
        scale, robust, level : as in ``effects``.
        x : covariate along the horizontal axis. The default is the first number of ``newdata`` that varies, else the first column that
            does.
        by : covariate with one line for each of its values. The default is the other covariate that varies. For an ordinal outcome it
            cannot be given, because the lines are the levels.
        facets : covariate with one panel for each of its values.
        kind : as in ``effects``, or several kinds in a tuple: one line each. ``"zero_part"`` beside others has Axes of its own.
        rug : mark the values of ``x`` in the rows fitted along the axis.
        ax : matplotlib Axes to draw on; new ones when not given.

        Returns
        -------
        matplotlib Axes; an array of them with ``facets``, and of two with ``"zero_part"`` beside other kinds.

        Raises
        ------
        ArgumentError
            As ``effects``; for ``facets`` or ``ax`` where the zero part has Axes of its own; and when rows differ in more than ``x``,
            ``by`` and ``facets``.
        DesignError
            As ``effects``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> ax = fit.plot_effects("time", by="sex", kind="marginal")
        >>> ax.get_xlabel(), ax.get_ylabel(), [text.get_text() for text in ax.get_legend().get_texts()]
        ('time', 'Pr(y = 1), population average', ['male', 'female'])
        """
        kinds = (kind,) if isinstance(kind, str) else tuple(kind)
        asked = plots.EffectPlot(newdata, x, by, facets, kinds, scale, robust, level, rug)
        return plots.plot_effects(self.fitted_model, asked, ax)
