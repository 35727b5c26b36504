"""Marginal coefficients as ``MixedModelResults.marginal_coefs`` returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax.arguments import LEVEL, takes
from glmmjax.postfit.population.marginal_coefs import MarginalCoefficients
from glmmjax.tables import population as tables
from glmmjax.tables.page import Summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MarginalCoefsResults"]


class MarginalCoefsResults:
    """Marginal coefficients, as ``fit.marginal_coefs`` returns them; ``coefficients`` holds the plain numbers."""

    def __init__(self, coefficients: MarginalCoefficients):
        self.coefficients = coefficients

    @property
    def params(self) -> pd.Series:
        """Marginal coefficients on the scale of the link: Series (p,) by patsy's column names."""
        return self.table["estimate"].rename("params")

    @property
    def bse(self) -> pd.Series:
        """Standard errors by the delta method: Series (p,) by patsy's column names; NaN where none is defined."""
        return self.table["std_error"].rename("bse")

    @property
    def cov(self) -> pd.DataFrame:
        """Covariance matrix of the marginal coefficients: DataFrame (p, p) by patsy's column names."""
        return tables.marginal_coefficient_covariance(self.coefficients)

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame, one row a coefficient, with ``estimate``, ``std_error``, ``z`` and two-sided ``p_value``."""
        return tables.marginal_coefficient_frame(self.coefficients)

    @takes(level=LEVEL)
    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Wald intervals of the marginal coefficients.

        Parameters
        ----------
        level : coverage, between 0 and 1.

        Returns
        -------
        DataFrame
            One row a coefficient, with columns ``lower`` and ``upper``.

        Raises
        ------
        ArgumentError
            For another ``level``.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.marginal_coefs().conf_int().round(2)
                            lower  upper
        Intercept           -2.13  -1.06
        sex[T.female]       -1.74  -0.03
        time                 0.13   0.22
        sex[T.female]:time  -0.04   0.10
        """
        return tables.marginal_coefficient_intervals(self.coefficients, level)

    def summary(self) -> Summary:
        """The table as a page of text, with a note on how it was made.

        Returns
        -------
        Summary
            It prints as text and shows as HTML in notebooks; ``.tables`` has its numbers.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.marginal_coefs().summary()
        Marginal coefficients:
                           Estimate Std.Err  z-value p-value
        Intercept           -1.5947  0.2709  -5.8878  <1e-04
        ...
        """
        return tables.marginal_coefficient_summary(self.coefficients)

    def __str__(self) -> str:
        return str(self.summary())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
