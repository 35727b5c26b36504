"""What the benchmark runs on: machine, versions, memory of this process."""

from __future__ import annotations

import os
import platform
import resource
import sys
from importlib import metadata
from pathlib import Path

__all__ = ["cores", "machine", "memory_now", "memory_peak", "version_of"]


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


def memory_now() -> float:
    """Resident memory of this process in MB; its peak so far where the system does not tell."""
    return _status("VmRSS") or _most()


def memory_peak() -> float:
    """Largest resident memory of this process so far, in MB."""
    # Linux lets a new process begin with the peak of the one that started it in ru_maxrss, not here
    return _status("VmHWM") or _most()


def _status(name: str) -> float:
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{name}:")), 0.0)


def _most() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown CPU")
