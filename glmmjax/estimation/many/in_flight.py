"""The fits of a batch that are under way: a seat each, with rows of numbers that say where it stands, and what it waits for."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from glmmjax.estimation.many.programs import BatchKind
from glmmjax.estimation.xla.programs import Given

__all__ = ["InFlight", "Rows", "Stage"]


class Stage(enum.Enum):
    """What a fit waits for, the last stage first; the second number is that of steps in one call."""

    CONFIRM = (6, 1)
    JUDGE = (5, 1)
    NEWTON = (4, 1)
    FIRST_ORDER = (3, 2)
    FRESH = (2, 4)  # the first steps of the first-order phase, which end hardly any fit
    BEGIN = (1, 0)

    @property
    def n_steps(self) -> np.int32:
        """Steps in one call."""
        return np.int32(self.value[1])


class Rows(NamedTuple):
    """Data of some fits.

    Attributes
    ----------
    fits : (n,) numbers of the fits
    data : (n, .) rows of the values that differ between fits, as ``BatchKind.data`` reads them
    """

    fits: np.ndarray
    data: np.ndarray


class InFlight:
    """``capacity`` seats for fits.

    Attributes
    ----------
    rows : by name, (capacity, .): what differs between fits, their starting values, their states, and verdicts of the second phase
    given : starting values from outside
    fits : (capacity,) number of the fit in each seat
    """

    def __init__(self, kind: BatchKind, capacity: int):
        size, dtype = kind.settings.problem.layout.size, kind.data.dtype
        widths = {"data": kind.data.size, "start": kind.start.size, "first_order": kind.first_order.size, "newton": kind.newton.size}
        self.rows = {name: np.zeros((capacity, width), dtype) for name, width in (widths | {"verdict": 2}).items()}
        self.given = Given(np.zeros((capacity, size), dtype), np.zeros(capacity, bool), np.ones((capacity, size), bool))
        self.fits = np.zeros(capacity, int)
        self._free = list(range(capacity))
        self._waiting: dict[Stage, list[int]] = {stage: [] for stage in Stage}
        self._outside, self._is_exhausted = Rows(np.zeros(0, int), np.zeros((0, kind.data.size))), False

    def admit(self, source: Iterator[Rows]) -> None:
        """Take in fits of ``source`` as long as there is room."""
        while self._free and not self._is_exhausted:
            if not len(self._outside.fits):
                found = next(source, None)
                self._is_exhausted = found is None
                self._outside = self._outside if found is None else found
            fits, data = self._outside
            n = min(len(self._free), len(fits))
            seats, self._free = self._free[:n], self._free[n:]
            self.fits[seats], self.rows["data"][seats], self.given.is_used[seats] = fits[:n], data[:n], False
            self.wait(Stage.BEGIN, seats)
            self._outside = Rows(fits[n:], data[n:])

    def wait(self, stage: Stage, seats: list[int]) -> None:
        """Let fits wait for a stage."""
        self._waiting[stage] += seats

    def take(self, n: int, n_idle: int, is_all_idle: bool) -> tuple[Stage, list[int]] | None:
        """The fits that are stepped next, ``n`` at most: those of the last stage that has so many, or of the stage that has most.

        ``n_idle`` are workers without work: for them a part of a chunk is taken too, but a small one only when nothing else runs.
        """
        full = (stage for stage in Stage if len(self._waiting[stage]) >= n)
        chosen = next(full, None) or max(Stage, key=lambda stage: len(self._waiting[stage]))
        waiting = self._waiting[chosen]
        if not waiting or (len(waiting) < n and not is_all_idle and (n_idle < 1 or 2 * len(waiting) < n)):
            return None
        self._waiting[chosen] = waiting[n:]
        return chosen, waiting[:n]

    def begin_again(self, seat: int, theta: np.ndarray) -> None:
        """Start a fit once more, at ``theta`` (P,)."""
        self.given.theta[seat], self.given.is_used[seat] = theta, True
        self.wait(Stage.BEGIN, [seat])

    def release(self, seats: list[int]) -> None:
        """Free the seats of fits that have ended."""
        self._free += seats
