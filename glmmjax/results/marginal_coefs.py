"""Marginal coefficients as ``MixedModelResults.marginal_coefs`` returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax.postfit.population.marginal_coefs import MarginalCoefficients
from glmmjax.tables import population as tables
from glmmjax.tables.page import Summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MarginalCoefsResults"]


class MarginalCoefsResults:
    """Marginal coefficients (p,), by patsy's column names; ``coefficients`` holds the plain numbers."""

    def __init__(self, coefficients: MarginalCoefficients):
        self.coefficients = coefficients

    @property
    def params(self) -> pd.Series:
        """The marginal coefficients."""
        return self.table["estimate"].rename("params")

    @property
    def bse(self) -> pd.Series:
        """Their standard errors by the delta method; NaN where a fit without certificate has none."""
        return self.table["std_error"].rename("bse")

    @property
    def cov(self) -> pd.DataFrame:
        """Their covariance matrix (p, p)."""
        return tables.marginal_coefficient_covariance(self.coefficients)

    @property
    def table(self) -> pd.DataFrame:
        """``estimate``, ``std_error``, ``z`` and two-sided ``p_value``."""
        return tables.marginal_coefficient_frame(self.coefficients)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Wald intervals, columns ``lower`` and ``upper``."""
        return tables.marginal_coefficient_intervals(self.coefficients, level)

    def summary(self) -> Summary:
        """The table as text and HTML."""
        return tables.marginal_coefficient_summary(self.coefficients)

    def __str__(self) -> str:
        return str(self.summary())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
