"""The likelihood of crossed factors by importance sampling, which takes the error of Laplace's approximation out.

Given the random effects v of all factors but one, the levels of that one factor are independent, and each is integrated by quadrature. The
rest are drawn from the normal approximation of Laplace's method, N(v^, S^-1) with S the Schur complement, in antithetic pairs:

    log L ~ log mean_s [ p(v_s) prod_a I_a(v_s) / q(v_s) ],   I_a(v) = integral of p(u) prod_j p(y_j | u, v) du.

The draws stay as they are while the parameters move, so that this is a smooth function of them, with exact derivatives.
Source: Booth and Hobert (1999), Journal of the Royal Statistical Society B 61, 265-285; Skaug and Fournier (2006), Computational Statistics
and Data Analysis 51, 699-709.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import Array

from glmmjax.families.base import Family
from glmmjax.likelihood.cluster_sums import ClusterSums, no_sums
from glmmjax.likelihood.clusters import Bucket
from glmmjax.likelihood.crossed import crossed_integrand, crossed_levels
from glmmjax.likelihood.crossed_curvature import sums_by_level
from glmmjax.likelihood.crossed_modes import CrossedPeak, find_crossed_peak
from glmmjax.likelihood.gauss_hermite import tensor_rule
from glmmjax.likelihood.levels import CrossedFactors, ImportanceRule
from glmmjax.likelihood.modes import NewtonStep, search
from glmmjax.likelihood.params import Params
from glmmjax.likelihood.prior import Prior
from glmmjax.likelihood.row_derivatives import cut_off, row_derivatives
from glmmjax.likelihood.rows import Integrand, Predictors, at, log_base, row_log_kernel
from glmmjax.likelihood.small_matrices import Matrix, cholesky, inverse_transpose, solve_cholesky, symmetric

__all__ = ["importance_rule", "importance_value_and_gradient", "importance_weights"]


def importance_rule(f: Integrand, factors: CrossedFactors, start: Array, z: Array, n_points: int) -> tuple[ImportanceRule, CrossedPeak]:
    """Draws around the mode, and the mode; ``z`` (draws, N) are standard normal numbers.

    The search for the mode begins at ``start`` (q, n); ``n_points`` integrate each level of the factor that is eliminated.
    """
    peak, found = find_crossed_peak(f, factors, start)
    others = jnp.concatenate([values.ravel() for k, values in enumerate(peak.mode) if k != factors.eliminated])
    draws = others + jax.scipy.linalg.solve_triangular(found.factor.T, z.T, lower=False).T
    log_q = jnp.log(jnp.diagonal(found.factor)).sum() - 0.5 * (z * z).sum(1) - 0.5 * z.shape[1] * math.log(2.0 * math.pi)
    rule = tensor_rule(n_points, factors.n_effects[factors.eliminated], f.prior)
    return ImportanceRule(draws, log_q, jnp.asarray(rule.nodes), jnp.asarray(rule.log_weights)), peak


def importance_weights(f: Integrand, factors: CrossedFactors, rule: ImportanceRule) -> Array:
    """(draws,) log of the terms whose mean is the likelihood."""
    return jax.lax.map(lambda draw: _log_term(f, factors, rule, *draw), (rule.draws, rule.log_q))


def importance_value_and_gradient(
    params: Params, block: Bucket, start: Array, family: Family, rule: ImportanceRule, prior: Prior
) -> tuple[ClusterSums, Array, Array]:
    """Log-likelihood with its gradient as ``block_value_and_gradient``, of the draws of ``rule``; the modes come back as they were."""
    factors = crossed_levels(block)

    def one(draw: tuple[Array, Array]) -> tuple[Array, Params]:
        return jax.value_and_grad(lambda params: _log_term(crossed_integrand(params, block, family, prior), factors, rule, *draw))(params)

    terms, slopes = jax.lax.map(one, (rule.draws, rule.log_q))
    weight = jax.nn.softmax(terms)
    gradient = jax.tree.map(lambda slope: jnp.tensordot(weight, slope, 1), slopes)
    value = jax.nn.logsumexp(terms) - math.log(len(terms))
    return no_sums(params)._replace(value=value, gradient=gradient), start, jnp.zeros((), terms.dtype)


def _log_term(f: Integrand, factors: CrossedFactors, rule: ImportanceRule, draw: Array, log_q: Array) -> Array:
    """() log of ``p(v) prod_a I_a(v) / q(v)`` at a draw v (N,)."""
    eta, of_v, first, own = f.x.eta, jnp.zeros((), draw.dtype), 0, factors.eliminated
    for k, (q, n) in enumerate(zip(factors.n_effects, factors.n_levels, strict=True)):
        if k != own:
            v = draw[first : first + q * n].reshape(q, n)
            first += q * n
            eta = eta.at[0, 0].add((f.x.zl[0, factors.effects[k], 0] * v[:, factors.codes[k]]).sum(0))
            of_v = of_v + f.prior.log_density(v).sum() + f.prior.log_constant(q) * n
    left = dataclasses.replace(f, x=Predictors(eta, f.x.zl[:, factors.effects[own]], f.x.phi))
    return _integrals(left, factors, rule).sum() + log_base(left).sum() + of_v - log_q


def _integrals(f: Integrand, factors: CrossedFactors, rule: ImportanceRule) -> Array:
    """(n_levels,) log of the integral over the effects of each level of the factor that is eliminated.

    The nodes lie around the mode of each level and stay there when a derivative is taken: that of the sum is the one of the integral.
    """
    codes, n_levels = factors.codes[factors.eliminated], factors.n_levels[factors.eliminated]
    mode, root, log_det = jax.lax.stop_gradient(_placement(f, codes, n_levels))

    def at_node(node: tuple[Array, Array]) -> Array:
        z, log_weight = node
        u = mode + jnp.tensordot(root, z, ((1,), (0,)))
        rows = f.observed.row_weight * row_log_kernel(f.family, f.observed, at(f.x, u[:, codes]), f.x.phi)
        return sums_by_level(rows, codes, n_levels)[0] + f.prior.log_density(u) + log_weight

    return jax.nn.logsumexp(jax.lax.map(at_node, (rule.nodes, rule.log_weights)), axis=0) + log_det


def _placement(f: Integrand, codes: Array, n_levels: int) -> tuple[Array, Array, Array]:
    """Mode (q, n_levels), root (q, q, n_levels) of the inverse curvature there, and its log determinant, of each level."""
    q = f.x.zl.shape[1]

    def curvature(u: Array) -> tuple[Array, Array, Matrix]:
        rows, zl = row_derivatives(f, u[:, codes]), f.x.zl[0, :, 0]
        second = rows.curvature if f.family.is_log_concave else cut_off(rows.curvature)
        sums = {
            (a, b): sums_by_level(-second[0][0] * zl[a] * zl[b], codes, n_levels)[0] + float(a == b) for a in range(q) for b in range(a + 1)
        }
        value = sums_by_level(rows.value, codes, n_levels)[0] + f.prior.log_density(u)
        return value, sums_by_level(zl * rows.score[0], codes, n_levels) - f.prior.negative_gradient(u), cholesky(symmetric(sums, q))

    def newton(u: Array) -> NewtonStep:
        value, gradient, lower = curvature(u)
        step = jnp.stack(solve_cholesky(lower, tuple(gradient)))
        return NewtonStep(value, step, (step * gradient).sum(0))

    mode = search(newton, jnp.zeros((q, n_levels), f.x.eta.dtype))
    _, _, lower = curvature(mode)
    root = jnp.stack([jnp.stack(row) for row in inverse_transpose(lower)])
    return mode, root, -jnp.log(jnp.stack([lower[a][a] for a in range(q)])).sum(0)
