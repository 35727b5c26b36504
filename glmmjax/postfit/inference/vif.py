"""Variance inflation factors of the terms of the fixed effects."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glmmjax.design.hypotheses import term_columns
from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.uncertainty.vcov import fixed_covariance

__all__ = ["Inflation", "variance_inflation"]


class Inflation(NamedTuple):
    """Generalised variance inflation factors of k terms.

    Attributes
    ----------
    terms : (k,) names of the terms
    factors : (k,) generalised factors, at least 1
    df : (k,) number of columns of each term
    """

    terms: tuple[str, ...]
    factors: np.ndarray
    df: np.ndarray


def variance_inflation(fitted: FittedModel) -> Inflation:
    r"""Factor by which correlation with the other terms inflates the (generalised) variance of each term.

    .. math:: GVIF = \det(R_{11}) \det(R_{22}) / \det(R),

    R is the correlation matrix of the estimates without the intercept, R11 its block of the term, R22 its block of the other terms.

    Raises
    ------
    ArgumentError
        When the model has no term but the intercept, or the fit has no standard errors.

    Source: Fox and Monette (1992), JASA 87, 178-183.
    """
    terms = term_columns(fitted.design)
    if not terms:
        raise ArgumentError("vif: the fixed effects have no term but the intercept, and so nothing that could be collinear.")
    used = np.sort(np.concatenate(list(terms.values())))
    covariance = fixed_covariance(fitted)[np.ix_(used, used)]
    if not np.isfinite(covariance).all():
        raise ArgumentError("vif: the fit has no certificate of a maximum, and not every fixed effect has a standard error.")
    errors = np.sqrt(np.diagonal(covariance))
    correlation = covariance / np.outer(errors, errors)
    factors = [_factor(correlation, np.isin(used, columns)) for columns in terms.values()]
    return Inflation(tuple(terms), np.array(factors), np.array([len(columns) for columns in terms.values()]))


def _factor(correlation: np.ndarray, is_own: np.ndarray) -> float:
    logs = [np.linalg.slogdet(block)[1] for block in (correlation[is_own][:, is_own], correlation[~is_own][:, ~is_own], correlation)]
    return float(np.exp(logs[0] + logs[1] - logs[2]))
