"""Fitted values: predictions of the rows that were fitted."""

from __future__ import annotations

import numpy as np

from glmmjax.fitted import FittedModel
from glmmjax.postfit.prediction.predict import predict

__all__ = ["fitted_values"]


def fitted_values(fitted: FittedModel, kind: str = "mean_subject", scale: str = "response") -> np.ndarray:
    """(O, n) predictions of the rows fitted, in the caller's order; ``kind`` and ``scale`` as in ``predict``.

    Raises
    ------
    ArgumentError
        As ``predict``.
    RowsNotKeptError
        For a streamed fit.
    """
    return predict(fitted, kind=kind, scale=scale).values
