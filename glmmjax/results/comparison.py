"""``anova``: the comparison of two fits, and its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax.arguments import FLAG, InstanceOf, takes
from glmmjax.postfit.inference.anova import Comparison, compare
from glmmjax.results.mixed_model import MixedModelResults
from glmmjax.tables import inference as tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AnovaResults", "anova"]

_FIT = InstanceOf(MixedModelResults, "a fit, as mixed_model returns it")


class AnovaResults:
    """The comparison of two fits, as ``anova`` returns it; ``comparison`` holds the plain numbers."""

    def __init__(self, comparison: Comparison):
        self.comparison = comparison

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame, one row a fit: ``AIC``, ``BIC``, ``log.Lik``, and the test in the row of the larger model."""
        return tables.anova_frame(self.comparison)

    @property
    def statistic(self) -> float | None:
        """Likelihood-ratio statistic; None without a test."""
        return self.comparison.statistic

    @property
    def p_value(self) -> float | None:
        """p-value of the test, from the chi-square or the chi-bar-square distribution; None without a test."""
        return self.comparison.p_value

    def __str__(self) -> str:
        return tables.anova_text(self.comparison)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return tables.anova_html(self.comparison)


@takes(fit0=_FIT, fit1=_FIT, boundary=FLAG)
def anova(fit0: MixedModelResults, fit1: MixedModelResults, *, boundary: bool = False) -> AnovaResults:
    """Compare two nested fits of the same data by a likelihood-ratio test, AIC and BIC.

    Parameters
    ----------
    fit0, fit1 : results of ``mixed_model``, in either order; one of them may have no random effects.
    boundary : take the p-value from the chi-bar-square mixture that holds when the smaller model sets variances to 0, on the
        boundary of the parameter space. For one more random effect correlated with r others that is
        ``1/2 chi2(r) + 1/2 chi2(r + 1)``. The plain chi-square p-value is too large there. Where the smaller model is the larger one
        at a limit of its family (Poisson for negative binomial, binomial for beta-binomial, normal for Student's t, no zero part for a
        constant one) the p-value is always from ``1/2 chi2(df - 1) + 1/2 chi2(df)``.

    Returns
    -------
    AnovaResults
        ``table`` has one row a fit; ``statistic`` and ``p_value`` are those of the test, None where the fits allow none.

    Raises
    ------
    ArgumentError
        For arguments that are no fits, fits of different data, a penalised fit, and a ``boundary`` test that no known mixture covers.

    Source: Self and Liang (1987), JASA 82, 605-610; Stram and Lee (1994), Biometrics 50, 1171-1177.

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
    return AnovaResults(compare(fit0.fitted_model, fit1.fitted_model, boundary))
