"""How a fit ended: codes, their texts, and the certificate. Only a fit with a certificate is ``converged``."""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.family_limits import at_limits, entries_at, limit_parts
from glmmjax.estimation.objective import FitSettings
from glmmjax.estimation.phases.newton import FLAT, NewtonState, Spectrum, spectrum
from glmmjax.estimation.starting_values import Start
from glmmjax.likelihood.params import Theta
from glmmjax.likelihood.quadrature import GAUSS_HERMITE

__all__ = ["SINGULAR", "Code", "Convergence", "code_of", "is_singular"]

_MODE_ERROR = 1e-8  # in squared posterior standard deviations; a Newton step from a warm start leaves a far smaller error
_DIVERGING = 0.01  # change of a linear predictor, in deviations of its rows, that a last Newton step may still ask for
_UNKNOWN = 100.0  # in the same units: a coefficient that is known no better, were all others known, has lost its information
_ABSURD = 1000.0  # in the same units: a standard error of a coefficient, beside all others, that no data leave behind
SINGULAR = 1e-4  # relative size of a diagonal entry of L below which D counts as singular


class Code(enum.IntEnum):
    """How a fit ended; ``text`` says what was seen and what to try.

    Attributes
    ----------
    CONVERGED : certified maximum
    CONVERGED_ON_BOUNDARY : certified maximum with a singular covariance matrix of the random effects
    DECREMENT_TOO_LARGE : another Newton step still promises a gain
    NOT_A_MAXIMUM : the Hessian is not negative definite
    DIVERGING : an estimate runs off to infinity
    MODES_NOT_FOUND : conditional modes of some clusters are not exact
    NOT_FINITE : the log-likelihood or its Hessian is not finite
    QUADRATURE_NOT_SETTLED : a finer rule moves the log-likelihood by too much, or sees no maximum there
    CONVERGED_AT_FAMILY_LIMIT : certified maximum where an extra parameter is not needed, and a simpler family fits as well
    NOT_FITTED : one of many fits whose data allow none, or that was not reached
    """

    CONVERGED = 0
    CONVERGED_ON_BOUNDARY = 1
    DECREMENT_TOO_LARGE = 2
    NOT_A_MAXIMUM = 3
    DIVERGING = 4
    MODES_NOT_FOUND = 5
    NOT_FINITE = 6
    QUADRATURE_NOT_SETTLED = 7
    CONVERGED_AT_FAMILY_LIMIT = 8
    NOT_FITTED = 9

    @property
    def is_certified(self) -> bool:
        """Whether this is the end of a fit with a certificate."""
        return self in (Code.CONVERGED, Code.CONVERGED_ON_BOUNDARY, Code.CONVERGED_AT_FAMILY_LIMIT)

    @property
    def is_inside(self) -> bool:
        """Whether it is a certified one with a D of full rank."""
        return self.is_certified and self is not Code.CONVERGED_ON_BOUNDARY

    @property
    def text(self) -> str:
        """One or two sentences for people."""
        return _TEXTS[self]


_TEXTS = {
    Code.CONVERGED: "certified maximum: the Newton decrement is small and the negative Hessian positive definite",
    Code.CONVERGED_ON_BOUNDARY: (
        "certified maximum on the boundary: the covariance matrix of the random effects is singular, and only directions inside it are flat"
    ),
    Code.DECREMENT_TOO_LARGE: (
        "no certificate: another Newton step still promises a gain above the tolerance. "
        "Try options=Options(n_quasi_newton=1000, n_newton=50), rescaled covariates, or initial_values from a simpler model."
    ),
    Code.NOT_A_MAXIMUM: (
        "no certificate: the Hessian is not negative definite, so the estimates are not a strict maximum; a random effect or a "
        "coefficient may not be identified by these data. Try fewer random effects, or more quadrature points (n_agq)."
    ),
    Code.DIVERGING: (
        "no certificate: the log-likelihood keeps rising while an estimate runs off to infinity. "
        "Try a simpler model, or penalized=True where it is a fixed effect."
    ),
    Code.MODES_NOT_FOUND: (
        "no certificate: the conditional modes of some clusters were not found to full precision. "
        "Try rescaled covariates, or initial_values from a simpler model."
    ),
    Code.NOT_FINITE: (
        "no certificate: the log-likelihood or its Hessian is not finite where the search began or ended. "
        "Try initial_values inside the domain of the link, another link, or rescaled covariates."
    ),
    Code.QUADRATURE_NOT_SETTLED: (
        "the integral is not settled: the maximum of this quadrature rule is certified, but a finer rule moves the log-likelihood "
        "there by too much, or sees no maximum there: the estimates may be far from the maximum-likelihood ones. Leave n_agq out, and "
        "rules are tried until one settles; a random effect whose variance has no bound in these data stays unsettled under any rule."
    ),
    Code.CONVERGED_AT_FAMILY_LIMIT: "certified maximum at the limit of the family, where an extra parameter is not needed",
    Code.NOT_FITTED: "not fitted",
}


_FEWEST_DRAWS = 20.0  # what the draws of an importance sample must be worth


class LaplaceError(NamedTuple):
    """The error of Laplace's method for crossed factors, by importance sampling.

    Attributes
    ----------
    value : log-likelihood by importance sampling minus that by Laplace's method, at the estimates
    std_error : its Monte Carlo standard error
    effective_draws : draws that the unequal weights are worth; where they are few beside ``n_draws``, neither number can be trusted
    n_draws : draws made, in antithetic pairs
    """

    value: float
    std_error: float
    effective_draws: float
    n_draws: int

    @property
    def is_reliable(self) -> bool:
        """Whether the draws are worth enough to trust the other numbers."""
        return self.effective_draws >= _FEWEST_DRAWS


@dataclasses.dataclass(frozen=True)
class Convergence:
    """The record of how a fit ended, ``fit.convergence``.

    Attributes
    ----------
    code : ``Code``: how the fit ended
    message : the text of the code: what was seen and what to try
    newton_decrement : in log-likelihood units, by the exact Hessian at the reported parameters, with modes found again
    gradient_norm : largest absolute entry of the gradient in theta
    n_em : evaluations of value and gradient in the EM phase
    n_quasi_newton : evaluations of value and gradient in the quasi-Newton phase
    n_newton : evaluations of value, gradient and Hessian in the Newton phase
    quadrature_error : log-likelihood by the finer rule minus the reported one, at the estimates.
        A rule that is judged by several has the sum of the sizes of their steps. NaN for a corrected fit of crossed factors, whose error
        is a Monte Carlo one.
    n_agq : quadrature points per random effect
    finer_n_agq : points per random effect of the finer rule
    n_on_sample : evaluations on a sample of the clusters, with which a fit of large data starts
    method : how the random effects are integrated over
    largest_shift : the largest change of an estimate that the finer rule asks for, in standard errors
    limits : positions in theta of parameters that have run off to a limit of the family; they have no standard errors
    laplace_error : for crossed factors the error of Laplace's method, a ``LaplaceError``; None for all other models
    device : where the fit ran: "cpu", "4 x cpu", "2 processes, 8 x gpu"
    """

    code: Code
    message: str
    newton_decrement: float
    gradient_norm: float
    n_em: int
    n_quasi_newton: int
    n_newton: int
    quadrature_error: float
    n_agq: int
    finer_n_agq: int
    n_on_sample: int = 0
    method: str = GAUSS_HERMITE
    largest_shift: float = math.nan
    limits: tuple[int, ...] = ()
    laplace_error: LaplaceError | None = None
    device: str = ""

    @property
    def has_converged(self) -> bool:
        """Whether the fit carries the certificate."""
        return self.code.is_certified

    @property
    def n_evaluations(self) -> int:
        """Evaluations of the likelihood with derivatives, all phases."""
        return self.n_em + self.n_quasi_newton + self.n_newton


def is_singular(chol: Array, reach: Array, counts: Array | None = None) -> Array:
    """() whether D = L L' has lost rank: a diagonal entry of L negligible beside its row, or on the scale of the predictor.

    ``reach`` (q,) is ``Start.effect_reach``; ``counts`` (q,) bool tells of which effects it is asked, None of all.
    """
    if chol.shape[0] == 0:
        return jnp.array(False)
    lower = jnp.linalg.qr(chol.T, mode="r").T  # the lower factor of the same D, whatever root the structure uses
    diagonal = jnp.abs(jnp.diagonal(lower))
    deviation = jnp.sqrt((chol * chol).sum(1))
    is_lost = (diagonal < SINGULAR * deviation) | (deviation * reach < SINGULAR)
    return jnp.any(is_lost if counts is None else is_lost & counts)


def code_of(settings: FitSettings, start: Start, s: NewtonState) -> Array:
    """() int: the ``Code`` of a finished fit. Pure, so that batched fits have one each."""
    layout = settings.problem.layout
    finite = jnp.isfinite(s.at.value) & jnp.all(jnp.isfinite(s.hessian))
    limited, ordinary, gradient = _limited(settings, start, s), finite, s.at.gradient
    effects = jnp.ones(layout.covariance.q, bool)
    if limited is not None:
        effects = _needed_effects(layout, limited)
        ordinary, gradient = finite & ~(limited[:, None] | limited), jnp.where(limited, 0.0, gradient)
    found = spectrum(jnp.where(ordinary, s.hessian, -jnp.eye(layout.size, dtype=s.theta.dtype)), gradient)
    chol = layout.covariance.factor(s.theta[layout.random])
    singular = is_singular(chol, start.effect_reach, effects)

    inside_random = (found.vectors[layout.random] ** 2).sum(0) > 1.0 - 1e-6
    flat = jnp.abs(found.values) <= 10.0 * FLAT
    is_definite = jnp.all((found.values > 10.0 * FLAT) | (flat & inside_random & singular))
    positive = found.values > 10.0 * FLAT
    last_step = found.scale * (found.vectors @ jnp.where(positive, found.gradient / jnp.where(positive, found.values, 1.0), 0.0))
    # the columns of X are not aliased, so a flat direction among the fixed effects and extra parameters means that their information has
    # run out: an intercept may run off together with a size
    emptied = jnp.any(flat & ((found.vectors[layout.fixed] ** 2).sum(0) + (found.vectors[layout.extra] ** 2).sum(0) > 0.5))
    deviations = _deviations(layout, start, chol)
    emptied = emptied | _has_lost_information(layout, found, start, deviations)
    is_running = jnp.abs(last_step) * start.reach > _DIVERGING * deviations
    diverges = emptied | (jnp.any(is_running) & (s.decrement < settings.options.certificate))
    checks = [
        (~finite, Code.NOT_FINITE),
        (s.at.mode_error > _MODE_ERROR, Code.MODES_NOT_FOUND),
        (diverges, Code.DIVERGING),
        (~is_definite, Code.NOT_A_MAXIMUM),
        (~(s.decrement < settings.options.certificate), Code.DECREMENT_TOO_LARGE),
        (singular, Code.CONVERGED_ON_BOUNDARY),
        *([] if limited is None else [(jnp.any(limited), Code.CONVERGED_AT_FAMILY_LIMIT)]),
    ]
    return jnp.select([c for c, _ in checks], [int(code) for _, code in checks], int(Code.CONVERGED))


def _deviations(layout: Theta, start: Start, chol: Array) -> Array:
    """(P,) for each entry of theta the standard deviation of its predictor between rows, by noise and random effects, in units of noise.

    Many outcomes tell much of a cluster, and a cluster no more of a coefficient than its random effects leave.
    """
    found = jnp.ones(layout.size, chol.dtype)
    if not len(chol):
        return found
    of_effects = jnp.sqrt((chol * chol).sum(1)) * start.effect_reach
    by_predictor = [jnp.where(start.effect_predictor == e, of_effects, 0.0).max() for e in range(len(layout.by_predictor))]
    for where, largest in zip(layout.by_predictor, by_predictor, strict=True):
        found = found.at[where].set(jnp.sqrt(1.0 + largest**2))
    return found.at[layout.random].set(jnp.sqrt(1.0 + jnp.stack(by_predictor).max() ** 2))


def _has_lost_information(layout: Theta, found: Spectrum, start: Start, deviations: Array) -> Array:
    """() whether a coefficient is known so badly that its standard error says nothing but that it runs off.

    ``deviations`` (P,) are those of its predictor. The error of an intercept far from the data is large because the slope is not known: it
    is judged by what the slope leaves of it.
    """
    inverse = jnp.where(found.values > 10.0 * FLAT, 1.0 / jnp.maximum(found.values, 10.0 * FLAT), 0.0)
    errors = found.scale * jnp.sqrt((found.vectors**2 * inverse).sum(1))
    is_lost = (found.scale * start.reach > _UNKNOWN * deviations) | (errors * start.own_reach > _ABSURD * deviations)
    return jnp.any(jnp.concatenate([is_lost[where] for where in layout.by_predictor]))


def _limited(settings: FitSettings, start: Start, s: NewtonState) -> Array | None:
    """(P,) bool: entries of theta that are at a limit of the family, which tell nothing of the others; None where it has no limits."""
    problem, parts, found = settings.problem, limit_parts(settings.problem), jnp.zeros(settings.problem.layout.size, bool)
    if not parts:
        return None
    is_at = at_limits(problem, start, s.theta, s.at.gradient, s.hessian, settings.options.certificate)
    for (where, _), here in zip(parts, is_at, strict=True):
        found = found | (here & entries_at(problem, start, where))
    return found


def _needed_effects(layout: Theta, limited: Array) -> Array:
    """(q,) bool: random effects of predictors that are not at a limit. Those stand last, so that the others have the first rows of L."""
    structure = layout.covariance
    if not structure.entries:
        return jnp.ones(structure.q, bool)
    diagonal = [k for k, (row, column) in enumerate(structure.entries) if row == column]
    return ~limited[layout.random][jnp.array(diagonal, int)]
