"""Random effects, predictions, fitted values and residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glmmjax import tables
from glmmjax.fitted import FittedModel

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Prediction"]


class Prediction:
    """What the model says of clusters and of rows, old and new."""

    fitted_model: FittedModel

    @property
    def random_effects(self) -> pd.DataFrame:
        """Conditional modes of the random effects given the data, one row a cluster."""
        return tables.random_effects_frame(self.fitted_model)

    @property
    def random_effects_cov(self) -> pd.DataFrame:
        """Conditional covariances of the random effects at the estimates, one row a cluster, columns (effect, with)."""
        return tables.random_effects_covariance_frame(self.fitted_model)
