"""Tables in other packages' terms, and files."""

from __future__ import annotations

from glmmjax.fitted import FittedModel

__all__ = ["Exchange"]


class Exchange:
    """How a fit leaves Python."""

    fitted_model: FittedModel
