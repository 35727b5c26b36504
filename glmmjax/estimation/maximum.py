"""What a fit from Python gives back, and how its end is judged: shared by fits in one program and fits in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from glmmjax.estimation.convergence import Code, Convergence
from glmmjax.estimation.phases import first_order, newton
from glmmjax.likelihood.gauss_hermite import Rule, finer, padded_rule
from glmmjax.options import Options

__all__ = ["Maximum", "Monitor", "Progress", "finer_rule", "maximum", "report"]


class Progress(NamedTuple):
    """What a monitor is told between steps."""

    phase: str  # "EM", "quasi-Newton" or "Newton"
    iteration: int
    log_likelihood: float
    gradient_norm: float


class Maximum(NamedTuple):
    """Where a fit ended; numpy arrays."""

    theta: np.ndarray  # (P,)
    hessian: np.ndarray  # (P, P) of the objective
    log_likelihood: float
    objective: float  # with the penalty
    modes: tuple[np.ndarray, ...]  # (S, q, B) a bucket
    convergence: Convergence


Monitor = Callable[[Progress], None]


def maximum(
    state: first_order.FirstOrder,
    end: newton.Newton,
    modes: tuple[Any, ...],
    code: int,
    finer_value: float,
    options: Options,
    n_agq: int,
    total_weight: float,
    n_on_sample: int = 0,
) -> Maximum:
    """The record of a fit; ``finer_value`` is the log-likelihood at its estimates by the finer rule."""
    error = finer_value - float(end.at.log_likelihood)
    code = _judged(Code(int(code)), error, n_agq, options, total_weight)
    convergence = Convergence(
        code=code,
        message=code.text,
        newton_decrement=float(end.decrement),
        gradient_norm=float(np.max(np.abs(np.asarray(end.at.gradient)), initial=0.0)),
        n_em=int(state.n_em),
        n_quasi_newton=int(state.n_quasi_newton),
        n_newton=int(end.n_newton),
        quadrature_error=error,
        n_agq=n_agq,
        finer_n_agq=finer(n_agq, end.at.chol_gradient.shape[0]),
        n_on_sample=n_on_sample,
    )
    modes = tuple(np.asarray(m) for m in modes)
    return Maximum(np.asarray(end.theta), np.asarray(end.hessian), float(end.at.log_likelihood), float(end.at.value), modes, convergence)


def _judged(code: Code, quadrature_error: float, n_agq: int, options: Options, n_clusters: float) -> Code:
    """``code``, unless a certified maximum of a rule with several points says little on the integral."""
    is_certified = code in (Code.CONVERGED, Code.CONVERGED_ON_BOUNDARY)
    is_settled = n_agq == 1 or abs(quadrature_error) < options.quadrature_limit * n_clusters**0.5
    return Code.QUADRATURE_NOT_SETTLED if is_certified and not is_settled else code


def finer_rule(n_agq: int, q: int) -> Rule:
    """The rule that judges ``n_agq``, in arrays of the same length, which hold it by construction."""
    fine, size = padded_rule(finer(n_agq, q), q), padded_rule(n_agq, q).log_weights.shape[0]
    return fine._replace(nodes=fine.nodes[:size], log_weights=fine.log_weights[:size])


def report(monitor: Monitor | None, state: first_order.FirstOrder | newton.Newton) -> None:
    """Tell ``monitor`` where a phase stands."""
    if monitor is None:
        return
    if isinstance(state, newton.Newton):
        phase, iteration = "Newton", int(state.n_newton)
    else:
        phase, iteration = "EM" if state.in_em else "quasi-Newton", int(state.n_em) + int(state.n_quasi_newton)
    gradient_norm = float(np.max(np.abs(np.asarray(state.at.gradient)), initial=0.0))
    monitor(Progress(phase, iteration, float(state.at.log_likelihood), gradient_norm))
