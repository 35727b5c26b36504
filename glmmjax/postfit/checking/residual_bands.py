"""Where ordered quantile residuals, and their quartiles in bins, lie under the model: pointwise bands of the simulated data sets.

Bands by simulation allow for the dependence within clusters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["QUARTILES", "ResidualBands", "bins_of", "quartiles_in_bins", "residual_bands"]

QUARTILES = (0.25, 0.5, 0.75)
_ENDS = (0.025, 0.975)
_BINS = 10


class ResidualBands(NamedTuple):
    """Pointwise 95 % bands.

    Attributes
    ----------
    ordered : (2, n) lower and upper ends for the ordered residuals
    centres : (B,) mean rank of the fitted means in each bin, as a share
    quartiles : (3, B) of the residuals in the bins
    quartile_ends : (2, 3, B) lower and upper ends for these
    """

    ordered: np.ndarray
    centres: np.ndarray
    quartiles: np.ndarray
    quartile_ends: np.ndarray


def residual_bands(values: np.ndarray, means: np.ndarray) -> ResidualBands:
    """Bands from the residuals (n, 1 + R) of the data, first, and of R simulated data sets; ``means`` (n,) are the fitted means."""
    rank = np.searchsorted(np.sort(means), means) / len(means)
    bins = bins_of(rank, _BINS)
    quartiles = quartiles_in_bins(bins, values)
    centres = np.array([rank[bins == b].mean() for b in np.unique(bins)])
    ordered = np.quantile(np.sort(values[:, 1:], axis=0), _ENDS, axis=1)
    return ResidualBands(ordered, centres, quartiles[..., 0], np.quantile(quartiles[..., 1:], _ENDS, axis=-1))


def bins_of(x: np.ndarray, n_bins: int) -> np.ndarray:
    """(n,) bin of each row, of equally many rows; equal values of ``x`` share a bin."""
    edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, n_bins + 1)))
    if len(edges) <= n_bins and len(np.unique(x)) <= n_bins:
        edges = np.append(np.unique(x), np.inf)
    return np.clip(np.searchsorted(edges, x, side="right") - 1, 0, max(len(edges) - 2, 0))


def quartiles_in_bins(bins: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """(3, B, ...) quartiles in each bin of the residuals (n, ...)."""
    return np.stack([np.quantile(residuals[bins == b], QUARTILES, axis=0) for b in np.unique(bins)], axis=1)
