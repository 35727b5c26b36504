"""What estimation maximises: marginal log-likelihood plus penalty, as a function of the free vector theta."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.penalty import log_penalty
from glmmjax.families.base import Family
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.gauss_hermite import Rule
from glmmjax.likelihood.marginal import Modes, value_and_gradient
from glmmjax.likelihood.params import Theta
from glmmjax.options import StudentTPenalty

__all__ = ["Evaluated", "Problem", "choose", "evaluate", "evaluate_with_hessian"]


@dataclasses.dataclass(frozen=True)
class Problem:
    """The static part of a fit; equal by value, so that a second fit of the same kind traces nothing."""

    family: Family
    layout: Theta
    penalty: StudentTPenalty | None = None
    is_intercept: tuple[bool, ...] = ()


class Evaluated(NamedTuple):
    """The objective at one theta."""

    value: Array  # () penalised log-likelihood
    gradient: Array  # (P,)
    log_likelihood: Array  # () without the penalty
    chol_gradient: Array  # (q, q) derivative of the log-likelihood in every entry of L, which an EM step needs
    modes: Modes
    mode_error: Array  # () see marginal.Evaluation


def choose(condition: Array, new: Evaluated, old: Evaluated) -> Evaluated:
    """``new`` where ``condition`` holds, else ``old``."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def evaluate(problem: Problem, theta: Array, buckets: tuple[Bucket, ...], rule: Rule, modes: Modes) -> Evaluated:
    """Value and exact gradient, the search for modes starting at ``modes``."""
    layout = problem.layout
    at = value_and_gradient(layout.params(theta), buckets, problem.family, rule, modes)
    penalty, slope = jax.value_and_grad(log_penalty)(theta[layout.fixed], problem.penalty, problem.is_intercept)
    gradient = layout.vector(at.gradient).at[layout.fixed].add(slope)
    return Evaluated(at.value + penalty, gradient, at.value, at.gradient.chol, at.modes, at.mode_error)


def evaluate_with_hessian(problem: Problem, theta: Array, buckets: tuple[Bucket, ...], rule: Rule, modes: Modes) -> tuple[Evaluated, Array]:
    """The same with the exact Hessian (P, P): forward mode over the exact gradient, symmetrised."""

    def gradient(theta: Array) -> tuple[Array, Evaluated]:
        at = evaluate(problem, theta, buckets, rule, modes)
        return at.gradient, at

    hessian, at = jax.jacfwd(gradient, has_aux=True)(theta)
    return at, 0.5 * (hessian + hessian.T)
