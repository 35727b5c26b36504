"""Simulation, residual checks and scoring rules."""

from __future__ import annotations

from glmmjax.fitted import FittedModel

__all__ = ["Checking"]


class Checking:
    """Whether the model fits."""

    fitted_model: FittedModel
