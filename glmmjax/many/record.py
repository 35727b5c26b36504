"""From the ends of a batch to the record of many fits, and the fits of it that are made once more by themselves."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from glmmjax.design import Design
from glmmjax.estimation.convergence import Code, Convergence
from glmmjax.estimation.many.ends import Ends, empty_ends, is_certified
from glmmjax.estimation.maximum import Maximum
from glmmjax.estimation.objective import Problem

__all__ = ["Alone", "Found", "alone_of", "ends_of", "is_doubtful", "reach_of"]

_TINY = 0.05  # standard errors: a coefficient that runs off is tiny beside its error
_WIDE = 5.0  # error of a predictor by one coefficient: what runs off has a far larger one, what is estimated a smaller one


class Alone(NamedTuple):
    """What is kept of a fit that was made by itself; the fields of ``FittedModel``.

    Attributes
    ----------
    theta
    information
    log_likelihood
    convergence
    """

    theta: np.ndarray
    information: np.ndarray
    log_likelihood: float
    convergence: Convergence


@dataclasses.dataclass
class Found:
    """What is known of ``R`` fits so far, a row a fit; see ``FittedMany`` for the fields."""

    problem: Problem
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
    is_alone: np.ndarray

    @classmethod
    def of(cls, problem: Problem, ends: Ends) -> Found:
        """The ends of a batch, in order, with the signs that a fit reports."""
        layout = problem.layout
        sign = np.ones_like(ends.theta)
        sign[:, layout.random] = layout.covariance.signs(ends.theta[:, layout.random])
        n = len(ends.fits)
        return cls(
            problem=problem,
            theta=ends.theta * sign,
            information=-ends.hessian * sign[:, :, None] * sign[:, None, :],
            log_likelihood=ends.log_likelihood,
            decrement=ends.decrement,
            code=ends.code.copy(),
            messages={},
            quadrature_error=ends.error,
            n_agq=ends.n_agq,
            limits=np.zeros(ends.theta.shape, bool),
            n_evaluations=ends.n_evaluations.sum(axis=1),
            is_alone=np.zeros(n, bool),
        )

    def put(self, k: int, fitted: Alone) -> None:
        """The fit with number ``k`` as an ordinary one."""
        found = fitted.convergence
        self.theta[k], self.information[k], self.log_likelihood[k] = fitted.theta, fitted.information, fitted.log_likelihood
        self.decrement[k], self.code[k], self.quadrature_error[k] = found.newton_decrement, int(found.code), found.quadrature_error
        self.n_agq[k], self.n_evaluations[k], self.is_alone[k] = found.n_agq, self.n_evaluations[k] + found.n_evaluations, True
        self.limits[k] = False
        self.limits[k, list(found.limits)] = True
        if found.message != found.code.text:
            self.messages[k] = found.message

    def refuse(self, k: int, text: str) -> None:
        """The fit with number ``k`` cannot be made."""
        for part in (self.theta, self.information, self.log_likelihood, self.decrement, self.quadrature_error):
            part[k] = np.nan
        self.code[k], self.messages[k] = int(Code.NOT_FITTED), text

    def judge_rule(self, limit: float, is_laplace: bool) -> None:
        """A certified maximum of a rule that is far from the integral counts as not settled."""
        is_far = is_certified(self.code) & ~(np.abs(self.quadrature_error) < limit) & (not is_laplace)
        self.code[is_far] = int(Code.QUADRATURE_NOT_SETTLED)


def alone_of(problem: Problem, found: Maximum) -> Alone:
    """A maximum with the signs that a fit reports."""
    layout, sign = problem.layout, np.ones(problem.layout.size)
    sign[layout.random] = layout.covariance.signs(found.theta[layout.random])
    return Alone(found.theta * sign, -found.hessian * np.outer(sign, sign), found.log_likelihood, found.convergence)


def ends_of(k: int, found: Alone) -> Ends:
    """The same as the ends of a batch of one."""
    ends = empty_ends(len(found.theta), np.array([k]))
    return ends._replace(theta=found.theta[None], hessian=-found.information[None], code=np.array([int(found.convergence.code)]))


def is_doubtful(problem: Problem, ends: Ends, reach: np.ndarray) -> np.ndarray:
    """(n,) bool: certified ends in which a coefficient looks like one that runs off, as separated data make it.

    ``reach`` (P,) is the largest change of a linear predictor when an entry of theta moves by 1.
    """
    layout = problem.layout
    asked = [np.arange(layout.size)[where] for where in layout.by_predictor[: 1 + problem.family.has_zero_part]]
    columns = np.concatenate(asked)
    certified = is_certified(ends.code) & np.isfinite(ends.hessian).all(axis=(1, 2))
    information = np.where(certified[:, None, None], -ends.hessian, np.eye(layout.size))
    diagonal = np.diagonal(information, axis1=1, axis2=2)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(information * scale[:, :, None] * scale[:, None, :])
    errors = scale[:, columns] * np.sqrt((vectors**2 / np.maximum(values, 1e-14)[:, None, :]).sum(-1)[:, columns])
    runs_off = (np.abs(ends.theta[:, columns]) < _TINY * errors) & (errors * reach[columns] > _WIDE)
    return certified & runs_off.any(axis=1)


def reach_of(problem: Problem, design: Design) -> np.ndarray:
    """(P,) the largest change of a linear predictor when a coefficient moves by 1; 0 for all else."""
    reach = np.zeros(problem.layout.size)
    for e, where in enumerate(problem.layout.by_predictor):
        reach[where] = np.max([np.abs(np.asarray(bucket.X[e])).max(axis=(0, 2, 3)) for bucket in design.clusters.buckets], axis=0)
    return reach
