"""The search for a rule that has settled, and for a higher maximum where the end of an ascent gives reason to doubt it."""

from __future__ import annotations

from typing import Any

import numpy as np

from glmmjax.estimation.ascent import Report, ascend, ascend_again
from glmmjax.estimation.convergence import Code
from glmmjax.estimation.evaluators.choice import Data
from glmmjax.estimation.judgement import (
    Settled,
    added,
    are_confirmed,
    by_rule,
    evaluated,
    is_denied,
    is_settled,
    judged,
    judgement,
    n_effects,
)
from glmmjax.estimation.second_starts import second_starts
from glmmjax.likelihood.quadrature import GAUSS_HERMITE, SINH_TRAPEZOID, TRAPEZOID, WIDE_TRAPEZOID, Quadrature
from glmmjax.options import Options

__all__ = ["SAME", "next_rule", "settled"]

_MOST_NODES = 7_000  # of a rule that is taken of itself
_GAUSS_HERMITE_STEPS = 2  # finer rules of this kind; where a posterior is skewed, more of them do not settle either
_NESTED_STEPS = 4  # of two levels, which have no other method
_TRAPEZOIDS = {1: (31, 47, 95), 2: (21, 31, 47)}  # points of the rules that come after them, by the number of effects
_WIDE_TRAPEZOIDS = (95, 159)  # the same of a law whose first rule goes over all of it
SAME = 1e-6  # difference of log-likelihoods of one maximum


def settled(data: Data, found: Settled, options: Options, report: Report) -> Settled:
    """The maximum by a rule that has settled, from that by a coarser one; the last rule tried where none has.

    Where the end of the ascent is in doubt, it is compared with those of ascents from other places, which begin with the coarse rule too.
    """
    ends = [found]
    best = _vouched(_refined(found, ends, options, report), options)
    for theta in second_starts(found, best):
        other = judged(found.whole, ascend(found.whole, data.begin_on_all(theta), report), found.quadrature, best.n_evaluations)
        if other.is_certified >= best.is_certified and _is_new(other, ends):
            ends.append(other)
            other = _vouched(_refined(other, ends, options, report), options)
            best = max(best, other, key=_merit) if _is_new(other, ends) else best
        best = best._replace(n_evaluations=other.n_evaluations)
    return best


def next_rule(quadrature: Quadrature, q: int, options: Options) -> Quadrature | None:
    """The rule that comes after the first one where that has not settled; None where it is too large."""
    finer = quadrature.finer(q)
    return finer if finer.n_points <= options.max_agq and finer.n_points**q <= _MOST_NODES else None


def _vouched(found: Settled, options: Options) -> Settled:
    """``found``; without its certificate where the rule has not settled and a finer one sees no maximum there."""
    if not found.is_certified or is_settled(found.judgement, options) or not is_denied(found):
        return found
    return found._replace(last=found.last._replace(code=int(Code.QUADRATURE_NOT_SETTLED)))


def _merit(found: Settled) -> tuple[bool, float]:
    """What an end is worth: a log-likelihood that may be that of the rule alone is held against it, and one of unknown error is nothing."""
    worth = found.value - 2.0 * abs(found.judgement.error)
    return found.is_certified, worth if np.isfinite(worth) else -np.inf


def _is_new(found: Settled, ends: list[Settled]) -> bool:
    """Whether no other ascent by this rule has ended here."""
    others = (end for end in ends if end is not found and end.quadrature == found.quadrature)
    return all(abs(found.value - other.value) > SAME for other in others)


def _refined(found: Settled, ends: list[Settled], options: Options, report: Report) -> Settled:
    """The maximum next to ``found`` by finer rules, until one has settled, or one ends at one of ``ends``."""
    best, q, finest = found, n_effects(found.whole), found.judgement.finest
    values = {} if finest is None else {found.quadrature.finer(q): float(finest.log_likelihood)}

    def value(quadrature: Quadrature) -> float:
        if quadrature not in values:
            values[quadrature] = evaluated(found.whole, found.last, quadrature)
        return values[quadrature]

    rules = _gauss_hermite(found, q, options.max_agq)
    for quadrature in rules:
        if is_settled(best.judgement, options):
            return best
        confirmed = _confirmed(best, options) if quadrature == best.quadrature.finer(q) else None
        # one value costs a fraction of a fit: a rule that has not settled where the ascent ended is not worth one if another method follows
        is_last_resort = quadrature is rules[-1] and not (best.is_certified and _trapezoids(found))
        if confirmed is not None:
            best = confirmed
        elif is_last_resort or abs(value(quadrature.finer(q)) - value(quadrature)) < options.quadrature_tolerance:
            best = _kept(best, _ascended(best, quadrature, report))
    if not best.is_certified:
        return best
    return _least_wrong(best, _by_trapezoids(best, ends, options, report), rules, options, report)


def _gauss_hermite(found: Settled, q: int, max_agq: int) -> list[Quadrature]:
    """Finer rules, in the order in which they are tried; where nothing is finite, another method finds nothing."""
    quadrature, rules = found.quadrature, []
    if quadrature.method != GAUSS_HERMITE:  # a law for which these are not sound
        return []
    steps = _NESTED_STEPS if found.whole.settings.problem.prior.n_upper else _GAUSS_HERMITE_STEPS
    for _ in range(0 if found.code is Code.NOT_FINITE else steps):
        quadrature = Quadrature(min(quadrature.finer(q).n_points, max_agq))
        if found.quadrature.n_points < quadrature.n_points and quadrature.n_points**q <= _MOST_NODES:
            rules.append(quadrature)
    return rules


def _trapezoids(found: Settled) -> tuple[int, ...]:
    """Points of the trapezoidal rules for the model; none where their bounds, those of one level, do not apply."""
    if found.quadrature.method == WIDE_TRAPEZOID:
        return _WIDE_TRAPEZOIDS
    return () if found.whole.settings.problem.prior.n_upper else _TRAPEZOIDS.get(n_effects(found.whole), ())


def _by_trapezoids(found: Settled, ends: list[Settled], options: Options, report: Report) -> Settled:
    """The maximum by the first trapezoidal rule that settles; each begins where the one before has ended."""
    best, near = found, found
    ladder = [Quadrature(n, _method(found)) for n in _trapezoids(found) if n <= options.max_agq]
    for quadrature in ladder:
        if is_settled(best.judgement, options):
            break
        # the error falls geometrically with the number of points: a rule that is not going to settle is left out
        reach = abs(near.judgement.error) ** (quadrature.n_points / near.quadrature.n_points)
        if near is not found and quadrature is not ladder[-1] and not reach < options.quadrature_tolerance:
            continue
        moved = _ascended(near, quadrature, report)
        if not _is_new(moved, ends):
            return moved
        if moved.is_certified or quadrature is ladder[-1]:
            best = near = _kept(best, moved)
            ends.append(near)
        else:  # a rule this coarse may have no maximum here
            near = near._replace(n_evaluations=moved.n_evaluations)
    return best


def _method(found: Settled) -> str:
    """The method that comes after the first one."""
    if found.quadrature.method == WIDE_TRAPEZOID:
        return WIDE_TRAPEZOID
    # bounds between which a heavy tail has fallen by a cut would be too far apart
    return TRAPEZOID if found.whole.settings.problem.prior.tail_df is None else SINH_TRAPEZOID


def _least_wrong(before: Settled, after: Settled, rules: list[Quadrature], options: Options, report: Report) -> Settled:
    """``after``, by trapezoids; where that is too far from the integral, the maximum by the finest of ``rules`` if it is nearer.

    The bounds of a trapezoidal rule are those around one peak. Of a posterior with two the nodes of Gauss-Hermite reach both.
    """
    finer = [quadrature for quadrature in rules if quadrature.n_points > before.quadrature.n_points]
    if after is before or abs(after.judgement.error) < options.quadrature_limit or not (finer and _trapezoids(before)):
        return after
    begun = before._replace(n_evaluations=after.n_evaluations)
    other = _kept(begun, _ascended(begun, finer[-1], report))
    is_nearer = other.is_certified and abs(other.judgement.error) < abs(after.judgement.error)
    return other if is_nearer or not after.is_certified else after._replace(n_evaluations=other.n_evaluations)


def _kept(before: Settled, after: Settled) -> Settled:
    """``after`` with its judgement; ``before`` where that has found nothing."""
    if after.code is Code.NOT_FINITE:
        return before._replace(n_evaluations=after.n_evaluations)
    return after._replace(judgement=judgement(after.whole, after.last, after.quadrature))


def _ascended(found: Settled, quadrature: Quadrature, report: Report) -> Settled:
    """The maximum by another rule, from where that by a coarser one is; not judged yet."""
    whole, last, counts = by_rule(found.whole, quadrature), found.last, found.n_evaluations
    is_inside, is_first_method = found.code.is_inside, quadrature.method == GAUSS_HERMITE
    # a coarser rule may have lost a rank that is there after all, and from which a search is slow to come back
    if not is_inside and not is_first_method and found.quadrature.method == GAUSS_HERMITE:  # which has the program of the first phase
        finer = by_rule(found.whole, found.quadrature.finer(n_effects(found.whole)))
        last = ascend(finer, last.begun, report)
        counts = added(counts, last.n_evaluations)
    if is_inside or not is_first_method:
        step = found.judgement.step if is_inside and found.judgement.shift < 1.0 else None
        last = ascend_again(whole, last, step, report)
        counts = added(counts, (0, 0, last.newton.n_newton))
    if is_first_method and not (is_inside and Code(int(last.code)).is_inside):
        last = ascend(whole, last.begun, report)
        counts = added(counts, last.n_evaluations)
    return Settled(last, whole, quadrature, found.judgement, counts)


def _confirmed(found: Settled, options: Options) -> Settled | None:
    """The end of an ascent as that of the finer rule that has judged it; None where the maximum by that rule is not here too."""
    _, shift, step, finest = found.judgement
    if not found.is_certified or finest is None:
        return None
    gradient, reach = np.asarray(finest.gradient), np.asarray(found.last.begun.start.reach)
    is_confirmed, known = are_confirmed(np.asarray(shift), step, gradient, reach, options.certificate)
    decrement: Any = known
    if not is_confirmed:
        return None
    quadrature = found.quadrature.finer(n_effects(found.whole))
    last = found.last._replace(newton=found.last.newton._replace(at=finest, decrement=decrement))
    whole = by_rule(found.whole, quadrature)
    return Settled(last, whole, quadrature, judgement(whole, last, quadrature), found.n_evaluations)
