"""``FittedMany``: the record of many fits of one model. What belongs to a single one of them is made when it is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from glmmjax.design.design import Design
from glmmjax.estimation.convergence import Code, Convergence
from glmmjax.estimation.factors import has_lost_rank, root_of
from glmmjax.estimation.many.ends import is_certified
from glmmjax.estimation.objective import Problem
from glmmjax.fitted import FittedModel
from glmmjax.likelihood.covariance import lower_factor
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.request import FitRequest

__all__ = ["FittedMany"]


@dataclasses.dataclass(frozen=True, eq=False)
class FittedMany:
    """Estimates of ``R`` fits. Arrays are numpy, a row a fit; what was not found is NaN, with a code that says why.

    Attributes
    ----------
    labels : (R,) pandas Index: names of the fits
    design : of one of the fits: names, structure and data that all share
    problem : family, layout of theta, penalty and prior
    request : the arguments of one of the fits
    theta : (R, P) free vectors; the diagonal of L is non-negative
    information : (R, P, P) negative Hessian of the penalised log-likelihood
    log_likelihood : (R,) without the penalty
    decrement : (R,) Newton decrement
    code : (R,) ``Code`` as an integer
    messages : by number of the fit, the text where it says more than the code
    quadrature_error : (R,) log-likelihood by a finer rule minus the reported one
    n_agq : (R,) quadrature points per random effect
    limits : (R, P) bool: entries of theta at a limit of the family
    n_evaluations : (R,) evaluations of the likelihood with derivatives
    nobs : (R,) rows with an outcome
    n_groups : (R,) clusters with such a row
    checksums : (R,) a number for the outcomes and rows of each fit; the same data have the same, up to rounding
    is_alone : (R,) bool: fitted once more, by itself
    seconds : time that all fits took
    is_interrupted : whether the user has stopped before all were fitted
    is_moderated : whether extra parameters are reported with a prior over the fits; theta has none
    open_fit : makes the ordinary fit with a number, from starting values or None
    """

    labels: Any
    design: Design
    problem: Problem
    request: FitRequest
    theta: np.ndarray
    information: np.ndarray
    log_likelihood: np.ndarray
    decrement: np.ndarray
    code: np.ndarray
    messages: dict[int, str]
    quadrature_error: np.ndarray
    n_agq: np.ndarray
    limits: np.ndarray
    n_evaluations: np.ndarray
    nobs: np.ndarray
    n_groups: np.ndarray
    checksums: np.ndarray
    is_alone: np.ndarray
    seconds: float
    is_interrupted: bool
    is_moderated: bool
    open_fit: Callable[[int, Params | None], Any]

    @property
    def converged(self) -> np.ndarray:
        """(R,) bool: which fits have a certificate."""
        return is_certified(self.code)

    @property
    def is_plain(self) -> np.ndarray:
        """(R,) bool: which fits have a D of full rank and no parameter at a limit."""
        return (self.code == Code.CONVERGED) & ~self.limits.any(axis=1)

    def message(self, k: int) -> str:
        """How a fit ended, in words."""
        return self.messages.get(int(k), Code(int(self.code[k])).text)

    def one(self, k: int) -> FittedModel:
        """The record of a fit without its data: enough for covariances."""
        layout, theta, code = self.problem.layout, self.theta[k], Code(int(self.code[k]))
        chol, _ = lower_factor(root_of(self.design.covariance, theta[layout.random]))
        parts: Any = (theta[layout.fixed], chol, theta[layout.extra], theta[layout.zero], theta[layout.dispersion])
        is_singular = code is Code.CONVERGED_ON_BOUNDARY
        if not code.is_certified:
            is_singular = bool(np.isfinite(chol).all() and has_lost_rank(chol, self.design.random_reach))
        numbers = (
            float(self.decrement[k]),
            np.nan,
            0,
            0,
            int(self.n_evaluations[k]),
            float(self.quadrature_error[k]),
            int(self.n_agq[k]),
            0,
        )
        convergence = Convergence(code, self.message(k), *numbers, limits=tuple(map(int, np.flatnonzero(self.limits[k]))))
        return FittedModel(
            design=self.design,
            problem=self.problem,
            options=self.request.options,
            quadrature=Quadrature(int(self.n_agq[k])),
            theta=theta,
            params=Params(*parts),
            information=self.information[k],
            log_likelihood=float(self.log_likelihood[k]),
            objective=np.nan,
            modes=np.zeros((0, layout.covariance.q)),
            is_singular=is_singular,
            convergence=convergence,
            request=self.request,
        )
