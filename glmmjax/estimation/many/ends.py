"""Where the fits of a batch ended, and which of these ends an ordinary fit would accept as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from glmmjax.estimation.convergence import Code
from glmmjax.estimation.judgement import are_settled
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.search_columns import SearchColumns
from glmmjax.options import Options

__all__ = ["Ends", "empty_ends", "in_order", "is_accepted", "is_certified", "is_usual"]

_CERTIFIED = np.array([code for code in Code if code.is_certified])


class Ends(NamedTuple):
    """Where ``n`` fits ended, numpy arrays with a row a fit. What has no certificate is here too, with a code that says why.

    Attributes
    ----------
    fits : (n,) numbers of the fits
    theta : (n, P) the free vector
    hessian : (n, P, P) of the objective
    gradient : (n, P) of the objective
    log_likelihood : (n,) without the penalty
    objective : (n,) with the penalty, by the rule of the ascent
    decrement : (n,) Newton decrement
    code : (n,) ``Code`` as an integer
    error : (n,) log-likelihood by a finer rule minus the reported one
    shift : (n,) the largest change of an estimate that the finer rule asks for, in standard errors
    n_evaluations : (n, 3) in EM, quasi-Newton and Newton steps
    is_close : (n,) bool: close to a limit of the family
    has_rivals : (n,) bool: an ordinary fit begins at other places too, whatever the end
    is_final : (n,) bool: an ordinary fit would do no more
    n_agq : (n,) points per random effect of the rule of the log-likelihood
    """

    fits: np.ndarray
    theta: np.ndarray
    hessian: np.ndarray
    gradient: np.ndarray
    log_likelihood: np.ndarray
    objective: np.ndarray
    decrement: np.ndarray
    code: np.ndarray
    error: np.ndarray
    shift: np.ndarray
    n_evaluations: np.ndarray
    is_close: np.ndarray
    has_rivals: np.ndarray
    is_final: np.ndarray
    n_agq: np.ndarray

    def at(self, where: Any) -> Ends:
        """Some of the fits."""
        return Ends(*(part[where] for part in self))

    def back(self, columns: SearchColumns | None) -> Ends:
        """The same in the coordinates of the data, from those of a search in ``columns``."""
        if columns is None or not len(self.fits):
            return self
        found = [columns.back(*one) for one in zip(self.theta, self.gradient, self.hessian, strict=True)]
        theta, gradient, hessian = (np.stack(parts) for parts in list(zip(*found, strict=True))[:3])
        return self._replace(theta=theta, gradient=gradient, hessian=hessian)


def is_certified(code: np.ndarray) -> np.ndarray:
    """(n,) bool: which codes are those of a certified maximum."""
    return np.isin(code, _CERTIFIED)


def is_accepted(problem: Problem, options: Options, is_exact: bool, ends: Ends) -> np.ndarray:
    """(n,) bool: ends of an ascent with which an ordinary fit is content, up to the second start that it makes of a singular end.

    Parameters
    ----------
    is_exact : whether exactly the rule of the ascent was asked for.
    """
    if is_exact:
        return _is_plain(ends)
    return is_usual(problem, ends) & are_settled(ends.error, ends.shift, options)


def is_usual(problem: Problem, ends: Ends) -> np.ndarray:
    """(n,) bool: ends from which an ordinary fit goes to finer rules at most, up to that second start."""
    accepted = [Code.CONVERGED, *((Code.CONVERGED_ON_BOUNDARY, Code.DIVERGING) if problem.family.is_log_concave else ())]
    is_known = np.isin(ends.code, accepted) | (problem.layout.covariance.q == 0)
    return _is_plain(ends) & is_known & ~ends.has_rivals


def _is_plain(ends: Ends) -> np.ndarray:
    return (ends.code != Code.NOT_FINITE) & ~ends.is_close


def in_order(parts: Sequence[Ends], size: int) -> Ends:
    """The ends of all parts in the order of their numbers; ``size`` is the length of theta."""
    whole = Ends(*(np.concatenate(columns) for columns in zip(*(empty_ends(size), *parts), strict=True)))
    return whole.at(np.argsort(whole.fits, kind="stable"))


def empty_ends(size: int, fits: np.ndarray | None = None) -> Ends:
    """Fits that have no end: NaN everywhere."""
    fits = np.zeros(0, int) if fits is None else fits
    n = len(fits)
    nothing, vector = np.full(n, np.nan), np.full((n, size), np.nan)
    return Ends(
        fits=fits,
        theta=vector,
        hessian=np.full((n, size, size), np.nan),
        gradient=vector,
        log_likelihood=nothing,
        objective=nothing,
        decrement=nothing,
        code=np.full(n, int(Code.NOT_FITTED)),
        error=nothing,
        shift=nothing,
        n_evaluations=np.zeros((n, 3), int),
        is_close=np.zeros(n, bool),
        has_rivals=np.zeros(n, bool),
        is_final=np.ones(n, bool),
        n_agq=np.zeros(n, int),
    )
