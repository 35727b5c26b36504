"""The trapezoidal rule between the places where the log joint has fallen by a cut below its peak, for one or two random effects.

With nodes ``u_k`` in equal steps through the box between these places,

    log of the integral of exp(f(u) + c) du  ~  log(volume of the box) + log sum_k exp(f(u_k) + log w_k).

It converges geometrically for every analytic integrand that dies at both ends, whether it looks normal or not; adaptive Gauss-Hermite
quadrature does so only where the ratio to its normal is smooth and slow. On tame data Gauss-Hermite needs fewer points; where the
posterior is skewed, such as that of a cluster of zeros under a large variance, this rule settles first.

Nodes stand in coordinates v of posterior standard deviations, ``u = u_hat + R v``. The bounds of one random effect solve
``f(u) = f(u_hat) - cut``; the box of two is the smallest that holds the level set. Where the bounds stand matters only within the rule's
error. Their movement with the parameters is in the derivatives all the same, to first order: gradients are those of the number reported.

The error has two parts. Steps that are too wide miss the shape of f, and a cut that is too low misses its tails. A rule is judged by one
with smaller steps, and that by one with a higher cut; the sum of both changes is the error that a fit reports.
Source: Trefethen and Weideman (2014), SIAM Review 56, 385-458.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.likelihood.posterior import Posterior
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior
from glmmjax.likelihood.row_derivatives import log_joint_derivatives
from glmmjax.likelihood.rows import Integrand, log_joint
from glmmjax.likelihood.rule import NodePlacement
from glmmjax.likelihood.small_matrices import cholesky, solve_cholesky

__all__ = ["Trapezoid", "finer", "judges", "padded_trapezoid", "trapezoid"]

_LENGTH = {1: 256, 2: 4096}  # of padded arrays, by the number of random effects
_MOST_POINTS = {1: 255, 2: 63}  # that they hold
_MOST_STEPS = 60  # of a search for a bound
_LONGEST_STEP = 4.0  # posterior standard deviations
_CUTS = {1: 0.5, 2: 0.38}  # by number of points, which balances the error of the steps and that of the bounds
_HIGHEST_CUT = 36.0  # beyond it nothing counts in double precision


class Trapezoid(NamedTuple):
    """Nodes between -1 and 1 in each dimension, and their log weights; only the first ``count`` rows are used.

    Attributes
    ----------
    nodes : (K, q)
    log_weights : (K,)
    count : number of nodes in use: a Python int (loop of fixed length) or a traced scalar
    cut : by how much the log joint has fallen at the bounds
    """

    nodes: Any
    log_weights: Any
    count: Any
    cut: Any

    def place(self, f: Integrand, posterior: Posterior) -> NodePlacement:
        """Between the bounds of the level set of f."""
        q, still = len(posterior.mode), jax.lax.stop_gradient((f, posterior))
        extremes = _on_axis if q == 1 else _in_plane
        low, high = (
            jnp.stack([_bound((f, posterior), still, extremes(*still, self.cut, a, sign), a, self.cut) for a in range(q)])
            for sign in (-1.0, 1.0)
        )
        half = 0.5 * (high - low)
        log_scale = posterior.log_det + jnp.log(half).sum(0)
        return NodePlacement(posterior.at(0.5 * (low + high)), posterior.root * half, log_scale, posterior.value)


def trapezoid(n_points: int, q: int, prior: Prior = STANDARD_NORMAL, cut: float | None = None) -> Trapezoid:
    """The rule with ``n_points`` in each of ``q`` dimensions; the cut follows from them where none is given."""
    ends = np.r_[0.5, np.ones(n_points - 2), 0.5] * 2.0 / (n_points - 1)
    nodes = np.array(list(itertools.product(np.linspace(-1.0, 1.0, n_points), repeat=q)))
    log_weights = np.array([sum(term) for term in itertools.product(np.log(ends), repeat=q)]) + prior.log_constant(q)
    return Trapezoid(nodes, log_weights, n_points**q, np.float64(_cut(n_points, q) if cut is None else cut))


def padded_trapezoid(n_points: int, q: int, prior: Prior = STANDARD_NORMAL, cut: float | None = None) -> Trapezoid:
    """The same rule in arrays of one length for all numbers of points."""
    rule = trapezoid(n_points, q, prior, cut)
    extra = _LENGTH[q] - rule.count
    return Trapezoid(np.pad(rule.nodes, ((0, extra), (0, 0))), np.pad(rule.log_weights, (0, extra)), np.int32(rule.count), rule.cut)


def finer(n_points: int, q: int) -> int:
    """Points per dimension of the rules that judge ``n_points``."""
    return min((n_points + n_points // 2) | 1, _MOST_POINTS[q])


def judges(n_points: int, q: int, prior: Prior = STANDARD_NORMAL) -> tuple[Trapezoid, Trapezoid]:
    """Smaller steps between the same bounds, and then steps as small between wider bounds: each error has a judge of its own."""
    more = finer(n_points, q)
    finest, cut = padded_trapezoid(more, q, prior), _cut(n_points, q)
    between = 1 + round((more - 1) * math.sqrt(cut / finest.cut))  # bounds are about as far apart as the root of their cut
    return padded_trapezoid(between, q, prior, cut), finest


def _cut(n_points: int, q: int) -> float:
    return min(_CUTS[q] * n_points, _HIGHEST_CUT)


def _bound(moving: tuple[Integrand, Posterior], still: tuple[Integrand, Posterior], extreme: Array, a: int, cut: Any) -> Array:
    """(B,) coordinate ``a`` of the point ``extreme`` (2, B) of the level set: Newton's step there has the derivatives of the solution."""
    fixed, posterior = still
    along = jnp.zeros_like(extreme).at[a].set(1.0)
    slope = jax.jvp(lambda v: log_joint(fixed, posterior.at(v)), (extreme,), (along,))[1]
    f, adapted = moving
    fallen = log_joint(f, adapted.at(extreme)) - log_joint(f, posterior.mode) + cut
    return extreme[a] - fallen / slope


def _on_axis(f: Integrand, posterior: Posterior, cut: Any, a: int, sign: float) -> Array:
    """(1, B) where f of one random effect has fallen by ``cut``, by Newton's method between bounds."""
    del a  # the only coordinate
    along = jnp.full_like(posterior.mode, sign)

    def fall(t: Array) -> Array:
        return log_joint(f, posterior.at(along * t)) - posterior.value + cut

    def step(carry: tuple[Array, Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array, Array]:
        t, low, high, _, n = carry
        value, slope = jax.jvp(fall, (t,), (jnp.ones_like(t),))
        low, high = jnp.where(value > 0, t, low), jnp.where(value > 0, high, t)
        newton = t - value / slope
        safe = jnp.where(jnp.isfinite(high), 0.5 * (low + high), 2.0 * t)
        new = jnp.where((newton > low) & (newton < jnp.minimum(high, 4.0 * t)), newton, safe)
        new = jnp.where(value == 0.0, t, new)
        return new, low, high, jnp.max(jnp.abs(new - t) / t), n + 1

    first = jnp.broadcast_to(jnp.sqrt(2.0 * jnp.asarray(cut, along.dtype)), along.shape[1:])
    start = (first, jnp.zeros_like(first), jnp.full_like(first, jnp.inf), jnp.array(jnp.inf, first.dtype), jnp.zeros((), jnp.int32))
    tolerance = jnp.sqrt(jnp.finfo(first.dtype).eps)
    return along * jax.lax.while_loop(lambda c: (c[3] > tolerance) & (c[4] < _MOST_STEPS), step, start)[0]


def _in_plane(f: Integrand, posterior: Posterior, cut: Any, a: int, sign: float) -> Array:
    """(2, B) the point of the level set that is furthest along coordinate ``a``, by a sequence of quadratic models of f."""
    level, root = posterior.value - cut, posterior.root

    def step(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        v, before, share, n = carry
        value, gradient, hessian = log_joint_derivatives(f, posterior.at(v))
        g = jnp.einsum("cb...,c...->b...", root, jnp.stack(gradient))
        h = jnp.einsum("ca...,cd...,db...->ab...", root, jnp.stack([jnp.stack(row) for row in hessian]), root)
        c = cholesky(tuple(tuple(row) for row in h))
        newton = jnp.stack(solve_cholesky(c, tuple(g)))
        along = jnp.stack(solve_cholesky(c, tuple(jnp.zeros_like(g).at[a].set(1.0))))
        room = 2.0 * (value - level) + (g * newton).sum(0)  # squared size of the level set of the model
        change = newton + sign * along * jnp.sqrt(jnp.maximum(room, 0.0) / along[a])
        # steps there and back around a bend of f get shorter until they end
        turns = (change * before).sum(0) < -0.25 * (before * before).sum(0)
        share = jnp.where(turns, 0.5 * share, jnp.minimum(1.0, 1.5 * share))
        change = change * jnp.minimum(share, _LONGEST_STEP / jnp.maximum(jnp.sqrt((change * change).sum(0)), 1e-30))
        return v + change, change, share, n + 1

    start = jnp.zeros_like(posterior.mode).at[a].set(0.5 * sign * jnp.sqrt(2.0 * jnp.asarray(cut, posterior.mode.dtype)))
    tolerance = jnp.sqrt(jnp.finfo(start.dtype).eps)
    unfinished = lambda c: (jnp.max(jnp.abs(c[1])) > tolerance) & (c[3] < _MOST_STEPS)  # noqa: E731
    first = (start, jnp.ones_like(start) * jnp.inf, jnp.ones_like(start[0]), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(unfinished, step, first)[0]
