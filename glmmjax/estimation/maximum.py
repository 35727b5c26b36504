"""What a fit from Python takes and gives back, and how its end is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from glmmjax.estimation.convergence import Code, Convergence
from glmmjax.estimation.evaluators.evaluator import End
from glmmjax.estimation.phases.phase import Phase
from glmmjax.likelihood.gauss_hermite import finer, padded_rule
from glmmjax.likelihood.rule import Rule
from glmmjax.options import Options

__all__ = ["Asked", "Maximum", "Monitor", "Progress", "finer_rule", "maximum"]


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
    """

    theta: np.ndarray
    hessian: np.ndarray
    log_likelihood: float
    objective: float
    modes: tuple[np.ndarray, ...]
    convergence: Convergence


Monitor = Callable[[Progress], None]


class Asked(NamedTuple):
    """The request for a fit from Python.

    Attributes
    ----------
    options : settings of the fit
    n_agq : quadrature points per random effect
    initial : (P,) free vector to start from, None for starting values from the data
    monitor : called with a ``Progress`` between steps; None for no call
    """

    options: Options
    n_agq: int
    initial: np.ndarray | None
    monitor: Monitor | None

    def report(self, phase: Phase, state: Any) -> None:
        """Tell the monitor where a phase stands."""
        if self.monitor is not None:
            gradient_norm = float(np.max(np.abs(np.asarray(state.at.gradient)), initial=0.0))
            self.monitor(Progress(*phase.progress(state), float(state.at.log_likelihood), gradient_norm))


def maximum(
    asked: Asked, last: End, modes: tuple[np.ndarray, ...], finer_value: float, *, total_weight: float, n_on_sample: int
) -> Maximum:
    """The record of a fit; ``finer_value`` is the log-likelihood at its estimates by the finer rule."""
    newton, at = last.newton, last.newton.at
    n_em, n_quasi_newton, n_newton = map(int, last.n_evaluations)
    # a rule that has no finite value there must not pass for one that agrees
    error = finer_value - float(at.log_likelihood) if np.isfinite(finer_value) else np.nan
    code = _judged(Code(int(last.code)), error, asked, total_weight)
    convergence = Convergence(
        code=code,
        message=code.text,
        newton_decrement=float(newton.decrement),
        gradient_norm=float(np.max(np.abs(np.asarray(at.gradient)), initial=0.0)),
        n_em=n_em,
        n_quasi_newton=n_quasi_newton,
        n_newton=n_newton,
        quadrature_error=error,
        n_agq=asked.n_agq,
        finer_n_agq=finer(asked.n_agq, at.chol_gradient.shape[0]),
        n_on_sample=n_on_sample,
    )
    return Maximum(np.asarray(newton.theta), np.asarray(newton.hessian), float(at.log_likelihood), float(at.value), modes, convergence)


def _judged(code: Code, quadrature_error: float, asked: Asked, n_clusters: float) -> Code:
    """``code``, or ``QUADRATURE_NOT_SETTLED`` for a certified maximum where a finer rule differs by too much."""
    is_certified = code in (Code.CONVERGED, Code.CONVERGED_ON_BOUNDARY)
    is_settled = asked.n_agq == 1 or abs(quadrature_error) < asked.options.quadrature_limit * n_clusters**0.5
    return Code.QUADRATURE_NOT_SETTLED if is_certified and not is_settled else code


def finer_rule(n_agq: int, q: int) -> Rule:
    """The rule that judges ``n_agq``, in arrays of the same length, which hold it by construction."""
    fine, size = padded_rule(finer(n_agq, q), q), padded_rule(n_agq, q).log_weights.shape[0]
    return fine._replace(nodes=fine.nodes[:size], log_weights=fine.log_weights[:size])
