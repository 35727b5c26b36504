"""What a fit from Python takes and gives back, and how its end is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from glmmjax.estimation.convergence import Code, Convergence, LaplaceError
from glmmjax.estimation.factors import has_lost_rank, root_of
from glmmjax.estimation.family_limits import at_limits, entries_at, limit_parts, on_host
from glmmjax.estimation.judgement import Settled
from glmmjax.estimation.phases.phase import Phase
from glmmjax.estimation.search_space import SearchSpace
from glmmjax.families.base import Limit
from glmmjax.likelihood.quadrature import IMPORTANCE, LAPLACE, Quadrature
from glmmjax.options import Options

__all__ = ["Asked", "Maximum", "Monitor", "Progress", "maximum"]


_MOVED = 0.1  # standard errors by which draws made anew may still move an estimate
_SAMPLE_TEXT = (
    "the importance sample is not settled: its draws are worth too few, or new ones around the estimates move them, so that these may be "
    "far from the maximum-likelihood ones. Try options=Options(n_draws=10_000), or leave correction out for those of Laplace's method."
)


class Progress(NamedTuple):
    """What a monitor is told between steps.

    Attributes
    ----------
    phase : "EM", "quasi-Newton" or "Newton"
    iteration : evaluations of the phase so far
    log_likelihood : at the best point so far, without the penalty
    gradient_norm : largest absolute entry of the gradient there
    """

    phase: str
    iteration: int
    log_likelihood: float
    gradient_norm: float


class Maximum(NamedTuple):
    """Where a fit ended; numpy arrays.

    Attributes
    ----------
    theta : (P,) the free vector
    hessian : (P, P) of the objective
    log_likelihood : without the penalty
    objective : with the penalty
    modes : (S, q, B) for each bucket
    convergence : how the fit ended
    is_singular : whether D has lost rank; of a fit with a certificate its code says so
    """

    theta: np.ndarray
    hessian: np.ndarray
    log_likelihood: float
    objective: float
    modes: tuple[np.ndarray, ...]
    convergence: Convergence
    is_singular: bool


Monitor = Callable[[Progress], None]


class Asked(NamedTuple):
    """The request for a fit from Python.

    Attributes
    ----------
    options : settings of the fit
    quadrature : the rule to begin with
    is_exact : whether to keep exactly this rule; False: a finer one where it has not settled
    initial : (P,) free vector to start from, None for starting values from the data
    monitor : called with a ``Progress`` between steps; None for no call
    is_corrected : whether the error of Laplace's method for crossed factors is taken out
    """

    options: Options
    quadrature: Quadrature
    is_exact: bool
    initial: np.ndarray | None
    monitor: Monitor | None
    is_corrected: bool = False

    def report(self, phase: Phase, state: Any) -> None:
        """Tell the monitor where a phase stands."""
        if self.monitor is not None:
            gradient_norm = float(np.max(np.abs(np.asarray(state.at.gradient)), initial=0.0))
            self.monitor(Progress(*phase.progress(state), float(state.at.log_likelihood), gradient_norm))


def maximum(
    asked: Asked,
    found: Settled,
    modes: tuple[np.ndarray, ...],
    n_on_sample: int,
    space: SearchSpace,
    of_laplace: LaplaceError | None = None,
) -> Maximum:
    """The record of a fit, in the coordinates of the data, which ``space`` gives from those of the search."""
    newton, quadrature, (error, shift, *_) = found.last.newton, found.quadrature, found.judgement
    at, (n_em, n_quasi_newton, n_newton) = newton.at, found.n_evaluations
    theta, gradient, hessian, modes = space.back(newton.theta, at.gradient, newton.hessian, modes)
    code, (limits, positions) = Code(int(found.last.code)), _limits(found)
    code = _judged(code, error, asked) if of_laplace is None else _judged_sample(code, shift, of_laplace, asked)
    text = _SAMPLE_TEXT if of_laplace is not None and code is Code.QUADRATURE_NOT_SETTLED else code.text
    convergence = Convergence(
        code=code,
        message="; ".join([text, *dict.fromkeys(limit.text for limit in limits)]),
        newton_decrement=float(newton.decrement),
        gradient_norm=float(np.max(np.abs(gradient), initial=0.0)),
        n_em=n_em,
        n_quasi_newton=n_quasi_newton,
        n_newton=n_newton,
        quadrature_error=error,
        n_agq=quadrature.n_points,
        finer_n_agq=quadrature.finer(at.chol_gradient.shape[0]).n_points,
        n_on_sample=n_on_sample,
        method=quadrature.method if of_laplace is None else (IMPORTANCE if asked.is_corrected else LAPLACE),
        largest_shift=shift,
        laplace_error=of_laplace,
        limits=space.padding.cut_positions(positions),
    )
    return Maximum(theta, hessian, float(at.log_likelihood), float(at.value), modes, convergence, _is_singular(found, code))


def _is_singular(found: Settled, code: Code) -> bool:
    if code.is_certified:
        return code is Code.CONVERGED_ON_BOUNDARY
    layout, last = found.whole.settings.problem.layout, found.last
    chol = root_of(layout.covariance, np.asarray(last.newton.theta)[layout.random])
    return bool(np.isfinite(chol).all() and has_lost_rank(chol, np.asarray(last.begun.start.effect_reach)))


def _judged(code: Code, quadrature_error: float, asked: Asked) -> Code:
    """``code``, or ``QUADRATURE_NOT_SETTLED`` for a certified maximum where a finer rule differs by too much."""
    is_near = abs(quadrature_error) < asked.options.quadrature_limit or (asked.is_exact and asked.quadrature.n_points == 1)
    return Code.QUADRATURE_NOT_SETTLED if code.is_certified and not is_near else code


def _judged_sample(code: Code, shift: float, error: LaplaceError, asked: Asked) -> Code:
    """``code``, or ``QUADRATURE_NOT_SETTLED`` for the maximum of an importance sample that says little of the likelihood."""
    is_settled = not asked.is_corrected or (error.is_reliable and shift < _MOVED)
    return Code.QUADRATURE_NOT_SETTLED if code.is_certified and not is_settled else code


def _limits(found: Settled) -> tuple[list[Limit], tuple[int, ...]]:
    """The limits of the family that a fit with a certificate has reached, and the positions in theta that have run off to them."""
    settings, newton, start = found.whole.settings, found.last.newton, on_host(found.last.begun.start)
    problem, parts = settings.problem, limit_parts(settings.problem)
    if not parts or not found.is_certified:
        return [], ()
    theta, gradient, hessian = (np.asarray(a) for a in (newton.theta, newton.at.gradient, newton.hessian))
    is_at = at_limits(problem, start, theta, gradient, hessian, settings.options.certificate)
    reached = [part for part, at in zip(parts, is_at, strict=True) if at]
    positions = {int(k) for where, _ in reached for k in np.flatnonzero(entries_at(problem, start, where))}
    return [limit for _, limit in reached], tuple(sorted(positions))
