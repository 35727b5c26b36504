"""A fit of data that are larger than memory: seconds and peak memory of a process that streams a simulated Parquet file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.problems import simulate_random_intercept

__all__ = ["print_stream", "write_parquet"]

_REPOSITORY = Path(__file__).parents[1]
_PIECE = 500_000  # rows simulated at a time
_FIT = """
import sys, time
import pandas, patsy, pyarrow.parquet
import jax
import glmmjax as gj
from benchmarks.machine import memory_peak

jax.jit(lambda x: x + 1)(1.0)
print(memory_peak())
start = time.perf_counter()
data = gj.stream(sys.argv[1])
fit = gj.mixed_model("y ~ x1 + x2", random="~ 1 | id", data=data, family="binomial", n_agq=11)
print(time.perf_counter() - start)
print(memory_peak())
print(fit.converged, fit.convergence.n_evaluations, fit.llf, *fit.fe_params, *fit.cov_re.to_numpy().ravel())
"""


def print_stream(rows: int) -> None:
    """Write ``rows`` rows (clusters of 10) to a Parquet file, fit a random intercept from it in its own process, and print the cost."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_parquet(path, rows)
        size = path.stat().st_size / 1e6
        command = [sys.executable, "-c", _FIT, str(path)]
        output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=_REPOSITORY).stdout.splitlines()
    before, seconds, peak = map(float, output[:3])
    converged, n_evaluations, log_likelihood, *estimates = output[3].split()
    print(f"\nstreamed fit, random intercept, 11 points, {rows:,} rows in clusters of 10, a Parquet file of {size:,.0f} MB")
    print(f"  {seconds:.1f} s in all, with compilation; converged: {converged}, {n_evaluations} evaluations; logLik {log_likelihood}")
    print(f"  estimates {', '.join(f'{float(value):.4f}' for value in estimates)}; simulated with -1, 0.5, 0.3, variance 1")
    print(f"  peak memory {peak:,.0f} MB, {peak - before:,.0f} MB more than the interpreter with JAX and pandas")
    print(f"  10^8 rows by proportion: {seconds * 1e8 / rows / 60:.0f} minutes")


def write_parquet(path: Path, rows: int) -> None:
    """Simulated rows, a piece at a time."""
    import pyarrow
    from pyarrow import parquet

    writer = None
    for first in range(0, rows, _PIECE):
        piece = simulate_random_intercept(min(_PIECE, rows - first), seed=first)
        table = pyarrow.Table.from_pandas(piece.assign(id=piece["id"] + first // 10), preserve_index=False)
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
