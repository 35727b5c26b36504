"""How far the rule of an ascent is from the integral, where the ascent has ended.

A finer rule is evaluated there. Its value tells the error of the log-likelihood, and its gradient, which comes with it, by how many
standard errors the estimates would still move. Two rules can agree by chance in the value; not in all slopes too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from glmmjax.estimation.convergence import Code
from glmmjax.estimation.evaluators.evaluator import End, Evaluator
from glmmjax.estimation.objective import Evaluated
from glmmjax.estimation.phases.phase import Phase
from glmmjax.estimation.sequence import FIRST_ORDER, NEWTON
from glmmjax.likelihood.quadrature import GAUSS_HERMITE, Quadrature
from glmmjax.likelihood.rule import Rule
from glmmjax.options import Options

__all__ = [
    "Judgement",
    "Settled",
    "added",
    "are_confirmed",
    "are_settled",
    "by_rule",
    "error_of_rule",
    "evaluated",
    "is_denied",
    "is_settled",
    "is_still",
    "judged",
    "judgement",
    "n_effects",
    "newton_steps",
    "padded",
]

_LARGEST_SHIFT = 0.02  # standard errors that an estimate may still move by
_NO_MAXIMUM = (Code.NOT_A_MAXIMUM, Code.DIVERGING)
_STILL = 1e-3  # standard errors: where a finer rule moves no estimate by more, the Hessian by the coarser one serves as well


class Judgement(NamedTuple):
    """What finer rules say of the end of an ascent.

    Attributes
    ----------
    error : their log-likelihood minus the reported one; NaN where a rule has no value, or there is none
    shift : the largest change of an estimate that they ask for, in standard errors
    step : (P,) the change that they ask for; empty where it is not known
    finest : the objective there by the last of them; None where it is not known
    """

    error: float
    shift: float
    step: np.ndarray = np.zeros(0)
    finest: Evaluated | None = None


class Settled(NamedTuple):
    """The end of an ascent by one rule.

    Attributes
    ----------
    last
    whole : the evaluator that has got there
    quadrature
    judgement
    n_evaluations : in EM, quasi-Newton and Newton steps, of all rules so far
    """

    last: End
    whole: Evaluator
    quadrature: Quadrature
    judgement: Judgement
    n_evaluations: tuple[int, ...]

    @property
    def code(self) -> Code:
        """How the ascent ended."""
        return Code(int(self.last.code))

    @property
    def is_certified(self) -> bool:
        """Whether it is a maximum of its rule."""
        return self.code.is_certified

    @property
    def value(self) -> float:
        """The objective there."""
        return float(self.last.newton.at.value)


def judged(whole: Evaluator, last: End, quadrature: Quadrature, before: tuple[int, ...] = (0, 0, 0)) -> Settled:
    """The end of an ascent with what finer rules say of it; ``before`` are evaluations that led to its beginning."""
    counts = added(before, last.n_evaluations)
    return Settled(last, whole, quadrature, judgement(whole, last, quadrature), counts)


def error_of_rule(values: Sequence[Any], signed: Sequence[Any]) -> float:
    """The error of a rule from what it and its judges give at one place.

    Parameters
    ----------
    values : log-likelihoods, each by a finer rule than the one before.
    signed : the same with signs (N_SIGNED,), as in ``ClusterSums``; those of a rule whose judges are much nearer to the integral are 0.
    """
    # errors of clusters may cancel, and so may steps towards the integral: sizes are added, with the sign of the whole way
    ways, by_cluster = np.abs(np.diff(values)), np.sqrt((np.diff(signed, axis=0) ** 2).mean(-1))
    return float(np.copysign(np.maximum(ways, by_cluster).sum(), values[-1] - values[0]))


def is_settled(found: Judgement, options: Options) -> bool:
    """Whether a finer rule would change nothing that matters."""
    return bool(are_settled(np.asarray(found.error), np.asarray(found.shift), options))


def are_settled(error: np.ndarray, shift: np.ndarray, options: Options) -> np.ndarray:
    """The same of many ends, from their errors and shifts."""
    return (np.abs(error) < options.quadrature_tolerance) & (shift < _LARGEST_SHIFT)


def are_confirmed(
    shift: np.ndarray, step: np.ndarray, gradient: np.ndarray, reach: np.ndarray, certificate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Which maxima are those of the finer rule that has judged them too, up to rounding, and their Newton decrements by it; one or many.

    Its gradient is known, and where nothing moves it holds the certificate with the Hessian at hand: no new ascent.

    Parameters
    ----------
    shift, step : what the finer rule asks for, as ``newton_steps`` gives it.
    gradient : (..., P) by the finer rule.
    reach : (..., P) that of ``Start``.
    """
    decrement = 0.5 * (gradient * step).sum(-1)
    runs_away = (np.abs(step) * reach > _STILL).any(-1)
    return (shift < _STILL) & ~runs_away & (decrement < certificate), decrement


def is_still(found: Settled) -> bool:
    """Whether a finer rule would leave the estimates where they are."""
    return found.judgement.shift < _LARGEST_SHIFT


def judgement(whole: Evaluator, last: End, quadrature: Quadrature, rules: Sequence[Rule] | None = None) -> Judgement:
    """What ``rules`` say of the end of an ascent by ``quadrature``; by default all that judge it."""
    problem = whole.settings.problem
    if rules is None:
        rules = quadrature.judges(problem.layout.covariance.q, problem.prior)
    if not rules:
        return Judgement(np.nan, np.nan)
    found = [whole.by_rule(last, rule, _phase(quadrature))[0] for rule in rules]
    ends = (last.newton.at, *found)
    values = [float(at.log_likelihood) if np.isfinite(at.value) else np.nan for at in ends]
    # the steps of a trapezoid and those of its judges are of one size, and each cluster errs to either side as they happen to lie in it
    is_alike = quadrature.method != GAUSS_HERMITE
    error = error_of_rule(values, [is_alike * np.asarray(at.signed) for at in ends])
    shift, step = newton_steps(np.asarray(last.newton.hessian), np.asarray(found[-1].gradient))
    return Judgement(error, float(shift), step, found[-1])


def evaluated(whole: Evaluator, last: End, quadrature: Quadrature) -> float:
    """The log-likelihood by another rule where an ascent ended; NaN where it has none."""
    at, _ = whole.by_rule(last, padded(whole, quadrature), _phase(quadrature))
    return float(at.log_likelihood) if np.isfinite(at.value) else np.nan


def is_denied(found: Settled) -> bool:
    """Whether the finest of the rules that judge a certified end sees no maximum there, nor one close to it.

    Where the data tell little of a variance, the curvature of a rule can have another sign than that of the integral.
    """
    problem = found.whole.settings.problem
    rules = found.quadrature.judges(problem.layout.covariance.q, problem.prior)
    return bool(rules) and Code(int(found.whole.by_rule(found.last, rules[-1], NEWTON)[1])) in _NO_MAXIMUM


def by_rule(whole: Evaluator, quadrature: Quadrature) -> Evaluator:
    """The same data by another rule."""
    return whole.with_rule(padded(whole, quadrature))


def padded(whole: Evaluator, quadrature: Quadrature) -> Rule:
    """The rule in the form that the programs of an evaluator take."""
    return quadrature.padded(n_effects(whole), whole.settings.problem.prior)


def n_effects(whole: Evaluator) -> int:
    """Random effects of a cluster."""
    return whole.settings.problem.layout.covariance.q


def added(counts: tuple[int, ...], more: Iterable[Any]) -> tuple[int, ...]:
    """Evaluations of two ascents together."""
    return tuple(n + int(others) for n, others in zip(counts, more, strict=True))


def newton_steps(hessian: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newton's steps (..., P) of one end or many by gradients (..., P), along directions of which the data tell.

    The first result is the largest entry of each in standard errors (...,): infinity, with a step of 0, where something is not finite.
    """
    known = np.isfinite(hessian).all((-2, -1)) & np.isfinite(gradient).all(-1)
    information, gradient = np.where(known[..., None, None], -hessian, 0.0), np.where(known[..., None], gradient, 0.0)
    diagonal = np.abs(np.diagonal(information, axis1=-2, axis2=-1))
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(information * scale[..., :, None] * scale[..., None, :])
    root = vectors * np.where(values > 1e-10, 1.0 / np.sqrt(np.where(values > 1e-10, values, 1.0)), 0.0)[..., None, :]
    errors = np.sqrt((root**2).sum(-1))
    step = (root @ (np.swapaxes(root, -1, -2) @ (scale * gradient)[..., None]))[..., 0]
    largest = np.max(np.abs(step) / np.where(errors > 0, errors, 1.0), axis=-1, initial=0.0)
    return np.where(known, largest, np.inf), scale * step


def _phase(quadrature: Quadrature) -> Phase:
    """The phase whose program evaluates a rule: a method beside the first one has one program, that of the second phase."""
    return FIRST_ORDER if quadrature.method == GAUSS_HERMITE else NEWTON
