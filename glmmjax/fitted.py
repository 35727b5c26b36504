"""``FittedModel``: the one record of a fit, and how it is made from the maximum. Every post-fit function takes it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from glmmjax.design.design import Design
from glmmjax.errors import ArgumentError
from glmmjax.estimation.convergence import Convergence
from glmmjax.estimation.factors import root_of
from glmmjax.estimation.maximum import Maximum
from glmmjax.estimation.objective import Problem
from glmmjax.estimation.padding import Padding, padding
from glmmjax.likelihood.clusters import from_clusters, to_clusters
from glmmjax.likelihood.covariance import Deviation, lower_factor
from glmmjax.likelihood.params import Params, layout_of
from glmmjax.likelihood.prior import Prior, StandardNormal
from glmmjax.likelihood.quadrature import GAUSS_HERMITE, METHODS, Quadrature
from glmmjax.options import Options, StudentTPenalty
from glmmjax.request import FitRequest, RuleRequest

__all__ = ["FittedModel", "check_rows_count_once", "fitted_model", "has_same_parameters", "modes_in_blocks", "padding_of", "problem_of"]


_HOW_MANY = {1: "one", 2: "two"}


@dataclasses.dataclass(frozen=True)
class FittedModel:
    """Estimates with everything that they came from. Arrays are numpy, float64, on the host.

    Attributes
    ----------
    design : arrays of the model with their labels
    problem : family, layout of theta, penalty and prior
    options : settings of the fit
    quadrature : the rule in use, also where it was refined
    theta : (P,) free vector: beta, free vector of D, phi, gamma, delta; the diagonal of L is non-negative
    params : the same as ``Params``
    information : (P, P) negative Hessian of the penalised log-likelihood in theta
    log_likelihood : log-likelihood without the penalty
    objective : log-likelihood with the penalty
    modes : (m, q) conditional modes in spherical coordinates u, with b = L u; in the order of ``design.units``
    is_singular : whether D has lost rank
    convergence : how the fit ended
    request : the arguments of ``mixed_model``, for ``update``
    """

    design: Design
    problem: Problem
    options: Options
    quadrature: Quadrature
    theta: np.ndarray
    params: Params
    information: np.ndarray
    log_likelihood: float
    objective: float
    modes: np.ndarray
    is_singular: bool
    convergence: Convergence
    request: FitRequest

    @property
    def rule(self) -> RuleRequest:
        """The rule that was asked for."""
        return self.request.rule_for(self.design.factors)

    @property
    def n_agq(self) -> int:
        """Quadrature points per random effect."""
        return self.quadrature.n_points


def check_rows_count_once(fitted: FittedModel, what: str) -> None:
    """Refuse a fit with row weights where single rows are drawn, permuted or counted.

    Raises
    ------
    ArgumentError
    """
    if fitted.design.row_weights is not None:
        raise ArgumentError(
            f"{what} takes single rows, and in this fit a row stands for several (row_weights). Fit a table that repeats its "
            "rows, data.loc[data.index.repeat(w)] for whole weights w, without row_weights."
        )


def problem_of(design: Design, penalty: StudentTPenalty | None, law: Prior | None = None) -> Problem:
    """The static part of a fit of ``design``; ``law`` is that of its random effects, None for the normal one.

    Raises
    ------
    ArgumentError
        For another law where it has no meaning.
    """
    if law is not None:
        _check_law(design, law)
    structure = design.covariance if law is None or law.is_symmetric else Deviation()
    layout = layout_of(design.family, design.predictor_sizes, structure)
    is_intercept = tuple(name == "Intercept" for name in design.fixed_names) if penalty else ()
    return Problem(design.family, layout, penalty, is_intercept, law or StandardNormal(design.n_upper, bool(design.factors)))


def _check_law(design: Design, law: Prior) -> None:
    q = design.covariance.q
    if design.factors or design.lower is not None:
        what = "crossed factors" if design.factors else "two levels of random effects"
        how = "leave it out: their law is normal"
    elif design.group_name is None or not design.random_names:
        what, how = "no random effects", "add some, random='~ 1 | id', or leave it out"
    elif q > law.most_effects:  # no rule for more sees heavy tails, skewness or several peaks, nor that it has missed them
        what, how = f"{q} of them", f"take {_HOW_MANY[law.most_effects]} at most, or leave it out: their law is normal"
    else:
        return
    most = "one random effect" if law.most_effects == 1 else "one or two random effects"
    raise ArgumentError(f"random_effects_law={law!r} is for {most} of one grouping factor, and this model has {what}; {how}.")


def padding_of(fitted: FittedModel) -> Padding:
    """The model with the padded columns that its compiled programs take."""
    return padding(fitted.problem, () if fitted.design.is_streamed else fitted.design.clusters.buckets, fitted.n_agq)


def fitted_model(request: FitRequest, design: Design, problem: Problem, maximum: Maximum) -> FittedModel:
    """The record of a fit, with the lower factor of D and its diagonal non-negative, whatever root of D was fitted."""
    layout, structure, method = problem.layout, problem.layout.covariance, maximum.convergence.method
    theta, hessian = maximum.theta, maximum.hessian
    root = root_of(structure, theta[layout.random])
    chol, rotation = lower_factor(root)
    flip = np.ones(layout.size)
    flip[layout.random] = structure.signs(theta[layout.random])
    theta, hessian = theta * flip, hessian * np.outer(flip, flip)
    parts: Any = (theta[layout.fixed], chol, theta[layout.extra], theta[layout.zero], theta[layout.dispersion])
    return FittedModel(
        design=design,
        problem=problem,
        options=request.options,
        quadrature=Quadrature(maximum.convergence.n_agq, method if method in METHODS else GAUSS_HERMITE),
        theta=theta,
        params=Params(*parts),
        information=-hessian,
        log_likelihood=maximum.log_likelihood,
        objective=maximum.objective,
        modes=_modes_by_cluster(maximum, design) @ rotation,
        is_singular=maximum.is_singular,
        convergence=maximum.convergence,
        request=request,
    )


def _modes_by_cluster(maximum: Maximum, design: Design) -> np.ndarray:
    """(m, q) from the (S, q, B) arrays of the buckets."""
    blocks = [np.asarray(modes) for modes in maximum.modes]
    return (to_clusters(design.rows, blocks) if design.lower is None else design.lower.from_blocks(blocks)).T


def modes_in_blocks(design: Design, modes: np.ndarray) -> tuple[Any, ...]:
    """One (S, q, B) array a bucket, from modes (m, q) in the order of ``design.units``."""
    lower = design.lower
    return tuple(from_clusters(design.clusters, modes.T)) if lower is None else lower.in_blocks(design.clusters.buckets, modes.T)


def has_same_parameters(previous: FittedModel, design: Design, problem: Problem) -> bool:
    """Whether the estimates of ``previous`` can start a fit of ``design``: the same parameters by name, all of them finite."""
    old, names = previous.design, ("fixed_names", "random_names", "zi_fixed_names", "dispersion_names", "family")
    is_same = all(getattr(old, name) == getattr(design, name) for name in names) and previous.problem.layout == problem.layout
    return is_same and bool(np.isfinite(previous.theta).all())
