"""``FittedModel``: the one record of a fit, without methods. Every post-fit function takes it."""

from __future__ import annotations

import dataclasses

import numpy as np

from glmmjax.design.design import Design
from glmmjax.estimation.convergence import Convergence
from glmmjax.estimation.objective import Problem
from glmmjax.likelihood.params import Params, layout_of
from glmmjax.likelihood.quadrature import Quadrature
from glmmjax.options import Options, StudentTPenalty
from glmmjax.request import FitRequest

__all__ = ["FittedModel", "problem_of"]


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
    modes : (m, q) conditional modes in spherical coordinates u, with b = L u; in the order of ``design.groups``
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
    def n_agq(self) -> int:
        """Quadrature points per random effect."""
        return self.quadrature.n_points


def problem_of(design: Design, penalty: StudentTPenalty | None) -> Problem:
    """The static part of a fit of ``design``."""
    layout = layout_of(design.family, design.predictor_sizes, design.covariance)
    is_intercept = tuple(name == "Intercept" for name in design.fixed_names) if penalty else ()
    return Problem(design.family, layout, penalty, is_intercept)
