"""Clocks: a warm-up and the median of five, and what the machine is."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["LONG", "cores", "machine", "median_of", "version_of", "warm_median"]

RUNS = 5
LONG = 20.0  # seconds: a warm fit that takes longer is timed once (in R, where nothing is compiled, by its first run)


def median_of(run: Callable[[], Any], runs: int = RUNS) -> float:
    """Median wall seconds of ``runs`` calls."""
    return statistics.median(_seconds(run)[0] for _ in range(runs))


def warm_median(run: Callable[[], Any]) -> tuple[float, int, Any]:
    """(median seconds after a warm-up, number of runs behind it, what ``run`` returned). The warm-up is never counted: it compiles."""
    result = run()
    first, _ = _seconds(run)
    if first > LONG:
        return first, 1, result
    return statistics.median([first, *(_seconds(run)[0] for _ in range(RUNS - 1))]), RUNS, result


def _seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def version_of(distribution: str) -> str | None:
    """Version of an installed distribution, None if it is not there."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """CPU, cores, load, and Python."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{_cpu_name()}, {cores()} cores{load}; Python {platform.python_version()}, {platform.system()}"


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown CPU")
