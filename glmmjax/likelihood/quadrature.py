"""Which rule integrates over the random effects: the registry of methods, and ``Quadrature``, a method with its number of points.

A new method is one file with its nodes and how it places them, and one line in ``METHODS``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, cast

from glmmjax.likelihood import gauss_hermite, sinh_trapezoid, trapezoid, wide_trapezoid
from glmmjax.likelihood.levels import CrossedRule, NestedRule
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior
from glmmjax.likelihood.rule import Rule

__all__ = [
    "GAUSS_HERMITE",
    "IMPORTANCE",
    "LAPLACE",
    "METHODS",
    "SINH_TRAPEZOID",
    "TRAPEZOID",
    "WIDE_TRAPEZOID",
    "Method",
    "Quadrature",
    "first_method",
    "moment_rule",
]

GAUSS_HERMITE = "adaptive Gauss-Hermite quadrature rule"
LAPLACE = "Laplace's method for the random effects of all levels together"
IMPORTANCE = "Laplace's method, corrected by importance sampling"
TRAPEZOID = "trapezoidal rule between bounds where the log joint has fallen by a cut"
SINH_TRAPEZOID = "trapezoidal rule in the inverse hyperbolic sine, for heavy tails"
WIDE_TRAPEZOID = "trapezoidal rule over the whole law, for posteriors with several peaks"
_LEAST_POINTS = {1: 95, 2: 31}  # of the rule for heavy tails, for moments of random effects, by the number of random effects
_WIDE_POINTS = 159  # of that over the whole law, for the same


class Method(NamedTuple):
    """A family of rules, by points per dimension.

    Attributes
    ----------
    fixed : (n_points, q, prior) -> rule of fixed length
    padded : the same in arrays that hold its judges too, so that one compiled program serves many numbers of points
    finer : (n_points, q) -> points of the rules that judge it
    judges : (n_points, q, prior) -> rules, each finer than the one before, in arrays as long as those of ``padded``
    """

    fixed: Callable[[int, int, Prior], Rule]
    padded: Callable[[int, int, Prior], Rule]
    finer: Callable[[int, int], int]
    judges: Callable[[int, int, Prior], tuple[Rule, ...]]


METHODS: dict[str, Method] = {
    GAUSS_HERMITE: Method(gauss_hermite.tensor_rule, gauss_hermite.padded_rule, gauss_hermite.finer, gauss_hermite.judges),
    TRAPEZOID: Method(trapezoid.trapezoid, trapezoid.padded_trapezoid, trapezoid.finer, trapezoid.judges),
    SINH_TRAPEZOID: Method(sinh_trapezoid.sinh_trapezoid, sinh_trapezoid.padded_sinh, sinh_trapezoid.finer, sinh_trapezoid.judges),
    WIDE_TRAPEZOID: Method(wide_trapezoid.wide_trapezoid, wide_trapezoid.padded_wide, wide_trapezoid.finer, wide_trapezoid.judges),
}


@dataclasses.dataclass(frozen=True)
class Quadrature:
    """A rule for any number of random effects; equal by value, static under ``jit``.

    Attributes
    ----------
    n_points : per random effect
    method : a name in ``METHODS``
    """

    n_points: int
    method: str = GAUSS_HERMITE

    def fixed(self, q: int, prior: Prior = STANDARD_NORMAL) -> Rule:
        """Of fixed length, which reverse mode can differentiate."""
        return self._by_level(METHODS[self.method].fixed, q, prior)

    def padded(self, q: int, prior: Prior = STANDARD_NORMAL) -> Rule:
        """In arrays that hold the judges too: an argument of compiled programs."""
        return self._by_level(METHODS[self.method].padded, q, prior)

    def judges(self, q: int, prior: Prior = STANDARD_NORMAL) -> tuple[Rule, ...]:
        """The rules that judge this one, each finer than the one before; none for crossed factors, which have no finer rule."""
        if prior.is_crossed:
            return ()
        if not prior.n_upper:
            return METHODS[self.method].judges(self.n_points, q, prior)
        of_levels = (METHODS[self.method].judges(self.n_points, size, prior) for size in (prior.n_upper, q - prior.n_upper))
        return tuple(cast(Rule, NestedRule(*pair)) for pair in zip(*of_levels, strict=True))

    def finer(self, q: int) -> Quadrature:
        """The same method with more points."""
        return dataclasses.replace(self, n_points=METHODS[self.method].finer(self.n_points, q))

    def _by_level(self, make: Callable[[int, int, Prior], Rule], q: int, prior: Prior) -> Rule:
        """A rule for all random effects, or a pair of them for those of two levels."""
        if prior.is_crossed:
            return cast(Rule, CrossedRule())
        if not prior.n_upper:
            return make(self.n_points, q, prior)
        # it goes where a rule goes: only the integral of a block looks into it
        return cast(Rule, NestedRule(*(make(self.n_points, size, prior) for size in (prior.n_upper, q - prior.n_upper))))


def first_method(prior: Prior | None) -> str:
    """The method of the rule that a fit begins with, and of any that a number of points asks for; None is a normal law."""
    return WIDE_TRAPEZOID if prior is not None and prior.peaks else GAUSS_HERMITE


def moment_rule(n_points: int, q: int, prior: Prior) -> Rule:
    """The rule of fixed length for moments of random effects given outcomes; one that sees heavy tails of the law, or all of its shape."""
    if not prior.is_symmetric:
        return wide_trapezoid.wide_trapezoid(max(n_points, _WIDE_POINTS), q, prior)
    if prior.tail_df is None or q not in _LEAST_POINTS:
        return gauss_hermite.tensor_rule(n_points, q, prior)
    return sinh_trapezoid.sinh_trapezoid(max(n_points, _LEAST_POINTS[q]), q, prior)
