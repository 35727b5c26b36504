"""Cost and memory against the number of rows, in a process of its own for every size, with the data read from disk.

"Data" are the DataFrame and the packed arrays of ``design.clusters``. "Beyond" is the largest resident memory up to the end of the
first fit, which compiles, without the data and without what an interpreter takes that has imported glmmjax and started JAX.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.machine import memory_now, memory_peak
from benchmarks.problems import simulate_random_intercept
from benchmarks.table import Table, seconds
from benchmarks.timing import RUNS, Clock, clock

__all__ = ["print_scaling"]

_REPOSITORY = Path(__file__).parents[1]
_LARGE = 5_000_000  # rows from which a warm fit is timed once
_MEMORY = ("peak", "imports", "frame", "arrays")


def print_scaling(sizes: tuple[int, ...] = (100_000, 1_000_000, 10_000_000)) -> None:
    """A line a size, then the slopes of log seconds on log rows."""
    title = "cost and memory (MB), random intercept, 11 points; data = frame + arrays, beyond = peak - imports - data"
    table = Table(title, "rows", "first fit", "warm fit", "CPU", "evaluation", *_MEMORY, "beyond", label_width=10)
    found = []
    for rows in sizes:
        m = _measured(rows)
        found.append(m)
        beyond = m["peak"] - m["imports"] - m["frame"] - m["arrays"]
        taken = (seconds(m[key]) for key in ("first", "warm", "cpu", "evaluation"))
        table.row(f"{rows:,}", *taken, *(f"{m[key]:.0f}" for key in _MEMORY), f"{beyond:.0f}")
    slopes = (
        f"{label} {_slope(sizes, [m[key] for m in found]):.2f}" for key, label in (("warm", "warm fit"), ("evaluation", "evaluation"))
    )
    print(f"  slope of log seconds on log rows: {', '.join(slopes)}", flush=True)


def _slope(sizes: tuple[int, ...], taken: list[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(taken), 1)[0])


def _measured(rows: int) -> dict[str, float]:
    """What ``main`` prints for data of this size; they are simulated here, so that its memory does not count."""
    with tempfile.TemporaryDirectory() as folder:
        data = simulate_random_intercept(rows)
        for name in data:
            np.save(Path(folder, f"{name}.npy"), data[name].to_numpy())
        del data
        command = [sys.executable, "-m", "benchmarks.scaling", folder]
        done = subprocess.run(command, capture_output=True, text=True, cwd=_REPOSITORY)
    if done.returncode:
        raise RuntimeError(f"a fit to {rows:,} rows ended with code {done.returncode}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(folder: str) -> None:
    """Fit the columns in ``folder`` and print seconds and MB as JSON."""
    import glmmjax as gj

    _start_jax()
    imports = memory_now()
    data = pd.DataFrame({path.stem: np.load(path) for path in sorted(Path(folder).glob("*.npy"))}, copy=False)

    def fit() -> Any:
        return gj.mixed_model("y ~ x1 + x2", random="~ 1 | id", data=data, family="binomial", n_agq=11)

    fits: list[Any] = []
    first = clock(lambda: fits.append(fit()), 1)
    peak, design = memory_peak(), fits.pop().fitted_model.design
    again = clock(fit, 1 if len(data) > _LARGE else RUNS)
    found = {"first": first.wall, "warm": again.wall, "cpu": again.cpu, "evaluation": _evaluation(design).wall}
    memory = {"peak": peak, "imports": imports, "frame": data.memory_usage().sum() / 1e6, "arrays": _megabytes(design.clusters)}
    print(json.dumps(found | memory))


def _start_jax() -> None:
    import jax

    jax.block_until_ready(jax.numpy.zeros(1))


def _megabytes(tree: Any) -> float:
    import jax

    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) / 1e6


def _evaluation(design: Any) -> Clock:
    """Value and exact gradient, the modes given."""
    import jax

    from benchmarks.models import of_design

    with jax.enable_x64(True):
        model = of_design(design, (1.0,))
        parts = model.parts()
        parts.evaluate(model.theta, model.rule)
        parts.keep()
        return clock(lambda: parts.evaluate(model.theta, model.rule))


if __name__ == "__main__":
    main(sys.argv[1])
