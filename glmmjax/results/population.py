"""Population averages: marginal coefficients and means, contrasts, effects."""

from __future__ import annotations

from glmmjax.fitted import FittedModel

__all__ = ["Population"]


class Population:
    """What the model says of the population that clusters are drawn from."""

    fitted_model: FittedModel
