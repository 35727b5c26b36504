"""Cold start: wall time of a whole process that imports, reads the introductory binomial data, and fits it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.libraries import LIBRARIES
from benchmarks.timing import RUNS, median_of

__all__ = ["print_cold"]

_REPOSITORY = Path(__file__).parents[1]


def print_cold(names: list[str], runs: int = RUNS) -> None:
    """Medians of whole processes; glmmjax without and with a filled compilation cache."""
    print("\nwhole process, intro binomial ~ 1 | id, 11 points (gpboost, glmmTMB: Laplace)", flush=True)
    for name in names:
        library = LIBRARIES[name]
        if library.version() is None:
            print(f"  {name:32s} not installed", flush=True)
            continue
        _print_line(name if name != "glmmjax" else "glmmjax, no cache", library.cold(), {}, runs)
        if name == "glmmjax":
            with tempfile.TemporaryDirectory() as folder:
                _print_line("glmmjax, compilation cache", library.cold(), _cache(folder), runs)


def _cache(folder: str) -> dict[str, str]:
    return {
        "JAX_COMPILATION_CACHE_DIR": folder,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }


def _print_line(label: str, command: list[str], extra: dict[str, str], runs: int) -> None:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("JAX_COMPILATION", "JAX_PERSISTENT"))}

    def run() -> None:
        subprocess.run(command, check=True, capture_output=True, env={**inherited, **extra}, cwd=_REPOSITORY)

    try:
        run()  # fills bytecode, disk and, where there is one, compilation cache
        print(f"  {label:32s} {median_of(run, runs):6.2f} s", flush=True)
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        print(f"  {label:32s} failed: {' '.join(last)[:150]}", flush=True)
