"""The mode of the random effects of crossed factors, all levels together, and the negative Hessian of the log joint density there.

With u the spherical random effects of all levels, h(u) = sum_j log p(y_j | eta_j + zl_j' u) + log p(u). Its negative Hessian H has blocks
on the diagonal for the levels of the factor that is eliminated, a dense part for the effects of all other factors, and a sparse part
between them, one entry for each row. So H is solved by the Schur complement of the eliminated factor,

    S = H_BB - sum_a H_aB' H_aa^-1 H_aB,

and ``log|H| = sum_a log|H_aa| + log|S|``. The cost is that of one dense Cholesky factor of S, and of the pairs of rows of a level.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.levels import CrossedFactors
from glmmjax.likelihood.prior import Prior
from glmmjax.likelihood.row_derivatives import RowDerivatives, cut_off, row_derivatives
from glmmjax.likelihood.rows import Integrand, Predictors
from glmmjax.likelihood.small_matrices import Matrix, cholesky, inverse_transpose, symmetric

__all__ = ["CrossedPeak", "Curvature", "curvature_at", "find_crossed_peak", "from_levels", "inverse_of", "log_det", "sums_by_level", "to_levels"]

_MAX_STEPS = 200
_FAST = 0.05  # of the squared length of a step: where the next one is shorter, the factor of H is kept

_Effects = tuple[Array, ...]  # (q_k, n_levels) for each factor


class CrossedPeak(NamedTuple):
    """h at its mode.

    Attributes
    ----------
    mode : (q_k, n_levels) random effects of each factor
    value : () h there
    mode_error : () squared length of one more Newton step in posterior standard deviations; no derivative is taken of it
    """

    mode: _Effects
    value: Array
    mode_error: Array


class Curvature(NamedTuple):
    """The negative Hessian H of h.

    Attributes
    ----------
    root : q_A x q_A arrays (n_levels,): R with ``R R' = H_aa^-1``, of each level a of the eliminated factor
    log_det : () log determinant of the blocks H_aa
    across : (n,) minus the curvature of each row in its predictor
    schur : (N, N) Schur complement S of the eliminated factor, N effects of all others
    """

    root: Matrix
    log_det: Array
    across: Array
    schur: Array


class _Search(NamedTuple):
    """A search for the mode; a trial is accepted when h does not fall."""

    mode: _Effects  # last accepted point
    value: Array  # () h there
    step: _Effects  # proposed step from it
    size: Array  # () squared length of the step in posterior standard deviations
    factored: Curvature  # H of this point or one before, with the Cholesky factor of S in its place
    n_trials: Array  # ()
    is_still: Array  # () bool: rounding keeps the steps from becoming smaller


def to_levels(factors: CrossedFactors, on_lanes: Array) -> _Effects:
    """(q_k, n_levels) for each factor, from values (q, n) that stand on the rows."""
    return tuple(on_lanes[where][:, rows] for where, rows in zip(factors.effects, factors.first_rows, strict=True))


def from_levels(factors: CrossedFactors, effects: _Effects) -> Array:
    """(q, n) effects of the levels that each row belongs to."""
    return jnp.concatenate([values[:, codes] for values, codes in zip(effects, factors.codes, strict=True)])


def find_crossed_peak(f: Integrand, factors: CrossedFactors, start: Array) -> tuple[CrossedPeak, Curvature]:
    """h at its mode, and H there, differentiable in ``f.x``; the search begins at ``start`` (q, n), which stands on the rows."""
    mode = _mode(f, factors, to_levels(factors, jax.lax.stop_gradient(start)))
    rows = row_derivatives(f, from_levels(factors, mode))
    found = curvature_at(f, factors, rows)
    value = rows.value.sum() + _log_prior(f.prior, mode)
    gradient = _gradient(f, factors, rows, mode)
    left = jax.lax.stop_gradient((f.x.zl[0, :, 0], found, gradient))
    return CrossedPeak(mode, value, _product(_solve(left[0], factors, *left[1:]), left[2])), found


@jax.custom_jvp
def _mode(f: Integrand, factors: CrossedFactors, start: _Effects) -> _Effects:
    """The mode, by Newton steps that keep the factor of H as long as they come nearer fast: a step then costs one pass over the rows."""
    tolerance, unknown = jnp.finfo(f.x.eta.dtype).eps ** 1.25, jnp.array(jnp.inf, f.x.eta.dtype)

    def unfinished(s: _Search) -> Array:
        return (s.n_trials < _MAX_STEPS) & (s.size > tolerance) & ~s.is_still

    still = jax.tree.map(jnp.zeros_like, start)
    none = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(lambda: _factored_at(f, factors, start)))
    first = _Search(start, -unknown, still, unknown, none, jnp.zeros((), jnp.int32), jnp.array(False))
    last = jax.lax.while_loop(unfinished, lambda s: _trial(f, factors, s), first)
    return _plus(last.mode, last.step)


@_mode.defjvp
def _mode_jvp(primals, tangents):
    f, factors, start = primals
    mode = _mode(f, factors, start)

    def gradient(x: Predictors) -> tuple[_Effects, RowDerivatives]:
        at = dataclasses.replace(f, x=x)
        rows = row_derivatives(at, from_levels(factors, mode))
        return _gradient(at, factors, rows, mode), rows

    _, change, rows = jax.jvp(gradient, (f.x,), (tangents[0].x,), has_aux=True)
    return mode, _solve(f.x.zl[0, :, 0], factors, curvature_at(f, factors, rows), change)


def _trial(f: Integrand, factors: CrossedFactors, s: _Search) -> _Search:
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
    chosen = _Search(there, value, step, size, factored, s.n_trials + 1, ~(size < s.size) & (size < 1e-14))
    shorter = s._replace(step=jax.tree.map(lambda leaf: 0.25 * leaf, s.step), n_trials=s.n_trials + 1)
    return jax.tree.map(lambda a, b: jnp.where(good, a, b), chosen, shorter)


def _step(f: Integrand, factors: CrossedFactors, factored: Curvature, gradient: _Effects) -> tuple[_Effects, Array]:
    """``H^-1`` times the gradient, and its squared length in posterior standard deviations; ``schur`` of ``factored`` is a Cholesky factor."""
    solved = lambda b: jax.scipy.linalg.cho_solve((factored.schur, True), b)  # noqa: E731
    step = _solve(f.x.zl[0, :, 0], factors, factored, gradient, solved)
    return step, _product(step, gradient)


def _factored_at(f: Integrand, factors: CrossedFactors, effects: _Effects) -> Curvature:
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


def _plus(a: _Effects, b: _Effects) -> _Effects:
    return tuple(one + other for one, other in zip(a, b, strict=True))


def curvature_at(f: Integrand, factors: CrossedFactors, rows: RowDerivatives) -> Curvature:
    """H from the curvatures of the rows."""
    zl, weight = f.x.zl[0, :, 0], -rows.curvature[0][0, 0]
    own, codes = factors.effects[factors.eliminated], factors.codes[factors.eliminated]
    n_levels, q = factors.n_levels[factors.eliminated], factors.n_effects[factors.eliminated]
    z = zl[own]
    sums = {
        (a, b): jax.ops.segment_sum(weight * z[a] * z[b], codes, n_levels) + float(a == b) for a in range(q) for b in range(a + 1)
    }
    lower = cholesky(symmetric(sums, q))
    root = inverse_transpose(lower)
    half = [sum(root[b][a][codes] * z[b] for b in range(a + 1)) for a in range(q)]  # root' z of each row
    of_blocks = 2.0 * jnp.log(jnp.stack([lower[a][a] for a in range(q)])).sum()
    return Curvature(root, of_blocks, weight, _schur(zl, factors, weight, jnp.stack(half)))


def log_det(found: Curvature) -> Array:
    """() log|H|."""
    return found.log_det + _log_det(found.schur)


def inverse_of(schur: Array) -> Array:
    """(N, N) inverse of the Schur complement: the covariance of the other effects, given the outcomes."""
    return _inverse(schur)


def _schur(zl: Array, factors: CrossedFactors, weight: Array, half: Array) -> Array:
    """(N, N) S; ``half`` (q_A, n) is ``R' z`` of each row."""
    columns, places = _dense_columns(zl, factors)
    size = _dense_size(factors)

    def scattered(first: list[Array], second: list[Array], to: list[Array], by: list[Array]) -> Array:
        """(N, N) sums of products of a column of each side, at the places of both."""
        total = jnp.zeros(size * size, zl.dtype)
        for (one, row), (other, column) in itertools.product(zip(first, to, strict=True), zip(second, by, strict=True)):
            total = total + jax.ops.segment_sum(one * other, row * size + column, size * size)
        return total.reshape(size, size)

    total = jnp.eye(size, dtype=zl.dtype) + scattered([weight * z for z in columns], columns, places, places)
    for of_effect in half:  # one term for each effect of a level that is eliminated
        own = [weight * of_effect * z for z in columns]
        if factors.pairs is None:
            total = total - _dense_product(own, places, factors, size)
        else:
            i, j = factors.pairs
            across = scattered(
                [values[i] for values in own], [values[j] for values in own], [at[i] for at in places], [at[j] for at in places]
            )
            total = total - scattered(own, own, places, places) - across - across.T
    return total


def _dense_product(own: list[Array], places: list[Array], factors: CrossedFactors, size: int) -> Array:
    """(N, N) ``M' M`` for the table M (n_levels, N) of sums of ``own`` over the rows of each level and place."""
    n_levels, codes = factors.n_levels[factors.eliminated], factors.codes[factors.eliminated]
    flat = jnp.zeros(n_levels * size, own[0].dtype)
    for values, at in zip(own, places, strict=True):
        flat = flat + jax.ops.segment_sum(values, codes * size + at, n_levels * size)
    table = flat.reshape(n_levels, size)
    return jnp.matmul(table.T, table, precision="highest")


def _dense_columns(zl: Array, factors: CrossedFactors) -> tuple[list[Array], list[Array]]:
    """For each random effect of the factors that are not eliminated, its column (n,) and its place (n,) among all of them."""
    columns, places, first = [], [], 0
    for k, (where, codes, n) in enumerate(zip(factors.effects, factors.codes, factors.n_levels, strict=True)):
        if k != factors.eliminated:
            for a in range(where.start, where.stop):
                columns.append(zl[a])
                places.append(first + codes)
                first += n
    return columns, places


def _dense_size(factors: CrossedFactors) -> int:
    sizes = [q * n for q, n in zip(factors.n_effects, factors.n_levels, strict=True)]
    return sum(sizes) - sizes[factors.eliminated]


def _gradient(f: Integrand, factors: CrossedFactors, rows: RowDerivatives, effects: _Effects) -> _Effects:
    """Gradient of h in the effects of each factor."""
    score = f.x.zl[0, :, 0] * rows.score[0, 0]
    return tuple(
        sums_by_level(score[where], codes, values.shape[1]) - f.prior.negative_gradient(values)
        for where, codes, values in zip(factors.effects, factors.codes, effects, strict=True)
    )


def sums_by_level(values: Array, codes: Array, n_levels: int) -> Array:
    """(q_k, n_levels) sums of values (q_k, n) over the rows of each level."""
    return jax.ops.segment_sum(values.T, codes, n_levels).T


def _solve(zl: Array, factors: CrossedFactors, found: Curvature, b: _Effects, dense_solve=None) -> _Effects:
    """``H^-1 b``."""
    dense_solve = (lambda rest: jnp.matmul(_inverse(found.schur), rest, precision="highest")) if dense_solve is None else dense_solve
    k = factors.eliminated
    z, codes, others = zl[factors.effects[k]], factors.codes[k], [j for j in range(len(b)) if j != k]
    by_row = _block_solve(found.root, b[k])[:, codes]
    across = found.across * (z * by_row).sum(0)
    rest = [b[j] - sums_by_level(across * zl[factors.effects[j]], factors.codes[j], b[j].shape[1]) for j in others]
    flat = dense_solve(jnp.concatenate([values.ravel() for values in rest])) if rest else jnp.zeros((0,), zl.dtype)
    solved, first = dict.fromkeys(range(len(b)), b[k]), 0
    moved = jnp.zeros_like(found.across)
    for j in others:
        size = b[j].size
        solved[j] = flat[first : first + size].reshape(b[j].shape)
        moved = moved + (zl[factors.effects[j]] * solved[j][:, factors.codes[j]]).sum(0)
        first += size
    solved[k] = _block_solve(found.root, b[k] - sums_by_level(found.across * moved * z, codes, b[k].shape[1]))
    return tuple(solved[j] for j in range(len(b)))


def _block_solve(root: Matrix, b: Array) -> Array:
    """``R R' b`` of every level."""
    q = len(root)
    half = [sum(root[r][a] * b[r] for r in range(a + 1)) for a in range(q)]
    return jnp.stack([sum(root[r][a] * half[a] for a in range(r, q)) for r in range(q)])


def _log_prior(prior: Prior, effects: _Effects) -> Array:
    """() with its constant."""
    return sum(prior.log_density(values).sum() + prior.log_constant(len(values)) * values.shape[1] for values in effects)


def _product(a: _Effects, b: _Effects) -> Array:
    return sum((one * other).sum() for one, other in zip(a, b, strict=True))


@jax.custom_jvp
def _inverse(a: Array) -> Array:
    """Inverse of a positive definite matrix, whose derivative is two products and no solve."""
    return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(a), True), jnp.eye(len(a), dtype=a.dtype))


@_inverse.defjvp
def _inverse_jvp(primals, tangents):
    inverse = _inverse(*primals)
    return inverse, -jnp.matmul(jnp.matmul(inverse, tangents[0], precision="highest"), inverse, precision="highest")


@jax.custom_jvp
def _log_det(a: Array) -> Array:
    return 2.0 * jnp.log(jnp.diagonal(jnp.linalg.cholesky(a))).sum()


@_log_det.defjvp
def _log_det_jvp(primals, tangents):
    return _log_det(*primals), (_inverse(*primals) * tangents[0]).sum()
