"""Refits: influence of clusters, bootstrap."""

from __future__ import annotations

from glmmjax.fitted import FittedModel

__all__ = ["Influence"]


class Influence:
    """What changes when the data change."""

    fitted_model: FittedModel
