"""The objective of a fit: marginal log-likelihood plus penalty, as a function of the free vector theta."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.estimation.penalty import log_penalty, penalty_numbers
from glmmjax.families.base import Family
from glmmjax.likelihood.block_sums import Modes, Span, block_value_and_gradient, sum_over_blocks, value_and_gradient
from glmmjax.likelihood.cluster_sums import ClusterSums, no_sums
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.params import Theta
from glmmjax.likelihood.prior import STANDARD_NORMAL, Prior
from glmmjax.likelihood.rule import Rule
from glmmjax.options import Options, StudentTPenalty, compiled_options

__all__ = [
    "Evaluated",
    "FitSettings",
    "Integral",
    "Problem",
    "all_real",
    "choose",
    "evaluate",
    "evaluate_with_hessian",
    "fit_settings",
    "likelihood_with_gradient",
    "likelihood_with_hessian",
    "penalised",
    "rounding",
]


@dataclasses.dataclass(frozen=True)
class Problem:
    """The static part of a fit; equal by value, so that a second fit of the same kind traces nothing.

    Attributes
    ----------
    family : density of the outcome
    layout : where parameters stand in theta
    penalty : on the fixed effects, None for none; a fit may take its numbers from elsewhere, see ``penalised``
    is_intercept : (p,) True for the coefficient that a penalty spares; () without a penalty
    prior : law of the random effects
    """

    family: Family
    layout: Theta
    penalty: StudentTPenalty | None = None
    is_intercept: tuple[bool, ...] = ()
    prior: Prior = STANDARD_NORMAL


@dataclasses.dataclass(frozen=True)
class FitSettings:
    """What is maximised, and how. Everything here is static in the programs of a fit.

    Attributes
    ----------
    problem : what is maximised
    options : as ``compiled_options`` gives them
    """

    problem: Problem
    options: Options


class Integral(NamedTuple):
    """The data, and the rule that integrates over their random effects.

    Attributes
    ----------
    buckets : blocks of clusters
    rule : nodes and log weights
    """

    buckets: tuple[Bucket, ...]
    rule: Rule


class Evaluated(NamedTuple):
    """The objective at one theta.

    Attributes
    ----------
    value : () penalised log-likelihood
    gradient : (P,) of the penalised log-likelihood
    log_likelihood : () without the penalty
    signed : (N_SIGNED,) of ``ClusterSums``
    chol_gradient : (q, q) derivative of the log-likelihood in every entry of L, which an EM step needs
    modes : conditional modes found, where the next search begins
    mode_error : () largest squared Newton step left in any mode, in posterior standard deviations
    """

    value: Array
    gradient: Array
    log_likelihood: Array
    signed: Array
    chol_gradient: Array
    modes: Modes
    mode_error: Array


def fit_settings(problem: Problem, options: Options) -> FitSettings:
    """``problem`` with the options that compiled programs read."""
    return FitSettings(problem, compiled_options(options))


def choose(condition: Array, new: Evaluated, old: Evaluated) -> Evaluated:
    """``new`` where ``condition`` holds, else ``old``."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def rounding(value: Array) -> Array:
    """() how well a sum of the size of ``value`` is known in its precision: a smaller rise cannot be seen."""
    return jnp.finfo(value.dtype).eps * (1.0 + jnp.abs(value))


def evaluate(problem: Problem, theta: Array, integral: Integral, modes: Modes, penalty: Array | None = None) -> Evaluated:
    """Value and exact gradient of the objective; the search for modes starts at ``modes``; ``penalty``: see ``penalised``."""
    found = likelihood_with_gradient(problem, theta, integral.buckets, integral.rule, modes)
    return penalised(problem, theta, found, all_real(problem), penalty)[0]


def evaluate_with_hessian(
    problem: Problem, theta: Array, buckets: tuple[Bucket, ...], rule: Rule, modes: Modes, is_real: Array | None = None
) -> tuple[Evaluated, Array]:
    """The same with the exact Hessian (P, P): forward mode over the exact gradient, symmetrised; ``is_real``: see ``penalised``."""
    is_real = all_real(problem) if is_real is None else is_real
    return penalised(problem, theta, likelihood_with_hessian(problem, theta, buckets, rule, modes), is_real)


def likelihood_with_gradient(
    problem: Problem, theta: Array, buckets: tuple[Bucket, ...], rule: Rule, modes: Modes, spans: tuple[Span, ...] | None = None
) -> tuple[Evaluated, None]:
    """``evaluate`` without the penalty: a sum over clusters, so that the results of parts of the data can be added. It has no Hessian."""
    at = value_and_gradient(problem.layout.params(theta), buckets, problem.family, rule, modes, spans, prior=problem.prior)
    return _evaluated(problem.layout, theta, *at), None


def likelihood_with_hessian(
    problem: Problem, theta: Array, buckets: tuple[Bucket, ...], rule: Rule, modes: Modes, spans: tuple[Span, ...] | None = None
) -> tuple[Evaluated, Array]:
    """The same with the Hessian (P, P), not yet symmetrised."""

    layout = problem.layout

    def of_block(block: Bucket, start: Array) -> tuple[Any, Array, Array]:
        def gradient(theta: Array) -> tuple[Array, Any]:
            found = block_value_and_gradient(layout.params(theta), block, start, problem.family, rule, problem.prior)
            return layout.gradient(theta, found[0].gradient), found

        # differentiated block by block, because JAX would trace a block several times through the loop over blocks
        columns = _one_by_one if problem.prior.is_crossed else functools.partial(jax.jacfwd, has_aux=True)
        hessian, (sums, mode, error) = columns(gradient)(theta)
        return (sums, hessian), mode, error

    zero = (no_sums(layout.params(theta)), jnp.zeros((layout.size, layout.size), theta.dtype))
    (sums, hessian), modes, error = sum_over_blocks(of_block, zero, buckets, modes, spans)
    return _evaluated(layout, theta, sums, modes, error), hessian


def _evaluated(layout: Theta, theta: Array, sums: ClusterSums, modes: Modes, mode_error: Array) -> Evaluated:
    value, slope = sums.value, sums.gradient
    return Evaluated(value, layout.gradient(theta, slope), value, sums.signed, slope.chol, modes, mode_error)


def _one_by_one(gradient: Callable[[Array], tuple[Array, Any]]) -> Callable[[Array], tuple[Array, Any]]:
    """``jacfwd`` with an auxiliary result, a column after the other: each holds dense matrices of all levels of a factor."""

    def hessian(theta: Array) -> tuple[Array, Any]:
        _, along, aux = jax.linearize(gradient, theta, has_aux=True)
        return jax.lax.map(along, jnp.eye(len(theta), dtype=theta.dtype)).T, aux

    return hessian


def all_real(problem: Problem) -> Array:
    """(P,) bool: a theta without padding."""
    return jnp.ones(problem.layout.size, bool)


def penalised(
    problem: Problem, theta: Array, found: tuple[Evaluated, Any], is_real: Array, penalty: Array | None = None
) -> tuple[Evaluated, Any]:
    """The objective from the log-likelihood of all clusters, and its Hessian where that is given.

    Parameters
    ----------
    is_real : (P,) False for padding of theta, where the slopes are 0: it becomes a unit of its own in the negative Hessian.
    penalty : (3,) numbers of the penalty, in place of those of ``problem.penalty``.
    """
    at, hessian = found
    fixed, size = problem.layout.fixed, problem.layout.size
    numbers = penalty_numbers(problem.penalty, theta.dtype) if penalty is None else penalty
    arguments = (theta[fixed], numbers, problem.penalty, problem.is_intercept, is_real[fixed])
    value, slope = jax.value_and_grad(log_penalty)(*arguments)
    at = at._replace(value=at.log_likelihood + value, gradient=at.gradient.at[fixed].add(slope))
    if hessian is None:
        return at, None
    if problem.penalty is not None:
        hessian = hessian + jnp.zeros((size, size), theta.dtype).at[fixed, fixed].set(jax.hessian(log_penalty)(*arguments))
    hessian = hessian - jnp.diag((~is_real).astype(theta.dtype))
    return at, 0.5 * (hessian + hessian.T)  # rounding leaves some asymmetry
