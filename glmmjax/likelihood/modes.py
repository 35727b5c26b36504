"""Conditional modes u_hat = argmax f(u) of a block of clusters, by damped Newton steps, with exact derivatives.

This file alone decides the derivatives of the mode. They follow from the implicit function theorem for grad f(u_hat) = 0, stated as a
differentiation rule that contains the mode itself, so that it can be differentiated again: a Hessian at 1 or 2 nodes needs the second
derivative of the mode, and one differentiable Newton step would give only the first.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.likelihood.row_derivatives import log_joint_derivatives
from glmmjax.likelihood.rows import Integrand, from_first_lane
from glmmjax.likelihood.small_matrices import Matrix, cholesky, solve_cholesky

__all__ = ["Peak", "find_peak"]

_MAX_STEPS = 100


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
    """The peak of f in each cluster. The search starts at ``start`` (q, B); mode and Hessian are differentiable in ``f.x``."""
    mode = _search(f, from_first_lane(f.observed, start))
    value, gradient, hessian = log_joint_derivatives(f, mode)
    return Peak(mode, hessian, value, gradient)


@find_peak.defjvp
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
    if start.shape[0] == 0:
        return start
    tolerance = jnp.finfo(start.dtype).eps ** 0.75
    unknown = jnp.full(start.shape[1:], jnp.inf, start.dtype)
    first = _Search(start, -unknown, jnp.zeros_like(start), unknown, jnp.zeros((), jnp.int32))

    def unfinished(s: _Search) -> Array:
        return (s.n_trials < _MAX_STEPS) & jnp.any(s.size > tolerance)

    last = jax.lax.while_loop(unfinished, functools.partial(_newton_trial, f), first)
    return last.u + last.step


def _newton_trial(f: Integrand, s: _Search) -> _Search:
    """Evaluate f at the proposed point; move there and propose a Newton step, or halve the step."""
    trial = s.u + s.step
    value, gradient, hessian = log_joint_derivatives(f, trial)
    newton = jnp.stack(solve_cholesky(cholesky(hessian), gradient))
    size = (newton * jnp.stack(gradient)).sum(0)
    slack = 100.0 * jnp.finfo(value.dtype).eps * (1.0 + jnp.abs(s.value))
    # so close to the mode, rounding in a sum of large terms can hide the rise of f, and Newton's method needs no guard
    is_near = size < 1e-3
    good = ((value >= s.value - slack) | is_near) & jnp.isfinite(size) | (s.n_trials == 0)
    return _Search(
        u=jnp.where(good, trial, s.u),
        value=jnp.where(good, value, s.value),
        step=jnp.where(good, newton, 0.25 * s.step),
        size=jnp.where(good, size, s.size),
        n_trials=s.n_trials + 1,
    )
