"""Whether a fit keeps its rows in memory."""

from __future__ import annotations

from typing import Any

from glmmjax.design.design import Design
from glmmjax.design.stream.design import StreamedClusters

__all__ = ["is_streamed"]


def is_streamed(design: Design) -> bool:
    """Whether the rows came from a stream, and are not in memory."""
    clusters: Any = design.clusters
    return isinstance(clusters, StreamedClusters)
