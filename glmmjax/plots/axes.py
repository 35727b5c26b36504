"""The Axes that a plot is drawn on, and the colours of lines; matplotlib is loaded only when a plot is drawn."""

from __future__ import annotations

from typing import Any

__all__ = ["COLOURS", "axes"]

COLOURS = ("#0072B2", "#D55E00", "#000000", "#56B4E9", "#E69F00", "#666666", "#009E73", "#CC79A7")  # distinct without colour vision


def axes(given: Any, **figure: Any) -> Any:
    """``given``, or the Axes of a new figure, for which ``figure`` are keywords of ``matplotlib.pyplot.subplots``.

    Raises
    ------
    ImportError
        Without matplotlib, with what to install.
    """
    if given is not None:
        return given
    try:
        import matplotlib.pyplot as plt  # optional, and slow to load
    except ImportError:
        raise ImportError("plots need matplotlib, which is not installed: pip install 'glmmjax[plot]'") from None
    return plt.subplots(layout="constrained", **figure)[1]
