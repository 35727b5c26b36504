"""Estimates, fit statistics and the summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

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
    """The estimates, and how the search for them ended."""

    fitted_model: FittedModel

    @property
    def fe_params(self) -> pd.Series:
        """Fixed effects (p,), by patsy's column names."""
        return frames.coefficient_frame(self.fitted_model)["estimate"].rename("fe_params")

    @property
    def bse_fe(self) -> pd.Series:
        """Standard errors of the fixed effects, from the exact Hessian; NaN where a fit without certificate has none."""
        return frames.coefficient_frame(self.fitted_model)["std_error"].rename("bse_fe")

    @property
    def bse_re(self) -> pd.Series:
        """Standard errors of the random effects' standard deviations and correlations; NaN at a singular D."""
        return frames.spread_frame(self.fitted_model)["std_error"].rename("bse_re")

    @property
    def zvalues(self) -> pd.Series:
        """Fixed effects divided by their standard errors."""
        return frames.coefficient_frame(self.fitted_model)["z"].rename("zvalues")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided Wald p-values of the fixed effects, from the normal distribution."""
        return frames.coefficient_frame(self.fitted_model)["p_value"].rename("pvalues")

    @property
    def zi_params(self) -> pd.Series:
        """Fixed effects of the zero part; empty without one."""
        return frames.coefficient_frame(self.fitted_model, "zero")["estimate"].rename("zi_params")

    @property
    def phi(self) -> pd.Series:
        """Extra parameters of the family on their natural scale; empty for a family without."""
        return frames.phi_frame(self.fitted_model)["estimate"].rename("phi")

    @property
    def cov_re(self) -> pd.DataFrame:
        """Covariance matrix D (q, q) of the random effects."""
        return frames.random_covariance_frame(self.fitted_model)

    @property
    def llf(self) -> float:
        """Log-likelihood, without the penalty of a penalised fit."""
        return self.fitted_model.log_likelihood

    @property
    def penalized_llf(self) -> float:
        """Log-likelihood plus log penalty, the objective of a penalised fit; equal to ``llf`` for other fits."""
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
        return summary.summary(self.fitted_model).tables

    def summary(self) -> Summary:
        """The page that GLMMadaptive prints, with the certificate of the maximum and the quadrature error.

        GLMMadaptive may print other estimates for the same model because it can stop short of the maximum and still say that
        it converged. Its introductory Poisson example is one: it reports the log-likelihood -2782.306 (intercept 2.945), and
        the maximum is -2756.2984 (intercept 2.1110). At equal estimates the log-likelihoods agree.
        """
        return summary.summary(self.fitted_model)
