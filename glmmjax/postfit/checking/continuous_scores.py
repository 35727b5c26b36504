r"""The continuous ranked probability score of a continuous outcome by quadrature, from the logarithm of its predictive density.

.. math:: -\int \big(F(x) - 1[y \le x]\big)^2 dx

The outcome is taken to the whole line: x itself; on a half-line by the inverse of the softplus function; between 0 and 1 by the logit.
There Gauss-Legendre panels, whose edges lie dense about the median and wide in the tails, give the distribution function at their own
nodes, and the outcome is one more edge, so that every panel has a smooth integrand. Ends of the range may have a probability of their own
(zeros of a hurdle, 0 and 1 of a proportion).
Source: Gneiting and Raftery (2007), JASA 102, 359-378.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.polynomial import legendre

from glmmjax.families.base import Family

__all__ = ["LOST", "Crps", "Range", "crps", "range_of"]

LOST = 1e-6  # probability that the panels may miss
_POINTS = 16  # Gauss-Legendre points of a panel
_REACH = 16.0  # the edges end at sinh(_REACH) spreads from the median
_SEARCH = 2001  # points of a search for the median and the spread
_SMALLEST = 1e-300
_STEP = 4.0  # over which the fall of a density beyond an end is read off
_NORMAL_QUARTILES = 1.349  # distance of the quartiles of a normal distribution, in standard deviations


class Range(NamedTuple):
    """The values that an outcome can have. Static and hashable.

    Attributes
    ----------
    name : "line", "half-line" from 0, or "interval" from 0 to 1
    has_lowest : whether the lower end has a probability of its own
    has_highest : whether the upper end has one
    """

    name: str
    has_lowest: bool
    has_highest: bool


class Crps(NamedTuple):
    """Scores of n rows, larger for better predictions, and what was integrated.

    Attributes
    ----------
    score : (n,)
    total : (n,) probability that the panels and the ends hold, 1 where they hold all
    """

    score: Array
    total: Array


def range_of(family: Family) -> Range:
    """The range of a continuous outcome in one column, from the values that the family takes."""
    takes = lambda value: bool(np.all(family.in_support(np.array([value]))))  # noqa: E731
    if takes(-1.0):
        return Range("line", False, False)
    if takes(2.0):
        return Range("half-line", takes(0.0), False)
    return Range("interval", takes(0.0), takes(1.0))


def crps(log_density: Callable[[Array], Array], y: Array, mean: Array, within: Range, n_panels: int) -> Crps:
    """The scores of the outcomes y (n,).

    Parameters
    ----------
    log_density : (n,) logarithms of the predictive density at values (n,), one a row; of the probability at an end that has one.
    mean : (n,) predictive means, where the search for the median begins.
    """
    low, high = (
        jnp.exp(log_density(jnp.full_like(y, end))) if has else jnp.zeros_like(y)
        for end, has in ((0.0, within.has_lowest), (1.0, within.has_highest))
    )
    inside = (mean - high) / jnp.maximum(1.0 - low - high, _SMALLEST)  # the mean between the ends
    line = _OnTheLine(log_density, within.name, jnp.maximum(inside, _SMALLEST))
    centre, spread = _centre_and_spread(line, line.place(inside))
    low, high = low + line.below(y), high + line.above(y)
    steps = jnp.sinh(jnp.linspace(-_REACH, _REACH, n_panels + 1))
    kinks = jnp.stack([line.place(y), *(jnp.full_like(y, end) for end in line.ends if np.isfinite(end))])
    edges = jnp.sort(jnp.concatenate([centre + spread * steps[:, None], kinks]), axis=0)
    nodes, weights, to_node = _panel_rule()
    half = 0.5 * jnp.diff(edges, axis=0)  # (S, n)
    middle = edges[:-1] + half

    def at_node(node: Array) -> tuple[Array, Array]:
        t = middle + half * node
        return jax.lax.map(line.density, t) * half, line.value(t)[1] * half

    mass, length = jax.lax.map(at_node, nodes)  # (K, S, n) probability and length that a node stands for, before its weight
    panels = jnp.tensordot(weights, mass, 1)
    before = low + _sums_before(panels)
    after = high + _sums_before(panels[::-1])[::-1]
    in_panel = jnp.tensordot(to_node, mass, 1)
    distance = jnp.where(middle < line.place(y), before + in_panel, after + panels - in_panel)
    score = -jnp.einsum("k,ksn,ksn->n", weights, distance**2, length)
    return Crps(score, low + high + panels.sum(0))


def _sums_before(panels: Array) -> Array:
    """(S, n) sums of the panels before each."""
    return jnp.concatenate([jnp.zeros_like(panels[:1]), jnp.cumsum(panels[:-1], axis=0)])


class _OnTheLine(NamedTuple):
    """The outcome on the whole line: x, ``unit`` (n,) times the softplus of t, or the logistic function of t."""

    log_density: Callable[[Array], Array]
    name: str
    unit: Array

    @property
    def ends(self) -> tuple[float, float]:
        """Where the outcome is as near to an end of its range as numbers tell."""
        return {"line": (-np.inf, np.inf), "half-line": (-600.0, np.inf), "interval": (-600.0, 20.0)}[self.name]

    def value(self, t: Array) -> tuple[Array, Array]:
        """The outcome, and its derivative in t, which is 0 beyond the ends."""
        if self.name == "line":
            return t, jnp.ones_like(t)
        inside = jnp.clip(t, *self.ends)
        is_inside = inside == t
        if self.name == "half-line":
            return self.unit * jax.nn.softplus(inside), jnp.where(is_inside, self.unit * jax.nn.sigmoid(inside), 0.0)
        x = jax.nn.sigmoid(inside)
        return x, jnp.where(is_inside, x * jax.nn.sigmoid(-inside), 0.0)

    def place(self, x: Array) -> Array:
        """The inverse."""
        if self.name == "line":
            return x
        if self.name == "half-line":
            share = jnp.maximum(x / self.unit, _SMALLEST)
            return share + jnp.log(-jnp.expm1(-share))
        return jnp.log(jnp.maximum(x, _SMALLEST)) - jnp.log1p(-jnp.minimum(x, 1.0 - 1e-16))

    def density(self, t: Array) -> Array:
        """(n,) density of t."""
        x, slope = self.value(t)
        found = jnp.exp(self.log_density(x)) * slope
        return jnp.where(jnp.isfinite(found), found, 0.0)

    def below(self, like: Array) -> Array:
        """(n,) probability below the lower end of t, where the density falls off exponentially."""
        return self._beyond(like, self.ends[0], self.ends[0] + _STEP)

    def above(self, like: Array) -> Array:
        """(n,) probability above the upper end."""
        return self._beyond(like, self.ends[1], self.ends[1] - _STEP)

    def _beyond(self, like: Array, end: float, next_to_it: float) -> Array:
        if not np.isfinite(end):
            return jnp.zeros_like(like)
        at, inside = (self.density(jnp.full_like(like, t)) for t in (end, next_to_it))
        return jnp.where((at > 0) & (inside > at), _STEP * at / jnp.log(inside / jnp.where(at > 0, at, 1.0)), 0.0)


def _centre_and_spread(line: _OnTheLine, centre: Array) -> tuple[Array, Array]:
    """(n,) median, and distance of the quartiles in normal standard deviations, on the whole line; the search begins at ``centre``."""
    spread = 1.0 / (np.sqrt(2.0 * np.pi) * jnp.maximum(line.density(centre), _SMALLEST))
    spread = jnp.clip(spread, 1e-12 * (1.0 + jnp.abs(centre)), 1e12 * (1.0 + jnp.abs(centre)))
    steps = jnp.linspace(-_REACH, _REACH, _SEARCH)

    def better(_: int, now: tuple[Array, Array]) -> tuple[Array, Array]:
        centre, spread = now
        share = jnp.cumsum(jax.lax.map(lambda step: line.density(centre + spread * jnp.sinh(step)) * jnp.cosh(step), steps), axis=0)
        share = share / jnp.maximum(share[-1], _SMALLEST)
        first, median, third = (centre + spread * jnp.sinh(steps[jnp.argmax(share >= p, axis=0)]) for p in (0.25, 0.5, 0.75))
        is_found = third > first
        return jnp.where(is_found, median, centre), jnp.where(is_found, (third - first) / _NORMAL_QUARTILES, 0.1 * spread)

    found: tuple[Array, Array] = jax.lax.fori_loop(0, 4, better, (centre, spread))
    return found


def _panel_rule() -> tuple[Any, Any, Any]:
    """Nodes (K,) and weights (K,) on (-1, 1), and the matrix (K, K) that integrates from -1 to each node."""
    nodes, weights = legendre.leggauss(_POINTS)
    powers = np.eye(_POINTS)
    integrals = np.stack([legendre.legval(nodes, legendre.legint(one, lbnd=-1)) for one in powers], axis=1)
    return jnp.asarray(nodes), jnp.asarray(weights), jnp.asarray(integrals @ np.linalg.inv(legendre.legvander(nodes, _POINTS - 1)))
