"""A row of the table of families: where its density is looked at, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from glmmjax.families import Family

__all__ = ["Row", "counts", "one_column", "proportions"]


def one_column(y: np.ndarray) -> Any:
    """The outcome of a family with one column."""
    return y


class Row(NamedTuple):
    """One family with one link."""

    family: Family
    # natural-scale log density by scipy or by a formula of the literature written with scipy.special, of numpy arrays:
    # ``reference(y, eta, phi_natural)``, with ``eta_zi`` as a fourth argument for a zero part
    reference: Callable[..., np.ndarray]
    y: tuple[float, ...]  # outcomes at which the density is compared with ``reference``
    phi: tuple[float, ...] = ()  # (n_phi,) free scale
    eta: tuple[float, ...] = (-1.5, -0.3, 0.4, 1.3)
    eta_zi: float = -0.7  # of a zero part
    atoms: tuple[float, ...] = ()  # outcomes of positive probability; all of them for a discrete family
    interval: tuple[float, float] | None = None  # over which a continuous part is integrated
    columns: Callable[[np.ndarray], Any] = one_column  # outcome in the family's form, such as (s, n - s) of s
    bad: tuple[float, ...] = (-1.0,)  # values (first column) outside the support
    beta: tuple[float, float] = (0.3, 0.5)  # intercept and slope for simulated data; the slope alone counts for an ordinal family
    deviation: float = 0.6  # standard deviation of the random intercept in simulated data


def counts(n: int = 400) -> tuple[float, ...]:
    """Atoms of an unbounded count, as many as hold all the mass at the row's predictors."""
    return tuple(np.arange(float(n)))


def proportions(n: int) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Successes as ``(successes, failures)`` of ``n`` trials."""
    return lambda s: (s, n - s)
