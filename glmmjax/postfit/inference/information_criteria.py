"""Numbers of parameters, rows and clusters; AIC and BIC."""

from __future__ import annotations

import math

from glmmjax.fitted import FittedModel

__all__ = ["aic", "bic", "n_groups", "n_parameters", "n_rows", "n_units"]


def n_parameters(fitted: FittedModel) -> int:
    """Number of free parameters: fixed effects, entries of D, extra parameters. A singular D has as many as a regular one."""
    return fitted.problem.layout.size


def n_rows(fitted: FittedModel) -> int:
    """Number of rows used."""
    return len(fitted.design.row_labels)


def n_groups(fitted: FittedModel) -> int:
    """Number of clusters; without random effects every row is a cluster."""
    return len(fitted.design.groups)


def n_units(fitted: FittedModel) -> int | float:
    """The independent units that BIC counts: clusters; without them rows, each as often as it was seen."""
    weights = fitted.design.row_weights
    return n_groups(fitted) if weights is None or fitted.design.group_name is not None else float(weights.sum())


def aic(fitted: FittedModel) -> float:
    """``-2 log L + 2 df``, with the log-likelihood without penalty."""
    return -2.0 * fitted.log_likelihood + 2.0 * n_parameters(fitted)


def bic(fitted: FittedModel, n: float | None = None) -> float:
    """``-2 log L + df log(n)``; n is ``n_units`` when not given."""
    return -2.0 * fitted.log_likelihood + n_parameters(fitted) * math.log(n_units(fitted) if n is None else n)
