"""What a library is to the benchmark."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from benchmarks.problems import Problem

__all__ = ["Library", "Result", "Skipped"]


class Skipped(Exception):
    """The library does not do this problem; the text says why."""


@dataclasses.dataclass(frozen=True)
class Result:
    """A fit with its time."""

    seconds_warm: float
    loglik: float
    estimates: dict[str, float]  # fixed effects, then standard deviations of the random effects
    runs: int  # behind the median
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Library:
    """A program under test."""

    version: Callable[[], str | None]  # None: not installed
    fit: Callable[[Problem], Result]  # raises Skipped
    cold: Callable[[], list[str]]  # the command that fits the introductory binomial example in a new process
    max_rows: int = 1_000_000  # larger problems take too long here
