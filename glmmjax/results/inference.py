"""Covariances, confidence intervals and tests of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax import tables
from glmmjax.fitted import FittedModel

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Inference"]


class Inference:
    """How sure the estimates are."""

    fitted_model: FittedModel

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix (p, p) of the fixed effects: their block of the inverse of the exact negative Hessian."""
        return tables.fixed_covariance_frame(self.fitted_model)
