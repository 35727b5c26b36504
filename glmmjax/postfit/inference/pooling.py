"""Estimates of the same model in several imputed data sets, pooled by Rubin's rules."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Pooled", "pooled"]


class Pooled(NamedTuple):
    """Pooled estimates of ``P`` parameters.

    Attributes
    ----------
    estimates : (P,) means over the imputations
    errors : (P,) roots of the total variance
    df : (P,) degrees of freedom of Student's t; infinite where the imputations do not differ
    increase : (P,) relative increase in variance due to missing values, ``(1 + 1/m) B / U``
    missing_information : (P,) fraction of missing information
    """

    estimates: np.ndarray
    errors: np.ndarray
    df: np.ndarray
    increase: np.ndarray
    missing_information: np.ndarray

    @property
    def statistics(self) -> np.ndarray:
        """(P,) estimates in standard errors."""
        return self.estimates / self.errors

    @property
    def p_values(self) -> np.ndarray:
        """(P,) two-sided, from Student's t."""
        from scipy import stats  # it takes a second to load, and only pooling has it

        return 2.0 * stats.t.sf(np.abs(self.statistics), self.df)

    def limits(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Ends of confidence intervals, (P,) each."""
        from scipy import stats

        reach = stats.t.ppf(0.5 + 0.5 * level, self.df) * self.errors
        return self.estimates - reach, self.estimates + reach


def pooled(estimates: np.ndarray, errors: np.ndarray, complete_df: float) -> Pooled:
    r"""Pool ``m`` estimates with their standard errors, (m, P) each.

    With the mean :math:`\bar Q`, the mean variance :math:`\bar U` and the variance :math:`B` of the m estimates,

    .. math:: T = \bar U + (1 + 1/m) B, \quad \lambda = (1 + 1/m) B / T, \quad \nu_m = (m - 1) / \lambda^2, \quad
              \nu_o = \frac{\nu_c + 1}{\nu_c + 3} \nu_c (1 - \lambda), \quad 1/\nu = 1/\nu_m + 1/\nu_o

    where :math:`\nu_c` is ``complete_df``, the degrees of freedom that complete data would have. With
    :math:`r = (1 + 1/m) B / \bar U` the fraction of missing information is :math:`(r + 2 / (\nu + 3)) / (r + 1)`.

    Source: Rubin (1987), Multiple Imputation for Nonresponse in Surveys; Barnard and Rubin (1999), Biometrika 86, 948-955.
    """
    m = len(estimates)
    within, between = (errors**2).mean(axis=0), estimates.var(axis=0, ddof=1)
    added = (1.0 + 1.0 / m) * between
    total = within + added
    share = added / total
    with np.errstate(divide="ignore"):
        inverse = share**2 / (m - 1)
        if np.isfinite(complete_df):
            inverse = inverse + 1.0 / ((complete_df + 1.0) / (complete_df + 3.0) * complete_df * (1.0 - share))
        df = 1.0 / inverse
    increase = added / within
    return Pooled(estimates.mean(axis=0), np.sqrt(total), df, increase, (increase + 2.0 / (df + 3.0)) / (increase + 1.0))
