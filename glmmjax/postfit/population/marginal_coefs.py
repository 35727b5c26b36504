r"""Marginal coefficients: fixed effects on the population's scale, by projecting the link of the marginal means on X.

With marginal means :math:`m_j = E[g^{-1}(x_j'\beta + o_j + z_j'b)]`, b ~ N(0, D), of the n rows,

.. math:: \beta^{pop} = (X'X)^{-1} X' (g(m) - o)

Source: Hedeker, du Toit, Demirtas and Gibbons (2018), Biometrics 74, 354-361. They draw b at random; here the means are exact to
quadrature, and so are the derivatives in theta that the delta method takes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from glmmjax.errors import ArgumentError
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.xla.program import as_program
from glmmjax.fitted import FittedModel, padding_of
from glmmjax.likelihood.model_rows import ModelRows
from glmmjax.likelihood.population import population_mean
from glmmjax.postfit.prediction.law_moments import check_population_mean
from glmmjax.postfit.prediction.rows import own_rows
from glmmjax.postfit.uncertainty.delta_method import propagated, with_jacobian
from glmmjax.postfit.uncertainty.sandwich import robust_kind
from glmmjax.postfit.uncertainty.vcov import covariance

__all__ = ["MarginalCoefficients", "marginal_coefficients", "marginal_coefs"]


class MarginalCoefficients(NamedTuple):
    """Marginal coefficients of p columns.

    Attributes
    ----------
    estimate : (p,) on the scale of the link
    covariance : (p, p) by the delta method
    names : (p,) patsy's column names
    link : name of the link g
    robust : kind of the sandwich; None for the inverse of the information
    """

    estimate: np.ndarray
    covariance: np.ndarray
    names: tuple[str, ...]
    link: str
    robust: str | None


def marginal_coefs(fitted: FittedModel, robust: bool | str = False, se: bool = True) -> MarginalCoefficients:
    """Marginal coefficients over the rows fitted, each with its row weight or 1; see ``MixedModelResults.marginal_coefs``.

    Raises
    ------
    ArgumentError
        For an ordinal outcome, which has no mean on one scale, and a family without a mean.
    RowsNotKeptError
        For a streamed fit.
    """
    family = fitted.problem.family
    if family.is_ordinal:
        raise ArgumentError(
            f"marginal_coefs is for outcomes with a mean, and the {family.name} family has ordered levels, whose marginal probabilities "
            "do not follow one linear predictor; use marginal_means(newdata) or contrasts(newdata), which are of every level's probability."
        )
    check_population_mean(fitted)
    with jax.enable_x64(True):
        wide, p = padding_of(fitted), fitted.problem.layout.p
        roots = None if fitted.design.row_weights is None else np.sqrt(fitted.design.row_weights)
        given = (wide.problem, wide.vector(fitted.theta), wide.rows(own_rows(fitted)), roots)
        if se:
            found = _with_jacobian(*given)
            estimate, jacobian = np.asarray(found[0])[:p], wide.cut(found[1])[:p]
        else:
            estimate = np.asarray(marginal_coefficients(*given))[:p]
    if np.isnan(estimate).any():
        raise ArgumentError(
            f"some marginal mean of the {family.name} family is not defined, or outside the range of the {family.mean_link.name} link."
        )
    names = fitted.design.fixed_names
    spread = propagated(jacobian, covariance(fitted, robust)) if se else np.full((len(names), len(names)), np.nan)
    return MarginalCoefficients(estimate, spread, names, family.mean_link.name, robust_kind(robust))


@as_program(0)
def marginal_coefficients(problem: Problem, theta: Array, rows: ModelRows, roots: Any = None) -> Array:
    """(p,) marginal coefficients at ``theta`` (P,), over the rows given; call it inside ``jax.enable_x64(True)``.

    ``roots``: (n,) square roots of the rows' weights, None where each counts once.
    """
    mean = population_mean(problem.layout.params(theta), rows, problem.family, problem.prior)
    target = problem.family.mean_link.link(mean) - rows.offset[0]
    # a column of zeros, which is padding, gets a row of its own and the coefficient 0
    is_padding = jnp.diag((rows.X[0] == 0).all(1).astype(target.dtype))
    columns = rows.X[0].T
    if roots is not None:
        columns, target = columns * roots[:, None], target * roots
    q, r = jnp.linalg.qr(jnp.concatenate([columns, is_padding]))
    return jax.scipy.linalg.solve_triangular(r, q[: len(target)].T @ target)


@as_program(0)
def _with_jacobian(problem: Problem, theta: Array, rows: ModelRows, roots: Any) -> tuple[Array, Array]:
    """Marginal coefficients (p,) and their derivatives (p, P) in theta."""
    return with_jacobian(lambda theta: marginal_coefficients(problem, theta, rows, roots), theta)
