"""Warm fits: every problem by every library."""

from __future__ import annotations

from benchmarks.libraries import LIBRARIES
from benchmarks.libraries.base import Library, Skipped
from benchmarks.problems import PROBLEMS, Problem

__all__ = ["print_fits", "print_versions"]


def print_versions() -> None:
    """Which libraries are here."""
    print("; ".join(f"{name} {library.version() or 'not installed'}" for name, library in LIBRARIES.items()))


def print_fits(largest: int, names: list[str]) -> None:
    """A block a problem, a line a library: seconds, log-likelihood, estimates."""
    for problem in PROBLEMS:
        if len(problem.data) > largest:
            continue
        print(f"\n{problem.name}: {problem.fixed}, {problem.random}, {problem.n_agq} points; {len(problem.data):,} rows", flush=True)
        for name in names:
            print(f"  {name:13s} {_line(LIBRARIES[name], problem)}", flush=True)


def _line(library: Library, problem: Problem) -> str:
    if library.version() is None:
        return "not installed"
    if len(problem.data) > library.max_rows:
        return f"skipped: not run above {library.max_rows:,} rows"
    try:
        result = library.fit(problem)
    except Skipped as reason:
        return f"skipped: {reason}"
    except Exception as error:  # a peer that fails must not end the comparison
        return f"failed: {type(error).__name__}: {' '.join(str(error).split())[:150]}"
    estimates = ", ".join(f"{value:.4f}" for value in result.estimates.values())
    runs = "" if result.runs > 1 else " (timed once)"
    note = f"  [{result.note}]" if result.note else ""
    return f"{result.seconds_warm:10.4f} s{runs}  logLik {result.loglik:.4f}  {estimates}{note}"
