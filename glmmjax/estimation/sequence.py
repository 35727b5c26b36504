"""The phases of an ascent, in their order."""

from __future__ import annotations

from glmmjax.estimation.convergence import code_of
from glmmjax.estimation.objective import FitSettings, likelihood_with_gradient, likelihood_with_hessian
from glmmjax.estimation.phases import first_order, newton
from glmmjax.estimation.phases.phase import Phase
from glmmjax.estimation.starting_values import Start

__all__ = ["FIRST_ORDER", "NEWTON"]


def _begin_newton(settings: FitSettings, start: Start, s: first_order.FirstOrderState) -> newton.NewtonState:
    return newton.init(settings.problem, start, s)


FIRST_ORDER = Phase(likelihood_with_gradient, first_order.step, _begin_newton, first_order.progress)
NEWTON = Phase(likelihood_with_hessian, newton.step, code_of, newton.progress)
