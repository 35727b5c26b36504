"""Wald tests of linear hypotheses, one in every fit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from glmmjax.design.hypotheses import Hypotheses, read_hypotheses
from glmmjax.fitted_many import FittedMany
from glmmjax.postfit.inference.wald import theta_names
from glmmjax.postfit.uncertainty.p_values import chi_square_tail

__all__ = ["WaldTests", "wald_tests"]


class WaldTests(NamedTuple):
    """Joint tests of k linear hypotheses in R fits.

    Attributes
    ----------
    hypotheses : what is tested
    estimates : (R, k) left sides
    statistic : (R,) chi-square statistics; NaN where a fit has no standard errors for them
    p_value : (R,) from the chi-square distribution with k degrees of freedom
    """

    hypotheses: Hypotheses
    estimates: np.ndarray
    statistic: np.ndarray
    p_value: np.ndarray


def wald_tests(many: FittedMany, covariance: np.ndarray, hypotheses: Any) -> WaldTests:
    r"""Test ``L theta = c`` by :math:`W = (L\hat\theta - c)' (L V L')^{-1} (L\hat\theta - c)` in every fit with a certificate.

    ``covariance`` (R, P, P) are the ``covariances``; ``hypotheses`` as in ``wald_test``.

    Raises
    ------
    ArgumentError
        For hypotheses that cannot be read.
    """
    found = read_hypotheses(hypotheses, theta_names(many.one(0)), many.problem.layout.p)
    used = found.matrix.any(axis=0)
    left = many.theta[:, used] @ found.matrix[:, used].T
    of_left = np.einsum("ap,npq,bq->nab", found.matrix[:, used], covariance[:, used][:, :, used], found.matrix[:, used])
    known = many.converged & np.isfinite(of_left).all(axis=(1, 2))
    statistic = np.full(len(left), np.nan)
    errors = np.sqrt(np.diagonal(of_left[known], axis1=1, axis2=2))
    scaled = (left[known] - found.values) / errors
    unit = of_left[known] / (errors[:, :, None] * errors[:, None, :])
    statistic[known] = (scaled * np.linalg.solve(unit, scaled[..., None])[..., 0]).sum(1)
    p_value = np.array([chi_square_tail(value, left.shape[1]) if np.isfinite(value) else np.nan for value in statistic])
    return WaldTests(found, left, statistic, p_value)
