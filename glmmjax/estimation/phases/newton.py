"""The second-order phase: Newton steps with the exact Hessian, which end in the certificate of a maximum.

At every accepted point the negative Hessian is scaled to a unit diagonal and decomposed, ``A = V diag(l) V'``. The Newton
decrement ``g' A^-1 g / 2`` is the gain that one more step promises; a negative eigenvalue marks a saddle (L = 0 can be one, where
the gradient vanishes by symmetry), which is left along its eigenvector.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.estimation.objective import Evaluated, FitSettings, Problem, choose, penalised, rounding
from glmmjax.estimation.phases.first_order import FirstOrderState
from glmmjax.estimation.phases.phase import Info
from glmmjax.estimation.starting_values import Start

__all__ = ["FLAT", "NewtonState", "Spectrum", "init", "progress", "restarted", "spectrum", "step"]

FLAT = 1e-11  # an eigenvalue of the unit-diagonal negative Hessian that is closer to 0 than this carries no information
_FINISHED = 1e-11  # in log-likelihood units: estimates are then within 5e-6 of their standard errors
_MAX_REJECTED = 10
_SMALL = 0.01  # change of a linear predictor, in deviations of its rows: a longer step is on its way to somewhere


class Spectrum(NamedTuple):
    """Eigen-decomposition of the negative Hessian, scaled to a unit diagonal, and the gradient in its coordinates.

    Attributes
    ----------
    scale : (P,) theta = scale * scaled theta
    values : (P,) eigenvalues, ascending
    vectors : (P, P) eigenvectors V, one a column
    gradient : (P,) V' (scale * g) for the gradient g in theta
    """

    scale: Array
    values: Array
    vectors: Array
    gradient: Array

    @property
    def decrement(self) -> Array:
        """() half of g' A^-1 g over the directions of positive curvature."""
        positive = self.values > FLAT
        return 0.5 * jnp.where(positive, self.gradient**2 / jnp.where(positive, self.values, 1.0), 0.0).sum()


class NewtonState(NamedTuple):
    """State of the phase. ``theta``, ``at``, ``hessian`` change when a proposal is accepted.

    Attributes
    ----------
    theta : (P,) the best point so far
    at : the objective at theta
    hessian : (P, P) of the objective at theta
    proposal : (P,) step to try next
    decrement : () Newton decrement at theta, in log-likelihood units
    n_newton : () evaluations of the Hessian
    n_rejected : () proposals rejected in a row
    is_done : () bool: the phase has ended
    """

    theta: Array
    at: Evaluated
    hessian: Array
    proposal: Array
    decrement: Array
    n_newton: Array
    n_rejected: Array
    is_done: Array


def init(problem: Problem, start: Start, s: FirstOrderState) -> NewtonState:
    """State before the first Hessian, which is evaluated one last quasi-Newton step beyond the first-order phase."""
    del problem, start  # arguments that ``init`` has in every phase
    count = jnp.zeros((), jnp.int32)
    infinity = jnp.array(jnp.inf, s.theta.dtype)
    finite = jnp.isfinite(s.at.value)
    proposal = jnp.where(s.n_rejected == 0, s.proposal, 0.0)
    return NewtonState(s.theta, s.at, jnp.full_like(s.inverse, jnp.nan), proposal, infinity, count, count, ~finite)


def restarted(s: NewtonState, step: np.ndarray | None = None) -> NewtonState:
    """The state before a first Hessian by another rule, at ``step`` (P,) from here; what is known here by the old rule is forgotten."""
    lowest: Any = np.float64(-np.inf)
    nothing, count = s.at._replace(value=lowest, log_likelihood=lowest), np.int32(0)
    proposal = np.zeros(s.theta.shape) if step is None else step
    return s._replace(at=nothing, proposal=proposal, n_newton=count, n_rejected=count, is_done=np.bool_(False))  # type: ignore[arg-type]


def progress(s: NewtonState) -> tuple[str, int]:
    """Name and evaluations of the phase, for people."""
    return "Newton", int(s.n_newton)


def step(settings: FitSettings, start: Start, s: NewtonState, found: tuple[Evaluated, Array]) -> tuple[NewtonState, Info]:
    """The next state, from the log-likelihood and the Hessian ``found`` at the proposed point."""
    options, theta = settings.options, s.theta + s.proposal
    new, hessian = penalised(settings.problem, theta, found, start.is_real, start.penalty)
    finite = jnp.isfinite(new.value) & jnp.all(jnp.isfinite(hessian))
    accepted = finite & (new.value >= s.at.value - 1e4 * rounding(s.at.value))
    n_newton, n_rejected = s.n_newton + 1, jnp.where(accepted, 0, s.n_rejected + 1)

    curvature = spectrum(jnp.where(finite, hessian, -jnp.eye(theta.shape[0], dtype=theta.dtype)), new.gradient)
    decrement = jnp.where(accepted, curvature.decrement, s.decrement)
    proposal = jnp.where(accepted, _newton_step(curvature), 0.25 * s.proposal)
    # near a maximum a step leaves next to nothing of it, until the gradient is rounding alone
    seen = jnp.minimum(rounding(new.value), options.certificate)
    is_rounding = (decrement < seen) & (decrement > 0.5 * s.decrement) & jnp.all(jnp.abs(proposal) * start.reach < _SMALL)
    finished = accepted & ((decrement < _FINISHED) | is_rounding) & (curvature.values[0] > -FLAT)
    stop = finished | (n_newton >= options.n_newton) | (n_rejected > _MAX_REJECTED)
    kept = [jnp.where(accepted, a, b) for a, b in ((theta, s.theta), (hessian, s.hessian))]
    state = NewtonState(kept[0], choose(accepted, new, s.at), kept[1], proposal, decrement, n_newton, n_rejected, stop)
    return state, Info(accepted)


def spectrum(hessian: Array, gradient: Array) -> Spectrum:
    """The negative of ``hessian`` (P, P), scaled and decomposed, with ``gradient`` (P,)."""
    diagonal = jnp.abs(jnp.diagonal(hessian))
    scale = 1.0 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0))
    values, vectors = jnp.linalg.eigh(-hessian * scale[:, None] * scale)
    return Spectrum(scale, values, vectors, vectors.T @ (scale * gradient))


def _newton_step(s: Spectrum) -> Array:
    """Newton's step. It goes uphill along negative curvature too, and leaves a saddle by at least half a standard deviation."""
    size = jnp.maximum(jnp.abs(s.values), FLAT)
    along = jnp.where(jnp.abs(s.values) > FLAT, s.gradient / size, 0.0)
    escape = 0.5 / jnp.sqrt(size) * jnp.where(s.gradient < 0, -1.0, 1.0)
    is_saddle = (s.values < -1e-6) & (jnp.abs(along) < jnp.abs(escape))
    return s.scale * (s.vectors @ jnp.where(is_saddle, escape, along))
