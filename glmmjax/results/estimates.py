"""Estimates, fit statistics and the summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from glmmjax.arguments import takes
from glmmjax.estimation.convergence import Convergence
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.params import Params
from glmmjax.postfit.inference import information_criteria
from glmmjax.tables import frames, summary
from glmmjax.tables.page import Summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Estimates"]


class Estimates:
    """The estimates, the statistics of the fit, and the record of the search."""

    fitted_model: FittedModel

    @property
    def fe_params(self) -> pd.Series:
        """Fixed effects beta, on the scale of the link: Series (p,) by patsy's column names."""
        return frames.coefficient_frame(self.fitted_model)["estimate"].rename("fe_params")

    @property
    def bse_fe(self) -> pd.Series:
        """Standard errors of the fixed effects, from the exact Hessian: Series (p,) by patsy's column names; NaN where none is defined."""
        return frames.coefficient_frame(self.fitted_model)["std_error"].rename("bse_fe")

    @property
    def bse_re(self) -> pd.Series:
        """Standard errors of the standard deviations and correlations of the random effects: Series by label; NaN at a singular D."""
        return frames.spread_frame(self.fitted_model)["std_error"].rename("bse_re")

    @property
    def zvalues(self) -> pd.Series:
        """Wald statistics of the fixed effects, ``fe_params / bse_fe``: Series (p,) by patsy's column names."""
        return frames.coefficient_frame(self.fitted_model)["z"].rename("zvalues")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided Wald p-values of the fixed effects, from the normal distribution: Series (p,) by patsy's column names."""
        return frames.coefficient_frame(self.fitted_model)["p_value"].rename("pvalues")

    @property
    def zi_params(self) -> pd.Series:
        """Fixed effects of the zero part, on the logit scale: Series by patsy's column names, empty for a model without a zero part."""
        return frames.coefficient_frame(self.fitted_model, "zero")["estimate"].rename("zi_params")

    @property
    def phi(self) -> pd.Series:
        """Extra parameters of the family on their natural scale: Series by their names, empty for a family that has none."""
        return frames.phi_frame(self.fitted_model)["estimate"].rename("phi")

    @property
    def cov_re(self) -> Any:
        """Covariance matrix D of the random effects, on the scale of the link: DataFrame (q, q) by their names. Of two levels, a dict of
        those of each.
        """
        return frames.random_covariance_frame(self.fitted_model)

    @property
    def llf(self) -> float:
        """Log-likelihood at the estimates, without the penalty of a penalised fit."""
        return self.fitted_model.log_likelihood

    @property
    def penalized_llf(self) -> float:
        """Log-likelihood plus log penalty: the objective of a penalised fit. For other fits it equals ``llf``."""
        return self.fitted_model.objective

    @property
    def aic(self) -> float:
        """Akaike's criterion, ``-2 llf + 2 df_params``."""
        return information_criteria.aic(self.fitted_model)

    @property
    def bic(self) -> float:
        """Schwarz's criterion, ``-2 llf + df_params log(n_groups)``. It counts clusters, not rows."""
        return information_criteria.bic(self.fitted_model)

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return information_criteria.n_rows(self.fitted_model)

    @property
    def n_groups(self) -> int:
        """Number of clusters; in a model without random effects every row is a cluster."""
        return information_criteria.n_groups(self.fitted_model)

    @property
    def df_params(self) -> int:
        """Number of free parameters: fixed effects of all parts, free entries of D, extra parameters."""
        return information_criteria.n_parameters(self.fitted_model)

    @property
    def params(self) -> Params:
        """The estimates as ``Params``, the form that ``log_likelihood`` takes."""
        return self.fitted_model.params

    @property
    def converged(self) -> bool:
        """Whether the fit carries the certificate of a maximum."""
        return self.fitted_model.convergence.has_converged

    @property
    def is_singular(self) -> bool:
        """Whether D has lost rank: a variance is 0, or some random effects determine another one."""
        return self.fitted_model.is_singular

    @property
    def convergence(self) -> Convergence:
        """How the search ended: code, message, Newton decrement, gradient norm, numbers of evaluations and quadrature error."""
        return self.fitted_model.convergence

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The tables of the summary as DataFrames of numbers, by name, such as ``"fixed effects"``."""
        return summary.summary(self.fitted_model).tables

    @takes()
    def summary(self) -> Summary:
        """The page that GLMMadaptive prints, with the certificate of the maximum and the quadrature error.

        GLMMadaptive may print other estimates for the same model because it can stop short of the maximum and still say that
        it converged. At equal estimates the log-likelihoods agree.

        Returns
        -------
        Summary
            It prints as text and shows as HTML in notebooks. ``.tables`` has its numbers; ``.to_markdown()``, ``.to_latex()`` and
            ``.to_html()`` write it for documents.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> print(fit.summary())
        Call:
        ...
        Fixed effects:
                           Estimate Std.Err  z-value p-value
        Intercept           -2.6193  0.4451  -5.8855  <1e-04
        sex[T.female]       -1.3235  0.6439  -2.0556  0.0398
        time                 0.2852  0.0396   7.2088  <1e-04
        sex[T.female]:time   0.0401  0.0545   0.7360  0.4617
        ...
        """
        return summary.summary(self.fitted_model)
