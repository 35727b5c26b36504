"""Clocks: a warm-up and the median of five, in wall and processor time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["LONG", "RUNS", "Clock", "clock", "median_of", "warm_median"]

RUNS = 5
LONG = 20.0  # seconds: a warm fit that takes longer is timed once (in R, where nothing is compiled, by its first run)


class Clock(NamedTuple):
    """Seconds of a run."""

    wall: float
    cpu: float  # of all threads of this process: twice ``wall`` where two cores are busy all the time


def clock(run: Callable[[], Any], runs: int = RUNS) -> Clock:
    """Medians of ``runs`` calls; what has to be warm is warmed by the caller."""
    taken = [_one(run) for _ in range(runs)]
    return Clock(statistics.median(t.wall for t in taken), statistics.median(t.cpu for t in taken))


def median_of(run: Callable[[], Any], runs: int = RUNS) -> float:
    """Median wall seconds of ``runs`` calls."""
    return clock(run, runs).wall


def warm_median(run: Callable[[], Any]) -> tuple[float, int, Any]:
    """(median seconds after a warm-up, number of runs behind it, what ``run`` returned). The warm-up is never counted: it compiles."""
    result = run()
    first = _one(run).wall
    if first > LONG:
        return first, 1, result
    return statistics.median([first, *(_one(run).wall for _ in range(RUNS - 1))]), RUNS, result


def _one(run: Callable[[], Any]) -> Clock:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Clock(time.perf_counter() - wall, time.process_time() - cpu)
