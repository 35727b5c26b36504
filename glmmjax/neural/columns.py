"""How the output of a network enters the ordinary fit: as the offset, or as columns whose coefficients are estimated."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from glmmjax.design import Design
from glmmjax.design.layout.row_table import row_table

__all__ = ["NetworkColumns", "network_columns"]

_ALIASED = 1e-5  # share of a feature that other columns leave; below, it has no coefficient of its own (networks are float32)


class NetworkColumns(NamedTuple):
    """The columns of a table that hold the output of a network.

    Attributes
    ----------
    names : of the columns
    kept : (d,) numbers of the features in them; None for an output that is the offset
    """

    names: tuple[str, ...]
    kept: np.ndarray | None

    def formula(self, fixed: str) -> str:
        """The fixed part with the features among its terms."""
        return fixed if self.kept is None else " + ".join([fixed, *self.names])

    @property
    def offset(self) -> str | None:
        """The column that is the offset."""
        return self.names[0] if self.kept is None else None

    def added(self, data: Any, values: np.ndarray) -> Any:
        """A DataFrame with the output of the network for its rows."""
        columns = values[:, None] if self.kept is None else values[:, self.kept]
        return data.assign(**dict(zip(self.names, columns.T, strict=True)))


def network_columns(data: Any, design: Design, values: np.ndarray) -> NetworkColumns:
    """The columns for ``values``, (n,) or (n, d) for the rows that ``design`` uses; ``data`` is the table that they are added to.

    A feature that is a combination of others and of the fixed effects, such as a unit that is never active, has no coefficient of its own
    and is left out.
    """
    name = "network"
    while any(str(column).startswith(name) for column in data.columns):
        name = f"_{name}"
    if values.ndim == 1:
        return NetworkColumns((name,), None)
    fixed = row_table(design.clusters, design.order, np.arange(len(values))).X[0].T.astype(float)
    left = values - fixed @ np.linalg.lstsq(fixed, values, rcond=None)[0] if fixed.shape[1] else values
    length = np.linalg.norm(values, axis=0)
    triangle, order = scipy.linalg.qr(left / np.where(length > 0, length, 1.0), mode="r", pivoting=True)
    sizes = np.abs(np.diagonal(triangle))
    kept = np.sort(order[: len(sizes)][sizes > _ALIASED])
    return NetworkColumns(tuple(f"{name}_{k + 1}" for k in kept), kept)
