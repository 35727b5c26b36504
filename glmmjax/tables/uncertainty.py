"""Covariance matrices and confidence intervals as labelled tables."""

from __future__ import annotations

import pandas as pd

from glmmjax.fitted import FittedModel
from glmmjax.postfit.inference.confidence import Intervals
from glmmjax.postfit.inference.wald import theta_names
from glmmjax.postfit.uncertainty.vcov import covariance
from glmmjax.tables.result_frame import ResultFrame

__all__ = ["covariance_frame", "interval_frame"]


def covariance_frame(fitted: FittedModel, robust: bool | str = False, which: str = "fixed") -> pd.DataFrame:
    """Covariance of the fixed effects, or of all parameters on their free scales."""
    names, full = theta_names(fitted), covariance(fitted, robust)
    size = fitted.problem.layout.p if which == "fixed" else len(names)
    return ResultFrame(full[:size, :size], index=list(names[:size]), columns=list(names[:size]))


def interval_frame(found: Intervals) -> pd.DataFrame:
    """Estimates with their limits; level, method and counts of refits are in ``attrs``."""
    columns = {"estimate": found.estimates, "lower": found.lower, "upper": found.upper}
    frame = ResultFrame(columns, index=list(found.labels))
    frame.attrs.update(level=found.level, method=found.method)
    if found.n_used is not None:
        frame.attrs.update(n_used=found.n_used, n_not_converged=found.n_lost)
    return frame
