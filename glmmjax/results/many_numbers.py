"""The numbers that the methods of ``ManyFits`` look at, made when they are first asked for."""

from __future__ import annotations

import functools

import numpy as np

from glmmjax.fitted_many import FittedMany
from glmmjax.postfit.many.covariances import ReportedMany, covariances, reported_many

__all__ = ["ManyNumbers"]


class ManyNumbers:
    """What is derived from ``fitted_many`` once."""

    fitted_many: FittedMany

    @functools.cached_property
    def _covariances(self) -> np.ndarray:
        return covariances(self.fitted_many)

    @functools.cached_property
    def _reported(self) -> ReportedMany:
        return reported_many(self.fitted_many, self._covariances)
