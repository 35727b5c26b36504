"""Cold start, in wall time of whole processes: imports alone, and reading and fitting the introductory binomial data."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.libraries import LIBRARIES
from benchmarks.machine import version_of
from benchmarks.table import Table, seconds, times
from benchmarks.timing import RUNS, median_of

__all__ = ["print_cold"]

_REPOSITORY = Path(__file__).parents[1]
_REFERENCE = "glmmjax"


def print_cold(names: list[str], runs: int = RUNS) -> None:
    """Medians of whole processes; glmmjax without stored programs and with them."""
    if _REFERENCE in names and version_of("jax"):
        _print_imports(runs)
    table = Table("whole process, intro binomial ~ 1 | id, 11 points (gpboost, glmmTMB: Laplace)", "", "wall", "/ glmmjax", label_width=32)
    reference = 0.0
    for name in [name for name in names if LIBRARIES[name].version() is not None]:
        command = LIBRARIES[name].cold()
        taken = _print_line(table, name if name != _REFERENCE else f"{name}, nothing stored", command, runs, reference)
        if name == _REFERENCE:
            reference = taken
            with tempfile.TemporaryDirectory() as folder:
                _print_line(table, f"{name}, stored programs", command, runs, reference, folder)


def _print_imports(runs: int) -> None:
    """The share of an import that is glmmjax's own; its modules are loaded when first used, so both are timed."""
    table = Table("whole process, import alone", "", "wall", "/ jax", label_width=32)
    statements = ("import jax", "import glmmjax", "from glmmjax import mixed_model")
    taken = {statement: _seconds([sys.executable, "-c", statement], runs) for statement in statements}
    for statement in statements:
        table.row(statement, seconds(taken[statement]), times(taken[statement] / taken["import jax"]))


def _print_line(table: Table, label: str, command: list[str], runs: int, reference: float, store: str = "off") -> float:
    """Seconds, 0 after a failure."""
    try:
        taken = _seconds(command, runs, store)
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        table.row(label, f"failed: {' '.join(last)[:100]}")
        return 0.0
    table.row(label, seconds(taken), times(taken / reference) if reference else "")
    return taken


def _seconds(command: list[str], runs: int, store: str = "off") -> float:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("JAX_COMPILATION", "JAX_PERSISTENT"))}

    def run() -> None:
        subprocess.run(command, check=True, capture_output=True, env={**kept, "GLMMJAX_PROGRAM_STORE": store}, cwd=_REPOSITORY)

    run()  # fills bytecode and, where there is one, the store
    return median_of(run, runs)
