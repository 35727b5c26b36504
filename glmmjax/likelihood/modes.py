"""Conditional modes u_hat = argmax f(u) of a block of clusters, by damped Newton steps, with exact derivatives.

This file alone decides the derivatives of the mode. They follow from the implicit function theorem for grad f(u_hat) = 0, stated as a
differentiation rule that contains the mode itself, so that it can be differentiated again: a Hessian at 1 or 2 nodes needs the second
derivative of the mode, and one differentiable Newton step would give only the first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.outcome_derivatives import define_jvp
from glmmjax.likelihood.row_derivatives import log_joint_derivatives
from glmmjax.likelihood.rows import Integrand, from_first_lane, log_joint
from glmmjax.likelihood.small_matrices import Matrix, cholesky, solve_cholesky

__all__ = ["NewtonStep", "Peak", "find_peak", "search"]

_MAX_STEPS = 100


class NewtonStep(NamedTuple):
    """A function at a point, and Newton's step from there, for every cluster of a block.

    Attributes
    ----------
    value : (B,)
    step : (q, B)
    size : (B,) squared length of the step in posterior standard deviations
    """

    value: Array
    step: Array
    size: Array


class _Search(NamedTuple):
    """Newton search of every cluster of a block; a trial is accepted when f does not fall."""

    u: Array  # (q, B) last accepted point
    value: Array  # (B,) f there
    step: Array  # (q, B) proposed step from it
    size: Array  # (B,) squared length of the full Newton step in posterior standard deviations
    n_trials: Array  # ()


class Peak(NamedTuple):
    """f at the conditional mode of each cluster.

    Attributes
    ----------
    mode : (q, B) where f is largest
    hessian : negative Hessian of f there
    value : (B,) f at the mode; no derivative is taken of it
    gradient : q arrays (B,), 0 up to rounding; no derivative is taken of them
    """

    mode: Array
    hessian: Matrix
    value: Array
    gradient: tuple[Array, ...]


@jax.custom_jvp
def find_peak(f: Integrand, start: Array) -> Peak:
    """The peak of f in each cluster. The search starts at ``start`` (q, B); mode and Hessian are differentiable in ``f.x`` and in
    continuous outcomes."""
    mode = _search(f, from_first_lane(f.observed, start))
    value, gradient, hessian = log_joint_derivatives(f, mode)
    return Peak(mode, hessian, value, gradient)


@define_jvp(find_peak)
def _find_peak_jvp(primals, tangents):
    f, start = primals
    peak = find_peak(f, start)
    still = jnp.zeros_like(peak.mode)
    if start.shape[0] == 0:
        return peak, jax.tree.map(jnp.zeros_like, peak)
    (_, hessian), linear = jax.linearize(lambda x, u: log_joint_derivatives(dataclasses.replace(f, x=x), u)[1:], f.x, peak.mode)
    # the rule needs the exact Hessian, which is positive definite at a mode up to ties; no smaller substitute is right
    d_mode = jnp.stack(solve_cholesky(cholesky(hessian), linear(tangents[0].x, still)[0]))
    d_hessian = linear(tangents[0].x, d_mode)[1]
    return peak, Peak(d_mode, d_hessian, jnp.zeros_like(peak.value), jax.tree.map(jnp.zeros_like, peak.gradient))


def _search(f: Integrand, start: Array) -> Array:
    """(q, B) modes of f."""

    def newton(u: Array) -> NewtonStep:
        value, gradient, hessian = log_joint_derivatives(f, u)
        step = jnp.stack(solve_cholesky(cholesky(hessian), gradient))
        return NewtonStep(value, step, (step * jnp.stack(gradient)).sum(0))

    if not start.shape[0]:
        return start
    found = search(newton, start)
    return _highest(f, newton, found) if f.prior.peaks else found


def _highest(f: Integrand, newton: Callable[[Array], NewtonStep], found: Array) -> Array:
    """The highest of ``found`` (q, B) and the modes that searches from each peak of the law come to."""

    def compare(best: tuple[Array, Array], peak: Array) -> tuple[tuple[Array, Array], None]:
        other = search(newton, jnp.full_like(found, peak))
        value = log_joint(f, other)
        is_higher = value > best[1]  # not where it is NaN
        return (jnp.where(is_higher, other, best[0]), jnp.where(is_higher, value, best[1])), None

    return jax.lax.scan(compare, (found, log_joint(f, found)), jnp.asarray(f.prior.peaks, found.dtype))[0][0]


def search(newton: Callable[[Array], NewtonStep], start: Array) -> Array:
    """(q, B) where a function is largest in every cluster, by Newton's method from ``start`` (q, B), with shorter steps where it falls."""
    tolerance = jnp.finfo(start.dtype).eps ** 0.75
    unknown = jnp.full(start.shape[1:], jnp.inf, start.dtype)
    first = _Search(start, -unknown, jnp.zeros_like(start), unknown, jnp.zeros((), jnp.int32))

    def unfinished(s: _Search) -> Array:
        return (s.n_trials < _MAX_STEPS) & jnp.any(s.size > tolerance)

    last = jax.lax.while_loop(unfinished, lambda s: _trial(newton(s.u + s.step), s), first)
    return last.u + last.step


def _trial(found: NewtonStep, s: _Search) -> _Search:
    """``found`` at the proposed point: move there and propose its Newton step, or shorten the step."""
    slack = 100.0 * jnp.finfo(found.value.dtype).eps * (1.0 + jnp.abs(s.value))
    # so close to the mode, rounding in a sum of large terms can hide the rise of f, and Newton's method needs no guard
    is_near = found.size < 1e-3
    good = ((found.value >= s.value - slack) | is_near) & jnp.isfinite(found.size) | (s.n_trials == 0)
    return _Search(
        u=jnp.where(good, s.u + s.step, s.u),
        value=jnp.where(good, found.value, s.value),
        step=jnp.where(good, found.step, 0.25 * s.step),
        size=jnp.where(good, found.size, s.size),
        n_trials=s.n_trials + 1,
    )
