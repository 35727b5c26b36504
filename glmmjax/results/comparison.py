"""``anova`` and ``compare_models``: the comparison of fits, and its table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from glmmjax.arguments import COUNT, FLAG, SEED, InstanceOf, Judged, Maybe, OneOf, takes
from glmmjax.errors import ArgumentError, DesignWarning, warn_caller
from glmmjax.postfit.inference.anova import Comparison, compare
from glmmjax.postfit.inference.model_comparison import ModelTable, compare_all
from glmmjax.postfit.inference.simulated_null import NULLS, compare_by_simulation
from glmmjax.results.many import ManyFits
from glmmjax.results.many_plots import ADJUST
from glmmjax.results.mixed_model import MixedModelResults
from glmmjax.tables import inference as tables
from glmmjax.tables.page import Summary
from glmmjax.values import shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AnovaResults", "ModelComparison", "anova", "compare_models", "named_fits"]

_FIT = InstanceOf((MixedModelResults, ManyFits), "a fit, as mixed_model returns it, or many, as fit_many returns them")


class AnovaResults:
    """The comparison of two fits, as ``anova`` returns it; ``comparison`` holds the plain numbers."""

    def __init__(self, comparison: Comparison):
        self.comparison = comparison

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame, one row a fit: ``AIC``, ``BIC``, ``log.Lik``, and the test in the row of the larger model.

        With ``null="simulated"`` the column ``MC error`` is the Monte Carlo standard error of the p-value.
        """
        return tables.anova_frame(self.comparison)

    @property
    def statistic(self) -> float | None:
        """Likelihood-ratio statistic; None without a test."""
        return self.comparison.statistic

    @property
    def p_value(self) -> float | None:
        """p-value of the test, from the chi-square or the chi-bar-square distribution, or from simulated data sets; None without a test."""
        return self.comparison.p_value

    def __str__(self) -> str:
        return tables.anova_text(self.comparison)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return tables.anova_html(self.comparison)


@overload
def anova(
    fit0: MixedModelResults,
    fit1: MixedModelResults,
    *,
    boundary: bool = ...,
    null: str = ...,
    n: int = ...,
    seed: int = ...,
    adjust: None = ...,
) -> AnovaResults: ...


@overload
def anova(fit0: ManyFits, fit1: ManyFits, *, boundary: bool = ..., adjust: str | None = ...) -> pd.DataFrame: ...


@takes(fit0=_FIT, fit1=_FIT, boundary=FLAG, null=OneOf(NULLS), n=COUNT, seed=SEED, adjust=Maybe(ADJUST))
def anova(
    fit0: Any, fit1: Any, *, boundary: bool = False, null: str = "chi2", n: int = 500, seed: int = 0, adjust: str | None = None
) -> AnovaResults | pd.DataFrame:
    """Compare two nested fits of the same data by a likelihood-ratio test, AIC and BIC; of many fits, each with its own.

    Parameters
    ----------
    fit0, fit1 : results of ``mixed_model``, in either order; one of them may have no random effects. Or two results of ``fit_many`` of the
        same outcomes.
    boundary : take the p-value from the chi-bar-square mixture that holds when the smaller model sets variances to 0, on the
        boundary of the parameter space. For one more random effect correlated with r others that is
        ``1/2 chi2(r) + 1/2 chi2(r + 1)``. The plain chi-square p-value is too large there. Where the smaller model is the larger one
        at a limit of its family (Poisson for negative binomial, binomial for beta-binomial, normal for Student's t, no zero part for a
        constant one) the p-value is always from ``1/2 chi2(df - 1) + 1/2 chi2(df)``.
    null : ``"chi2"``, or ``"simulated"``: outcomes are drawn from the smaller model ``n`` times, both models are refitted to each, and the
        p-value is (1 + the number of likelihood ratios as large) / (n + 1). It holds on the boundary, whatever the random effects, and in
        small samples. Its smallest value is 1 / (n + 1).
    n : number of simulated data sets.
    seed : whole number >= 0; the same seed gives the same data sets.
    adjust : for many fits, how p-values are adjusted over them, as in ``ManyFits.tidy``; ``"fdr_bh"`` when None.

    Returns
    -------
    AnovaResults
        ``table`` has one row a fit; ``statistic`` and ``p_value`` are those of the test, None where the fits allow none.
    DataFrame
        For many fits: that of ``ManyFits.anova``, one test a row.

    Raises
    ------
    ArgumentError
        For arguments that are no fits, fits of different data, a penalised fit, and a ``boundary`` test that no known mixture covers; for
        ``null="simulated"`` with ``boundary``, fits without certificate, or a family that cannot be simulated from, or many fits.
    RowsNotKeptError
        For ``null="simulated"`` and streamed fits.

    Source: Self and Liang (1987), JASA 82, 605-610; Stram and Lee (1994), Biometrics 50, 1171-1177; Davison and Hinkley (1997), Bootstrap
    Methods and their Application, section 4.2.

    Examples
    --------
    >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
    >>> gj.anova(fit.update(fixed="y ~ sex + time"), fit)
    fit0: y ~ sex + time, ~ 1 | id
    fit1: y ~ sex * time, ~ 1 | id
    <BLANKLINE>
             AIC     BIC  log.Lik   LRT df p-value
    fit0  757.58  768.00  -374.79
    fit1  759.04  772.07  -374.52  0.54  1  0.4614
    """
    if isinstance(fit0, ManyFits) or isinstance(fit1, ManyFits):
        return _anova_of_many(fit0, fit1, boundary, null, adjust)
    if adjust is not None:
        raise ArgumentError(f"adjust={shown(adjust)} is for many fits, which have many p-values; leave it out for two fits.")
    if null == "chi2":
        return AnovaResults(compare(fit0.fitted_model, fit1.fitted_model, boundary))
    if boundary:
        raise ArgumentError("boundary=True is for null='chi2': a simulated null distribution needs no mixture. Leave boundary out.")
    return AnovaResults(compare_by_simulation(fit0.fitted_model, fit1.fitted_model, n, seed))


def _anova_of_many(fit0: Any, fit1: Any, boundary: bool, null: str, adjust: str | None) -> pd.DataFrame:
    if not (isinstance(fit0, ManyFits) and isinstance(fit1, ManyFits)):
        raise ArgumentError("fit0 and fit1 must both be single fits, or both many; many[name] is a single one.")
    if null != "chi2":
        raise ArgumentError(f"null={null!r} is for two single fits; take anova(many0[name], many1[name], null={null!r}) for some of them.")
    return fit1.anova(fit0, boundary, "fdr_bh" if adjust is None else adjust)


class ModelComparison:
    """The comparison of fits, as ``compare_models`` returns it; ``models`` holds the plain numbers."""

    def __init__(self, models: ModelTable):
        self.models = models

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame, a row a fit: ``N``, ``clusters``, ``npar``, ``log.Lik``, ``AIC``, ``dAIC``, ``BIC``, ``LRT``, ``df``, ``p-value``."""
        return tables.comparison_frame(self.models)

    @property
    def page(self) -> Summary:
        """Formulas, table and notes as a ``Summary``: ``page.to_latex()``, ``page.to_markdown()``, ``page.to_html()``."""
        return tables.comparison_page(self.models)

    def __str__(self) -> str:
        return str(self.page)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.page.to_html()


@takes(names=Judged("None, or a list of one name a fit"), boundary=FLAG)
def compare_models(*fits: MixedModelResults, names: list[str] | None = None, boundary: bool = False) -> ModelComparison:
    """Compare two or more fits of the same data: AIC and BIC of all, and a likelihood-ratio test of each against the one before it.

    Parameters
    ----------
    *fits : results of ``mixed_model``. The table has them by their number of parameters.
    names : what the table calls them; ``fit0``, ``fit1``, ... in the order given when None.
    boundary : as in ``anova``.

    Returns
    -------
    ModelComparison
        ``table`` has one row a fit. ``dAIC`` is the distance to the smallest AIC. A test stands in the row of the larger model where the
        model of the row above is nested in it; a note says why where there is none. It prints as text, shows as HTML in notebooks, and
        ``page.to_latex()``, ``page.to_markdown()`` and ``page.to_html()`` write it for documents.

    Raises
    ------
    ArgumentError
        For fewer than two fits, a penalised fit, names that do not match, and fits of as many rows with other outcomes, clusters or
        weights.

    Warns
    -----
    DesignWarning
        When the fits use different numbers of rows: their log-likelihoods cannot be compared then, and none is tested.

    Source: as for ``anova``; Burnham and Anderson (2002), Model Selection and Multimodel Inference, for differences of AIC.

    Examples
    --------
    >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
    >>> gj.compare_models(fit.update(fixed="y ~ time"), fit.update(fixed="y ~ sex + time"), fit)
    Comparison of models:
    fit0: y ~ time, ~ 1 | id
    fit1: y ~ sex + time, ~ 1 | id
    fit2: y ~ sex * time, ~ 1 | id
            N clusters npar  log.Lik     AIC  dAIC     BIC   LRT df p-value
    fit0  800      100    3  -376.98  759.96  2.37  767.77
    fit1  800      100    4  -374.79  757.58  0.00  768.00  4.37  1  0.0365
    fit2  800      100    5  -374.52  759.04  1.46  772.07  0.54  1  0.4614
    """
    return ModelComparison(_compared(fits, names, boundary))


def named_fits(function: str, fits: tuple[MixedModelResults, ...], names: list[str] | None, fewest: int) -> list[str]:
    """The names of fits, checked with them; ``function`` takes ``fewest`` or more.

    Raises
    ------
    ArgumentError
    """
    wrong = next((fit for fit in fits if not isinstance(fit, MixedModelResults)), None)
    if wrong is not None or len(fits) < fewest:
        came = f"{shown(wrong)} is none" if wrong is not None else f"{len(fits)} came"
        number = {1: "one or more", 2: "two or more"}[fewest]
        raise ArgumentError(f"{function} takes {number} fits, as mixed_model returns them, and {came}; {function}(fit0, fit1).")
    given = [f"fit{k}" for k in range(len(fits))] if names is None else names
    is_list = isinstance(given, list | tuple) and all(isinstance(name, str) for name in given)
    if not is_list or len(set(given)) != len(fits) or len(given) != len(fits):
        raise ArgumentError(f"names={shown(names)} must be {len(fits)} different texts in a list, one for each fit.")
    return list(given)


def _compared(fits: tuple[MixedModelResults, ...], names: list[str] | None, boundary: bool) -> ModelTable:
    given = named_fits("compare_models", fits, names, 2)
    table = compare_all([fit.fitted_model for fit in fits], given, boundary)
    if not table.uses_one_table:
        warn_caller(table.notes[0], DesignWarning)
    return table
