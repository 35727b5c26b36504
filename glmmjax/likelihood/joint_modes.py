"""Modes of both levels of random effects of nested clusters, found together.

With u of an upper cluster and v_k of each lower cluster k in it, the log joint is

    h(u, v) = log p(u) + sum_k [log p(v_k) + sum_j log p(y_kj | u, v_k)].

Its negative Hessian is an arrow: blocks C_k on the diagonal, one for each lower cluster, and a border B_k that joins them to u. Newton's
method eliminates v_k first, and solves for u by the Schur complement ``S = H_uu - sum_k B_k C_k^-1 B_k'``, the precision of u given the
outcomes. Values of an upper cluster stand on all its lanes.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.modes import NewtonStep, search
from glmmjax.likelihood.outcome_derivatives import define_jvp
from glmmjax.likelihood.row_derivatives import RowDerivatives, cut_off, is_positive_definite, negative_hessian, row_derivatives
from glmmjax.likelihood.rows import Integrand, from_first_lane, over_lanes, over_rows
from glmmjax.likelihood.small_matrices import Matrix, cholesky, solve_cholesky

__all__ = ["JointPeak", "find_joint_peak"]

_Vector = tuple[Array, ...]


class JointPeak(NamedTuple):
    """h at its mode.

    Attributes
    ----------
    mode : (q, B) u of the upper cluster, then v of the lane
    precision : q_u x q_u arrays (B,): the Schur complement S
    lower_precision : q_v x q_v arrays (B,): C of the lane
    slope : q_v x q_u arrays (B,): how the mode of v moves with u
    value : (B,) the lane's own part of h, without log p(u); no derivative is taken of it
    mode_error : (B,) squared length of one more Newton step in posterior standard deviations; no derivative is taken of it
    """

    mode: Array
    precision: Matrix
    lower_precision: Matrix
    slope: Matrix
    value: Array
    mode_error: Array


class _Arrow(NamedTuple):
    """h of every cluster with its derivatives, v eliminated."""

    value: Array  # (B,) the lane's own part
    upper_gradient: _Vector  # in u
    lower_gradient: _Vector  # in v
    precision: Matrix  # S
    lower_precision: Matrix  # C
    slope: Matrix  # - C^-1 B'


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def find_joint_peak(f: Integrand, n_upper: int, start: Array) -> JointPeak:
    """The peak of h in each cluster. The search begins at ``start`` (q, B); mode and precisions are differentiable in ``f.x``."""
    start = jnp.concatenate([from_first_lane(f.observed, start[:n_upper]), start[n_upper:]])

    def newton(u: Array) -> NewtonStep:
        at = _arrow(f, u, n_upper)
        step, size = _newton(f, at)
        return NewtonStep(over_lanes(f.observed, at.value) + f.prior.log_density(u[:n_upper]), step, size)

    mode = search(newton, start)
    at = _arrow(f, mode, n_upper)
    return JointPeak(mode, at.precision, at.lower_precision, at.slope, at.value, _newton(f, at)[1])


@define_jvp(find_joint_peak)
def _find_joint_peak_jvp(n_upper, primals, tangents):
    f, start = primals
    peak, still = find_joint_peak(f, n_upper, start), jnp.zeros_like(primals[1])
    at, linear = jax.linearize(lambda x, u: _arrow(dataclasses.replace(f, x=x), u, n_upper), f.x, peak.mode)
    moved = linear(tangents[0].x, still)
    step, _ = _newton(f, at._replace(upper_gradient=moved.upper_gradient, lower_gradient=moved.lower_gradient))
    changed, zero = linear(tangents[0].x, step), jnp.zeros_like(peak.value)
    return peak, JointPeak(step, changed.precision, changed.lower_precision, changed.slope, zero, zero)


def _newton(f: Integrand, at: _Arrow) -> tuple[Array, Array]:
    """Newton's step (q, B), and its squared length (B,) in posterior standard deviations."""
    upper, lower = cholesky(at.precision), cholesky(at.lower_precision)
    lowered = [sum(s * g for s, g in zip(column, at.lower_gradient, strict=True)) for column in zip(*at.slope, strict=True)]
    gradient = tuple(g + over_lanes(f.observed, part) for g, part in zip(at.upper_gradient, lowered, strict=True))
    du, own = solve_cholesky(upper, gradient), solve_cholesky(lower, at.lower_gradient)
    dv = [o + sum(s * d for s, d in zip(row, du, strict=True)) for o, row in zip(own, at.slope, strict=True)]
    of_lower = (jnp.stack(own) * jnp.stack(at.lower_gradient)).sum(0)
    return jnp.stack([*du, *dv]), (jnp.stack(du) * jnp.stack(gradient)).sum(0) + over_lanes(f.observed, of_lower)


def _arrow(f: Integrand, u: Array, n_upper: int) -> _Arrow:
    """Derivatives of h at ``u`` (q, B).

    Where the density is not log-concave and the exact matrix of an upper cluster is not positive definite, its rows' curvatures are cut
    off at 0.
    """
    lane = dataclasses.replace(f, observed=f.observed._replace(lanes=None))
    rows, v = row_derivatives(lane, u), u[n_upper:]
    gradient = [over_rows(lane.observed, f.x.zl[:, a] * rows.score) for a in range(len(u))]
    pull, pull_v = f.prior.negative_gradient(u[:n_upper]), f.prior.negative_gradient(v)
    matrices = _matrices(f, rows, u, n_upper)
    if not f.family.is_log_concave:
        safe = _matrices(f, rows._replace(curvature=cut_off(rows.curvature)), u, n_upper)
        failed = 1.0 - is_positive_definite(matrices[1]).astype(u.dtype)
        keep = (over_lanes(f.observed, failed) == 0) & is_positive_definite(matrices[0])
        matrices = jax.tree.map(lambda exact, other: jnp.where(keep, exact, other), matrices, safe)
    return _Arrow(
        over_rows(lane.observed, rows.value) + f.prior.log_density(v),
        tuple(over_lanes(f.observed, g) - p for g, p in zip(gradient[:n_upper], pull, strict=True)),
        tuple(g - p for g, p in zip(gradient[n_upper:], pull_v, strict=True)),
        *matrices,
    )


def _matrices(f: Integrand, rows: RowDerivatives, u: Array, n_upper: int) -> tuple[Matrix, Matrix, Matrix]:
    """S, C and - C^-1 B'."""
    q, nothing = len(u), jnp.zeros_like(u[0])
    of_rows = negative_hessian(f.observed._replace(lanes=None), f.x.zl, rows.curvature, ((nothing,) * q,) * q)
    of_upper, of_lower = f.prior.negative_hessian(u[:n_upper]), f.prior.negative_hessian(u[n_upper:])
    upper, lower = range(n_upper), range(n_upper, q)
    c = tuple(tuple(of_rows[a][b] + of_lower[a - n_upper][b - n_upper] for b in lower) for a in lower)
    root = cholesky(c)
    columns = [solve_cholesky(root, tuple(-of_rows[a][b] for b in lower)) for a in upper]  # of - C^-1 B', one for each entry of u

    def schur(a: int, b: int) -> Array:
        lane = of_rows[a][b] + sum(of_rows[a][n_upper + k] * column for k, column in enumerate(columns[b]))
        return of_upper[a][b] + over_lanes(f.observed, lane)

    s = tuple(tuple(schur(max(a, b), min(a, b)) for b in upper) for a in upper)
    return s, c, tuple(zip(*columns, strict=True))
