"""Results of a fit: every method and property is one line that asks ``postfit`` or ``tables``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from glmmjax import tables
from glmmjax.errors import ArgumentError
from glmmjax.estimation.convergence import Convergence
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.params import Params
from glmmjax.postfit import information_criteria
from glmmjax.postfit.anova import Comparison, compare
from glmmjax.tables import Summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AnovaResults", "MixedModelResults", "anova"]


class MixedModelResults:
    """A fitted mixed model, as ``mixed_model`` returns it.

    Parameters
    ----------
    fitted : the record of the fit; everything below is computed from it, when asked for.
    refit : function of a ``FittedModel`` and changed keywords, for ``update``.
    """

    def __init__(self, fitted: FittedModel, refit: Callable[[FittedModel, Mapping[str, Any]], MixedModelResults]):
        self.fitted_model = fitted
        self._refit = refit

    @property
    def fe_params(self) -> pd.Series:
        """Fixed effects (p,), by patsy's column names."""
        return tables.coefficient_frame(self.fitted_model)["Estimate"].rename("fe_params")

    @property
    def bse_fe(self) -> pd.Series:
        """Standard errors of the fixed effects, from the exact Hessian; NaN where a fit without certificate has none."""
        return tables.coefficient_frame(self.fitted_model)["Std.Err"].rename("bse_fe")

    @property
    def bse_re(self) -> pd.Series:
        """Standard errors of the random effects' standard deviations and correlations; NaN at a singular D, which has none."""
        return tables.spread_frame(self.fitted_model)["Std.Err"].rename("bse_re")

    @property
    def zvalues(self) -> pd.Series:
        """Fixed effects divided by their standard errors."""
        return tables.coefficient_frame(self.fitted_model)["z-value"].rename("zvalues")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided Wald p-values of the fixed effects, from the normal distribution."""
        return tables.coefficient_frame(self.fitted_model)["p-value"].rename("pvalues")

    @property
    def zi_params(self) -> pd.Series:
        """Fixed effects of the zero part; empty without one."""
        return tables.coefficient_frame(self.fitted_model, "zero")["Estimate"].rename("zi_params")

    @property
    def phi(self) -> pd.Series:
        """Extra parameters of the family on their natural scale; empty for a family without."""
        return tables.phi_frame(self.fitted_model)["Estimate"].rename("phi")

    @property
    def cov_re(self) -> pd.DataFrame:
        """Covariance matrix D (q, q) of the random effects."""
        return tables.random_covariance_frame(self.fitted_model)

    @property
    def random_effects(self) -> pd.DataFrame:
        """Conditional modes of the random effects given the data, one row a cluster."""
        return tables.random_effects_frame(self.fitted_model)

    @property
    def random_effects_cov(self) -> pd.DataFrame:
        """Conditional covariances of the random effects at the estimates, one row a cluster, columns (effect, with)."""
        return tables.random_effects_covariance_frame(self.fitted_model)

    @property
    def llf(self) -> float:
        """Log-likelihood, without the penalty of a penalised fit."""
        return self.fitted_model.log_likelihood

    @property
    def penalized_llf(self) -> float:
        """Log-likelihood plus log penalty, which a penalised fit maximises; ``llf`` for other fits."""
        return self.fitted_model.objective

    @property
    def aic(self) -> float:
        """``-2 llf + 2 df_params``."""
        return information_criteria.aic(self.fitted_model)

    @property
    def bic(self) -> float:
        """``-2 llf + df_params log(n_groups)``: the clusters are counted, not the rows."""
        return information_criteria.bic(self.fitted_model)

    @property
    def nobs(self) -> int:
        """Rows used."""
        return information_criteria.n_rows(self.fitted_model)

    @property
    def n_groups(self) -> int:
        """Clusters; without random effects every row is one."""
        return information_criteria.n_groups(self.fitted_model)

    @property
    def df_params(self) -> int:
        """Free parameters: fixed effects, free entries of D, extra parameters."""
        return information_criteria.n_parameters(self.fitted_model)

    @property
    def params(self) -> Params:
        """The estimates as ``log_likelihood`` takes them."""
        return self.fitted_model.params

    @property
    def converged(self) -> bool:
        """Whether the fit carries the certificate of a maximum."""
        return self.fitted_model.convergence.has_converged

    @property
    def is_singular(self) -> bool:
        """Whether D has lost rank: a variance of 0, or random effects that determine one another."""
        return self.fitted_model.is_singular

    @property
    def convergence(self) -> Convergence:
        """Code, message, Newton decrement, gradient norm, counts of evaluations and quadrature error."""
        return self.fitted_model.convergence

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The tables of the summary as numbers, by name."""
        return tables.summary(self.fitted_model).tables

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix (p, p) of the fixed effects: their block of the inverse of the exact negative Hessian."""
        return tables.fixed_covariance_frame(self.fitted_model)

    def summary(self) -> Summary:
        """The page that GLMMadaptive prints, with the certificate of the maximum and the quadrature error.

        GLMMadaptive may print other estimates for the same model because it can stop short of the maximum and still say that
        it converged. Its introductory Poisson example is one: it reports the log-likelihood -2782.306 (intercept 2.945), and
        the maximum is -2756.2984 (intercept 2.1110). At equal estimates the log-likelihoods agree.
        """
        return tables.summary(self.fitted_model)

    def update(self, **changes: Any) -> MixedModelResults:
        """Refit with changed keywords of ``mixed_model``, from these estimates when the parameters are the same."""
        return self._refit(self.fitted_model, changes)

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return tables.one_line(self.fitted_model)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


class AnovaResults:
    """The comparison of two fits, as ``anova`` returns it; ``comparison`` holds the plain numbers."""

    def __init__(self, comparison: Comparison):
        self.comparison = comparison

    @property
    def table(self) -> pd.DataFrame:
        """AIC, BIC, log-likelihood, and the test in the row of the larger model."""
        return tables.anova_frame(self.comparison)

    @property
    def statistic(self) -> float | None:
        """Likelihood-ratio statistic; None without a test."""
        return self.comparison.statistic

    @property
    def p_value(self) -> float | None:
        """p-value of the test; None without one."""
        return self.comparison.p_value

    def __str__(self) -> str:
        return tables.anova_text(self.comparison)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return tables.anova_html(self.comparison)


def anova(fit0: MixedModelResults, fit1: MixedModelResults, *, boundary: bool = False) -> AnovaResults:
    """Compare two nested fits of the same data by a likelihood-ratio test, AIC and BIC.

    Parameters
    ----------
    fit0, fit1 : results of ``mixed_model``, in either order; one of them may have no random effects.
    boundary : take the p-value from the chi-bar-square mixture that holds when the smaller model sets variances to 0, on the
        boundary of the parameter space. For one more random effect correlated with r others that is
        ``1/2 chi2(r) + 1/2 chi2(r + 1)``. The plain chi-square p-value is too large there.

    Raises
    ------
    ArgumentError
        For anything but two fits, fits of different data, a penalised fit, and a ``boundary`` test that no known mixture covers.

    Source: Self and Liang (1987), JASA 82, 605-610; Stram and Lee (1994), Biometrics 50, 1171-1177.
    """
    for name, fit in (("fit0", fit0), ("fit1", fit1)):
        if not isinstance(fit, MixedModelResults):
            raise ArgumentError(f"{name} must be a fit of mixed_model, not {type(fit).__name__}; anova compares two of them.")
    return AnovaResults(compare(fit0.fitted_model, fit1.fitted_model, boundary))
