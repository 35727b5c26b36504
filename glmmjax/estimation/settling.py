"""How far a rule is from the integral, and the search for a rule that has settled.

A finer rule is evaluated where an ascent has ended. Its value tells the error of the log-likelihood, and its gradient, which comes with it,
by how many standard errors the estimates would still move. Two rules can agree by chance in the value; not in all slopes too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from glmmjax.estimation.ascent import Report, ascend, ascend_again
from glmmjax.estimation.convergence import SINGULAR, Code
from glmmjax.estimation.evaluators.choice import Data
from glmmjax.estimation.evaluators.evaluator import End, Evaluator
from glmmjax.estimation.phases.phase import Phase
from glmmjax.estimation.sequence import FIRST_ORDER, NEWTON
from glmmjax.likelihood.quadrature import GAUSS_HERMITE, TRAPEZOID, TRAPEZOID_DIMENSIONS, Quadrature
from glmmjax.likelihood.rule import Rule
from glmmjax.options import Options

__all__ = ["Judgement", "Settled", "is_settled", "judged", "settled"]

_LARGEST_SHIFT = 0.02  # standard errors that an estimate may still move by
_MOST_NODES = 7_000  # of a rule that is taken of itself
_GAUSS_HERMITE_STEPS = 2  # finer rules of this kind; where a posterior is skewed, more of them do not settle either
_TRAPEZOIDS = (31, 47)  # points of the rules that come after them
_SPREAD = 2.0  # standard deviation, on the predictor's scale, of an effect that gets a second start


class Judgement(NamedTuple):
    """What finer rules say of the end of an ascent.

    Attributes
    ----------
    error : their log-likelihood minus the reported one; NaN where a rule has no value
    shift : the largest change of an estimate that they ask for, in standard errors
    step : (P,) the change that they ask for; empty where it is not known
    """

    error: float
    shift: float
    step: np.ndarray = np.zeros(0)


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
    def is_certified(self) -> bool:
        """Whether it is a maximum of its rule."""
        return Code(int(self.last.code)).is_certified

    @property
    def is_lost(self) -> bool:
        """Whether the ascent has ended where nothing is finite."""
        return Code(int(self.last.code)) is Code.NOT_FINITE

    @property
    def value(self) -> float:
        """The objective there."""
        return float(self.last.newton.at.value)


def judged(whole: Evaluator, last: End, quadrature: Quadrature, before: tuple[int, ...] = (0, 0, 0)) -> Settled:
    """The end of an ascent with what finer rules say of it; ``before`` are evaluations that led to its beginning."""
    counts = _added(before, last.n_evaluations)
    return Settled(last, whole, quadrature, _judgement(whole, last, quadrature), counts)


def is_settled(judgement: Judgement, options: Options) -> bool:
    """Whether a finer rule would change nothing that matters."""
    return abs(judgement.error) < options.quadrature_tolerance and judgement.shift < _LARGEST_SHIFT


def settled(data: Data, found: Settled, options: Options, report: Report) -> Settled:
    """The maximum by a rule that has settled, from that by a coarser one; the last rule tried where none has."""
    found = _refined(data, found, options, report)
    theta = _with_variances(found)
    if theta is None:
        return found
    # no variance is a local maximum of the integral, and there may be a higher one
    whole = _by(found.whole, Quadrature(found.quadrature.n_points))
    other = judged(whole, ascend(whole, data.begin(theta), report), Quadrature(found.quadrature.n_points), found.n_evaluations)
    if other.is_certified and other.value > found.value + options.quadrature_tolerance:
        other = _refined(data, other, options, report)
        if other.is_certified and other.value > found.value:
            return other
    return found._replace(n_evaluations=other.n_evaluations)


def _refined(data: Data, found: Settled, options: Options, report: Report) -> Settled:
    """``settled`` without a second start."""
    values: dict[Quadrature, float] = {}

    def value(quadrature: Quadrature) -> float:
        if quadrature not in values:
            values[quadrature] = _value(data.whole, found.last, quadrature)
        return values[quadrature]

    best, q, candidates = found, _q(data.whole), list(_candidates(found, _q(data.whole), options.max_agq))
    for quadrature in candidates:
        if is_settled(best.judgement, options):
            break
        # one value costs a fraction of a fit: a rule that has not settled where the ascent ended is not worth one
        may_settle = abs(value(quadrature.finer(q)) - value(quadrature)) < options.quadrature_tolerance
        if may_settle or quadrature is candidates[-1]:
            moved = _moved(data, best, quadrature, report)
            best = best._replace(n_evaluations=moved.n_evaluations) if moved.is_lost else moved
    return best


def _candidates(found: Settled, q: int, max_agq: int) -> Iterator[Quadrature]:
    """Finer rules, in the order in which they are tried; where there is no maximum, another method finds none."""
    if found.is_lost:
        return
    quadrature = found.quadrature
    for _ in range(_GAUSS_HERMITE_STEPS):
        finer = quadrature.finer(q)
        quadrature = Quadrature(min(finer.n_points, max_agq), finer.method)
        if found.quadrature.n_points < quadrature.n_points and quadrature.n_points**q <= _MOST_NODES:
            yield quadrature
    if q in TRAPEZOID_DIMENSIONS and found.is_certified:
        yield from (Quadrature(n_points, TRAPEZOID) for n_points in _TRAPEZOIDS if n_points <= max_agq)


def _moved(data: Data, found: Settled, quadrature: Quadrature, report: Report) -> Settled:
    """The maximum by another rule, from where that by a coarser one is."""
    whole, last, counts = _by(found.whole, quadrature), found.last, found.n_evaluations
    # a coarser rule may have lost a rank that is there after all, and from which a search is slow to come back
    is_inside = Code(int(last.code)).is_inside
    if quadrature.method != GAUSS_HERMITE and not is_inside:  # its only program is that of the second phase
        start = _by(data.whole, Quadrature(found.quadrature.n_points).finer(_q(data.whole)))
        last = ascend(start, data.begin(None), report)
        counts = _added(counts, last.n_evaluations)
    if is_inside or quadrature.method != GAUSS_HERMITE:
        is_near = is_inside and found.judgement.shift < 1.0
        last = ascend_again(whole, last, found.judgement.step if is_near else None, report)
        counts = _added(counts, (0, 0, last.newton.n_newton))
    if quadrature.method != GAUSS_HERMITE or (Code(int(last.code)).is_inside and is_inside):
        return Settled(last, whole, quadrature, _judgement(whole, last, quadrature), counts)
    return judged(whole, ascend(whole, data.begin(None), report), quadrature, counts)


def _with_variances(found: Settled) -> np.ndarray | None:
    """(P,) the estimates with variances where effects have none, large enough to leave that place; None where all have some."""
    if Code(int(found.last.code)) is not Code.CONVERGED_ON_BOUNDARY:
        return None
    layout = found.whole.settings.problem.layout
    theta, reach = np.array(found.last.newton.theta), np.asarray(found.last.begun.start.effect_reach)
    root = np.array(layout.covariance.factor(jnp.asarray(theta[layout.random])))
    without = np.sqrt((root * root).sum(1)) * reach < SINGULAR
    if not without.any():
        return None
    root[without] = np.diag(_SPREAD / reach)[without]
    theta[layout.random] = layout.covariance.free(jnp.asarray(root))
    return theta


def _judgement(whole: Evaluator, last: End, quadrature: Quadrature) -> Judgement:
    problem = whole.settings.problem
    rules = quadrature.judges(problem.layout.covariance.q, problem.prior)
    found = [whole.by_rule(last, rule, _phase(quadrature)) for rule in rules]
    reported = float(last.newton.at.log_likelihood)
    values = [reported, *(float(at.log_likelihood) if np.isfinite(at.value) else np.nan for at in found)]
    # steps towards the integral may cancel: their sizes are added, with the sign of the whole way
    error = np.copysign(np.abs(np.diff(values)).sum(), values[-1] - values[0])
    return Judgement(float(error), *_newton_step(last, np.asarray(found[-1].gradient)))


def _value(whole: Evaluator, last: End, quadrature: Quadrature) -> float:
    at = whole.by_rule(last, _rule(whole, quadrature), _phase(quadrature))
    return float(at.log_likelihood) if np.isfinite(at.value) else np.nan


def _newton_step(last: End, gradient: np.ndarray) -> tuple[float, np.ndarray]:
    """Newton's step by this gradient (P,) along directions of which the data tell, and its largest entry in standard errors."""
    information = -np.asarray(last.newton.hessian)
    if not (np.isfinite(information).all() and np.isfinite(gradient).all()):
        return np.inf, np.zeros(len(gradient))
    diagonal = np.abs(np.diagonal(information))
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(information * scale[:, None] * scale)
    root = vectors[:, values > 1e-10] / np.sqrt(values[values > 1e-10])
    errors = np.sqrt((root**2).sum(1))
    step = root @ (root.T @ (scale * gradient))
    return float(np.max(np.abs(step) / np.where(errors > 0, errors, 1.0), initial=0.0)), scale * step


def _phase(quadrature: Quadrature) -> Phase:
    """The phase whose program evaluates a rule: a method beside the first one has one program, that of the second phase."""
    return FIRST_ORDER if quadrature.method == GAUSS_HERMITE else NEWTON


def _by(whole: Evaluator, quadrature: Quadrature) -> Evaluator:
    return whole.with_rule(_rule(whole, quadrature))


def _rule(whole: Evaluator, quadrature: Quadrature) -> Rule:
    return quadrature.padded(_q(whole), whole.settings.problem.prior)


def _added(counts: tuple[int, ...], more: Iterable[Any]) -> tuple[int, ...]:
    return tuple(n + int(others) for n, others in zip(counts, more, strict=True))


def _q(whole: Evaluator) -> int:
    return whole.settings.problem.layout.covariance.q
