"""The mode of the random effects of crossed factors, all levels together.

With u the spherical random effects of all levels, h(u) = sum_j log p(y_j | eta_j + zl_j' u) + log p(u). Newton's method finds its maximum,
and keeps the factor of the negative Hessian as long as the steps shrink fast. The derivatives follow from the implicit function theorem.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.crossed_curvature import (
    Curvature,
    Effects,
    Inverted,
    change_of,
    curvature_at,
    inner_product,
    inverted,
    solve,
    sums_by_level,
)
from glmmjax.likelihood.levels import CrossedFactors
from glmmjax.likelihood.outcome_derivatives import define_jvp
from glmmjax.likelihood.prior import Prior
from glmmjax.likelihood.row_derivatives import RowDerivatives, cut_off, row_derivatives
from glmmjax.likelihood.rows import Integrand, Predictors

__all__ = ["CrossedPeak", "find_crossed_peak", "from_levels", "to_levels"]

_MAX_STEPS = 200
_FAST = 0.05  # of the squared length of a step: where the next one is shorter, the factor of H is kept


class CrossedPeak(NamedTuple):
    """h at its mode.

    Attributes
    ----------
    mode : (q_k, n_levels) random effects of each factor
    value : () h there
    mode_error : () squared length of one more Newton step in posterior standard deviations; no derivative is taken of it
    """

    mode: Effects
    value: Array
    mode_error: Array


class _ModeSearch(NamedTuple):
    """A search for the mode; a trial is accepted when h does not fall."""

    mode: Effects  # last accepted point
    value: Array  # () h there
    step: Effects  # proposed step from it
    size: Array  # () squared length of the step in posterior standard deviations
    factored: Curvature  # H of this point or one before, with the Cholesky factor of S in its place
    n_trials: Array  # ()
    is_still: Array  # () bool: rounding keeps the steps from becoming smaller


def to_levels(factors: CrossedFactors, on_lanes: Array) -> Effects:
    """(q_k, n_levels) for each factor, from values (q, n) that stand on the rows."""
    return tuple(on_lanes[where][:, rows] for where, rows in zip(factors.effects, factors.first_rows, strict=True))


def from_levels(factors: CrossedFactors, effects: Effects) -> Array:
    """(q, n) effects of the levels that each row belongs to."""
    return jnp.concatenate([values[:, codes] for values, codes in zip(effects, factors.codes, strict=True)])


def find_crossed_peak(f: Integrand, factors: CrossedFactors, start: Array) -> tuple[CrossedPeak, Inverted]:
    """h at its mode, and H there, differentiable in ``f.x``; the search begins at ``start`` (q, n), which stands on the rows."""
    mode, found = _peak(f, factors, to_levels(factors, jax.lax.stop_gradient(start)))
    rows = row_derivatives(f, from_levels(factors, mode))
    left = jax.lax.stop_gradient((f.x.zl[0, :, 0], found, _gradient(f, factors, rows, mode)))
    error = inner_product(_solved(left[0], factors, left[1], left[2]), left[2])
    return CrossedPeak(mode, rows.value.sum() + _log_prior(f.prior, mode), error), found


@jax.custom_jvp
def _peak(f: Integrand, factors: CrossedFactors, start: Effects) -> tuple[Effects, Inverted]:
    """The mode and H there, with one rule of differentiation for both, so that H is inverted once."""
    mode = _mode(f, factors, start)
    return mode, inverted(curvature_at(f, factors, row_derivatives(f, from_levels(factors, mode))))


@define_jvp(_peak)
def _peak_jvp(primals, tangents):
    (f, factors, _), dx = primals, tangents[0].x
    mode, found = _peak(*primals)

    def level(x: Predictors, mode: Effects) -> tuple[Effects, Curvature]:
        at = dataclasses.replace(f, x=x)
        rows = row_derivatives(at, from_levels(factors, mode))
        return _gradient(at, factors, rows, mode), curvature_at(at, factors, rows)

    _, along = jax.linearize(level, f.x, mode)
    change = _solved(f.x.zl[0, :, 0], factors, found, along(dx, jax.tree.map(jnp.zeros_like, mode))[0])
    return (mode, found), (change, change_of(found, along(dx, change)[1]))


def _solved(zl: Array, factors: CrossedFactors, found: Inverted, b: Effects) -> Effects:
    """``H^-1 b``"""
    return solve(zl, factors, found, b, lambda rest: jnp.matmul(found.inverse, rest, precision="highest"))


def _mode(f: Integrand, factors: CrossedFactors, start: Effects) -> Effects:
    """The mode, by Newton steps that keep the factor of H as long as they come nearer fast: a step then costs one pass over the rows."""
    tolerance, unknown = jnp.finfo(f.x.eta.dtype).eps ** 1.25, jnp.array(jnp.inf, f.x.eta.dtype)

    def unfinished(s: _ModeSearch) -> Array:
        return (s.n_trials < _MAX_STEPS) & (s.size > tolerance) & ~s.is_still

    still = jax.tree.map(jnp.zeros_like, start)
    none = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(lambda: _factored_at(f, factors, start)))
    first = _ModeSearch(start, -unknown, still, unknown, none, jnp.zeros((), jnp.int32), jnp.array(False))
    last = jax.lax.while_loop(unfinished, lambda s: _trial(f, factors, s), first)
    return _plus(last.mode, last.step)


def _trial(f: Integrand, factors: CrossedFactors, s: _ModeSearch) -> _ModeSearch:
    """Move to the proposed point and propose a step from there, or shorten the step."""
    there = _plus(s.mode, s.step)
    rows = row_derivatives(f, from_levels(factors, there))
    value, gradient = rows.value.sum() + _log_prior(f.prior, there), _gradient(f, factors, rows, there)
    slack = 100.0 * jnp.finfo(value.dtype).eps * (1.0 + jnp.abs(s.value))
    step, size = _step(f, factors, s.factored, gradient)
    # so close to the mode, rounding in a sum of large terms can hide the rise of h
    good = ((value >= s.value - slack) | (s.size < 1e-3)) & jnp.isfinite(value) | (s.n_trials == 0)
    is_slow = ~(size < _FAST * s.size) & (s.size > 1e-16) | (s.n_trials == 0)
    renew = lambda: (lambda found: (found, *_step(f, factors, found, gradient)))(_factored(f, factors, rows))  # noqa: E731
    factored, step, size = jax.lax.cond(good & is_slow, renew, lambda: (s.factored, step, size))
    chosen = _ModeSearch(there, value, step, size, factored, s.n_trials + 1, ~(size < s.size) & (size < 1e-14))
    shorter = s._replace(step=jax.tree.map(lambda leaf: 0.25 * leaf, s.step), n_trials=s.n_trials + 1)
    return jax.tree.map(lambda a, b: jnp.where(good, a, b), chosen, shorter)


def _step(f: Integrand, factors: CrossedFactors, factored: Curvature, gradient: Effects) -> tuple[Effects, Array]:
    """``H^-1`` times the gradient, and its squared length in posterior standard deviations; ``factored`` is as in ``_ModeSearch``."""
    solved = lambda b: jax.scipy.linalg.cho_solve((factored.schur, True), b)  # noqa: E731
    step = solve(f.x.zl[0, :, 0], factors, factored, gradient, solved)
    return step, inner_product(step, gradient)


def _factored_at(f: Integrand, factors: CrossedFactors, effects: Effects) -> Curvature:
    return _factored(f, factors, row_derivatives(f, from_levels(factors, effects)))


def _factored(f: Integrand, factors: CrossedFactors, rows: RowDerivatives) -> Curvature:
    """H with the Cholesky factor of S in its place; where that is not positive definite, by curvatures of rows cut off at 0."""

    def by(rows: RowDerivatives) -> Curvature:
        found = curvature_at(f, factors, rows)
        return found._replace(schur=jnp.linalg.cholesky(found.schur))

    exact = by(rows)
    if f.family.is_log_concave:
        return exact
    is_good = jnp.isfinite(jnp.diagonal(exact.schur).sum() + exact.log_det)
    return jax.lax.cond(is_good, lambda: exact, lambda: by(rows._replace(curvature=cut_off(rows.curvature))))


def _plus(a: Effects, b: Effects) -> Effects:
    return tuple(one + other for one, other in zip(a, b, strict=True))


def _gradient(f: Integrand, factors: CrossedFactors, rows: RowDerivatives, effects: Effects) -> Effects:
    """Gradient of h in the effects of each factor."""
    score = f.x.zl[0, :, 0] * rows.score[0, 0]
    return tuple(
        sums_by_level(score[where], codes, values.shape[1]) - f.prior.negative_gradient(values)
        for where, codes, values in zip(factors.effects, factors.codes, effects, strict=True)
    )


def _log_prior(prior: Prior, effects: Effects) -> Array:
    """() with its constant."""
    return sum(prior.log_density(values).sum() + prior.log_constant(len(values)) * values.shape[1] for values in effects)
