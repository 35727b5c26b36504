"""Wald tests of linear hypotheses."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from glmmjax.design.hypotheses import read_hypotheses
from glmmjax.errors import ArgumentError
from glmmjax.fitted import FittedModel
from glmmjax.postfit.uncertainty.delta_method import propagated
from glmmjax.postfit.uncertainty.p_values import chi_square_tail
from glmmjax.postfit.uncertainty.parameters import reported
from glmmjax.postfit.uncertainty.vcov import covariance

__all__ = ["WaldTest", "theta_names", "wald_test"]


@dataclasses.dataclass(frozen=True, eq=False)
class WaldTest:
    """A joint test of k linear hypotheses.

    Attributes
    ----------
    hypotheses : (k,) as text
    estimates : (k,) left sides at the estimates
    values : (k,) right sides
    errors : (k,) standard errors of the left sides
    statistic : chi-square statistic W
    df : its degrees of freedom, k
    p_value : from the chi-square distribution
    robust : kind of the covariance, as it was given
    """

    hypotheses: tuple[str, ...]
    estimates: np.ndarray
    values: np.ndarray
    errors: np.ndarray
    statistic: float
    df: int
    p_value: float
    robust: bool | str


def wald_test(fitted: FittedModel, hypotheses: Any, robust: bool | str = False) -> WaldTest:
    r"""Test ``L theta = c`` by :math:`W = (L\hat\theta - c)' (L V L')^{-1} (L\hat\theta - c) \sim \chi^2_k`.

    The arguments are those of ``MixedModelResults.wald_test``.
    """
    names = theta_names(fitted)
    found = read_hypotheses(hypotheses, names, fitted.problem.layout.p)
    left = found.matrix @ fitted.theta
    of_left = propagated(found.matrix, covariance(fitted, robust))
    _check_covariance(fitted, found.matrix, names, of_left)
    errors = np.sqrt(np.diagonal(of_left))
    scaled = (left - found.values) / errors
    statistic = float(scaled @ np.linalg.solve(of_left / np.outer(errors, errors), scaled))
    df = len(left)
    return WaldTest(found.texts, left, found.values, errors, statistic, df, chi_square_tail(statistic, df), robust)


def theta_names(fitted: FittedModel) -> tuple[str, ...]:
    """(P,) labels of theta: the names of ``conf_int(which="all")``, except for D and extra parameters, which are on their free scale."""
    parameters, design = reported(fitted), fitted.design
    by_kind: dict[str, list[str]] = {}
    for kind, label in zip(parameters.kinds, parameters.labels, strict=True):
        by_kind.setdefault(kind, []).append(label)
    extra = [f"phi[{name}]" for name in by_kind.get("phi", [])]
    random = design.covariance.free_names(design.random_names)
    return (*design.fixed_names, *random, *extra, *by_kind.get("zero", []), *by_kind.get("dispersion", []))


def _check_covariance(fitted: FittedModel, matrix: np.ndarray, names: tuple[str, ...], of_left: np.ndarray) -> None:
    """Refuse hypotheses without a covariance, and more hypotheses than the covariance has directions."""
    random = fitted.problem.layout.random
    if not np.isfinite(of_left).all() or (fitted.is_singular and matrix[:, random].any()):
        used = [names[k] for k in np.flatnonzero(matrix.any(axis=0))]
        why = "D is singular and has none on that boundary" if fitted.is_singular else "the fit has no certificate of a maximum"
        if fitted.convergence.limits and not fitted.is_singular:
            why = f"the family is at its limit ({fitted.convergence.message})"
        raise ArgumentError(f"hypotheses are on {', '.join(used)}, not all of which have a standard error: {why}.")
    errors = np.sqrt(np.maximum(np.diagonal(of_left), 0.0))
    if not errors.all() or np.linalg.eigvalsh(of_left / np.outer(errors, errors))[0] < 1e-12:
        raise ArgumentError(
            f"the covariance matrix of the {len(matrix)} hypotheses is singular: a robust one has no higher rank than there are clusters "
            f"({len(fitted.design.groups)}). Test fewer hypotheses, or use robust=False."
        )
